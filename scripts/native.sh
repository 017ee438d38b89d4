#!/usr/bin/env bash
# native.sh COMMAND: the Makefile's commands without Docker: the tools under server/tools are built and run.
set -euo pipefail
cd "$(dirname "$0")/.."

command=$1
case $command in loadtest*) # needs Maven, and no Go
  scripts/native-deps.sh loadtest
  LOADTEST_RUNTIME=native exec scripts/loadtest-sharded.sh "${command#loadtest-}"
  ;;
esac
case $command in
  up | dev | monitoring | bench | test | test-long | test-coverage | lint) scripts/native-deps.sh "$command" ;;
  *) scripts/native-deps.sh tools ;;
esac

# The server's limits (GOMAXPROCS, GOGC, GOMEMLIMIT) are not meant for the compiler.
build() { (cd server && env -u GOMAXPROCS -u GOGC -u GOMEMLIMIT go build -o ../.build/ "$@"); }
mkdir -p .build
[ -x .build/cluster ] || echo 'building   the tools (the first time takes a minute)' >&2
# Beside a test cluster they have just been built: what guides tell to type does not wait for that again.
[ -n "${TEST_CLUSTER:-}" ] || build ./tools/cluster ./tools/apictl ./tools/backup ./tools/chaos ./tools/migration ./tools/seed ./tools/verify
[ "$command" != bench ] || build ./cmd/api ./tools/bench
export PATH="$PATH:/usr/sbin:/sbin" # Debian keeps pgbouncer there, outside an ordinary user's PATH

case $command in test*)
  SCHEMATHESIS=$(scripts/schemathesis.sh)
  export SCHEMATHESIS
  ;;
esac

# absolute FOLDER: as the caller names it, from the checkout on.
absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$PWD/$1" ;; esac; }
to=$(absolute "${TO:-backups/$(date -u +%Y-%m-%dT%H-%M-%SZ)}")
from=$(absolute "${FROM:-}")

cd server
case $command in
  up | down | down-clean | ps | stats | monitoring | logs | logs-all | dev | restart | rebuild) exec ../.build/cluster "$command" ;;
  db-shell) exec ../.build/cluster db-shell "${SHARD:-0}" ;;
  failover)
    [ -n "${SHARD:-}" ] || { echo 'SHARD is missing: which one?  make failover SHARD=0' >&2; exit 2; }
    exec ../.build/cluster failover "$SHARD"
    ;;
  shards | health) exec ../.build/apictl "$command" ;;
  migrate-make) exec ../.build/migration make "${NAME:-}" ;;
  migrate-*) exec ../.build/migration "${command#migrate-}" ;;
  migration) exec ../.build/migration "${@:2}" ;; # scripts/migrate-shards.sh
  chaos) exec ../.build/chaos -shard "${SHARD:-1}" -only "${ONLY:-}" ;;
  verify) exec ../.build/verify ;;
  backup) exec ../.build/backup create "$to" ;;
  restore)
    [ -n "${FROM:-}" ] || { echo 'FROM is missing: name a backup with  make restore FROM=backups/…' >&2; exit 2; }
    exec ../.build/cluster restore "$from"
    ;;
  databases-reload) exec ../.build/cluster reload ;; # scripts/tune-postgres.sh
  databases-restart) exec ../.build/cluster restart-databases "$2" ;;
  seed) exec ../.build/seed -users "${USERS:-}" -seed "${SEED:-1}" ;;
  bench)
    bench=(../.build/bench -users "${USERS:-1000000}" -duration "${DURATION:-2}s" -rounds "${ROUNDS:-3}" -only "${ONLY:-}")
    [ -n "${SHARDS:-}" ] || exec ../.build/cluster without-api -- "${bench[@]}"
    for shards in $SHARDS; do
      # PORT: what serves beside such a cluster is none of its servers.
      # shellcheck disable=SC2016 # the shell beside the cluster expands it
      TEST_SHARDS=$shards ../.build/cluster test -- bash -c 'PORT=0 ../.build/seed -users "$1" && PORT=0 exec "${@:2}"' bench "${USERS:-1000000}" "${bench[@]}"
    done
    ;;
  bench-micro) exec ../scripts/bench-micro.sh ;;
  lint) exec ../scripts/lint.sh ;;
  test) exec ../.build/cluster test 3 -- ../scripts/test-packages.sh 30m ;;
  test-long) TEST_LONG=1 exec ../.build/cluster test 3 -- ../scripts/test-packages.sh 170m ;;
  test-coverage)
    ../.build/cluster test -- go test -race -shuffle=on -p 4 -timeout 30m -coverpkg=./... -coverprofile=../coverage.out ./...
    go tool cover -html=../coverage.out -o ../coverage.html
    go tool cover -func=../coverage.out | tail -n 1
    echo 'coverage: open coverage.html'
    ;;
  *) echo "native.sh: unknown command '$command' (make help lists them)" >&2; exit 2 ;;
esac
