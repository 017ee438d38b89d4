#!/usr/bin/env bash
# Entrypoint of the container of the replica of shard $SHARD: clones the primary where that is needed, and becomes a standby of it.
#
# It is needed when there is no finished clone, and when the primary no longer keeps what this replica has not read yet (its slot is lost or
# gone). A folder with data that is not a standby's, or of another cluster than the primary's, is left alone: it may be the only copy.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../container.sh
. "$(dirname "$0")/../container.sh"
as_postgres "$@"

[ -n "${DB_REPLICATION_PASSWORD:-}" ] || die 'DB_REPLICATION_PASSWORD is not set: start with make, which reads it from .env.secrets'
primary=shard-$SHARD
slot=shard_${SHARD}_replica
# Names this container's volume in messages.
remove="make down && docker volume rm messenger-clone_$primary-replica && make up"

# The password is in a file of mode 0600 and neither in the data folder nor in a list of processes.
passfile=/var/run/postgresql/replication.pgpass
(umask 077 && printf '%s:5432:*:messenger_replication:%s\n' "$primary" "$DB_REPLICATION_PASSWORD" >"$passfile")
conninfo="host=$primary port=5432 user=messenger_replication passfile=$passfile connect_timeout=3"

# ask COMMAND: the primary's answer to a command of the replication protocol.
ask() { psql -X -A -t -w -d "$conninfo replication=true" -c "$1"; }

primary_identifier() { ask IDENTIFY_SYSTEM | cut -d '|' -f 1; }

# await_primary: returns when the primary answers, and says now and then why it does not.
await_primary() {
  local problem tries=0
  until problem=$(primary_identifier 2>&1 >/dev/null); do
    ((tries++ % 20 != 0)) || say "waiting for $primary: ${problem:-no answer}"
    sleep 0.5
  done
}

# slot_status: reserved, extended, unreserved or lost; empty when there is no such slot. (The replication protocol's own
# READ_REPLICATION_SLOT does not tell a lost slot from a good one.)
slot_status() { psql -X -A -t -w -d "$conninfo dbname=postgres" -c "SELECT wal_status FROM pg_replication_slots WHERE slot_name = '$slot'"; }

clone() {
  local began=$SECONDS
  say "cloning $primary"
  await_primary
  rm -rf "$PGDATA.partial"
  # An interrupted clone or a lost replica left it. WAIT, because the primary may need a moment to notice that its user is gone.
  if [ -n "$(slot_status)" ]; then timeout 60 psql -X -q -w -d "$conninfo replication=true" -c "DROP_REPLICATION_SLOT $slot WAIT"; fi
  pg_basebackup -d "$conninfo" -w -D "$PGDATA.partial" --checkpoint=fast --wal-method=stream --create-slot --slot="$slot"
  touch "$PGDATA.partial/standby.signal"
  finish_folder
  rm -rf "$PGDATA.old"
  say "cloned $primary in $((SECONDS - began)) s"
}

if [ ! -e "$PGDATA" ]; then
  clone
elif [ ! -e "$PGDATA/standby.signal" ]; then
  die "its data folder is not a standby's (promoted by hand?); it does not start as a second primary. To clone $primary again: $remove"
elif identifier=$(primary_identifier 2>/dev/null) && [ -n "$identifier" ]; then
  [ "$identifier" = "$(system_identifier)" ] ||
    die "$primary is another database cluster than the one this is a copy of ($identifier, not $(system_identifier)). To clone it: $remove"
  status=$(slot_status)
  if [ "${status:-lost}" = lost ]; then
    say "$primary no longer keeps what this replica needs: slot $slot is ${status:-gone}"
    mv "$PGDATA" "$PGDATA.old" # so that an interrupted clone is not taken for a finished one: its slot looks usable
    clone
  fi
fi # Without an answer from the primary the replica serves what it has; the server itself never follows a primary of another cluster.

serve -c "primary_conninfo=$conninfo application_name=$slot" -c "primary_slot_name=$slot"
