# docker-roles.sh: who is primary and who replica, by docker compose. Sourced by docker.sh. Nobody's name tells it: make failover moves roles.
# shellcheck shell=bash disable=SC2154  # docker.sh and what it sources have the variables

# ask SERVICE SQL: a database's answer, as its superuser.
ask() { timeout 10 docker exec -u postgres "$(container "$1")" psql -X -A -t -q -c "$2"; }

# primary_of I: the service that takes shard I's writes; fails where none answers that it does.
primary_of() {
  local service
  for service in "shard-$1" "shard-$1-replica"; do
    if [ "$(ask "$service" 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; then
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
