# primary.sh: a primary in its container. Makes the cluster at the first start, and keeps its roles as init and .env.secrets say. Sourced, not run.
# shellcheck shell=bash disable=SC2154  # container.sh has the variables

# The database of every shard has a name of its own.
export DB_NAME="${DB_NAME:-messenger}_$SHARD"

# stamp: changes when a name, a password or a file in ../init does.
stamp() {
  { cat "$config"/init/*.sql && printf '%s\n' "$DB_NAME" "${DB_USER:-}" "${DB_OWNER:-}" "$POSTGRES_PASSWORD" "$DB_OWNER_PASSWORD" "$DB_PASSWORD" "$DB_REPLICATION_PASSWORD"; } |
    sha256sum
}

# set_up_roles FOLDER: runs ../init in a server that only this script can reach.
set_up_roles() {
  local folder=$1 socket file
  socket=$(mktemp -d)
  pg_ctl -D "$folder" -s -w -t 3600 -o "-c config_file=$config/postgresql.conf -c hba_file=$config/pg_hba.conf \
    -c listen_addresses='' -c unix_socket_directories=$socket -c log_min_messages=fatal" start
  for file in "$config"/init/*.sql; do
    PGHOST=$socket PGUSER=postgres PGDATABASE=postgres psql -X -q -v ON_ERROR_STOP=1 -f "$file"
  done
  # psql reads the password from its environment, so it stands in no list of processes.
  PGHOST=$socket PGUSER=postgres PGDATABASE=postgres psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SET log_statement = 'none';
\set password `printf %s "$POSTGRES_PASSWORD"`
ALTER ROLE postgres PASSWORD :'password';
SQL
  pg_ctl -D "$folder" -s -w -m fast stop
  stamp >"$folder/messenger.stamp"
}

make_primary() {
  say 'first start: making the database cluster'
  rm -rf "$PGDATA.partial"
  initdb -D "$PGDATA.partial" --username=postgres --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --data-checksums \
    --encoding=UTF8 --locale=C --locale-provider=icu --icu-locale=und --auth-local=peer --auth-host=scram-sha-256 >/dev/null
  set_up_roles "$PGDATA.partial"
  finish_folder
}

# lead: becomes the primary, unless the other one was promoted since this one was.
lead() {
  if [ -e "$other_data" ] && ! is_standby "$other_data"; then
    local mine theirs
    mine=$(timeline "$PGDATA") theirs=$(timeline "$other_data")
    if [ "$theirs" -gt "$mine" ] || { [ "$theirs" = "$mine" ] && [ "$INSTANCE" != "shard-$SHARD" ]; }; then
      die "$other takes writes, too, and is on timeline $theirs, this one on $mine; two primaries do not serve one shard. To clone $other: $remove"
    fi
  fi
  if [ "$(stamp)" != "$(cat "$PGDATA/messenger.stamp" 2>/dev/null)" ]; then
    say 'names or passwords have changed: setting them'
    set_up_roles "$PGDATA"
  fi
  serve
}
