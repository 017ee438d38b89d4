#!/usr/bin/env bash
# loadtest-env.sh: the one configuration of all load tests.
#
#   . scripts/loadtest-env.sh      defines suites and load_suite NAME, which exports what the simulations read (LOADTEST_*)
#   scripts/loadtest-env.sh help   lists the suites and their sizes
#
# USERS, DURATION, RAMP, THINK_MS, P95_MS, P99_MS, MAX_KO, SEED and LOADTEST_HEAP override a suite's own.

# Users are concurrent ones, each with a connection of its own, who think THINK_MS on average after each answer (closed model). In spike and
# breakpoint (open model) they arrive: so many per second at the peak, three requests each.
#
# The smoke suite sends some hundred requests of a kind, whose 99th percentile is the slowest but one: the first, of a cold load generator.
#
# suite      users  ramp s  duration s  think ms  p95 ms  p99 ms  KO %  heap  what it does
suites='
smoke           10       2          30       200    1000    3000     0  512m  everything once around: users'"'"' lives, pages, walks
load           100       5          60       200     500    1000     0    1g  a mix: 71 % reads, 29 % writes
custom         100       5          60       200     500    1000     0    1g  the same mix, as large as you like: USERS=N
10k          10000      40          60      4760    2000    5000     0    3g  the same mix by 10,000 users, about 2,100 req/s: more than two cores can take
crud            50       5          60       200     500    1000     0    1g  the whole life of a user, told from answer to answer
stress         500      10         120       200    2000    5000     1    1g  the mix, more than a small machine can take
spike          100       0          60         0    1000    2000     1    1g  arrivals: a quiet third, a burst of ten times as many, a quiet third
soak            50       5         300       200     500    1000     0    1g  the mix, for long
pagination      50       5          60       200     500    1000     0    1g  pages by offset, walks by cursor, strong walks
read           100       5          60       200     500    1000     0    1g  80 % reads: by id, by e-mail, lists
write          100       5          60       200     500    1000     0    1g  creates, updates, deletes
breakpoint     500       0         200         0     250     500     1    1g  arrivals rise in 20 steps until the objective breaks
create-user    100       5          60       200     500    1000     0    1g  creates, each read back at once (scripts/loadtest-create-user.sh)
'

# setting_of NAME DEFAULT: from the environment, else from .env, else the default.
setting_of() {
  local value=${!1:-}
  if [ -z "$value" ] && [ -f .env ]; then value=$(sed -n -E "s/^[[:space:]]*(export[[:space:]]+)?$1=[\"']?([^\"'#[:space:]]*).*/\2/p" .env | tail -n 1); fi
  printf '%s' "${value:-$2}"
}

# load_suite NAME: exports what the simulations read.
load_suite() {
  local name users ramp duration think p95 p99 ko heap host
  read -r name users ramp duration think p95 p99 ko heap _ < <(grep -E "^$1 " <<<"$suites") ||
    { echo "There is no suite '$1' (make loadtest-help lists them)." >&2; return 2; }
  host=$(setting_of HOST 127.0.0.1)
  case $host in 0.0.0.0 | ::) host=127.0.0.1 ;; esac
  export LOADTEST_SUITE=$name
  export LOADTEST_URL=${LOADTEST_URL:-http://$host:$(setting_of PORT 8080)}
  export LOADTEST_USERS=${USERS:-$users} LOADTEST_RAMP=${RAMP:-$ramp} LOADTEST_DURATION=${DURATION:-$duration} LOADTEST_THINK_MS=${THINK_MS:-$think}
  export LOADTEST_P95_MS=${P95_MS:-$p95} LOADTEST_P99_MS=${P99_MS:-$p99} LOADTEST_MAX_KO=${MAX_KO:-$ko} LOADTEST_HEAP=${LOADTEST_HEAP:-$heap}
  # The seed decides what is drawn. The run's name makes addresses new: a run can be repeated on the same data.
  export LOADTEST_SEED=${SEED:-1} LOADTEST_RUN
  LOADTEST_RUN=$(date +%Y%m%d-%H%M%S)-$$
}

help() {
  echo 'Load tests (the server must run: make dev). Reports: loadtest/gatling/results'
  echo
  while read -r name users ramp duration think p95 p99 ko _ what; do
    case $name in
      '' | create-user) continue ;;
      load) name=loadtest users="$users users" ;;
      spike | breakpoint) name=loadtest-$name users="$users/s" ;;
      *) name=loadtest-$name users="$users users" ;;
    esac
    printf '  make %-20s %11s %6s  p95 %4s ms  p99 %4s ms  KO %s %%  %s\n' "$name" "$users" "$duration s" "$p95" "$p99" "$ko" "$what"
  done <<<"$suites"
  echo
  echo '  make loadtest-report      opens the newest report, or prints where it is'
  echo '  make loadtest-clean       removes all results'
  echo
  echo 'USERS, DURATION, RAMP (s), THINK_MS, P95_MS, P99_MS, MAX_KO (%) and SEED change any of them: make loadtest-custom USERS=300 DURATION=30'
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  case ${1:-} in
    help) help ;;
    *) echo 'usage: scripts/loadtest-env.sh help' >&2; exit 2 ;;
  esac
fi
