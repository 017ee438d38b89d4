#!/usr/bin/env bash
# loadtest-sharded.sh SUITE: a load test of the running server, and what it did to the shards.
#
# The server must be healthy. Users per shard are counted before and after; a table of all requests ends it. Fails when an objective is missed, a
# check fails, or users whose creation was acknowledged are not there. `make loadtest-help` lists the suites.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=loadtest-env.sh
. scripts/loadtest-env.sh

suite=${1:-load}
[ -n "${LOADTEST_RUNTIME:-}" ] || exec scripts/stack.sh "loadtest-$suite" # it knows which runtime, and what must be installed
load_suite "$suite"

die() { printf '%s\n' "$*" >&2; exit 1; }

# Every user has a connection, so this many files; ports, because all go to one address.
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
files=$(ulimit -n)
[ "$files" = unlimited ] || [ "$files" -ge $((LOADTEST_USERS + 500)) ] ||
  die "$LOADTEST_USERS users need as many connections, and this shell may open $files files: raise it (ulimit -Hn, or nofile in /etc/security/limits.conf), or take fewer USERS."
if [ -r /proc/sys/net/ipv4/ip_local_port_range ]; then
  read -r first last </proc/sys/net/ipv4/ip_local_port_range
  [ $((last - first)) -ge $((LOADTEST_USERS + 500)) ] ||
    die "$LOADTEST_USERS users need as many ports, and there are $((last - first)): sudo sysctl -w net.ipv4.ip_local_port_range='15000 65000', or take fewer USERS."
fi

cd loadtest/gatling
kept=${LOADTEST_RESULTS:-$PWD/results}
running=$kept/.running-$LOADTEST_RUN
export LOADTEST_RECORD=$running/record.properties
mkdir -p "$running"
trap 'rm -rf "$running"' EXIT

case $suite in
  spike | breakpoint) who="up to $LOADTEST_USERS users/s arriving" ;;
  *) who="$LOADTEST_USERS users, ${LOADTEST_THINK_MS} ms of thought, ${LOADTEST_RAMP} s of ramp" ;;
esac
echo "$suite: $who, ${LOADTEST_DURATION} s, on $LOADTEST_URL (p95 <= $LOADTEST_P95_MS ms, p99 <= $LOADTEST_P99_MS ms, KO <= $LOADTEST_MAX_KO %; seed $LOADTEST_SEED)" >&2

simulation=UserSimulation
[ "$suite" != create-user ] || simulation=CreateUserSimulation
status=0
mvn --batch-mode --quiet -Dstyle.color=never gatling:test "-Dgatling.simulationClass=$simulation" "-Dgatling.runDescription=$suite" \
  "-Dloadtest.results=$running" "-Dloadtest.heap=$LOADTEST_HEAP" |
  grep --line-buffered -v ' : true (actual' || status=$? # of the assertions, only those that were missed

shopt -s nullglob
logs=("$running"/*/simulation.log)
if [ ${#logs[@]} != 1 ] || [ ! -f "$LOADTEST_RECORD" ]; then die "The load test did not get as far as a report: see above."; fi
results=$kept/$suite-$LOADTEST_RUN
mv "$(dirname "${logs[0]}")" "$results"
mv "$LOADTEST_RECORD" "$results/"
echo
java --add-opens java.base/java.lang=ALL-UNNAMED -cp "target/test-classes:$(cat target/classpath)" io.gatling.messenger.Summary "$results" || status=1
[ $status = 0 ] || die "$suite FAILED: an objective was missed or a check failed, see above."
echo "$suite passed"
