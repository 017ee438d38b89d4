#!/usr/bin/env bash
# migrate-shards.sh: the migration commands for a list of shards given by hand. Run it with --help.
set -euo pipefail

usage() {
  cat <<'END'
Usage: scripts/migrate-shards.sh [--dry-run] [COMMAND] SHARD...

Changes the schema of the shards you name, and of no others; `make migrate-up` and its like do it on all.

  up        apply every pending migration (the default)
  latest    the same: to the newest version, whatever each stands at
  down      take the newest migration of these shards back (asks first; YES=1 answers)
  status    show each one's version, what is pending, and its schema

  SHARD           a number or a name: 3 or shard-3
  SHARD=HOST:PORT the same, with its primary at another address than the settings say

  --dry-run   say which files would be applied where, and change nothing
  --help      this text

The cluster's lock is taken on shard 0 as always, so no other run can be at work meanwhile. Both runtimes; RUNTIME=docker or RUNTIME=native
forces one.

Examples:
  scripts/migrate-shards.sh --dry-run up 0 1
  scripts/migrate-shards.sh status 0 1 2 3 4
  scripts/migrate-shards.sh latest 3=10.0.0.7:5432
END
}

misused() { printf '%s\n\n' "$1" >&2; usage >&2; exit 2; }

command=up flags=() shards=
for argument; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --dry-run) flags+=(-dry-run) ;;
    -*) misused "migrate-shards.sh: unknown option '$argument'" ;;
    up | latest | down | status) command=$argument ;;
    *)
      [[ $argument =~ ^(shard-)?([0-9]+)(=([^=]+:[0-9]+))?$ ]] ||
        misused "migrate-shards.sh: '$argument' is neither a command nor a shard: want a number such as 3, or 3=10.0.0.7:5432"
      shards+=${shards:+,}${BASH_REMATCH[2]}
      [ -z "${BASH_REMATCH[4]}" ] || export "SHARD_${BASH_REMATCH[2]}_PRIMARY_ADDR=${BASH_REMATCH[4]}"
      ;;
  esac
done
[ -n "$shards" ] || misused 'migrate-shards.sh: which shards?'

exec "$(dirname "$0")/stack.sh" migration ${flags[@]+"${flags[@]}"} -shards "$shards" "$command"
