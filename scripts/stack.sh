#!/usr/bin/env bash
# stack.sh COMMAND: runs one of the Makefile's commands in the Docker or in the native runtime.
#
# RUNTIME=docker or RUNTIME=native (environment or .env) forces one. Otherwise the runtime this project was last started in is used (make down forgets it), else Docker
# where an engine answers, else native. The tests run natively wherever Go is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf '%s\n' "$*" >&2; exit 1; }

# setting NAME: its value from the environment, else from .env, else nothing.
setting() {
  if [ -n "${!1:-}" ]; then
    printf '%s' "${!1}"
  elif [ -f .env ]; then
    sed -n -E "s/^[[:space:]]*(export[[:space:]]+)?$1=//p" .env | tail -n 1 | sed -E "s/[[:space:]]+(#.*)?\$//; s/^\"(.*)\"\$/\1/; s/^'(.*)'\$/\1/"
  fi
}

# A malformed GOMEMLIMIT ends every Go program, ours and the go command, before main: only a shell can say so kindly.
check_memory_limit() {
  local limit
  limit=$(setting GOMEMLIMIT)
  [[ -z $limit || $limit =~ ^([0-9]+(B|KiB|MiB|GiB|TiB)?|off)$ ]] ||
    die "GOMEMLIMIT is '$limit': want a number with an optional unit B, KiB, MiB, GiB or TiB (for example 4GiB), or off."
}

# Passwords are made once, on this machine, for both runtimes.
ensure_secrets() {
  local name
  if [ ! -s .env.secrets ]; then
    (
      umask 077
      for name in POSTGRES_PASSWORD DB_OWNER_PASSWORD DB_PASSWORD DB_REPLICATION_PASSWORD; do
        printf '%s=%s\n' "$name" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
      done >.env.secrets.partial
    )
    mv .env.secrets.partial .env.secrets
    echo 'secrets: made .env.secrets (mode 0600, not in git); keep it as long as you keep the data' >&2
  fi
  chmod 600 .env.secrets
}

docker_answers() { command -v docker >/dev/null && timeout 10 docker version >/dev/null 2>&1; }

# choose_runtime COMMAND: sets runtime and why.
choose_runtime() {
  runtime=$(setting RUNTIME)
  case $runtime in
    docker | native) why='RUNTIME asks for it' ; return ;;
    '') ;;
    *) die "RUNTIME is '$runtime': want docker or native, or leave it out." ;;
  esac
  if [[ $1 =~ ^(test|lint) ]]; then
    if command -v go >/dev/null; then runtime=native why='Go is installed'; else runtime=docker why='Go is not installed'; fi
  elif [ -s .build/runtime ]; then
    runtime=$(cat .build/runtime) why='this project was last started in it'
  elif docker_answers; then
    runtime=docker why='a Docker engine answers'
  else
    runtime=native why='no Docker engine answers'
  fi
}

[ $# -ge 1 ] || die "usage: scripts/stack.sh COMMAND (make help lists them)"
choose_runtime "$1"
if [ "$1" = runtime ]; then # for other scripts
  echo "$runtime"
  exit
fi
echo "runtime: $runtime ($why)" >&2
if [ "$runtime" = docker ]; then
  docker_answers || die 'RUNTIME is docker, but no Docker engine answers: start it (sudo systemctl start docker), or use RUNTIME=native.'
  docker compose version >/dev/null 2>&1 || die "Docker answers, but 'docker compose' is missing: install its Compose plugin, or use RUNTIME=native."
fi
check_memory_limit
ensure_secrets
case $1 in up | dev)
  mkdir -p .build
  if [ -s .build/runtime ] && [ "$(cat .build/runtime)" != "$runtime" ]; then
    die "This project runs in the $(cat .build/runtime) runtime now: first run  make down RUNTIME=$(cat .build/runtime)"
  fi
  echo "$runtime" >.build/runtime
  ;;
esac
status=0
"scripts/$runtime.sh" "$@" || status=$?
case $1 in down | down-clean) [ $status != 0 ] || rm -f .build/runtime ;; esac
exit $status
