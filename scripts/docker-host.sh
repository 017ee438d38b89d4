# docker-host.sh: programs in containers that have the engine do something, which only this side can. Sourced by docker.sh.
# shellcheck shell=bash disable=SC2154  # docker.sh and what it sources have the variables
#
# Such a program (server/tools/internal/host) prints  host: DEED ARGUMENT…  and reads how that went: "ok", or what went wrong. Nobody needs the
# engine's socket in a container for it.

# driven PROGRAM OPTION... -- ARGUMENT...: runs one of server/tools, in a container with the options for compose run, and does what it asks for.
driven() {
  local name=$1 options=() folder line status=0 runner answer
  shift
  while [ "$1" != -- ]; do options+=("$1") && shift; done
  shift
  build messenger_server # as run_tool does
  if [ "$target" = dev ]; then
    compose run --rm --no-deps -T migrate env -u GOMAXPROCS -u GOGC -u GOMEMLIMIT go build -o /cache/bin/ "./tools/$name"
  fi
  folder=$(mktemp -d)
  mkfifo "$folder/deeds" "$folder/answers"
  compose run --rm --no-deps -T "${options[@]}" "$name" "$@" <"$folder/answers" >"$folder/deeds" &
  runner=$!
  exec 3>"$folder/answers" 4<"$folder/deeds"
  rm -r "$folder"
  trap : INT # the program is told, too, and takes back what it has begun; that needs us
  while :; do
    if IFS= read -r line <&4; then
      case $line in
        'host: '*)
          # shellcheck disable=SC2086  # a deed is words
          answer=$(deed ${line#host: } 2>&1 </dev/null 3>&- 4<&-) && answer=ok
          printf '%s\n' "${answer//$'\n'/ }" >&3 2>/dev/null || true
          ;;
        *) printf '%s\n' "$line" ;;
      esac
    elif [ $? -le 128 ]; then # above: a signal came
      break
    fi
  done
  wait "$runner" || status=$?
  trap - INT
  exec 3>&- 4<&-
  return $status
}

# deed WORD ARGUMENT...: what may be asked for. An overloaded engine may leave an exec hanging.
deed() {
  local word=$1
  shift
  case $word in
    start) for service in "$@"; do is_running "$service" || compose up -d --no-deps "$service" || return; done ;;
    stop) docker stop -t "$1" "$(container "$2")" >/dev/null ;;
    end) end_by_force "$1" ;;
    restart) # nobody waits for the second half
      docker stop -t "$1" "$(container "$2")" >/dev/null && { docker start "$(container "$2")" >/dev/null 2>&1 & } ;;
    lead) timeout 20 docker exec "$(container "$1")" entrypoint.sh "$2" ;;
    fault) fault "$@" ;;
    make) said=$(env "${@:2}" scripts/docker.sh "$1" 2>&1) || { printf '%s\n' "$said" | tail -n 8 && return 1; } ;;
    *) echo "docker-host.sh: unknown deed '$word'" && return 1 ;;
  esac
}

# end_by_force SERVICE: also of one that is frozen, or that the engine is about to start again.
end_by_force() {
  local name
  name=$(container "$1")
  docker kill "$name" >/dev/null 2>&1 || true
  docker stop -t 0 "$name" >/dev/null
}
