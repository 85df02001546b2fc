#!/bin/bash
# Runs once, when the primary's data folder is made. The register owns its database and is no superuser; the replica's
# role can follow and read nothing.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --set register="$(< /run/secrets/register_password)" --set replication="$(< /run/secrets/replication_password)" <<'SQL'
create role register login password :'register';
create database register owner register;
revoke connect on database register from public;
create role replication login replication password :'replication';
select pg_create_physical_replication_slot('replica');
SQL
echo 'host replication replication samenet scram-sha-256' >> "$PGDATA/pg_hba.conf"
