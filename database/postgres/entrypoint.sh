#!/usr/bin/env bash
# Entrypoint of the container of $INSTANCE, one of the two of shard $SHARD: becomes its PostgreSQL server.
#
# Roles stand in the data folders and nowhere else, because make failover moves them: a standby's folder has a standby.signal, a primary's has
# none. An instance without a folder is made by its name, but never so that a shard's data would be forgotten.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$(dirname "$0")/container.sh"
as_postgres "$@"
# shellcheck source-path=SCRIPTDIR source=primary.sh
. "$(dirname "$0")/primary.sh"
# shellcheck source-path=SCRIPTDIR source=replica.sh
. "$(dirname "$0")/replica.sh"

# A signal that came while a command runs here would be that command's alone, and the container killed some time later.
trap 'exit 130' INT TERM

for name in POSTGRES_PASSWORD DB_OWNER_PASSWORD DB_PASSWORD DB_REPLICATION_PASSWORD; do
  [ -n "${!name:-}" ] || die "$name is not set: start with make, which reads it from .env.secrets"
done

if [ -e "$PGDATA" ]; then
  if is_standby "$PGDATA"; then follow; else lead; fi
elif [ -e "$other_data" ]; then
  ! is_standby "$other_data" ||
    die "its data is lost, and it was the primary of $other: bring the volume back, or run  make failover SHARD=$SHARD  , which tells what would be lost"
  clone
  follow
elif [ "$INSTANCE" = "shard-$SHARD" ]; then
  make_primary
  lead
else
  clone
  follow
fi
