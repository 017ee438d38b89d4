# docker-wait.sh: what is started, what is ready, how long it took, and what is to blame when it does not come. Sourced by docker.sh.
# shellcheck shell=bash

say() { printf '%-10s %s\n' "$1" "$2" >&2; }

# step VERB WHAT COMMAND...: says so, does it, says how long it took.
step() {
  local verb=$1 what=$2
  began=$SECONDS
  shift 2
  say "$verb" "$what"
  "$@" >/dev/null
  ready "$what" $((SECONDS - began))
}

ready() { printf '%-10s %-50s %4d s\n' ready "$1" "$2" >&2; }

# The times of what is awaited count from $began, when it was started.
began=$SECONDS

# await_databases: returns when every one answers and every replica follows its primary. All are awaited at once.
await_databases() {
  local deadline=$((SECONDS + ${start_timeout:?})) i waiting=() failed=0 pid
  await "$deadline" Redis redis redis-cli ping &
  waiting+=($!)
  for ((i = 0; i < ${shards:?}; i++)); do
    await "$deadline" "PgBouncer of shard-$i" "pgbouncer-$i" pg_isready -q -h 127.0.0.1 -p 6432 -U messenger_api -d "$(setting DB_NAME messenger)_$i" &
    waiting+=($!)
    await_shard "$deadline" "$i" &
    waiting+=($!)
  done
  for pid in "${waiting[@]}"; do wait "$pid" || failed=1; done
  [ $failed = 0 ] || die "Not everything is ready after $((SECONDS - began)) s: see above."
}

# await DEADLINE WHAT SERVICE COMMAND...: until COMMAND succeeds in the service's container. An overloaded engine may leave one hanging.
await() {
  local deadline=$1 what=$2 service=$3
  shift 3
  until timeout 10 docker exec "$(container "$service")" "$@" >/dev/null 2>&1; do
    give_up "$deadline" "$what" "$service" && return 1
    sleep 0.3
  done
  ready "$what" $((SECONDS - began))
}

# await_shard DEADLINE I: its primary, whichever of the two that is, then its replica. A replica that runs while its slot is lost or gone is
# started again, and then clones the primary.
await_shard() {
  local deadline=$1 i=$2 primary replica state restarted=no
  until primary=$(primary_of "$i"); do
    give_up "$deadline" "shard-$i's primary" "shard-$i" && return 1
    give_up "$deadline" "shard-$i's primary" "shard-$i-replica" && return 1
    sleep 0.3
  done
  ready "$primary, the primary" $((SECONDS - began))
  replica=$(beside "$primary")
  until state=$(replication "$primary" "$i") && [ "$state" = streaming ]; do
    if [[ $state = lost && $restarted = no ]] && docker exec "$(container "$replica")" pg_isready -q -h /var/run/postgresql; then
      say cloning "$primary again for $replica, whose replication slot is lost"
      docker restart "$(container "$replica")" >/dev/null
      restarted=yes
    fi
    give_up "$deadline" "$replica" "$replica" && return 1
    sleep 0.3
  done
  ready "$replica, following its primary" $((SECONDS - began))
}

# replication PRIMARY I: streaming, lost, or waiting, as the primary of shard I sees its replica. The name tells the replica from a clone in the
# making, which uses the same slot.
replication() {
  ask "$1" "
    SELECT CASE WHEN r.state = 'streaming' THEN 'streaming' WHEN coalesce(s.wal_status, 'lost') = 'lost' THEN 'lost' ELSE 'waiting' END
      FROM (VALUES ('shard_$2_replica')) AS n (name)
      LEFT JOIN pg_replication_slots s ON s.slot_name = n.name
      LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid AND r.application_name = n.name" 2>/dev/null
}

# await_health: until the server says that every shard is well.
await_health() {
  local deadline=$((SECONDS + start_timeout)) server answer
  server=$(container messenger_server)
  began=$SECONDS
  say waiting '/health'
  until answer=$(timeout 10 docker exec "$server" apictl health 2>&1) && [[ $answer == '{"status":"ok"'* ]]; do
    if out_of_time "$deadline" messenger_server; then
      case $answer in
        '{"status"'*) blame_shards "$answer" ;;
        *) blame messenger_server 15 ;;
      esac
      die "/health is not ok after $((SECONDS - began)) s: see above."
    fi
    sleep 0.3
  done
  ready '/health is ok' $((SECONDS - began))
}

# blame_shards ANSWER: what /health says, and the logs of the shards it does not call ok.
blame_shards() {
  local i
  printf '\n' >&2
  docker exec "$(container messenger_server)" apictl health -table >&2 || true
  for ((i = 0; i < shards; i++)); do
    [[ $1 != *"\"shard_name\":\"shard-$i\",\"status\":\"ok\""* ]] || continue
    blame "pgbouncer-$i" 5
    blame "shard-$i" 5
    blame "shard-$i-replica" 5
  done
}

# give_up DEADLINE WHAT SERVICE: tells the reason and succeeds when it is time to stop waiting.
give_up() {
  out_of_time "$1" "$3" || return 1
  printf '\n%s is not ready.\n' "$2" >&2
  blame "$3" 15
}

# out_of_time DEADLINE SERVICE: the deadline has passed, or the container keeps dying.
out_of_time() {
  local restarts
  restarts=$(docker inspect --format '{{if .State.Restarting}}{{.RestartCount}}{{else}}0{{end}}' "$(container "$2")" 2>/dev/null || echo 0)
  [ $SECONDS -ge "$1" ] || [ "$restarts" -ge 3 ]
}

# blame SERVICE LINES: the end of its log.
blame() { # in one piece, because several may be to blame
  printf '\nThe last lines of the log of %s (docker logs %s):\n%s\n' "$1" "$(container "$1")" \
    "$(docker logs --tail "$2" "$(container "$1")" 2>&1 | cut -c 1-300)" >&2
}
