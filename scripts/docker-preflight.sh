# docker-preflight.sh: what would stop compose half-way is found first and said in one sentence each. Sourced by docker.sh.
# shellcheck shell=bash

# preflight [PORT]: PORT is the server's, where it is to be started too.
preflight() {
  same_checkout
  local problems=() taken need_port list=(6379) i sockets=
  for ((i = 0; i < ${shards:?}; i++)); do list+=($((5440 + i)) $((5450 + i)) $((6430 + i))); done
  [ -z "${1:-}" ] || list+=("$1")
  local published
  published=" $(ours --format '{{.Ports}}' | tr -c '0-9\n' ' ' | tr '\n' ' ') "
  for need_port in "${list[@]}"; do
    # Ours already: it is published, or about to be recreated.
    [[ $published != *" $need_port "* ]] || continue
    taken=$(listener "$need_port") || continue
    problems+=("Port $need_port is taken by $taken")
  done
  local admin_port=${admin:?}
  admin_port=${admin_port##*:}
  if [[ -n ${1:-} && $admin_port =~ ^[0-9]+$ && $published != *" $admin_port "* ]] && taken=$(listener "$admin_port"); then
    echo "Port $admin_port is taken by $taken. The admin port is another one now (docker compose port messenger_server 9090), unless ADMIN_ADDR names a free one" >&2
    any_admin_port
  fi
  local space
  space=$(free_megabytes) && [ "$space" -lt 2048 ] &&
    problems+=("Only $space MB are free where Docker keeps its data, the databases need 2048: make room, for example by  docker system prune")
  [ ${#problems[@]} = 0 ] || die "$(printf '%s\n' "${problems[@]}")"
}

# same_checkout: another checkout of this project on this machine would have the same containers, ports and volumes.
same_checkout() {
  local folder
  folder=$(ours -a --format '{{.Label "com.docker.compose.project.working_dir"}}' | sort -u | head -n 1)
  [ -z "$folder" ] || [ "$folder" = "$PWD" ] || [ "$folder" = "$(pwd -P)" ] ||
    die "The containers of ${project:?} belong to the checkout in $folder: first run  make down  there (if it is gone:  docker compose -p $project down )"
}

# free_megabytes: where Docker keeps its data; fails where that is not on this machine (Docker Desktop).
free_megabytes() {
  local root kilobytes
  root=$(docker info --format '{{.DockerRootDir}}') && [ -d "$root" ] || return 1
  kilobytes=$(df -Pk "$root" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
  echo $((kilobytes / 1024))
}

# listener PORT: who listens on it and how to stop that; fails when nobody does.
listener() {
  local owner pid unit
  owner=$(docker ps --filter "publish=$1" --format '{{.Names}}' | head -n 1)
  if [ -n "$owner" ]; then
    echo "the container $owner: stop it with  docker stop $owner$(other_port "$1")"
    return
  fi
  if [ ! -r /proc/net/tcp ]; then
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 1
    echo "another program: find it with  lsof -nP -iTCP:$1 -sTCP:LISTEN  and stop it$(other_port "$1")"
    return
  fi
  local inode
  inode=$(listening_inode "$1") || return 1
  pid=$(inode_process "$inode")
  if [ -z "$pid" ]; then
    echo "another user's process: find it with  sudo ss -ltnp 'sport = :$1'  and stop it$(other_port "$1")"
    return
  fi
  owner="$(cat "/proc/$pid/comm") (process $pid)"
  unit=$(tr '/' '\n' <"/proc/$pid/cgroup" | tail -n 1)
  if [[ $unit == *.service && $unit != user@* ]]; then
    echo "$owner: stop it with  sudo systemctl stop ${unit%.service}$(other_port "$1")"
  else
    echo "$owner: stop it with  kill $pid$(other_port "$1")"
  fi
}

# other_port PORT: the server's port, alone, can be another.
other_port() { [ "$1" != "${port:?}" ] || printf ' , or choose another port:  PORT=%s make dev' $((port + 1)); }

# listening_inode PORT: of the socket that listens on it, on loopback or on all addresses.
listening_inode() {
  local wanted address state inode
  wanted=$(printf '%04X' "$1")
  # Read in one go: bash reads a file of /proc byte by byte, and it may be long.
  [ -n "${sockets:-}" ] || sockets=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  while read -r _ address _ state _ _ _ _ _ inode _; do
    if [ "$state" != 0A ] || [ "${address##*:}" != "$wanted" ]; then continue; fi
    case ${address%:*} in
      00000000 | 0100007F | 00000000000000000000000000000000 | 0000000000000000FFFF00000100007F) ;;
      *) if [ "$1" != "$port" ] || [ "${host:?}" = 127.0.0.1 ]; then continue; fi ;; # only all addresses of this machine meet that one
    esac
    echo "$inode"
    return
  done <<<"$sockets"
  return 1
}

# inode_process INODE: the process that holds this socket, if we may see it.
inode_process() {
  local line pid=
  while read -r line; do
    case $line in
      /proc/*/fd:) pid=${line#/proc/} pid=${pid%%/*} ;;
      *"socket:[$1]") echo "$pid" && return ;;
    esac
  done < <(ls -l /proc/[0-9]*/fd 2>/dev/null)
}
