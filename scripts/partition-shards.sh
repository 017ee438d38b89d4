#!/usr/bin/env bash
# partition-shards.sh: partitions users on the shards, or takes that back, while they serve. Run it with --help.
set -euo pipefail

usage() {
  cat <<'END'
Usage: scripts/partition-shards.sh [--partitions N | --undo] [--dry-run] [SHARD...]

Turns users into a table with N hash partitions (8 unless given) on every shard, or on those you name, while it is read and
written. docs/PARTITIONING_GUIDE.md tells when that helps and when it hurts.

  --partitions N  how many; to another number also where there are partitions already
  --undo          back to a plain table, the same way; also gives up what was begun
  --dry-run       say what would be done, and change nothing
  --help          this text
  SHARD           a number or a name: 3 or shard-3

A new table grows beside the old one; every write goes to both; counts and checksums of both are compared; then they change
places, for which writes wait less than a second. Interrupted, run it again: it goes on from there. It needs room for a
second copy of users and some WAL. Migrations wait until it has ended. `make migrate-status` shows what each shard has. Both runtimes;
RUNTIME=docker or RUNTIME=native forces one.
END
}

misused() { printf '%s\n\n' "$1" >&2; usage >&2; exit 2; }

command=partition partitions=8 flags=() shards=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --undo) command=unpartition ;;
    --dry-run) flags+=(-dry-run) ;;
    --partitions) partitions=${2:-} && shift $(($# > 1)) ;;
    --partitions=*) partitions=${1#*=} ;;
    -*) misused "partition-shards.sh: unknown option '$1'" ;;
    *)
      [[ $1 =~ ^(shard-)?([0-9]+)$ ]] || misused "partition-shards.sh: '$1' is no shard: want a number such as 3"
      shards+=${shards:+,}${BASH_REMATCH[2]}
      ;;
  esac
  shift
done
[[ $partitions =~ ^[0-9]+$ ]] || misused "partition-shards.sh: --partitions is '$partitions': want a number such as 8"

exec "$(dirname "$0")/stack.sh" migration ${flags[@]+"${flags[@]}"} -shards "$shards" -partitions "$partitions" "$command"
