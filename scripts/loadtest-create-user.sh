#!/usr/bin/env bash
# loadtest-create-user.sh: users are created, and each is read back at once. USERS=100, DURATION=60 and the others of loadtest-env.sh.
exec "$(dirname "$0")/loadtest-sharded.sh" create-user
