#!/bin/sh
# Makes the environments of the clients in tests/bots, which exclude one another: `.venv-bots-NAME` from .ci/bots-NAME.lock.
# Without names all of them. Does nothing for one that was made before from the same lock. One that can't be made here is
# left out, with the reason, and its tests are skipped; with BOTS_REQUIRED=1 that is an error.
set -eu
cd "$(dirname "$0")/.."

# Nautilus Trader is a gigabyte and wants a newer Python than we do: only who names it gets it.
names=${*:-"freqtrade python-binance vendor"}

find_python() {
    versions="3.11 3.12 3.13"
    [ "$1" = nautilus ] && versions="3.12 3.13"
    for version in $versions; do
        for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
            if "$candidate" -c "import sys, ssl, sqlite3, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" \
                >/dev/null 2>&1; then
                echo "$candidate"
                return
            fi
        done
    done
}

for name in $names; do
    lock=.ci/bots-$name.lock venv=.venv-bots-$name
    wanted=$(cksum < "$lock")" $PWD"
    if "$venv/bin/python" -c '' 2>/dev/null && [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ]; then
        continue
    fi
    python=$(find_python "$name")
    if [ -z "$python" ]; then
        echo "bots: $name is left out: there is no Python here that it runs on"
        [ -z "${BOTS_REQUIRED:-}" ] || exit 1
        continue
    fi
    echo "setting up $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    if "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet \
        --require-hashes -r "$lock" 2>"$venv/errors"; then
        echo "$wanted" > "$venv/installed"
    else
        echo "bots: $name is left out, it can't be installed here: $(grep -v ^WARNING "$venv/errors" | tail -1)"
        rm -rf "$venv"
        [ -z "${BOTS_REQUIRED:-}" ] || exit 1
    fi
done
