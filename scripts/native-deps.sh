#!/usr/bin/env bash
# native-deps.sh COMMAND: makes sure that what the native runtime needs is installed.
#
# COMMAND tools: only Go. up, dev: also PgBouncer, Redis, psql and Supervisor from the system's package manager (and PostgreSQL 16, if it
# offers that). loadtest: only Maven and a JDK. bench: also wrk and pgbench. monitoring: also Prometheus. lint, test: also ShellCheck; test: also a C compiler, for the race detector, and Python's venv,
# for Schemathesis, and curl, for the guides; for CI Maven; for CI and test-long wrk, pgbench, Prometheus and Chromium. On Debian and
# Ubuntu, as root or with passwordless sudo, what is missing is installed; elsewhere the exact command is printed. Nothing that is installed is also started: no service, no PostgreSQL cluster.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

die() { printf '%s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null; }

if [ "$1" != loadtest ]; then
  has go || die 'Go is missing: install Go 1.25 or newer (https://go.dev/doc/install), or use RUNTIME=docker.'
  goversion=$(go env GOVERSION)
  [[ $goversion =~ ^(devel|go1\.(2[5-9]|[3-9][0-9])|go[2-9]) ]] || die "Go is ${goversion#go}: this project needs 1.25 or newer (https://go.dev/doc/install)."
  [ "$1" != tools ] || exit 0
fi

postgres16() { # is there a PostgreSQL 16 already?
  local dir
  for dir in "${POSTGRES_BIN:-}" "$(dirname "$(command -v postgres || echo /nowhere/x)")" /usr/lib/postgresql/16/bin; do
    [ -n "$dir" ] && [ -x "$dir/postgres" ] && [[ $("$dir/postgres" --version) == *' 16.'* ]] && return 0
  done
  return 1
}

has_jdk() { [[ $(javac -version 2>&1) =~ ^javac\ (1[7-9]|[2-9][0-9]) ]]; } # the java of a Mac without one is there, and fails

gatling() { # the same of what the load tests need: Gatling itself and Scala come by Maven
  has mvn || echo maven
  has_jdk || if [ "$1" = brew ]; then echo openjdk@17; else echo default-jdk-headless; fi
}

missing() { # package names, one a line, of what is not there; $1: apt or brew
  local brew=$1
  has pgbouncer || echo pgbouncer
  has redis-server || if [ "$brew" = brew ]; then echo redis; else echo redis-server; fi
  has psql || if [ "$brew" = brew ]; then echo libpq; else echo postgresql-client; fi
  has supervisord || echo supervisor
}

if [ "$(uname -s)" = Darwin ]; then
  if [ "$1" = loadtest ]; then packages=$(gatling brew | xargs); else packages=$(missing brew | xargs); fi
  case $1 in test* | lint) has shellcheck || packages+=' shellcheck' ;; esac
  [ "$1" != bench ] || has wrk || packages+=' wrk' # pgbench comes with libpq
  [ "$1" != monitoring ] || has prometheus || packages+=' prometheus'
  [ -z "$packages" ] || die "Missing on this Mac. Run:  brew install $packages$([[ $packages != *libpq* ]] || echo ' && brew link --force libpq')"
  exit 0
fi

if [ "$1" = loadtest ]; then packages=$(gatling apt); else packages=$(missing apt); fi
case $1 in test* | lint) has shellcheck || packages+=' shellcheck' ;; esac
case $1 in test*)
  has curl || packages+=' curl' # for what the guides tell to type
  has gcc || packages+=' gcc libc6-dev'
  python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=' python3-venv'
  [ -z "${CI:-}" ] || packages+=" $(gatling apt)" # a newcomer's tests pass over Gatling; CI's do not
  ;;
esac

# A newcomer's tests pass over wrk and pgbench, which comes with a whole server; CI's do not. Debian has a pgbench that only says that there is none.
if [[ $1 = bench || $1 = test* && (-n ${CI:-} || $1 = test-long) ]]; then
  has wrk || packages+=' wrk'
  pgbench --version >/dev/null 2>&1 || packages+=' postgresql-contrib'
fi

# The same of Prometheus, and of its tool that tests the alerts.
if [[ $1 = monitoring || $1 = test* && (-n ${CI:-} || $1 = test-long) ]]; then
  has prometheus && has promtool || packages+=' prometheus'
fi

# The same of a browser, for the page on the admin port.
if [[ $1 = test* && (-n ${CI:-} || $1 = test-long) ]]; then
  has chromium || has chromium-browser || has google-chrome || has google-chrome-stable || packages+=' chromium'
fi

if ! has apt-get; then
  packages=$(xargs <<<"$packages")
  [ -z "$packages" ] || die "Missing: $packages. Install them with your system's package manager, then run this again (or use RUNTIME=docker)."
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(no-root); fi
fi
# The PostgreSQL of the distribution is taken where it is version 16 (Ubuntu 24.04); elsewhere pinned binaries are fetched later.
if [ "$1" != loadtest ] && ! postgres16 && [ "${as_root[0]:-}" != no-root ] && apt-cache policy postgresql-16 2>/dev/null | grep -q 'Candidate: 16'; then
  packages+=' postgresql-16'
fi
packages=$(xargs <<<"$packages")
[ -n "$packages" ] || exit 0
[ "${as_root[0]:-}" != no-root ] ||
  die "Missing: $packages. Run this once, then try again:  sudo apt-get install $packages$([ "$1" = loadtest ] || echo " && sudo systemctl disable --now $packages")"

echo "installing $packages (apt-get install --no-install-recommends $packages)" >&2
# Installed, not started: policy-rc.d keeps maintainer scripts from starting services, create_main_cluster keeps Debian's tools from making a
# PostgreSQL cluster of their own, and what has just been installed is not started at the next boot either (Debian's pgbouncer would sit on
# 6432, the port of our shard 2). What was installed before is left as it is.
read -ra list <<<"$packages"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive bash -s -- "${list[@]}" >&2 <<'ROOT'
set -euo pipefail
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made=()
cleanup() { rm -f "$log" "${made[@]}"; }
trap cleanup EXIT
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  made+=($policy)
fi
for p; do
  if [[ $p == postgresql-16 || $p == postgresql-contrib ]]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/messenger-clone.conf
    made+=(/etc/postgresql-common/createcluster.d/messenger-clone.conf)
  fi
done
if ! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
  tail -n 20 "$log"
  echo "apt-get install $* failed: see above. Another apt may be running, or the package lists are out of reach." >&2
  exit 1
fi
for p; do
  case $p in
    pgbouncer | redis-server | supervisor | prometheus)
      if command -v systemctl >/dev/null; then systemctl disable "$p" >/dev/null 2>&1 || true; fi
      if command -v update-rc.d >/dev/null; then update-rc.d "$p" disable >/dev/null 2>&1 || true; fi
      ;;
  esac
done
ROOT
