#!/usr/bin/env bash
# test-packages.sh ARGUMENT…: `go test ARGUMENT…` of all packages, run in server/ beside a test cluster (cluster test).
#
# Tests take turns on a cluster, and mostly wait for something there. Those of cmd/api take about as long as all others: they have a
# second cluster, so that both are done in about half the time. Of the others four packages run at a time, on any machine.
set -euo pipefail

trap : TERM # go test and the second cluster are told, too: this waits for their ends
packages=$(go list ./... | grep -v '/cmd/api$')
../.build/cluster test -- go test "$@" ./cmd/api &
api=$!
status=0
# shellcheck disable=SC2086 # one word a package
go test -p 4 "$@" $packages || status=$?
wait $api || status=$?
wait
exit $status
