import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'

export const permissions = definePermissions({ document: ['read', 'create'] })

const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:create'] },
  },
})

const store = memoryGrantStore({
  policy,
  assignments: { ann: ['editor'], vic: ['viewer'], tom: [{ role: 'editor', scope: 'team:7' }] },
})

export const authorizer = createAuthorizer({ permissions, store, changes: store.changes, maxStalenessMs: 30_000 })
