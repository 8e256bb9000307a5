#!/bin/sh
# Runs the tests in a browser: with Debian's Chromium, which is installed where this is root on a Debian and it is missing.
# Where none can be had they are skipped, and say so; where it was installed, a test that skips is a failure.
set -eu
cd "$(dirname "$0")/.."

found() { command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; }

if ! found && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Chromium (apt-get install chromium)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        chromium fonts-dejavu-core; } >/dev/null 2>&1 || echo "Chromium can't be installed here"
fi
found && export BROWSER_REQUIRED=1
# The browser lays out and paints at its own pace: what fails is tried once more by itself, and what fails twice fails.
make browser || { echo "== what failed, once more"; make browser ARGS="--last-failed --last-failed-no-failures none"; }
