#!/usr/bin/env bash
# loadtest-report.sh: opens the newest report where there is a desktop, else prints where it is.
set -euo pipefail
cd "$(dirname "$0")/../loadtest/gatling/results"

shopt -s nullglob
newest=
for report in */index.html; do
  [ -n "$newest" ] && [ ! "$report" -nt "$newest" ] || newest=$report
done
[ -n "$newest" ] || { echo 'There is no report yet: run  make loadtest-smoke' >&2; exit 1; }
newest=$PWD/$newest
if [ "$(uname -s)" = Darwin ]; then
  open "$newest"
elif [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then
  xdg-open "$newest" >/dev/null 2>&1
fi
echo "$newest"
