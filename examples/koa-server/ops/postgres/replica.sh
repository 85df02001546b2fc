#!/bin/bash
# Copies the primary the first time, follows it from then on.
set -euo pipefail

# A copy that was interrupted is no copy: only a whole one is moved to where the server looks for it.
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA/../copy"
  PGPASSWORD="$(< /run/secrets/replication_password)" pg_basebackup --pgdata "$PGDATA/../copy" --write-recovery-conf \
    --slot replica --checkpoint fast --no-password --dbname 'host=postgres user=replication'
  rm -rf "$PGDATA"
  mv "$PGDATA/../copy" "$PGDATA"
fi
exec postgres -c hot_standby=on "$@"
