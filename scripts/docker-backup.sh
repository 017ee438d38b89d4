# docker-backup.sh: make backup and make restore by docker compose. Sourced by docker.sh.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154  # the container fills in $PGDATA; docker.sh and what it sources have the variables

# backup FOLDER: a new one, made as the user who asks for it.
backup() {
  require_databases
  local parent name
  [ ! -e "$1" ] || die "$1 is there already: name another folder with  make backup TO=…"
  mkdir -p "$(dirname "$1")"
  parent=$(cd "$(dirname "$1")" && pwd) name=$(basename "$1")
  tool_options=(--user "$(id -u):$(id -g)" -v "$parent:/backups")
  run_tool backup create "/backups/$name"
  printf 'On this machine it is %s\n' "$parent/$name"
}

# restore FOLDER: what is there is kept in its volumes, beside what is restored, until that has been verified.
restore() {
  same_checkout
  [ -s "$1/manifest.json" ] || die "$1 is no backup: it has no manifest.json. Name one with  make restore FROM=backups/…"
  local from i there service
  from=$(cd "$1" && pwd)
  tool_options=(--user "$(id -u):$(id -g)" -v "$from:/backup:ro" -v "${project:?}_shard-0:/volume:ro")
  run_tool backup check /backup /volume
  there=$(whose_data "$from")
  [ -z "$there" ] || consent "Restoring it destroys what is in the volumes
$there
and stops the API."

  local volumes=()
  for ((i = 0; i < ${shards:?}; i++)); do
    volumes+=(-v "${project}_shard-$i:/volumes/shard-$i")
    in_volume "shard-$i" 'rm -rf "$PGDATA.restoring" "$PGDATA.replaced"'
    in_volume "shard-$i-replica" 'rm -rf "$PGDATA.replaced"'
  done
  # As root, because the volumes are postgres's; the program was built by the check.
  if ! compose run --rm --no-deps -T --user 0:0 -v "$from:/backup:ro" "${volumes[@]}" migrate backup unpack /backup '/volumes/{shard}/pgdata.restoring'; then
    for ((i = 0; i < shards; i++)); do in_volume "shard-$i" 'rm -rf "$PGDATA.restoring"'; done
    die 'Not everything could be unpacked, see above; nothing was changed.'
  fi
  step stopping 'what runs' compose stop
  last_words='What was there before is kept in the volumes of the shards, as pgdata.replaced.'
  for ((i = 0; i < shards; i++)); do
    in_volume "shard-$i" 'chown -R postgres: "$PGDATA.restoring"; [ ! -e "$PGDATA" ] || mv "$PGDATA" "$PGDATA.replaced"; mv "$PGDATA.restoring" "$PGDATA"'
    # It is cloned again, and kept if it was the primary.
    in_volume "shard-$i-replica" '[ ! -e "$PGDATA" ] || [ -e "$PGDATA/standby.signal" ] || mv "$PGDATA" "$PGDATA.replaced"; rm -rf "$PGDATA" "$PGDATA.partial"'
  done
  ! docker volume inspect "${project}_failover" >/dev/null 2>&1 || compose run --rm --no-deps -T failover sh -c 'rm -f /state/failover-*'
  step building "PgBouncer's image" build pgbouncer-0
  start_databases
  tool_options=()
  run_tool verify
  last_words=
  for service in "${primaries[@]}" "${replicas[@]}"; do in_volume "$service" 'rm -rf "$PGDATA.replaced"'; done
  say restored "from $from; start the API with  make dev"
}

# whose_data BACKUP: the volumes that hold data, a line each.
whose_data() {
  local i now theirs
  for ((i = 0; i < shards; i++)); do
    now=$(in_volume "shard-$i" '[ ! -e "$PGDATA" ] || { . /etc/messenger/postgres/container.sh && system_identifier; }')
    [ -n "$now" ] || continue
    theirs='another database than the backup'"'"'s'
    ! grep -q "\"system_identifier\": \"$now\"" "$1/manifest.json" || theirs='the same database, as it is now'
    printf '  %s  %s: %s\n' "shard-$i" "${project}_shard-$i" "$theirs"
  done
}

# in_volume SERVICE COMMANDS: in the service's image, with its volume, as root.
in_volume() {
  compose run --rm --no-deps -T --user 0:0 --entrypoint bash "$1" -ec "PGDATA=/var/lib/postgresql/data/pgdata; $2"
}

# consent WHAT: returns when a person has said yes.
consent() {
  [ "${YES:-}" != 1 ] || return 0
  [ -t 0 ] || die "$1
There is no terminal to ask at: give YES=1 to say that it is meant; nothing was changed."
  local answer
  read -r -p "$1
Type yes to go on: " answer
  [ "$answer" = yes ] || die 'Not confirmed; nothing was changed.'
}
