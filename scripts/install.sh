#!/bin/sh
# install.sh FILE...: make .venv if needed and install the pinned packages of the files into it.
# Does nothing when that has been done for the files as they are now.
set -eu
cd "$(dirname "$0")/.."

# `make worker` and `make demo` in two terminals must not install into one .venv at the same time.
if [ -z "${HATCHET_INSTALL_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    HATCHET_INSTALL_LOCKED=1 exec flock .install.lock scripts/install.sh "$@"
fi

say() { printf '==> %s\n' "$*"; }
fail() { printf 'Cannot continue: %s\n' "$*" >&2; exit 1; }

find_python() {
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and none was found. Install it, or name it: make run PYTHON=/path/to/python3"
}

make_venv() {
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module. On Debian or Ubuntu: sudo apt-get install python3-venv"
    say "Creating the virtual environment .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

# A moved checkout or a removed Python leaves a .venv that does not run, or that installs elsewhere.
.venv/bin/python -c 'import os, sys; sys.exit(os.path.realpath(sys.prefix) != os.path.realpath(".venv"))' \
    2>/dev/null && grep -q "$(pwd -P)/.venv" .venv/bin/pip 2>/dev/null || make_venv

options='-c constraints.txt'
for file in "$@"; do
    options="$options -r $file"
done
wanted=$({ echo "$*"; cat requirements*.txt constraints.txt; } | cksum | tr ' ' '-')
stamp=".venv/.installed-$wanted"
[ -e "$stamp" ] && exit 0

say "Installing the packages of $* (the first time this takes a minute or two)"
# shellcheck disable=SC2086
.venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off $options |
    grep --line-buffered -E '^(Collecting|Installing|Successfully)' |
    cut -c1-100 || true
# pip's own exit code is lost in the pipe; this says whether everything is there.
# shellcheck disable=SC2086
.venv/bin/python -m pip install --disable-pip-version-check --no-input -q $options ||
    fail "the packages could not be installed; pip's message is above"
touch "$stamp"
