# docker-restart.sh: make restart and make rebuild by docker compose. Sourced by docker.sh.
# shellcheck shell=bash disable=SC2154  # docker.sh and what it sources have the variables

changed='settings have changed' absent='no master process was found'

restart() {
  require_server
  # A mistake in them must not cost the server that runs.
  [ "$(outdated)" != "$changed" ] || step checking 'the settings' check_settings
  replace_server
}

rebuild() {
  is_running shard-0 || die 'The databases are not running: start everything with  make dev'
  step building "the server's image" build messenger_server
  step checking 'compiling and checking the settings' check_settings
  replace_server
}

# replace_server: worker by worker within the container, where it can stay. Otherwise the server stops, which finishes what is in flight, and
# starts anew; clients are refused meanwhile.
replace_server() {
  local reason master
  reason=$(outdated)
  if [ -z "$reason" ]; then
    master=$(server_master) || master=$(server_master) || die "The server's container cannot be looked into: is the engine overloaded?"
    if [ -n "$master" ]; then
      step rolling "the server's workers, one by one" roll "$master"
      await_health
      return
    fi
    reason=$absent # between two lives: Air is building, or the API does not start
  fi
  say restarting "the server as a whole, since $reason"
  if [ "$reason" = "$absent" ]; then
    step restarting 'the server' docker restart "$(container messenger_server)"
  else
    step starting 'the server in a new container' start_server
  fi
  await_health
}

# outdated: why the container cannot stay; nothing if it can.
outdated() {
  local name wanted now
  name=$(container messenger_server)
  if ! is_running messenger_server; then
    echo 'it does not run'
    return
  fi
  wanted=$(docker image inspect --format '{{.Id}}' "$(docker inspect --format '{{.Config.Image}}' "$name")")
  now=$(docker inspect --format '{{.Image}}' "$name")
  if [ "$wanted" != "$now" ]; then
    echo 'its image was replaced'
    return
  fi
  wanted=$(compose config --hash messenger_server)
  now=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.config-hash"}}' "$name")
  [ "${wanted#* }" = "$now" ] || echo "$changed"
}

# server_master: the master's process id in the container, which is that of its log, too: the one that no other process of the program started. An overloaded
# engine may leave an exec hanging.
server_master() {
  # shellcheck disable=SC2016  # the container's shell fills these in
  timeout 20 docker exec "$(container messenger_server)" sh -c '
    ours() { case $(readlink "/proc/$1/exe") in */bin/api | "*/bin/api (deleted)" | */bin/api\ *) ;; *) false ;; esac; }
    for folder in /proc/[0-9]*; do
      pid=${folder#/proc/}
      ours "$pid" || continue
      while read -r name value; do
        if [ "$name" = PPid: ] && ! ours "$value"; then echo "$pid"; fi
      done <"$folder/status"
    done' 2>/dev/null
}

# roll MASTER: has it replace its workers, and follows its log until it has. A master that has to be replaced itself does that in its own process.
roll() {
  local master=$1 name log text deadline=$((SECONDS + 600)) # many drains
  name=$(container messenger_server)
  log=$(mktemp)
  docker logs --follow --since "$(timeout 20 docker exec "$name" date +%s)" "$name" 2>&1 | grep --line-buffered "\"pid\":${master}[,}]" >"$log" &
  timeout 20 docker exec "$name" sh -c "kill -HUP $master"
  until grep -Eq '"msg":"(rolled|not rolled|starting)"' "$log" || [ $SECONDS -ge $deadline ] || ! timeout 20 docker exec "$name" sh -c "kill -0 $master" 2>/dev/null; do
    sleep 0.3
  done
  # shellcheck disable=SC2046  # the first of the pipeline
  kill $(jobs -p) 2>/dev/null || true
  text=$(cat "$log")
  rm -f "$log"
  case $text in
    *'"msg":"not rolled"'*) text=${text#*\"err\":\"} && die "The workers were not replaced, those before go on: ${text%%\"*}" ;;
    *'"msg":"restarting"'*'"msg":"starting"'*) text=${text#*\"reason\":\"} && say restarted "the server as a whole: ${text%%\"*}" ;;
    *'"msg":"rolled"'*) ;;
    *) die "The server's master does not say that its workers are replaced: see  make logs" ;;
  esac
}
