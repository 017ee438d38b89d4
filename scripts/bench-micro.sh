#!/usr/bin/env bash
# bench-micro.sh: the Go benchmarks of what every request passes through, and benchstat's comparison with an earlier run.
#
# The result is kept in .build/bench-micro.txt and the one before in .build/bench-micro-before.txt; BASE=file compares with another.
# BENCH=regexp runs some of them only.
set -euo pipefail
cd "$(dirname "$0")/../server"

result=../.build/bench-micro.txt
before=${BASE:-../.build/bench-micro-before.txt}
[ -z "${BASE:-}" ] || [ -s "$before" ] || { echo "BASE is $BASE: there is no such result (paths are from server/ on, or absolute)" >&2; exit 2; }
benchstat() { go tool -modfile=tools/benchstat.mod benchstat "$@"; }

# Six times: benchstat wants that many to tell a difference from noise.
go test -run '^$' -bench "${BENCH:-.}" -benchmem -count 6 -benchtime 200ms \
  ./internal/infra/database/shard ./internal/infra/freshness ./internal/presentation/handlers ./internal/presentation/routes |
  tee "$result.partial" | grep -E '^(FAIL|panic|---)' >&2 || true
grep -q '^Benchmark' "$result.partial" || { cat "$result.partial" >&2; echo "no benchmark has run" >&2; exit 1; }
! grep -q '^FAIL' "$result.partial" || { cat "$result.partial" >&2; exit 1; }
[ ! -s "$result" ] || [ -n "${BASE:-}" ] || mv "$result" "$before"
mv "$result.partial" "$result"

echo '== sonic and the standard library, on our bodies'
benchstat -col /codec -filter '.name:/Encode|Decode/' "$result" || true # nothing, where BENCH leaves them out
if [ -s "$before" ]; then
  echo "== before and now"
  benchstat "before=$before" "now=$result"
else
  echo '== all; the next run is compared with it'
  benchstat "$result"
fi
