#!/usr/bin/env bash
# lint.sh: golangci-lint over the Go code, shellcheck over the scripts.
set -euo pipefail
cd "$(dirname "$0")/.."

(cd server && go tool -modfile=tools/lint.mod golangci-lint run ./...)
# listed: all scripts; by name where this is no repository (an archive, a worktree's copy in the tests' container).
listed() {
  git ls-files --cached --others --exclude-standard '*.sh' .ci/run 2>/dev/null ||
    find . \( -name .build -o -name .state -o -name target -o -path ./server/tmp \) -prune -o \( -name '*.sh' -o -path ./.ci/run \) -print
}
mapfile -t scripts < <(listed | while read -r f; do [ -f "$f" ] && echo "$f"; done)
shellcheck --external-sources "${scripts[@]}"
echo "lint: Go and ${#scripts[@]} scripts are clean"
