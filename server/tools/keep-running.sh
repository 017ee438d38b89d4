#!/bin/sh
# keep-running.sh PROGRAM: starts PROGRAM again when it dies. Air starts a program after a build only; this is between the two. It ends when
# PROGRAM ends well, and when Air interrupts them both (a shell that is interrupted while it waits ends after what it waits for).
#
# When two builds follow each other closely, Air may start the second without having ended the first, and never ends it. So the last one does.
keeper=$1.keeper # the process group of the last one
if [ -f "$keeper" ] && last=$(cat "$keeper") && grep -qs keep-running "/proc/$last/cmdline"; then
  kill -INT "-$last"
fi
read -r _ _ _ _ group _ <"/proc/$$/stat"
echo "$group" >"$keeper"
until "$1"; do
  echo "$1 died; starting it again" >&2
  sleep 1
done
