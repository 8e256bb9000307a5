"""The tables and records of an exchange in PostgreSQL, for reading alone, beside its engine or without one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from exness.core.events import Record
from exness.storage.asking import Asking
from exness.storage.postgres.history import answered
from exness.storage.postgres.journal import LAST_SEQ, pick
from exness.storage.postgres.migrate import require
from exness.storage.postgres.session import Address, Connection, open_session

Answer = Callable[[Asking[Any]], Awaitable[Any]]
Pick = Callable[[Sequence[int]], Awaitable[list[Record]]]


@asynccontextmanager
async def open_ledger(address: Address) -> AsyncIterator[tuple[Answer, Pick, int]]:
    """What answers questions to the tables, what picks records, and the journal's last seq. Raises StorageError."""
    async with open_session(address, "exness reader") as session:
        await session.run(lambda connection: require(connection, address))

        async def answer(asking: Asking[Any]) -> Any:
            work: Callable[[Connection], Any] = lambda connection: answered(connection, asking)  # noqa: E731
            return await session.run(work)

        async def picked(seqs: Sequence[int]) -> list[Record]:
            return await session.run(lambda connection: pick(connection, address.shard, seqs))

        last: int = await session.run(lambda connection: connection.fetchval(LAST_SEQ, address.shard))
        yield answer, picked, last
