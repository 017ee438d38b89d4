#!/usr/bin/env bash
# Entrypoint of the PgBouncer of shard $SHARD: writes what differs per shard, and the user list from the secrets, and becomes PgBouncer.
set -euo pipefail
umask 077

die() { printf 'entrypoint: %s\n' "$*" >&2; exit 1; }

shared=/etc/messenger/pgbouncer/pgbouncer.ini
own=/run/pgbouncer
[ -n "${DB_PASSWORD:-}" ] || die 'DB_PASSWORD is not set: start with make, which reads it from .env.secrets'

# setting NAME: its number in the shared file.
setting() { sed -n -E "s/^$1 *= *([0-9]+).*/\1/p" "$shared"; }

# One descriptor per client and per server connection, and some for itself.
need=$(($(setting max_client_conn) + $(setting max_db_connections) + $(setting reserve_pool_size) + 100))
[ "$(ulimit -Sn)" = unlimited ] || [ "$(ulimit -Sn)" -ge "$need" ] || ulimit -Sn "$need" ||
  die "max_client_conn and max_db_connections need $need file descriptors, Docker allows $(ulimit -Hn): raise default-ulimits in Docker's daemon.json"

# The same password proves PgBouncer to the primary and, by SCRAM, a client to PgBouncer.
printf '"%s" "%s"\n' "${DB_USER:-messenger_api}" "${DB_PASSWORD//\"/\"\"}" >$own/userlist.txt
# The shared file begins the section [pgbouncer], and our lines go on with it: PgBouncer sets a section that is begun again to its defaults.
printf '%s\n' \
  "%include $shared" \
  'listen_addr = *' \
  'listen_port = 6432' \
  "auth_file = $own/userlist.txt" \
  "stats_users = ${DB_USER:-messenger_api}" \
  '[databases]' \
  "${DB_NAME:-messenger}_$SHARD = host=shard-$SHARD port=5432" >$own/pgbouncer.ini
exec pgbouncer $own/pgbouncer.ini
