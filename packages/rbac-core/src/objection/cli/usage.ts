/** What `--help` prints. */
export const usage = `usage: countersign-rbac <command> [options]

  check POLICY                 what is wrong: cycles, unknown names, rules that cannot be kept, permissions nobody reaches
  test POLICY CASES            runs the cases; tells the failed ones with file and line
  diff [A] B                   roles and permissions gained or lost from A to B; without A, from the database
                               --fail-on gain|loss|any makes it fail
  explain USER PERMISSION      why a user has a permission or not, and who may grant it; fails when denied
  who-can PERMISSION           the active users who have it, and by which roles
  drift POLICY                 the permissions of the file against the rows of the database, both ways
  export                       the database's policy as YAML
  apply POLICY                 what the file would change, and how many users gain or lose what; --yes writes it

  --database URL               PostgreSQL; without it DATABASE_URL
  --scope S                    asks there; without it explain asks everywhere, and who-can anywhere
  --administrative-permission P
                               for explain: its holders may grant too, as createAuthorizer was told
  --users-table T              your own table of users, with --users-id, --users-active and --users-superuser for
                               its columns; an empty name says that there is no such column

A POLICY is YAML or JSON:    permissions: { document: [read, update] }
                             roles: { editor: { permissions: ['document:*'], inherits: [], isActive: true } }
                             separationOfDuty: [{ name: four-eyes, kind: static, roles: [a, b], atMost: 1 }]
CASES are a list of:         { roles: [editor, { role: viewer, scope: team:7 }], permission: document:update,
                               scope: team:7, expect: allowed }

exit code: 0 fine, 1 a finding (a failed case, a drift, a denial, --fail-on, something that check found), 2 an error in
what was given: usage, a file, the database, or a change that was refused`
