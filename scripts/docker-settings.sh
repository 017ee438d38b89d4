# docker-settings.sh: what docker.sh itself needs to know of the settings. Sourced, not run.
# shellcheck shell=bash disable=SC2034  # the variables are for the files that source this one

die() { printf '%s\n' "$*" >&2; exit 1; }

# setting NAME DEFAULT: from the environment, else from .env, else DEFAULT; empty counts as not set.
setting() {
  local line name value=${!1:-}
  if [ -z "$value" ] && [ -f .env ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_0-9]+)[[:space:]]*=[[:space:]]*(.*)$ ]] || continue
      name=${BASH_REMATCH[2]} line=${BASH_REMATCH[3]}
      [ "$name" = "$1" ] || continue
      if [[ $line =~ ^\"([^\"]*)\" || $line =~ ^\'([^\']*)\' || $line =~ ^([^[:space:]#]*) ]]; then value=${BASH_REMATCH[1]}; fi
    done <.env
  fi
  printf '%s' "${value:-$2}"
}

# seconds DURATION: of 300, 300s or 5m.
seconds() {
  if [[ $1 =~ ^([0-9]+)s?$ ]]; then
    printf '%s' "${BASH_REMATCH[1]}"
  elif [[ $1 =~ ^([0-9]+)m$ ]]; then
    printf '%s' $((BASH_REMATCH[1] * 60))
  else
    die "START_TIMEOUT is '$1': want seconds, for example 300 or 5m"
  fi
}

project=${COMPOSE_PROJECT_NAME:-messenger-clone}
host=$(setting HOST 127.0.0.1)
port=$(setting PORT 8080)
admin=$(setting ADMIN_ADDR 127.0.0.1:9090)
any_admin_port() { export ADMIN_ADDR=127.0.0.1:; } # which compose publishes the admin port on: nothing after the colon is any free one
[ "$admin" != off ] || any_admin_port
start_timeout=$(seconds "$(setting START_TIMEOUT 300)")

# The compose file names five shards; the first so many of them are started.
shards=$(setting SHARDING_COUNT 5)
case $(setting SHARDING_ENABLED true) in false | 0 | f | F | FALSE | False) shards=1 ;; esac
[[ $shards =~ ^[1-5]$ ]] ||
  die "SHARDING_COUNT is '$shards': docker-compose.yml has 5 shards, so want 1 to 5 (or RUNTIME=native, or add shards to the file)"
primaries=() replicas=() poolers=()
for ((i = 0; i < shards; i++)); do primaries+=("shard-$i") replicas+=("shard-$i-replica") poolers+=("pgbouncer-$i"); done
# Shards that are not there have no address; an address for one of them in .env is an error the server reports.
for ((i = shards; i < 5; i++)); do export "SHARD_${i}_WRITE_ADDR=" "SHARD_${i}_PRIMARY_ADDR=" "SHARD_${i}_REPLICA_ADDR="; done

target=${API_TARGET:-dev}
compose_files=(-f docker-compose.yml)
case $target in
  dev) compose_files+=(-f server/docker-compose.dev.yml) ;;
  production) ;;
  *) die "API_TARGET is '$target': want dev or production" ;;
esac

[ -s .env.secrets ] || die '.env.secrets is missing: start with make, which makes it'
env_files=(--env-file .env.secrets)
[ ! -f .env ] || env_files=(--env-file .env.secrets --env-file .env)

# The dev container reads the checkout as the user who owns it, unless that is root.
CHECKOUT_USER=$(id -u):$(id -g)
[ "$CHECKOUT_USER" != 0:0 ] || CHECKOUT_USER=10001:10001
export CHECKOUT_USER
