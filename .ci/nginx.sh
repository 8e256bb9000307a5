#!/bin/sh
# Installs Debian's nginx for the tests of deploy/nginx.conf where this is root on a Debian and it is missing. Where none can be had
# they are skipped, and say so.
set -eu
if ! command -v nginx >/dev/null 2>&1 && [ ! -x /usr/sbin/nginx ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing nginx (apt-get install nginx-light)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light; } \
        >/dev/null 2>&1 || echo "nginx can't be installed here"
fi
