#!/usr/bin/env bash
# Entrypoint of the PgBouncer of shard $SHARD: writes what differs per shard, and the user list from the secrets, and becomes PgBouncer.
# With an argument it only writes, that this instance is the shard's primary: make failover then has the running PgBouncer read it.
set -euo pipefail
umask 077

die() { printf 'entrypoint: %s\n' "$*" >&2; exit 1; }

shared=/etc/messenger/pgbouncer/pgbouncer.ini
own=/run/pgbouncer
database=${DB_NAME:-messenger}_$SHARD
for name in DB_PASSWORD POSTGRES_PASSWORD; do
  [ -n "${!name:-}" ] || die "$name is not set: start with make, which reads it from .env.secrets"
done

# setting NAME: its number in the shared file.
setting() { sed -n -E "s/^$1 *= *([0-9]+).*/\1/p" "$shared"; }

# One descriptor per client and per server connection, and some for itself.
need=$(($(setting max_client_conn) + $(setting max_db_connections) + $(setting reserve_pool_size) + 100))
[ "$(ulimit -Sn)" = unlimited ] || [ "$(ulimit -Sn)" -ge "$need" ] || ulimit -Sn "$need" ||
  die "max_client_conn and max_db_connections need $need file descriptors, Docker allows $(ulimit -Hn): raise default-ulimits in Docker's daemon.json"

# write PRIMARY. The shared file begins the section [pgbouncer], and our lines go on with it: PgBouncer sets a section that is begun again to its
# defaults. Replaced in one step, because PgBouncer may read it at any time.
write() {
  printf '%s\n' \
    "%include $shared" \
    'listen_addr = *' \
    'listen_port = 6432' \
    "auth_file = $own/userlist.txt" \
    'admin_users = messenger_admin' \
    "stats_users = ${DB_USER:-messenger_api}" \
    '[databases]' \
    "$database = host=$1 port=5432" >$own/pgbouncer.ini.partial
  mv $own/pgbouncer.ini.partial $own/pgbouncer.ini
}

# primary: whichever of the shard's two takes writes.
primary() {
  PGPASSWORD=$DB_PASSWORD psql -X -A -t -q -w -c "SELECT current_setting('cluster_name')" \
    "host=shard-$SHARD,shard-$SHARD-replica port=5432 dbname=$database user=${DB_USER:-messenger_api} target_session_attrs=read-write connect_timeout=2"
}

if [ $# = 1 ]; then
  write "$1"
  exit
fi

# The same password proves PgBouncer to the primary and, by SCRAM, a client to PgBouncer. messenger_admin is good for the console only.
printf '"%s" "%s"\n' "${DB_USER:-messenger_api}" "${DB_PASSWORD//\"/\"\"}" messenger_admin "${POSTGRES_PASSWORD//\"/\"\"}" >$own/userlist.txt
trap 'exit 0' INT TERM
tries=0
until now=$(primary 2>&1); do
  ((tries++ % 20 != 0)) || printf 'entrypoint: waiting for a primary: %s\n' "$now" >&2
  sleep 0.3
done
trap - INT TERM
write "$now"
exec pgbouncer $own/pgbouncer.ini
