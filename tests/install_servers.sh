#!/bin/sh
# The servers that tests run for real and that no wheel carries: nginx and redis-server. Installed where the machine
# lacks them and lets us; otherwise says what to install.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"
missing=""
command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    # Services of the packages are not to be started: the tests start their own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests need$missing: install with your system's package manager, then run make test again." >&2
    exit 1
fi
