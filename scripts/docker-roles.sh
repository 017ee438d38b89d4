# docker-roles.sh: who is primary and who replica, by docker compose. Sourced by docker.sh. Nobody's name tells it: make failover moves roles.
# shellcheck shell=bash disable=SC2154  # docker.sh and what it sources have the variables

# ask SERVICE SQL: a database's answer, as its superuser.
ask() { timeout 10 docker exec -u postgres "$(container "$1")" psql -X -A -t -q -c "$2"; }

# role SERVICE: what a database is; fails where it does not answer.
role() {
  ask "$1" "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary'
    WHEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 'replica, streaming' ELSE 'replica, not streaming' END" 2>/dev/null
}

# primary_of I: the service that takes shard I's writes; fails where none answers that it does.
primary_of() {
  local service
  for service in "shard-$1" "shard-$1-replica"; do
    if [ "$(role "$service")" = primary ]; then
      echo "$service"
      return
    fi
  done
  return 1
}

# beside SERVICE: the other instance of its shard.
beside() { case $1 in *-replica) echo "${1%-replica}" ;; *) echo "$1-replica" ;; esac; }

# by_role: every shard's primary in $primaries_now, its replica in $replicas_now. Where nobody answers, their names have to tell.
by_role() {
  local i primary
  primaries_now=() replicas_now=()
  for ((i = 0; i < shards; i++)); do
    primary=$(primary_of "$i") || primary=shard-$i
    primaries_now+=("$primary") replicas_now+=("$(beside "$primary")")
  done
}

# show_services: what runs, where, in which role. All are asked at once: one that hangs takes its time.
show_services() {
  local folder service status ports
  folder=$(mktemp -d)
  for service in "${primaries[@]}" "${replicas[@]}"; do
    { is_running "$service" && { role "$service" || echo 'does not answer'; } >"$folder/$service"; } || true &
  done
  wait
  printf '%-20s %-34s %-24s %s\n' SERVICE STATUS ROLE PORTS
  compose ps -a --format '{{.Service}}|{{.Status}}|{{.Ports}}' | while IFS='|' read -r service status ports; do
    printf '%-20s %-34s %-24s %s\n' "$service" "$status" "$(cat "$folder/$service" 2>/dev/null || echo -)" "$ports"
  done
  rm -rf "$folder"
}
