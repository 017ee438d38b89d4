#!/usr/bin/env bash
# lint.sh: golangci-lint over the Go code, shellcheck over the scripts.
set -euo pipefail
cd "$(dirname "$0")/.."

(cd server && go tool -modfile=tools/lint.mod golangci-lint run ./...)
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run | while read -r f; do [ -f "$f" ] && echo "$f"; done)
shellcheck --external-sources "${scripts[@]}"
echo "lint: Go and ${#scripts[@]} scripts are clean"
