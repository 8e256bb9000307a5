"""Of two engines of one shard, one writes; and what is not known to be on disk is acknowledged by none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from exness.runtime.ports.journal import Fenced, StorageError
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import random_trading, read_all
from tests.support.books import known_history
from tests.support.postgres import Postgres
from tests.support.waiting import until

pytest.importorskip("asyncpg", reason="asyncpg is not installed (pip install 'exness[spread]')")

from exness.storage.postgres import lease
from exness.storage.postgres.migrate import migrate
from exness.storage.postgres.session import Address, Connection
from exness.storage.postgres.storage import Opened, open_storage

RECORDS = known_history().records


@asynccontextmanager
async def engine(postgres: Postgres, schema: str) -> AsyncIterator[Opened]:
    async with open_storage(Address(postgres.url, schema), INSTRUMENTS) as opened:
        yield opened


def sql(postgres: Postgres, schema: str, statement: str) -> str:
    return postgres.sql(f'SET search_path TO "{schema}"; {statement}')


def overtake(postgres: Postgres, schema: str) -> None:
    """As another engine would, with the lock left out."""
    sql(postgres, schema, "UPDATE shards SET epoch = epoch + 1")


async def test_an_engine_whose_epoch_is_over_writes_nothing_and_says_why(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as old:
        await old.storage.journal.append(RECORDS[:3])
        overtake(postgres, schema)
        with pytest.raises(Fenced, match="another process is the engine of shard 0 now"):
            await old.storage.journal.append(RECORDS[3:5])
        assert await read_all(old.storage.journal) == RECORDS[:3]
        with pytest.raises(StorageError, match="takes no more records since a write failed"):
            await old.storage.journal.append(RECORDS[3:5])


async def test_an_engine_whose_epoch_is_over_ends_though_it_writes_nothing(postgres: Postgres, schema: str) -> None:
    """Else its readers would see what has been overtaken."""
    async with engine(postgres, schema) as old:
        watching = asyncio.create_task(old.watch())
        overtake(postgres, schema)
        with pytest.raises(Fenced, match="epoch 2, this one's was 1"):
            await watching


async def test_a_spare_whose_session_is_cut_as_it_gets_the_lock_goes_on_waiting(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cuts the engine's session may cut the spare's an instant later: then nobody would be left."""
    taken = []

    async def cut_at_first(connection: Connection, address: Address) -> None:
        taken.append(connection)
        if len(taken) == 1:
            await connection.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        await migrate(connection, address)

    log = Mock()
    async with AsyncExitStack() as stack:
        async with engine(postgres, schema) as old:
            monkeypatch.setattr(lease, "_log", log)
            monkeypatch.setattr(lease, "migrate", cut_at_first)
            starting = asyncio.create_task(stack.enter_async_context(engine(postgres, schema)))
            await until(lambda: any("waiting as a spare" in call.args[0] for call in log.info.mock_calls))
            await old.storage.journal.append(RECORDS[:3])
        spare = await starting
        assert len(taken) == 2
        assert await read_all(spare.storage.journal) == RECORDS[:3]
        await spare.storage.journal.append(RECORDS[3:5])


async def test_records_that_another_engine_has_written_meanwhile_are_not_written_again(
    postgres: Postgres, schema: str
) -> None:
    """The epoch is the same, as after a failover that lost it: the place in the row decides."""
    async with engine(postgres, schema) as old:
        await old.storage.journal.append(RECORDS[:2])
        sql(postgres, schema, "UPDATE shards SET last_seq = 4")
        with pytest.raises(Fenced):
            await old.storage.journal.append(RECORDS[2:4])
        assert await read_all(old.storage.journal) == RECORDS[:2]


async def test_a_very_long_batch_is_fenced_as_one(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exness.storage.postgres.journal.RECORDS_AT_ONCE", 20)
    records = random_trading(3).records
    async with engine(postgres, schema) as old:
        await old.storage.journal.append(records[:101])
        assert await read_all(old.storage.journal) == records[:101]
        overtake(postgres, schema)
        with pytest.raises(Fenced):
            await old.storage.journal.append(records[101:])
        assert await read_all(old.storage.journal) == records[:101]


async def test_a_very_long_batch_counts_the_records_of_a_command_as_one(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exness.storage.postgres.journal.RECORDS_AT_ONCE", 2)
    records = [replace(each, cause="a" if each.seq <= 5 else "b") for each in RECORDS[:9]]
    async with engine(postgres, schema) as own:
        await own.storage.journal.append(records)
        assert await read_all(own.storage.journal) == records
    assert sql(postgres, schema, "SELECT string_agg(place::text, ',' ORDER BY seq) FROM journal") == "0,1,2,3,4,0,1,2,3"


async def test_a_batch_of_which_a_part_can_not_be_written_is_not_written(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as old:
        await old.storage.journal.append(RECORDS[:1])
        sql(postgres, schema, "ALTER TABLE journal ADD CHECK (seq < 4)")
        with pytest.raises(StorageError, match="23514"):
            await old.storage.journal.append(RECORDS[1:5])
        assert await read_all(old.storage.journal) == RECORDS[:1]
        assert sql(postgres, schema, "SELECT last_seq FROM shards") == "1"


async def test_a_commit_that_the_server_warns_of_is_not_acknowledged(postgres: Postgres, schema: str) -> None:
    """So it tells that a standby has not got it. It is there all the same, and the next engine goes on from it."""
    async with engine(postgres, schema) as old:
        sql(
            postgres,
            schema,
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$; "
            "CREATE TRIGGER warns AFTER INSERT ON journal EXECUTE FUNCTION warn()",
        )
        with pytest.raises(StorageError, match=r"warned of a commit .canceling wait for synchronous replication"):
            await old.storage.journal.append(RECORDS[:2])
        with pytest.raises(StorageError):
            await old.storage.journal.append(RECORDS[2:3])
    sql(postgres, schema, "DROP TRIGGER warns ON journal")
    async with engine(postgres, schema) as new:
        assert await read_all(new.storage.journal) == RECORDS[:2]
        await new.storage.journal.append(RECORDS[2:])
        assert await read_all(new.storage.journal) == RECORDS


async def test_a_commit_that_hangs_is_waited_for_and_never_cancelled(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as old:
        with postgres.session() as other:
            other(f'BEGIN; LOCK TABLE "{schema}".journal IN SHARE MODE;')
            appending = asyncio.create_task(old.storage.journal.append(RECORDS))
            await asyncio.sleep(0.05)
            assert not appending.done()
            appending.cancel()
            await asyncio.gather(appending, return_exceptions=True)
        await until(lambda: sql(postgres, schema, "SELECT last_seq FROM shards") == str(len(RECORDS)))
        assert await read_all(old.storage.journal) == RECORDS


async def test_a_session_that_is_cut_ends_the_engine_and_the_next_one_goes_on(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as old:
        await old.storage.journal.append(RECORDS[:3])
        watching = asyncio.create_task(old.watch())
        await asyncio.sleep(0)
        postgres.cut_sessions()
        with pytest.raises(StorageError, match="the session that holds the shard was lost"):
            await watching
        with pytest.raises(StorageError):
            await old.storage.journal.append(RECORDS[3:])
        async with engine(postgres, schema) as new:
            assert await read_all(new.storage.journal) == RECORDS[:3]
            await new.storage.journal.append(RECORDS[3:])
            assert await read_all(new.storage.journal) == RECORDS


async def test_a_spare_waits_for_the_shard_and_has_it_at_once(postgres: Postgres, schema: str) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(engine(postgres, schema))
        await first.storage.journal.append(RECORDS[:3])
        async with AsyncExitStack() as spares:
            waiting = asyncio.create_task(spares.enter_async_context(engine(postgres, schema)))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            await stack.aclose()
            async with asyncio.timeout(30):
                second = await waiting
            assert second.lease.epoch == first.lease.epoch + 1
            assert await read_all(second.storage.journal) == RECORDS[:3]


async def test_a_spare_that_gives_up_leaves_nothing_behind(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema):
        async with AsyncExitStack() as spares:
            waiting = asyncio.create_task(spares.enter_async_context(engine(postgres, schema)))
            await asyncio.sleep(0.2)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert sql(postgres, schema, "SELECT epoch FROM shards") == "1"
        held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exness engine 0'"
        await until(lambda: postgres.sql(held) == "1")


async def test_tables_are_written_by_one_process_only(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as opened:
        await opened.storage.journal.append(RECORDS)
        await opened.storage.tables.write(RECORDS[:4])
        with pytest.raises(StorageError, match="the tables are at record 4, record 3 does not follow"):
            await opened.storage.tables.write(RECORDS[2:6])
        assert (await opened.storage.tables.watermark()).seq == 4


async def test_a_fence_that_differs_from_the_journal_is_refused(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as opened:
        await opened.storage.journal.append(RECORDS)
    sql(postgres, schema, f"DELETE FROM journal WHERE seq = {len(RECORDS)}")
    with pytest.raises(StorageError, match=f"ends at record {len(RECORDS) - 1}, and its fence at {len(RECORDS)}"):
        async with engine(postgres, schema):
            pass


async def test_tables_of_another_version_are_made_anew(postgres: Postgres, schema: str) -> None:
    async with engine(postgres, schema) as opened:
        await opened.storage.journal.append(RECORDS)
        await opened.storage.tables.write(RECORDS)
    sql(postgres, schema, "UPDATE watermark SET version = version - 1")
    async with engine(postgres, schema) as opened:
        assert (await opened.storage.tables.watermark()).seq == 0
        await opened.storage.tables.write(RECORDS)
        assert (await opened.storage.tables.watermark()).seq == len(RECORDS)
