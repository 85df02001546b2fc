/**
 * Where each sink stands. `position` is the snapshot up to which it has every row: what that snapshot could not see is still
 * to come, whatever the order of commits. A page that was cut off is continued up to the same snapshot, `upto`, after the
 * row named last. One process at a time has a page of it: the owner of
 * the lease.
 */
export const createSinkPositions = `
create table audit_sinks (
  name text primary key,
  position pg_snapshot not null default '1:1:',
  upto pg_snapshot,
  after_xid xid8,
  after_id uuid,
  owner uuid,
  lease_until timestamptz not null default '-infinity'
);
revoke all on audit_sinks from public;
`

export const dropSinkPositions = 'drop table audit_sinks'
