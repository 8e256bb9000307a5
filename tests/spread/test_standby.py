"""PostgreSQL's own second copy: the exchange says that it is there, and goes over to it."""

from pathlib import Path

import pytest

from tests.spread.test_server import each_trades, signed_in, verified, with_spare
from tests.support.postgres import a_cluster, a_standby, skip_or_fail
from tests.support.waiting import until

pytestmark = pytest.mark.slow

IN_STEP = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')"


async def test_nothing_acknowledged_is_lost_with_the_primary_when_a_synchronous_standby_is_promoted(
    tmp_path: Path,
) -> None:
    skip_or_fail()
    with a_cluster() as primary, a_standby(primary) as standby:
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.sql("SELECT pg_reload_conf()")
        await until(lambda: primary.sql(IN_STEP) == "1")
        both = primary.url.replace(f":{primary.port}/", f":{primary.port},127.0.0.1:{standby.port}/")
        more = {"EXNESS_DEPLOY_DATABASE": both}
        async with with_spare(tmp_path, primary, "exness", **more) as pair:
            assert "2 copies: a commit waits for 1 synchronous standby" in pair.active.banner("data")
            ledgers = await signed_in(pair.active)
            await each_trades(pair.active, ledgers, primary.stop)
            assert await pair.active.wait() == 1
            standby.promote()
            await pair.take_over()
            assert "one copy: no synchronous standby" in pair.active.banner("data")
            for ledger in ledgers:
                await ledger.assert_kept(pair.active)
        await verified(tmp_path, standby, "exness")


async def test_a_standby_alone_is_refused_as_it_takes_no_writes() -> None:
    skip_or_fail()
    from exness.runtime.ports.journal import StorageError  # beside asyncpg
    from exness.storage.postgres.session import Address, connect

    refused = pytest.raises(StorageError, match="no host there takes writes: all are standbys")
    with a_cluster() as primary, a_standby(primary) as standby, refused:
        await connect(Address(standby.url), "exness")
