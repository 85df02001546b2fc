export class RbacError extends Error {}
