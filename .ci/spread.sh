#!/bin/sh
# Runs the tests of the exchange on PostgreSQL: with Debian's, which is installed where this is root on a Debian and it is
# missing. Where none can be had they are skipped, and say so; where it is there, a test that skips is a failure. The tests
# start servers of their own, in folders of their own; the cluster that Debian would make is not wanted.
set -eu
cd "$(dirname "$0")/.."

found() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1; }

if ! found && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing PostgreSQL (apt-get install postgresql)"
    {
        [ -e /etc/postgresql-common/createcluster.conf ] ||
            { mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; }
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql
    } >/dev/null 2>&1 || echo "PostgreSQL can't be installed here"
fi
found && export POSTGRES_REQUIRED=1
make spread
