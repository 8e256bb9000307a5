#!/bin/sh
# Builds wheel and sdist into dist/ and tries them: built again from the unpacked sdist, they are the same to the byte; twine
# finds nothing to say; and the wheel runs in an empty environment on each Python that is supported and is here.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE SOURCE_DATE_EPOCH
. .ci/pythons.sh

.ci/setup.sh dev
python="$PWD/.venv/bin/python"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== wheel and sdist, twice"
"$python" -m hatchling build -d "$work/first" >/dev/null 2>&1
tar -xzf "$work"/first/*.tar.gz -C "$work"
# Another folder, another mask, other times and no git: nothing of them may show in what is built.
(cd "$work"/exness-*/ && umask 077 && find . -exec touch -d 2001-01-01 {} + \
    && "$python" -m hatchling build -d "$work/second" >/dev/null 2>&1)
for file in "$work"/first/*; do
    cmp "$file" "$work/second/$(basename "$file")"
done
(cd "$work/first" && sha256sum ./*)

echo "== what they say of themselves (twine)"
"$python" -m twine check --strict "$work"/first/*

for version in 3.11 3.12 3.13; do
    here=$(find_python "$version")
    if [ -z "$here" ]; then
        echo "== the wheel on Python $version: skipped, it is not installed here"
        continue
    fi
    echo "== the wheel on $("$here" --version)"
    "$here" -m venv "$work/env"
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$work/env/bin/python" -m pip --no-input install --quiet --require-hashes \
        -r .ci/requirements.lock 2>"$work/pip" || { cat "$work/pip" >&2; exit 1; }
    "$work/env/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --no-deps --no-index \
        "$work"/first/*.whl
    "$work/env/bin/python" -I .ci/try_wheel.py "$PWD/config.toml"
    rm -rf "$work/env"
done

rm -rf dist
mv "$work/first" dist
echo "dist/ has both"
