#!/usr/bin/env bash
# tune-postgres.sh: fits PostgreSQL to this machine. Run it with --help.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
Usage: scripts/tune-postgres.sh [OPTION]...

Derives settings from this machine's memory and cores and from how many PostgreSQL instances share them, shows what
changes, asks, writes them to database/postgres/tuned.conf (which every instance reads after postgresql.conf) and has
the running instances read it. What is safe and who may connect is never touched: fsync, synchronous_commit,
full_page_writes, max_connections and the settings of replication stay as they are.

  --dry-run        show the changes and change nothing
  --restart        afterwards restart the instances whose settings need it, one after the other, in the order that
                   replicas bear; each is away for some seconds
  --undo           back to what was there before the last run
  --yes            do not ask (as YES=1)
  --memory SIZE    in GB, instead of what the machine (or the Docker engine) has
  --cpus N         instead of what it has
  --instances N    instead of a primary and a replica for each shard
  --disk KIND      ssd (the default) or hdd
  --help           this text

Both runtimes; RUNTIME=docker or RUNTIME=native forces one.
END
}

die() { printf 'tune-postgres.sh: %s\n' "$*" >&2; exit 1; }
misused() { printf 'tune-postgres.sh: %s\n\n' "$1" >&2; usage >&2; exit 2; }

number() { [[ $2 =~ ^[1-9][0-9]{0,6}$ ]] || misused "$1 is '$2': want a whole number above 0"; }

action=tune restart=no yes=${YES:-0} memory_gb='' cpus='' instances='' disk=ssd
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --dry-run) action=show ;;
    --undo) action=undo ;;
    --restart) restart=yes ;;
    --yes) yes=1 ;;
    --memory | --cpus | --instances | --disk)
      [ $# -ge 2 ] || misused "$1 needs a value"
      case $1 in
        --memory) memory_gb=${2%[gG][bB]} && number "$1" "$memory_gb" ;;
        --cpus) cpus=$2 && number "$1" "$2" ;;
        --instances) instances=$2 && number "$1" "$2" ;;
        --disk) case $2 in ssd | hdd) disk=$2 ;; *) misused "--disk is '$2': want ssd or hdd" ;; esac ;;
      esac
      shift
      ;;
    *) misused "unknown option '$1'" ;;
  esac
  shift
done

base=database/postgres/postgresql.conf
tuned=database/postgres/tuned.conf
before=$tuned.before # what was there before the last run; empty for nothing
runtime=$(scripts/stack.sh runtime)

# machine: sets memory (MB) and cpus.
machine() {
  local bytes=0 limit
  if [ "$runtime" = docker ]; then
    read -r bytes limit < <(docker info --format '{{.MemTotal}} {{.NCPU}}')
    cpus=${cpus:-$limit}
  elif [ -r /proc/meminfo ]; then
    bytes=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * 1024))
    limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max) # in a container of somebody's
    if [[ $limit =~ ^[0-9]+$ ]] && [ "$limit" -lt "$bytes" ]; then bytes=$limit; fi
    cpus=${cpus:-$(nproc)}
  else
    bytes=$(sysctl -n hw.memsize)
    cpus=${cpus:-$(sysctl -n hw.ncpu)}
  fi
  memory=$((bytes / 1024 / 1024))
  [ -z "$memory_gb" ] || memory=$((memory_gb * 1024))
  [ "$memory" -ge 1024 ] || die "this machine has $memory MB: that is too little to share out (--memory says how much to count on)"
}

# ask SQL: of shard 0's primary; fails when it does not run.
ask() { printf '\\pset format unaligned\n\\pset tuples_only on\n%s;\n' "$1" | SHARD=0 scripts/stack.sh db-shell 2>/dev/null | sed '/^Output format\|^Tuples only/d'; }

clamp() { local n=$1; [ "$n" -ge "$2" ] || n=$2; [ "$n" -le "$3" ] || n=$3; echo "$n"; }

# profile: the settings, in the spirit of pgtune (https://pgtune.leopard.in.ua), for many instances on one machine.
profile() {
  local server each buffers connections work wal parallel
  # The API takes what GOMEMLIMIT lets it (4 GiB), PgBouncer, Redis and the system 1; half of a small machine is the databases' anyhow.
  server=$((memory - 5 * 1024))
  [ "$server" -ge $((memory / 2)) ] || server=$((memory / 2))
  each=$((server / instances))
  buffers=$(clamp $((each / 4)) 128 16384)
  connections=$(sed -n 's/^max_connections = \([0-9]*\).*/\1/p' "$base")
  # Every connection may sort, some more than once; hardly any do here.
  work=$(clamp $(((each - buffers) / connections / 2)) 4 64)
  wal=$(clamp $((each / 2 / 512 * 512)) 1024 16384)
  # Shards work side by side already: a count on one must not take the cores of the others.
  parallel=$(clamp $((cpus / instances)) 0 4)
  cat <<END
shared_buffers = ${buffers}MB
effective_cache_size = $(clamp $((each * 3 / 4)) 256 1048576)MB
work_mem = ${work}MB
maintenance_work_mem = $(clamp $((each / 16)) 64 2048)MB
max_wal_size = ${wal}MB
min_wal_size = $((wal / 4))MB
max_worker_processes = $(clamp "$cpus" 8 128)
max_parallel_workers = $(clamp "$cpus" 2 128)
max_parallel_workers_per_gather = $parallel
max_parallel_maintenance_workers = $parallel
random_page_cost = $([ "$disk" = ssd ] && echo 1.1 || echo 4)
effective_io_concurrency = $([ "$disk" = ssd ] && echo 200 || echo 2)
jit = off
END
}

# value FILE NAME: what the file sets it to; empty when it does not.
value() { [ ! -f "$1" ] || sed -n "s/^$2 = //p" "$1" | tail -n 1; }

# running: name, context and value of every setting and the number of shards, from a shard that runs; nothing when none does. Before the first
# migration there is no such number.
running() {
  ask "SELECT name || ' ' || context || ' ' || coalesce(current_setting(name, true), '') FROM pg_settings;
    SELECT 'shard_count identity ' || shard_count FROM shard_identity" || true
}

# same A B: 1GB is 1024MB.
same() { [ "$1" = "$2" ] || [ "$(megabytes "$1")" = "$(megabytes "$2")" ]; }
megabytes() { if [[ $1 =~ ^([0-9]+)GB$ ]]; then echo "$((BASH_REMATCH[1] * 1024))MB"; else echo "$1"; fi; }

# show FILE: what would change from what is set now; succeeds when something would.
show() {
  local file name now new needs any=1 names context
  names=$(for file in "$1" "$tuned"; do [ ! -f "$file" ] || sed -n 's/^\([a-z_]*\) = .*/\1/p' "$file"; done | sort -u)
  printf '%-34s %12s %12s  %s\n' SETTING NOW NEW NEEDS
  for name in $names; do
    read -r context now < <(sed -n "s/^$name //p" <<<"$settings") || true
    # What is set but waits for a restart counts as set.
    if [ -n "$(value "$tuned" "$name")" ]; then now=$(value "$tuned" "$name"); fi
    new=$(value "$1" "$name")
    now=${now:-$(value "$base" "$name")} new=${new:-$(value "$base" "$name")}
    now=${now:-default} new=${new:-default}
    ! same "$now" "$new" || continue
    any=0 needs=reload
    case $name in shared_buffers | max_worker_processes) context=postmaster ;; esac # also while nothing runs
    [ "${context:-}" != postmaster ] || needs=RESTART
    printf '%-34s %12s %12s  %s\n' "$name" "$now" "$new" "$needs"
  done
  return $any
}

# durable: a file that a person wrote settings into by hand is not passed on.
durable() {
  ! grep -Eiq '^[[:space:]]*(fsync|synchronous_commit|full_page_writes)\b' "$1" ||
    die "$1 sets what decides whether acknowledged writes survive a crash: take that line out"
}

confirm() {
  [ "$yes" != 1 ] || return 0
  [ -t 0 ] || die 'there is no terminal to ask at: give --yes (or YES=1) to say that it is meant; nothing was changed'
  local answer
  read -r -p 'Type yes to apply: ' answer
  [ "$answer" = yes ] || die 'not confirmed; nothing was changed'
}

# apply: has what runs read the file, and restarts what needs it.
apply() {
  local order=replicas-first
  if [ -z "$settings" ]; then
    echo 'Nothing runs: the instances read it when they start.' >&2
    return
  fi
  scripts/stack.sh databases-reload
  # A standby may not have less of some settings than its primary had: more comes to the replicas first, less to the primaries.
  [ "$1" = more ] || order=primaries-first
  if [ "$restart" = yes ]; then
    scripts/stack.sh databases-restart "$order"
  else
    pending=$(ask "SELECT string_agg(name, ', ') FROM pg_settings WHERE pending_restart" || true)
    [ -z "$pending" ] || echo "Waiting for a restart (scripts/tune-postgres.sh --restart): $pending" >&2
  fi
}

# workers FILE: the one setting of ours that a standby compares with its primary's.
workers() { local n; n=$(value "$1" max_worker_processes); echo "${n:-8}"; }

machine
settings=$(running)
shards=$(sed -n 's/^shard_count identity //p' <<<"$settings")
instances=${instances:-$((2 * ${shards:-5}))}
next=$(mktemp)
trap 'rm -f "$next"' EXIT

case $action in
  undo)
    [ -e "$before" ] || die 'there is nothing to undo'
    cp "$before" "$next"
    ;;
  *)
    {
      echo "# Made by scripts/tune-postgres.sh for $instances instances on $cpus cores and $memory MB, $disk. Run that again rather than edit this;"
      echo '# scripts/tune-postgres.sh --undo takes it back.'
      profile
    } >"$next"
    ;;
esac
durable "$next"

echo "$instances instances share $cpus cores and $memory MB ($runtime, $disk)." >&2
if ! show "$next"; then
  echo 'Everything is set so already.' >&2
  if [ "$restart" = yes ] && [ "$action" = tune ]; then apply more; fi
  exit 0
fi
[ "$action" != show ] || exit 0
confirm
change='more'
[ "$(workers "$next")" -ge "$(workers "$tuned")" ] || change='less'
if [ "$action" != undo ]; then
  if [ -f "$tuned" ]; then cp "$tuned" "$before"; else : >"$before"; fi
fi
if [ -s "$next" ]; then
  cp "$next" "$tuned.partial" && chmod 644 "$tuned.partial" && mv "$tuned.partial" "$tuned"
else
  rm -f "$tuned"
fi
[ "$action" != undo ] || rm "$before"
apply "$change"
