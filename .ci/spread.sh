#!/bin/sh
# Runs the tests of the exchange on PostgreSQL and Redis: with Debian's, which are installed where this is root on a Debian and
# they are missing. Where one can't be had its tests are skipped, and say so; where it is there, a test that skips is a failure.
# The tests start servers of their own, in folders of their own; those that Debian would start are not wanted.
set -eu
cd "$(dirname "$0")/.."

has_postgres() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1; }
has_redis() { command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1; }
install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 0
    echo "installing $1 (apt-get install $2)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$2"; } \
        >/dev/null 2>&1 || echo "$1 can't be installed here"
}

if ! has_postgres; then
    [ -e /etc/postgresql-common/createcluster.conf ] || [ "$(id -u)" != 0 ] ||
        { mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; }
    install PostgreSQL postgresql
fi
has_redis || install Redis redis-server
has_postgres && export POSTGRES_REQUIRED=1
has_redis && export REDIS_REQUIRED=1
make spread
