#!/usr/bin/env bash
# docker.sh COMMAND: the Makefile's commands by docker compose. Needs Docker, Compose, bash and coreutils, nothing else.
#
# API_TARGET=production runs the production image instead of the checkout under Air.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=docker-settings.sh
. scripts/docker-settings.sh
# shellcheck source-path=SCRIPTDIR source=docker-preflight.sh
. scripts/docker-preflight.sh
# shellcheck source-path=SCRIPTDIR source=docker-wait.sh
. scripts/docker-wait.sh
# shellcheck source-path=SCRIPTDIR source=docker-backup.sh
. scripts/docker-backup.sh
# shellcheck source-path=SCRIPTDIR source=docker-restart.sh
. scripts/docker-restart.sh
# shellcheck source-path=SCRIPTDIR source=docker-roles.sh
. scripts/docker-roles.sh
# shellcheck source-path=SCRIPTDIR source=docker-show.sh
. scripts/docker-show.sh
# shellcheck source-path=SCRIPTDIR source=docker-host.sh
. scripts/docker-host.sh
# shellcheck source-path=SCRIPTDIR source=docker-fault.sh
. scripts/docker-fault.sh
# shellcheck source-path=SCRIPTDIR source=docker-failover.sh
. scripts/docker-failover.sh

# What goes on in the background must not outlive an interrupted start.
settings_container=
last_words= # to be said if this ends before its time
trap 'kill $(jobs -p) 2>/dev/null || true; [ -z "$settings_container" ] || docker rm -f "$settings_container" >/dev/null 2>&1
  [ -z "$last_words" ] || printf "%s\n" "$last_words" >&2' EXIT

compose() { docker compose --progress quiet "${compose_files[@]}" "${env_files[@]}" "$@"; }

# container SERVICE: the name compose gives its container.
container() { printf '%s-%s-1' "$project" "$1"; }

# ours ARGUMENT...: docker ps of this project's containers, without those of compose run.
ours() { docker ps --filter "label=com.docker.compose.project=$project" --filter label=com.docker.compose.oneoff=False "$@"; }

is_running() { [ -n "$(ours -q --filter "label=com.docker.compose.service=$1")" ]; }

# require_server: the commands that ask the server need it running.
require_server() { is_running messenger_server || die 'The server is not running: start everything with  make dev'; }

# in_server ARGUMENT...: a program in the server's container, with a terminal where we have one.
in_server() {
  require_server
  local tty=()
  [ ! -t 0 ] || [ ! -t 1 ] || tty=(-t -e NO_COLOR -e TERM)
  docker exec -i ${tty[@]+"${tty[@]}"} "$(container messenger_server)" "$@"
}

# build SERVICE...: their images; the output is shown when it fails.
build() {
  local log
  [ -n "$(docker image ls -q "messenger-clone/*")" ] || say '' '(the first time takes some minutes)'
  log=$(mktemp)
  if ! docker compose --progress plain "${compose_files[@]}" "${env_files[@]}" build "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "The image for $* could not be built: see above."
  fi
  rm -f "$log"
}

# check_settings: as the server itself does it, after compiling it (dev). The .env is piped in, because only its owner may be able to read it.
# Names in the environment that can only be meant for us are checked, too.
check_settings() {
  local program='mkdir -p /tmp/settings && cd /tmp/settings && cat >.env && exec api -check-config' name names=()
  if [ "$target" = dev ]; then
    program="env -u GOMAXPROCS -u GOGC -u GOMEMLIMIT go build -o /cache/bin/ ./cmd/api ./tools/apictl ./tools/migration && $program"
  fi
  for name in $(compgen -e); do
    case $name in SHARDING_* | SHARD_* | DB_WRITE_* | DB_READ_*) names+=(-e "$name") ;; esac
  done
  { [ ! -f .env ] || cat .env; } | compose run --rm --no-deps -T --name "$project-settings" -e "HOST=$host" -e "PORT=$port" -e "ADMIN_ADDR=$admin" ${names[@]+"${names[@]}"} \
    messenger_server sh -c "$program"
}

# check_settings_meanwhile: compiling needs no database.
check_settings_meanwhile() {
  say checking 'compiling and checking the settings'
  settings_container=$project-settings
  settings_log=$(mktemp)
  check_settings >"$settings_log" 2>&1 &
  checking=$!
}

# settings_checked: waits for that, and ends with what is wrong.
settings_checked() {
  local status=0
  wait "$checking" || status=$?
  settings_container=
  [ $status = 0 ] || cat "$settings_log" >&2
  rm -f "$settings_log"
  [ $status = 0 ] || exit 1
}

# start_databases [COMMAND]: COMMAND is run meanwhile, once the network is there: two compose commands at a time would make two.
start_databases() {
  began=$SECONDS
  say starting "$shards primaries, replicas and PgBouncers, Redis"
  # Kind by kind and without dependencies, so that compose waits for nobody: a replica waits for its primary by itself.
  compose up -d --no-deps redis "${primaries[@]}"
  ${1:+"$1"}
  compose up -d --no-deps "${poolers[@]}"
  compose up -d --no-deps "${replicas[@]}"
  finish_failovers
  await_databases
}

start_server() { compose up -d --no-deps "$@" messenger_server; }

up() {
  preflight
  step building "PgBouncer's image" build pgbouncer-0
  start_databases
  listening
}

dev() {
  preflight "$port"
  step building "the images of PgBouncer and the server" build pgbouncer-0 messenger_server
  start_databases check_settings_meanwhile
  settings_checked
  step migrating 'all shards to the newest version' compose run --rm --no-deps -T migrate
  step starting 'the server' start_server
  await_health
  listening
  printf 'API           http://%s:%s\n' "$host" "$port"
}

listening() {
  echo # the table is on stdout, what was going on before on stderr
  printf '%-13s 127.0.0.1:%s\n' primaries "$(ports 5440)" replicas "$(ports 5450)" PgBouncers "$(ports 6430)" Redis 6379
}

# monitoring: Prometheus and Grafana beside the server.
monitoring() {
  require_server
  step starting 'Prometheus and Grafana (the first time fetches them)' compose --profile monitoring up -d --no-deps prometheus grafana
  printf '%-13s http://%s\n' Prometheus "$(setting PROMETHEUS_ADDR 127.0.0.1:9091)" Grafana "$(setting GRAFANA_ADDR 127.0.0.1:3000)/d/messenger"
}

# ports FIRST: of all shards.
ports() { [ "$shards" = 1 ] && echo "$1" || echo "$1-$(($1 + shards - 1))"; }

# databases_reload: the mounted files are read again. Returns when they have been: a server tells its processes some time later.
databases_reload() {
  local service answer told=() wrong deadline late
  for service in "${primaries[@]}" "${replicas[@]}"; do
    if ! is_running "$service"; then
      say absent "$service, which reads it when it starts"
      continue
    fi
    answer=$(ask "$service" 'SELECT clock_timestamp(), pg_reload_conf()')
    told+=("$service=${answer%|*}")
  done
  for answer in ${told[@]+"${told[@]}"}; do
    service=${answer%%=*}
    deadline=$((SECONDS + 30)) late=
    until [ "$(ask "$service" "SELECT pg_conf_load_time() >= '${answer#*=}'")" = t ]; do
      [ $SECONDS -lt $deadline ] || { late=yes && break; } # a file that cannot be read as one is not loaded
      sleep 0.1
    done
    # What waits for a restart is listed as an error, too.
    wrong=$(ask "$service" "SELECT concat_ws(': ', sourcefile || ':' || sourceline, name || ' = ' || setting, error) FROM pg_file_settings f
      WHERE error NOT LIKE '%without restarting the server' AND NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = f.name AND pending_restart)")
    [ -z "$wrong" ] || die "$service does not take everything, and would not start again: $wrong"
    [ -z "$late" ] || die "$service has not read its files in 30 s"
  done
}

# databases_restart replicas-first|primaries-first: those with settings that wait for it, one after the other.
databases_restart() {
  by_role
  local i order=("${replicas_now[@]}" "${primaries_now[@]}") service
  [ "$1" != primaries-first ] || order=("${primaries_now[@]}" "${replicas_now[@]}")
  for service in "${order[@]}"; do
    is_running "$service" || continue
    [ "$(ask "$service" 'SELECT count(*) FROM pg_settings WHERE pending_restart')" != 0 ] || continue
    i=${service#shard-} i=${i%-replica}
    step restarting "$service" docker restart "$(container "$service")"
    await_shard $((SECONDS + start_timeout)) "$i"
  done
}

down() {
  same_checkout
  compose --profile '*' down --remove-orphans
  echo 'stopped; the data is kept' >&2
}

# down_clean: everything that carries this project's name, and nothing else. The base images stay.
down_clean() {
  same_checkout
  compose --profile '*' down --remove-orphans --volumes
  local images label labels=("com.docker.compose.project=$project")
  if [ -z "$(docker ps -q --filter "label=$tests_label")" ]; then
    labels+=("$tests_label")
    [ -z "$(docker volume ls -q --filter "name=^$project-tests\$")" ] || docker volume rm "$project-tests" >/dev/null
  fi # Tests that are running keep theirs.
  images=$(for label in "${labels[@]}"; do docker image ls -q --filter "label=$label"; done | sort -u)
  # shellcheck disable=SC2086  # one word per image
  [ -z "$images" ] || docker image rm --force $images >/dev/null
  echo 'stopped; the data, the containers and the images of this project are removed' >&2
}

# logs SERVICE...: follows in a terminal; otherwise the last lines, and ends.
logs() {
  if [ -t 1 ]; then
    compose logs --follow --tail 100 "$@"
  else
    compose logs --tail 200 "$@"
  fi
}

db_shell() {
  local shard=${1:-0} tty=() primary
  [[ $shard =~ ^[0-$((shards - 1))]$ ]] || die "SHARD is '$shard': want a number from 0 to $((shards - 1))"
  primary=$(primary_of "$shard") || die "shard-$shard has no primary that answers: start it with  make up"
  [ ! -t 0 ] || [ ! -t 1 ] || tty=(-t)
  # shellcheck disable=SC2016  # the container knows the names and the password
  docker exec -i ${tty[@]+"${tty[@]}"} "$(container "$primary")" sh -c \
    'PGPASSWORD=$DB_OWNER_PASSWORD exec psql -h 127.0.0.1 -U "$DB_OWNER" -d "${DB_NAME}_$SHARD"'
}

# tool PROGRAM ARGUMENT...: the migration tool, seed or verify, in a container of its own, straight to the primaries.
tool() {
  require_databases
  run_tool "$@"
}

require_databases() { is_running shard-0 || die 'The databases are not running: start them with  make up'; }

# run_tool PROGRAM ARGUMENT...: whether the databases run or not, with $tool_options for its container.
tool_options=()
run_tool() {
  local name=$1
  shift
  build messenger_server # the same image; built for another service it gets another label, and  make restart  takes the server's for outdated
  local program="exec $name \"\$@\"" # the container's shell fills in $@
  if [ "$target" = dev ]; then
    program="env -u GOMAXPROCS -u GOGC -u GOMEMLIMIT go build -o /cache/bin/ ./tools/$name && $program"
  fi
  local tty=(-T) status=0
  [ ! -t 0 ] || tty=() # `down` asks first
  compose run --rm --no-deps ${tty[@]+"${tty[@]}"} ${tool_options[@]+"${tool_options[@]}"} -e "YES=${YES:-}" migrate sh -c "$program" "$name" "$@" ||
    status=$?
  [ $status = 0 ] || still_at_work
  return $status
}

# still_at_work: a tool whose terminal was taken away (kill -9) goes on in its container, and holds a lock that the next one asks for.
still_at_work() {
  local names
  names=$(docker ps --format '{{.Names}}' --filter "label=com.docker.compose.project=$project" \
    --filter label=com.docker.compose.oneoff=True --filter label=com.docker.compose.service=migrate | tr '\n' ' ')
  [ -z "$names" ] || printf '\nStill at work from before: %s\nLet it end (docker logs -f %s), or end it (docker stop %s).\n' "$names" "${names% }" "${names% }" >&2
}

# migrate_make NAME: writes into the checkout, so it runs as its owner and with the folder writable.
migrate_make() {
  local folder=/src/server
  [ "$target" = dev ] || folder=/srv
  tool_options=(--user "$(id -u):$(id -g)" -v "$PWD/server/migrations:$folder/migrations")
  run_tool migration make "$1"
}

# tests COMMAND: the native runtime's tests, in a container that is none of the stack's: what they need is installed there, the ports are free,
# and they neither disturb what runs nor end with it. They run on a copy of the checkout; a report is brought back.
tests() {
  step building 'the image for the tests' build_tests
  # shellcheck disable=SC2016  # the container's shell fills in $1
  docker run --rm --init --shm-size 1g -e RUNTIME=native -e "CI=${CI:-}" -v "$PWD:/checkout:ro" -v "$PWD:/reports" -v "$project-tests:/cache" \
    messenger-clone/server:test bash -c '
      set -euo pipefail
      tar -C /checkout --exclude=./.build --exclude=./.state --exclude=./server/tmp -c . | tar -x --no-same-owner
      scripts/stack.sh "$1"
      for report in coverage.*; do
        [ ! -f "$report" ] || { cp "$report" /reports/ && chown --reference=/reports "/reports/$report"; }
      done' tests "$1"
}

# loadtest SUITE: from a container in the stack's network. The report belongs to who asked for it.
loadtest() {
  local results=${LOADTEST_RESULTS:-$PWD/loadtest/gatling/results} name options=() tty=(-T)
  [ -n "${LOADTEST_URL:-}" ] || require_server
  [ -n "$(docker image ls -q messenger-clone/loadtest)" ] || say building 'the load generator (the first time fetches Gatling, which takes minutes)'
  build loadtest
  mkdir -p "$results"
  results=$(cd "$results" && pwd) # the same path in the container, so that what is said of it holds here
  for name in USERS DURATION RAMP THINK_MS P95_MS P99_MS MAX_KO SEED LOADTEST_HEAP; do
    [ -z "${!name:-}" ] || options+=(-e "$name")
  done
  [ ! -t 0 ] || [ ! -t 1 ] || tty=()
  compose run --rm --no-deps ${tty[@]+"${tty[@]}"} --user "$(id -u):$(id -g)" -v "$results:$results" -e "LOADTEST_RESULTS=$results" \
    -e "LOADTEST_URL=${LOADTEST_URL:-http://api:8080}" ${options[@]+"${options[@]}"} loadtest "$1"
}

# A label of their own: by compose's label they would be taken for a part of the stack.
tests_label=messenger-clone.tests=yes

build_tests() {
  docker build -q --target test --label $tests_label -t messenger-clone/server:test server
}

case ${1:-} in
  up | dev | restart | rebuild | stats | monitoring) "$1" ;;
  down) down ;;
  down-clean) down_clean ;;
  ps) show_services ;;
  logs) logs --no-log-prefix messenger_server ;;
  logs-all) logs ;;
  shards | health) in_server apictl "$1" ;;
  db-shell) db_shell "${SHARD:-0}" ;;
  migrate-make) migrate_make "${NAME:-}" ;;
  test | test-long | test-coverage | lint) tests "$1" ;;
  loadtest-*) loadtest "${1#loadtest-}" ;;
  migrate-up | migrate-down | migrate-latest | migrate-status) tool migration "${1#migrate-}" ;;
  migration) tool "$@" ;; # scripts/migrate-shards.sh
  verify) tool verify ;;
  backup) backup "${TO:-backups/$(date -u +%Y-%m-%dT%H-%M-%SZ)}" ;;
  restore)
    [ -n "${FROM:-}" ] || { echo 'FROM is missing: name a backup with  make restore FROM=backups/…' >&2; exit 2; }
    restore "$FROM"
    ;;
  databases-reload) databases_reload ;; # scripts/tune-postgres.sh
  databases-restart) databases_restart "$2" ;;
  seed) tool seed -users "${USERS:-}" -seed "${SEED:-1}" ;;
  failover) failover "${SHARD:-}" ;;
  bench*) echo "make $1: is for the native runtime. Try it with RUNTIME=native" >&2; exit 2 ;;
  chaos)
    require_server
    driven chaos -e HOST=api migrate -- -contained -shard "${SHARD:-1}" -only "${ONLY:-}"
    ;;
  *) echo "docker.sh: unknown command '${1:-}' (make help lists them)" >&2; exit 2 ;;
esac
