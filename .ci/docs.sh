#!/bin/sh
# Builds the documentation into site/, strictly: a broken link or anchor fails. The builder has an environment of its own,
# `.venv-docs` from .ci/docs.lock, so that nobody else waits for it. `make docs` is how to call this.
set -eu
cd "$(dirname "$0")/.."

venv=.venv-docs
wanted=$(cksum < .ci/docs.lock)" $PWD"
if ! "$venv/bin/python" -c '' 2>/dev/null || [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "setting up $venv"
    rm -rf "$venv"
    .venv/bin/python -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --no-compile --require-hashes -r .ci/docs.lock
    echo "$wanted" > "$venv/installed"
fi
.venv/bin/python .ci/site.py build/site
# The builder warns on every run that its successor is to come; the lock holds the one that is used.
NO_MKDOCS_2_WARNING=1 "$venv/bin/python" -m mkdocs build --strict
echo "the documentation is in site/: open site/index.html, or with its search: python3 -m http.server -d site"
