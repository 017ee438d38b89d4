#!/usr/bin/env bash
# lint.sh: golangci-lint over the Go code, ShellCheck over the scripts, a spelling check over all text, and whether what the guides name is there.
set -euo pipefail
cd "$(dirname "$0")/.."

(cd server && go tool -modfile=tools/lint.mod golangci-lint run ./...)
# listed: all files; by name where this is no repository (an archive, a worktree's copy in the tests' container).
listed() {
  git ls-files --cached --others --exclude-standard 2>/dev/null ||
    find . \( -name .build -o -name .state -o -name target -o -path ./server/tmp \) -prune -o -type f -print
}
mapfile -t files < <(listed | while read -r f; do [ -f "$f" ] && echo "$f"; done)
mapfile -t scripts < <(printf '%s\n' "${files[@]}" | grep -E '\.sh$|^(\./)?\.ci/run$')
shellcheck --external-sources "${scripts[@]}"

# Go's own text is golangci-lint's; sums, pictures and what tests expect to be answered are nobody's.
mapfile -t texts < <(printf '%s\n' "${files[@]}" | grep -E '(\.(md|sh|sql|ya?ml|conf|ini|scala|css|html|js|hba)|Makefile|Dockerfile)$')
(cd server && go tool -modfile=tools/lint.mod misspell -error "${texts[@]/#/../}")
(cd server && go run ./tools/docs ..)
echo "lint: Go, ${#scripts[@]} scripts and the spelling of ${#texts[@]} files are clean"
