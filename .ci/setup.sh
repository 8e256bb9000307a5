#!/bin/sh
# Makes .venv and fills it from a lock file: `.ci/setup.sh runtime`, `dev` or `lowest`.
#
# Does nothing when that was done before and neither the lock nor pyproject.toml has changed since. The first two
# share one .venv; `runtime` adds to it and takes nothing away. PYTHON=... names the interpreter to use, VENV=... another
# folder than .venv.
set -eu
cd "$(dirname "$0")/.."

kind=$1
case $kind in
    runtime) lock=.ci/requirements.lock ;;
    dev) lock=.ci/requirements-dev.lock ;;
    lowest) lock=.ci/requirements-lowest.lock ;;
    *) echo "usage: .ci/setup.sh runtime|dev|lowest" >&2; exit 2 ;;
esac
venv=${VENV:-.venv}

# What was installed, by content: a fresh checkout changes every time stamp. The place is part of it, because
# an environment that was moved points to where it was.
wanted=$(cat "$lock" pyproject.toml | cksum)" $PWD"
stamp_of() { echo "$venv/installed-$1"; }
installed() { [ "$(cat "$(stamp_of "$1")" 2>/dev/null)" = "$2" ]; }

# Executed, not looked up: a version manager's shim exists but may refuse to run, and a Debian python3 may come
# without ensurepip.
good() {
    "$1" -c 'import sys, ssl, sqlite3, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if good "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no usable Python found (${PYTHON:-python3, python3.11 to python3.14}): install Python 3.11 or newer" \
        "with its venv module (on Debian and Ubuntu: apt install python3 python3-venv)." >&2
    return 1
}

if "$venv/bin/python" -c '' 2>/dev/null && installed "$kind" "$wanted"; then
    exit 0
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 || ! good "$venv/bin/python"; then
    python=$(find_python)
    echo "setting up $venv with $("$python" --version) (the first time takes about a minute)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
else
    echo "updating $venv from $lock"
fi

rm -f "$(stamp_of "$kind")"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
if ! pip install --quiet --require-hashes -r "$lock" || ! pip install --quiet --no-deps --no-build-isolation -e .; then
    echo "error: $venv could not be set up, pip says why above; run the same command again to retry." >&2
    exit 1
fi
echo "$wanted" > "$(stamp_of "$kind")"
