"""Databases that would not keep what is promised are refused by name, and what is told of them names no secret."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from exness.runtime.ports.journal import StorageError
from exness.storage.database import DatabaseRefused
from tests.contracts.backends import INSTRUMENTS
from tests.support.books import known_history
from tests.support.postgres import Postgres, a_cluster, skip_or_fail

pytest.importorskip("asyncpg", reason="asyncpg is not installed (pip install 'exness[spread]')")

from msgspec.structs import replace

from exness.storage.postgres import migrate
from exness.storage.postgres.auth import open_auth
from exness.storage.postgres.migrate import scripts
from exness.storage.postgres.roles import open_poller, open_server
from exness.storage.postgres.session import Address, open_session
from exness.storage.postgres.storage import open_storage

RECORDS = known_history().records


async def refused(address: Address) -> str:
    with pytest.raises(StorageError) as error:
        async with asyncio.timeout(20), open_storage(address, INSTRUMENTS):
            pass
    said = str(error.value)
    assert "quite-secret" not in said
    assert "quite-secret" not in repr(address)
    return said


async def test_one_that_does_not_sync_is_refused() -> None:
    skip_or_fail()
    with a_cluster(fsync="off") as careless:
        assert "has fsync = off: a power cut would take acknowledged trades" in await refused(Address(careless.url))
        assert careless.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'exness'") == "0"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("version = version + 1", "was written by a newer version of exness"),
        ("shards = 4", "is of 4 shards: this version knows only 1"),
    ],
)
async def test_one_of_another_version_or_of_more_shards_is_refused(
    postgres: Postgres, schema: str, change: str, why: str
) -> None:
    address = Address(postgres.url, schema)
    async with open_storage(address, INSTRUMENTS):
        pass
    postgres.sql(f'UPDATE "{schema}".exchange SET {change}')
    assert why in await refused(address)
    assert postgres.sql(f'SELECT epoch FROM "{schema}".shards') == "1"


async def test_one_behind_a_pooler_is_refused(postgres: Postgres, schema: str) -> None:
    """A pooler tells its own clients a process id of its own."""
    async with pooled(postgres.port) as port:
        url = postgres.url.replace(str(postgres.port), str(port))
        assert "is behind a connection pooler" in await refused(Address(url, schema))


async def test_one_that_is_not_there_is_named_without_its_password(postgres: Postgres) -> None:
    url = re.sub(r":\d+/", ":1/", postgres.url)
    assert "PostgreSQL at 127.0.0.1:1, database postgres, schema exness can't be used" in await refused(Address(url))
    assert "does not exist" in await refused(Address(postgres.url.replace("/postgres", "/nowhere")))
    assert "can't be read as the URL" in await refused(Address("postgresql://me:quite-secret@here:quite-secret/x"))


async def test_stored_prices_are_not_read_at_other_decimals(postgres: Postgres, schema: str) -> None:
    address = Address(postgres.url, schema)
    async with open_storage(address, INSTRUMENTS) as opened:
        await opened.storage.journal.append(RECORDS)
    asset, listing = next(iter(INSTRUMENTS.items()))
    other = INSTRUMENTS | {asset: replace(listing, decimals=listing.decimals - 1)}
    with pytest.raises(DatabaseRefused, match=f"holds trades of {asset} at {listing.decimals} decimals"):
        async with open_storage(address, other):
            pass


@asynccontextmanager
async def pooled(port: int) -> AsyncIterator[int]:
    """What passes everything on, and tells another process id, as poolers do."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", port)

        async def passes(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65_536):
                    place = data.find(b"K\x00\x00\x00\x0c")  # BackendKeyData
                    if place >= 0:
                        data = data[: place + 5] + b"\x00\x00\x00\x07" + data[place + 9 :]
                    to.write(data)
            to.close()

        await asyncio.gather(passes(reader, to_there), passes(there, writer))
        await asyncio.gather(writer.wait_closed(), to_there.wait_closed(), return_exceptions=True)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*serving)


async def test_one_of_an_older_version_is_refused_beside_a_server_and_brought_up_to_date_by_one(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, newest = Address(postgres.url, schema), scripts()
    with monkeypatch.context() as before:
        before.setattr(migrate, "scripts", lambda: newest[:1])
        async with open_session(address, "tests") as session:
            await session.run(lambda connection: migrate.make(connection, address))
    with pytest.raises(StorageError, match=f"schema 1, this one's is {len(newest)}"):
        async with open_auth(address):
            pass
    async with open_storage(address, INSTRUMENTS) as opened:
        assert await opened.access.sessions_of("ann@example.com") == []
    assert postgres.sql(f'SELECT version FROM "{schema}".exchange') == str(len(newest))
    async with open_auth(address) as access:
        assert (await access.revocations(0)).spared == {}


async def test_of_many_that_come_at_the_same_time_one_makes_the_exchange(postgres: Postgres, schema: str) -> None:
    """Each has looked before: what it saw then must not count."""
    address = Address(postgres.url, schema)

    async def comes() -> int:
        async with open_session(address, "tests") as session:
            await session.run(lambda connection: migrate.version_of(connection, address))
            await together.wait()
            await session.run(lambda connection: migrate.make(connection, address))
            return await session.run(lambda connection: migrate.version_of(connection, address))

    together = asyncio.Barrier(8)
    assert await asyncio.gather(*(comes() for _ in range(8))) == [len(scripts())] * 8


async def test_a_process_that_has_other_decimals_than_the_engine_or_is_not_let_in_ends(
    postgres: Postgres, schema: str
) -> None:
    """A price means the same to all of them; and who has a wrong name waits for nothing."""
    address = Address(postgres.url, schema)
    async with open_storage(address, INSTRUMENTS):
        pass
    asset, listing = next(iter(INSTRUMENTS.items()))
    other = INSTRUMENTS | {asset: replace(listing, decimals=listing.decimals - 1)}
    for opening in (open_server(address, other), open_poller(address, other)):
        with pytest.raises(DatabaseRefused, match=f"has {asset} at {listing.decimals} decimals, the configuration of"):
            async with asyncio.timeout(20), opening:
                pass
    nowhere = Address(postgres.url.replace("/postgres", "/nowhere"), schema)
    with pytest.raises(StorageError, match="does not exist"):
        async with asyncio.timeout(20), open_server(nowhere, INSTRUMENTS):
            pass
