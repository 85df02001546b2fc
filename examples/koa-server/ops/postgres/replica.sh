#!/bin/bash
# Copies the primary the first time, follows it from then on. A replica that the primary has stopped waiting for is
# copied anew once its volume is removed.
set -euo pipefail

copy="$(dirname "$PGDATA")/copy"
# A copy that was interrupted is no copy: only a whole one is moved to where the server looks for it.
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$copy" "$PGDATA"
  mkdir -p "$(dirname "$copy")"
  PGPASSWORD="$(< /run/secrets/replication_password)" pg_basebackup --pgdata "$copy" --write-recovery-conf \
    --slot replica --checkpoint fast --no-password --dbname 'host=postgres user=replication'
  mv "$copy" "$PGDATA"
fi
exec postgres -c hot_standby=on "$@"
