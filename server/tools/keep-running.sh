#!/bin/sh
# keep-running.sh PROGRAM: starts PROGRAM again when it dies. Air starts a program after a build only; this is between the two. It ends when
# PROGRAM ends well, and when Air interrupts them both (a shell that is interrupted while it waits ends after what it waits for).
until "$1"; do
  echo "$1 died; starting it again" >&2
  sleep 1
done
