#!/bin/sh
# install_npm.sh DIRECTORY: install exactly what its package-lock.json names, unless that was done.
set -eu

# Two processes of a test run must not install into one node_modules at the same time.
if [ -z "${HATCHET_NPM_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    HATCHET_NPM_LOCKED=1 exec flock "$1/.install.lock" "$0" "$1"
fi

cd "$1"
stamp="node_modules/.installed-$(cksum <package-lock.json | tr ' ' '-')"
[ -e "$stamp" ] && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
touch "$stamp"
