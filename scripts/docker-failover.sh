# docker-failover.sh: make failover by docker compose: server/tools/cluster does it, as natively. Sourced by docker.sh.
# shellcheck shell=bash disable=SC2154  # docker.sh and what it sources have the variables

# failover SHARD.
failover() {
  [ -n "$1" ] || { echo 'SHARD is missing: which one?  make failover SHARD=0' >&2; exit 2; }
  same_checkout
  [ -n "$(ours -q)" ] || die 'Nothing is running: start everything with  make dev'
  driven cluster -e "ACCEPT_LOSS=${ACCEPT_LOSS:-}" failover -- containers failover "$1"
}

# finish_failovers goes on with those that were interrupted, if there are any. Before the first one there is no volume for it.
finish_failovers() {
  docker volume inspect "${project}_failover" >/dev/null 2>&1 || return 0
  # shellcheck disable=SC2016  # the container's shell fills it in
  compose run --rm --no-deps -T failover sh -c 'for f in /state/failover-*; do case $f in *[0-9]) [ ! -e "$f" ] || exit 1 ;; esac; done' ||
    driven cluster -e "ACCEPT_LOSS=${ACCEPT_LOSS:-}" failover -- containers finish
}
