# docker-fault.sh: what make chaos does to a container, or to the API's processes in one. Sourced by docker.sh.
# shellcheck shell=bash

# fault kill|freeze|thaw SERVICE: a database may be named by its role (shard-1/primary); the API's master is messenger_server, one of its workers worker.
# What is killed the engine starts again, so nothing is killed by docker kill: what a person kills so stays away. Nor is anything frozen by docker
# pause, which fails now and then on a busy machine.
fault() {
  local signal service=$2
  case $1 in kill) signal=KILL ;; freeze) signal=STOP ;; thaw) signal=CONT ;; esac
  case $service in
    messenger_server | worker) fault_api "$signal" "$service" ;;
    shard-*/*)
      if [ "$1" = thaw ]; then # what hangs cannot be asked for its role, and it does no harm to the other
        signal_all CONT "${service%/*}" && signal_all CONT "${service%/*}-replica"
      else
        service=$(named_by_role "$service") || { echo "$2 does not answer" && return 1; }
        signal_all $signal "$service"
      fi
      ;;
    *) signal_all $signal "$service" ;;
  esac
}

# signal_all SIGNAL SERVICE: to all processes of its container but init, which ends when they have: that may be before we have our answer. Sent by the
# container's own user, since root may not signal another's processes in a container that was not started as root.
signal_all() {
  local name alive deadline=$((SECONDS + 30))
  name=$(container "$2")
  alive=$(docker inspect --format '{{.State.Status}} {{.State.StartedAt}}' "$name")
  # shellcheck disable=SC2016  # the container's shell fills these in
  timeout 20 docker exec "$name" sh -c '
    kill "-$1" -1
    [ "$1" = STOP ] || exit 0
    stopped() { # a process stops when it is given a processor
      for file in /proc/[0-9]*/status; do
        while read -r name value _; do case $name in State:) state=$value ;; PPid:) [ "$value" != 1 ] || [ "$state" = T ] || return 1 ;; esac; done <"$file"
      done
      return 0 # also where the last has ended meanwhile
    }
    tries=0
    until stopped 2>/dev/null; do
      [ $((tries += 1)) -lt 100 ] || exit 1
      sleep 0.1
    done' signal "$1" || [ $? = 137 ] || { echo "$2 is not stopped" && return 1; }
  [ "$1" = KILL ] || return 0
  while [ "$(docker inspect --format '{{.State.Status}} {{.State.StartedAt}}' "$name")" = "$alive" ]; do
    [ $SECONDS -lt $deadline ] || { echo "$2 lives on" && return 1; }
    sleep 0.1
  done
}

# named_by_role SERVICE/ROLE: one that was killed may be about to come back.
named_by_role() {
  local i=${1#shard-} primary deadline=$((SECONDS + 60))
  i=${i%/*}
  until primary=$(primary_of "$i"); do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.3
  done
  case $1 in */primary) echo "$primary" ;; *) beside "$primary" ;; esac
}

# fault_api SIGNAL messenger_server|worker: the worker is the first of those that stand still, so that thaw finds the one that was frozen, or else the first.
fault_api() {
  local master
  master=$(server_master)
  [ -n "$master" ] || { echo 'the API does not run' && return 1; }
  if [ "$2" = messenger_server ]; then
    timeout 20 docker exec "$(container messenger_server)" sh -c "kill -$1 $master"
    return
  fi
  # shellcheck disable=SC2016  # the container's shell fills these in
  timeout 20 docker exec "$(container messenger_server)" sh -c '
    first= still=
    for folder in /proc/[0-9]*; do
      parent= state=
      while read -r name value _; do case $name in PPid:) parent=$value ;; State:) state=$value ;; esac; done <"$folder/status" || continue
      [ "$parent" = "$1" ] || continue
      first=${first:-${folder#/proc/}}
      [ "$state" != T ] || still=${still:-${folder#/proc/}}
    done 2>/dev/null
    kill "-$2" "${still:-${first:?the API has no worker}}"' fault "$master" "$1"
}
