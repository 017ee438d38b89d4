# replica.sh: a replica in its container. It clones the other instance where that is needed, and becomes a standby of it. Sourced, not run.
#
# It is needed when there is no finished clone, and when the primary no longer keeps what this replica has not read yet (its slot is lost or
# gone). A folder of another cluster than the primary's is left alone: it may be the only copy.
# shellcheck shell=bash disable=SC2154  # container.sh has the variables

# In a data folder: make failover has stopped a primary, which is to follow nobody when it comes up as a standby.
fenced=messenger.fenced

slot=shard_${SHARD}_replica
# Names this container's volume in messages.
remove="make down && docker volume rm messenger-clone_$INSTANCE && make up"

# The password is in a file of mode 0600 and neither in the data folder nor in a list of processes.
passfile=/var/run/postgresql/replication.pgpass
conninfo="host=$other port=5432 user=messenger_replication passfile=$passfile connect_timeout=3"

write_passfile() { (umask 077 && printf '%s:5432:*:messenger_replication:%s\n' "$other" "$DB_REPLICATION_PASSWORD" >"$passfile"); }

# ask COMMAND: the primary's answer to a command of the replication protocol.
ask() { psql -X -A -t -w -d "$conninfo replication=true" -c "$1"; }

primary_identifier() { ask IDENTIFY_SYSTEM | cut -d '|' -f 1; }

# await_primary: returns when the primary answers, and says now and then why it does not.
await_primary() {
  local problem tries=0
  until problem=$(primary_identifier 2>&1 >/dev/null); do
    ((tries++ % 20 != 0)) || say "waiting for $other: ${problem:-no answer}"
    sleep 0.5
  done
}

# slot_status: reserved, extended, unreserved or lost; empty when there is no such slot. (The replication protocol's own
# READ_REPLICATION_SLOT does not tell a lost slot from a good one.)
slot_status() { psql -X -A -t -w -d "$conninfo dbname=postgres" -c "SELECT wal_status FROM pg_replication_slots WHERE slot_name = '$slot'"; }

clone() {
  local began=$SECONDS
  say "cloning $other"
  write_passfile
  await_primary
  rm -rf "$PGDATA.partial"
  # An interrupted clone or a lost replica left it. WAIT, because the primary may need a moment to notice that its user is gone.
  if [ -n "$(slot_status)" ]; then timeout 60 psql -X -q -w -d "$conninfo replication=true" -c "DROP_REPLICATION_SLOT $slot WAIT"; fi
  pg_basebackup -d "$conninfo" -w -D "$PGDATA.partial" --checkpoint=fast --wal-method=stream --create-slot --slot="$slot"
  rm -f "$PGDATA.partial/$fenced"
  touch "$PGDATA.partial/standby.signal"
  finish_folder
  rm -rf "$PGDATA.old"
  say "cloned $other in $((SECONDS - began)) s"
}

# follow: becomes a standby of the other instance.
follow() {
  if [ -e "$PGDATA/$fenced" ]; then
    say 'fenced by make failover: it follows nobody, and sends what it has'
    serve
  fi
  write_passfile
  # What follows nobody itself is not cloned: it may be behind.
  if ! is_standby "$other_data" && identifier=$(primary_identifier 2>/dev/null) && [ -n "$identifier" ]; then
    [ "$identifier" = "$(system_identifier)" ] ||
      die "$other is another database cluster than the one this is a copy of ($identifier, not $(system_identifier)). To clone it: $remove"
    status=$(slot_status)
    if [ "${status:-lost}" = lost ]; then
      say "$other no longer keeps what this replica needs: slot $slot is ${status:-gone}"
      mv "$PGDATA" "$PGDATA.old" # so that an interrupted clone is not taken for a finished one: its slot looks usable
      clone
    fi
  fi # Without an answer from the primary the replica serves what it has; the server itself never follows a primary of another cluster.
  serve -c "primary_conninfo=$conninfo application_name=$slot" -c "primary_slot_name=$slot"
}
