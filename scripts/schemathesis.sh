#!/usr/bin/env bash
# schemathesis.sh: installs Schemathesis, which draws requests from the API's document, into .build (a virtual environment of Python's), and
# prints where it is. The versions are those of server/tools/schemathesis/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=server/tools/schemathesis/requirements.txt
venv=$PWD/.build/schemathesis
if ! cmp -s "$wanted" "$venv/installed.txt"; then
  echo 'installing Schemathesis (pip)' >&2
  rm -rf "$venv"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --disable-pip-version-check --no-deps --requirement "$wanted"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "Schemathesis could not be installed: see above. It needs Python 3.10 or newer with venv (on Debian: python3-venv), and PyPI." >&2
    exit 1
  fi
  cp "$wanted" "$venv/installed.txt"
fi
echo "$venv/bin/schemathesis"
