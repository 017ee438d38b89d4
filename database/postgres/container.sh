# container.sh: where things are in a database's container, and what its two roles share. Sourced, not run.
#
# A data folder is filled under the name $PGDATA.partial and gets its real name by one rename, when everything in it is done. So a
# container that was killed half-way finds no $PGDATA and begins again. (The image's own entrypoint takes any folder with a PG_VERSION for
# a finished one, and initdb and pg_basebackup write that file early.)
# shellcheck shell=bash disable=SC2034  # primary.sh and replica.sh use the variables

export PGDATA=/var/lib/postgresql/data/pgdata
config=/etc/messenger/postgres

# The shard's other instance. Its volume is here, too, to be looked into.
other=shard-${SHARD:-}-replica
[ "${INSTANCE:-}" != "$other" ] || other=shard-${SHARD:-}
other_data=/var/lib/postgresql/other/pgdata

say() { printf 'entrypoint: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# as_postgres ARGUMENT...: starts this script again as the user postgres, who then owns the volume.
as_postgres() {
  [ "$(id -u)" = 0 ] || return 0
  chown postgres: "$(dirname "$PGDATA")"
  exec gosu postgres bash "$0" "$@"
}

# finish_folder: what is in $PGDATA.partial becomes $PGDATA.
finish_folder() {
  mv "$PGDATA.partial" "$PGDATA"
  sync "$(dirname "$PGDATA")"
}

# is_standby FOLDER: its server comes up as one.
is_standby() { [ -e "$1/standby.signal" ]; }

# system_identifier: of the cluster in $PGDATA; it begins the control file. A clone has that of its primary.
system_identifier() { od -An -tu8 -N8 "$PGDATA/global/pg_control" | tr -d ' '; }

# timeline FOLDER: the one of its last checkpoint, at a fixed place in the control file. Each promotion begins another.
timeline() { od -An -tu4 -j48 -N4 "$1/global/pg_control" | tr -d ' '; }

# serve OPTION...: becomes the server. By the socket in the volume, make failover reaches it as the superuser, who may not log in over the network.
serve() {
  exec postgres -D "$PGDATA" -c "config_file=$config/postgresql.conf" -c "hba_file=$config/pg_hba.conf" -c "cluster_name=$INSTANCE" \
    -c 'listen_addresses=*' -c "unix_socket_directories=/var/run/postgresql,$(dirname "$PGDATA")" "$@"
}
