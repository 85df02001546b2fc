import { definePermissions } from '@countersign/rbac-core'

/** Everything that can be asked for in this server. */
export const permissions = definePermissions({
  document: ['read', 'create', 'update', 'delete', 'publish'],
  user: ['read', 'manage'],
})

/** The roles of a new installation; afterwards the database has the say. */
export const firstRoles = [
  { name: 'viewer', description: 'Reads documents', permissions: ['document:read'], inherits: [] },
  {
    name: 'author',
    description: 'Writes documents',
    permissions: ['document:create', 'document:update', 'document:delete'],
    inherits: ['viewer'],
  },
  {
    name: 'publisher',
    description: 'Publishes what others wrote',
    permissions: ['document:publish'],
    inherits: ['viewer'],
  },
  {
    name: 'administrator',
    description: 'Manages documents and users',
    permissions: ['document:*', 'user:*'],
    inherits: [],
  },
] as const
