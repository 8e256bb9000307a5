#!/bin/sh
# Runs the quick tests where users may be: `.ci/matrix.sh lowest` on the oldest versions that pyproject.toml allows,
# `.ci/matrix.sh pythons` on every newer Python that is installed here, or on those that PYTHONS names. One that is not
# here is skipped, and said.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE
. .ci/pythons.sh

quick() {
    "$1/bin/python" -m pytest -n 2 -q -m "not slow" -p no:cacheprovider
}

case $1 in
    lowest)
        echo "== quick tests on the oldest allowed versions"
        VENV=.venv-lowest .ci/setup.sh lowest
        quick .venv-lowest
        ;;
    pythons)
        for version in ${PYTHONS:-3.12 3.13}; do
            python=$(find_python "$version")
            if [ -z "$python" ]; then
                echo "== quick tests on Python $version: skipped, it is not installed here"
                continue
            fi
            echo "== quick tests on $("$python" --version)"
            VENV=".venv-$version" PYTHON="$python" .ci/setup.sh dev
            quick ".venv-$version"
        done
        ;;
    *) echo "usage: .ci/matrix.sh lowest|pythons" >&2; exit 2 ;;
esac
