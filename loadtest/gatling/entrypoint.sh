#!/usr/bin/env bash
# entrypoint.sh SUITE: a load test from within the stack's network, by the script that does it natively, too.
set -euo pipefail
[ -x /stack/scripts/loadtest-sharded.sh ] || { echo 'scripts/ is not mounted at /stack/scripts: start load tests with  make loadtest-smoke  (make loadtest-help lists them)' >&2; exit 2; }
export LOADTEST_RUNTIME=docker # it need not find out
exec /stack/scripts/loadtest-sharded.sh "$@"
