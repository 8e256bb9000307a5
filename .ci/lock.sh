#!/bin/sh
# Remakes .ci/requirements.lock and requirements-dev.lock with the newest versions pyproject.toml allows, and
# requirements-spread.lock with what a spread-out exchange needs beside the first, requirements-lowest.lock with the oldest ones of what exness itself imports, for `make test-lowest`. Each bots-NAME.lock
# holds the newest versions of the clients in bots-NAME.in, for `make test-bots`; docs.lock the builder of the site, for
# `make docs`.
#
# One resolution for every platform and every Python the project supports; the hashes are those of all files of a
# release. uv does it, from an environment of its own, so that it is not part of what it locks.
set -eu
cd "$(dirname "$0")/.."

.ci/setup.sh dev
[ -x .venv-lock/bin/uv ] || {
    .venv/bin/python -m venv .venv-lock
    .venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
}

# The system's certificates: a company's proxy may sign with its own.
compile() {
    .venv-lock/bin/uv pip compile pyproject.toml --group build --universal --python-version 3.11 \
        --fork-strategy fewest --generate-hashes --strip-extras --no-config --system-certs --quiet \
        --custom-compile-command "make lock" "$@" >/dev/null
}
lowest=$(mktemp)
trap 'rm -f "$lowest"' EXIT
compile --upgrade --output-file .ci/requirements.lock
compile --upgrade --extra spread --constraint .ci/requirements.lock --output-file .ci/requirements-spread.lock
compile --upgrade --extra dev --constraint .ci/requirements.lock --output-file .ci/requirements-dev.lock
.venv-lock/bin/uv pip compile pyproject.toml --resolution lowest-direct --universal --python-version 3.11 \
    --no-config --system-certs --quiet --no-annotate --no-header --output-file "$lowest" >/dev/null
compile --upgrade --extra dev --constraint "$lowest" --no-annotate --output-file .ci/requirements-lowest.lock
for names in .ci/bots-*.in .ci/docs.in; do
    python=3.11
    [ "$names" = .ci/bots-nautilus.in ] && python=3.12
    .venv-lock/bin/uv pip compile "$names" --universal --python-version $python --generate-hashes --strip-extras \
        --no-config --system-certs --quiet --custom-compile-command "make lock" --upgrade \
        --output-file "${names%.in}.lock" >/dev/null
done
echo "the lock files are remade; run make test, make test-lowest, make test-bots and make docs, then commit them"
