# docker-show.sh: make ps and make stats by docker: tables for people in a terminal, for programs plain columns. Sourced by docker.sh.
# shellcheck shell=bash disable=SC2154  # docker.sh and what it sources have the variables
#
# They look like those that server/tools/cluster prints natively. Bash has to do: the host needs no Go, and no container with a program of ours
# need run. Numbers are whole: bash has no others.

person=no green='' yellow='' red='' faint='' plain=''
if [ -t 1 ]; then
  person=yes
  if [ -z "${NO_COLOR:-}" ] && [ "${TERM:-}" != dumb ]; then
    green=$'\e[32m' yellow=$'\e[33m' red=$'\e[31;1m' faint=$'\e[2m' plain=$'\e[0m'
  fi
fi

# look SERVICE: "ROLE STATE POSITION" of a database: its role, how it is, and the bytes of log that it has written or replayed.
look() {
  ask "$1" "SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END || ' ' || CASE WHEN NOT pg_is_in_recovery() THEN 'running'
      WHEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 'streaming' ELSE 'not-streaming' END || ' ' ||
    coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0'), 0)" 2>/dev/null
}

# look_at_all FOLDER: what each database that runs says, in a file of its name. All are asked at once: one that hangs takes its time.
look_at_all() {
  local service
  for service in "${primaries[@]}" "${replicas[@]}"; do
    { ! is_running "$service" || look "$service" >"$1/$service" || echo 'database silent 0' >"$1/$service"; } &
  done
  wait
}

# role_in FOLDER SERVICE: what a service is, once all were looked at.
role_in() {
  local role
  case $2 in
    messenger_server) echo api ;;
    redis) echo cache ;;
    pgbouncer-*) echo pooler ;;
    prometheus | grafana) echo monitoring ;;
    shard-*) read -r role _ <"$1/$2" 2>/dev/null && echo "$role" || echo database ;;
    *) echo - ;;
  esac
}

# show_services: what runs, where, in which role.
show_services() {
  local folder
  folder=$(mktemp -d)
  look_at_all "$folder"
  if [ $person = yes ]; then
    printf '%s%-16s  %-8s  %-11s  %9s  %-14s  %s%s\n' "$faint" SERVICE ROLE STATE LAG ADDRESS UP "$plain"
  else
    printf '%-16s  %-10s  %-13s  %12s  %-15s  %s\n' SERVICE ROLE STATE LAG_BYTES ADDRESS UP
  fi
  compose ps -a --format '{{.Service}}|{{.State}}|{{.Status}}|{{.Ports}}' | show_lines "$folder"
  rm -rf "$folder"
}

# show_lines FOLDER: a line for each service of docker compose.
show_lines() {
  local service state status address role lag written position up colour mark
  while IFS='|' read -r service state status address; do
    role=$(role_in "$1" "$service") lag=- up=-
    case $status in
      *unhealthy*) state=unhealthy ;;
      *'health: starting'*) state=starting ;;
    esac
    if [ "$state" != exited ] && read -r _ state position 2>/dev/null <"$1/$service"; then
      read -r written 2>/dev/null <"$1/$(beside "$service")" || written=
      if [ "$role" = replica ] && [[ $written = 'primary '* ]]; then
        lag=$((${written##* } - position))
        [ $lag -ge 0 ] || lag=0 # it was asked later
      fi
    fi
    address=${address%%->*} address=${address:--}
    if [[ $status = Up* ]]; then
      up=${status#Up } up=${up%% (*} up=${up/#About an /1 } up=${up/#About a /1 }
    fi
    if [ $person = no ]; then
      printf '%-16s  %-10s  %-13s  %12s  %-15s  %s\n' "$service" "$role" "$state" "$lag" "$address" "${up// /_}"
      continue
    fi
    case $state in
      running | streaming) colour=$green mark='●' ;;
      exited) colour=$faint mark='○' ;;
      starting | created | restarting) colour=$yellow mark='◐' ;;
      *) colour=$red mark='✗' ;;
    esac
    [ "$lag" = - ] || lag=$(bytes "$lag")
    printf '%-16s  %-8s  %s%s %-9s%s  %9s  %-14s  %s\n' "$service" "$role" "$colour" "$mark" "$state" "$plain" "${lag#-}" "${address#-}" "${up#-}"
  done
}

# stats: what each container uses now, and its traffic since it was started, as the engine counts them.
stats() {
  local names folder cpus
  names=$(ours --format '{{.Names}}' | sort)
  [ -n "$names" ] || die 'Nothing is running: start everything with  make dev'
  folder=$(mktemp -d)
  look_at_all "$folder"
  cpus=$(docker info --format '{{.NCPU}}')
  # shellcheck disable=SC2086  # one word per container
  docker stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.NetIO}}' $names >"$folder/stats"
  show_stats "$folder" "$cpus" <"$folder/stats"
  rm -rf "$folder"
}

# show_stats FOLDER CPUS: tables of lines such as  messenger-clone-shard-0-1 12.34% 56.7MiB / 23.4GiB 1.2kB / 3.4MB
show_stats() {
  local name cpu memory received out line lines=() largest=1 cpus=0 memories=0
  while read -r name cpu memory _ _ received _ out; do
    name=${name#"$project"-} name=${name%-1} cpu=$(hundredths "${cpu%\%}") memory=$(in_bytes "$memory")
    lines+=("$name $cpu $memory $(in_bytes "$received") $(in_bytes "$out")")
    cpus=$((cpus + cpu)) memories=$((memories + memory))
    [ "$memory" -le "$largest" ] || largest=$memory
  done
  if [ $person = yes ]; then
    printf '%s%-16s  %8s  %-6s  %9s  %-6s  %9s  %9s%s\n' "$faint" SERVICE CPU '' MEMORY '' IN OUT "$plain"
  else
    printf '%-16s  %-10s  %11s  %12s  %12s  %12s\n' SERVICE ROLE CPU_PERCENT MEMORY_BYTES IN_BYTES OUT_BYTES
  fi
  for line in "${lines[@]}"; do
    read -r name cpu memory received out <<<"$line"
    if [ $person = yes ]; then
      printf '%-16s  %6s %%  %s  %9s  %s  %9s  %9s\n' "$name" "$(tenths "$cpu")" "$(load "$cpu" "$2")" "$(bytes "$memory")" "$(bar "$memory" "$largest" 6)" \
        "$(bytes "$received")" "$(bytes "$out")"
    else
      printf '%-16s  %-10s  %11s  %12s  %12s  %12s\n' "$name" "$(role_in "$1" "$name")" "$(tenths "$cpu")" "$memory" "$received" "$out"
    fi
  done
  [ $person = yes ] || return 0
  printf '%-16s  %6s %%  %s  %9s\n' total "$(tenths $cpus)" "$(load $cpus "$2")" "$(bytes $memories)"
  printf '\n%sCPU: 100 %% is one processor, a whole bar all %s. Memory: a whole bar is the largest.\nIN and OUT: since the start.%s\n' "$faint" "$2" "$plain"
}

# load HUNDREDTHS CPUS: a bar for hundredths of a percent of a processor, of so many; its colour tells how much is left.
load() {
  local colour=$green
  [ "$1" -le $(($2 * 5000)) ] || colour=$yellow
  [ "$1" -le $(($2 * 8000)) ] || colour=$red
  printf '%s%s%s' "$colour" "$(bar "$1" $(($2 * 10000)) 6)" "$plain"
}

# bar PART WHOLE WIDTH: as long as the share, in eighths of characters, and blanks up to the width.
bar() {
  local eighths=('' ▏ ▎ ▍ ▌ ▋ ▊ ▉) n=$((($1 * $3 * 8 + $2 / 2) / $2)) text='' i
  [ $n -gt 0 ] || [ "$1" -le 0 ] || n=1
  [ $n -le $(($3 * 8)) ] || n=$(($3 * 8))
  for ((i = 0; i < n / 8; i++)); do text+=█; done
  text+=${eighths[n % 8]}
  for ((i = (n + 7) / 8; i < $3; i++)); do text+=' '; done
  printf '%s' "$text"
}

# hundredths NUMBER: 12.3 is 1230.
hundredths() {
  local whole=${1%.*} part=
  [[ $1 != *.* ]] || part=${1#*.}
  part=${part}00
  echo $((10#${whole:-0} * 100 + 10#${part:0:2}))
}

# tenths HUNDREDTHS: 1230 is 12.3.
tenths() { echo "$(($1 / 100)).$(($1 / 10 % 10))"; }

# in_bytes SIZE: of 56.7MiB or 1.2kB, as docker writes them.
in_bytes() {
  local unit=${1##*[0-9]} factor
  case $unit in
    kB) factor=1000 ;;
    MB) factor=1000000 ;;
    GB) factor=1000000000 ;;
    TB) factor=1000000000000 ;;
    KiB) factor=1024 ;;
    MiB) factor=1048576 ;;
    GiB) factor=1073741824 ;;
    TiB) factor=1099511627776 ;;
    *) factor=1 ;;
  esac
  echo $(($(hundredths "${1%"$unit"}") * factor / 100))
}

# bytes BYTES: in the unit that suits them.
bytes() {
  local n=$(($1 * 10)) unit
  [ "$1" -ge 1024 ] || { echo "$1 B" && return; }
  for unit in KiB MiB GiB TiB; do
    n=$((n / 1024))
    [ $n -ge 10240 ] || break
  done
  echo "$((n / 10)).$((n % 10)) $unit"
}
