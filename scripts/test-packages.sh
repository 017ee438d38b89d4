#!/usr/bin/env bash
# test-packages.sh TIMEOUT: the tests of all packages, under the race detector, run in server/ beside test clusters (cluster test).
#
# Tests take whichever cluster is free. Those of a package take turns; cmd/api's take as long as all others, so they are dealt, by their list, to
# three processes. Of the others four packages run at a time, on any machine, the tools first, which take longest.
set -euo pipefail

export GORACE=atexit_sleep_ms=100 # every program under the race detector, the tests' servers, too, would sleep a second before it ends
timeout=$1
parts=3
lean=(-race '-ldflags=-s -w') # to link what a debugger needs takes half of the time again

# Each is linked once. The server by itself starts faster than as a part of its tests, of which there are 1,700 processes.
go build "${lean[@]}" -o ../.build/test-api ./cmd/api
go test -c "${lean[@]}" -o ../.build/api.test ./cmd/api
export API_PROGRAM=$PWD/../.build/test-api
tests=$(cd cmd/api && ../../../.build/api.test -test.list . | grep -E '^(Test|Fuzz|Example)')
pids=()
for ((part = 0; part < parts; part++)); do
  dealt=$(awk -v part=$part -v parts=$parts 'NR % parts == part' <<<"$tests" | paste -sd '|')
  (cd cmd/api && exec ../../../.build/api.test -test.shuffle=on "-test.timeout=$timeout" -test.run "^($dealt)\$") &
  pids+=($!)
done
trap : TERM # the tests are told, too: this waits for their ends
status=0
# shellcheck disable=SC2046 # one word a package
go test -p 4 "${lean[@]}" -shuffle=on -timeout "$timeout" $(go list ./tools/... ./internal/... ./... | grep -v '/cmd/api$') || status=$?
for pid in "${pids[@]}"; do
  if wait "$pid"; then echo "ok  	cmd/api, a third of it"; else status=$?; echo "FAIL	cmd/api, a third of it"; fi
done
wait
exit $status
