import { definePermissions } from '../../src/index.ts'

export const catalog = definePermissions({
  document: ['read', 'create', 'update', 'delete', 'publish'],
  user: ['read', 'manage'],
})
