#!/usr/bin/env bash
# test-packages.sh ARGUMENT…: `go test ARGUMENT…` of all packages, run in server/ beside test clusters (cluster test).
#
# Tests take whichever cluster is free. Those of a package take turns; cmd/api's take as long as all others, so they are dealt, by their list, to
# three processes. Of the others four packages run at a time, on any machine, the tools first, which take longest.
set -euo pipefail

export GORACE=atexit_sleep_ms=100 # every program under the race detector, the tests' servers, too, would sleep a second before it ends
parts=3
tests=$(go test "$@" -list . ./cmd/api | grep -E '^(Test|Fuzz|Example)')
pids=()
for ((part = 0; part < parts; part++)); do
  dealt=$(awk -v part=$part -v parts=$parts 'NR % parts == part' <<<"$tests" | paste -sd '|')
  go test "$@" -run "^($dealt)\$" ./cmd/api &
  pids+=($!)
done
trap : TERM # the tests are told, too: this waits for their ends
status=0
# shellcheck disable=SC2046 # one word a package
go test -p 4 "$@" $(go list ./tools/... ./internal/... ./... | grep -v '/cmd/api$') || status=$?
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
wait
exit $status
