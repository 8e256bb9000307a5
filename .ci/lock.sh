#!/bin/sh
# Remakes .ci/requirements.lock and requirements-dev.lock with the newest versions pyproject.toml allows.
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
    .venv-lock/bin/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --upgrade \
        --fork-strategy fewest --generate-hashes --strip-extras --no-config --system-certs --quiet \
        --custom-compile-command "make lock" "$@" >/dev/null
}
compile --output-file .ci/requirements.lock
compile --extra dev --constraint .ci/requirements.lock --output-file .ci/requirements-dev.lock
echo "requirements.lock and requirements-dev.lock are remade; run make test, then commit them"
