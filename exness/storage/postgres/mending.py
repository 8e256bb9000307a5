"""The commands that look after an exchange in PostgreSQL, which no server runs on."""

from exness.runtime.ports.journal import JournalDamaged
from exness.storage.files import Progress
from exness.storage.postgres.copy import one_moment
from exness.storage.postgres.journal import LAST_SEQ, RECORDS_AT_ONCE, SELECT_RECORDS, decoded
from exness.storage.postgres.lease import held
from exness.storage.postgres.migrate import require
from exness.storage.postgres.session import Address
from exness.storage.postgres.tables import fold, make_tables, write


async def rebuild(address: Address, progress: Progress) -> int:
    """Make the tables anew, in one transaction. Returns how many records they hold. Raises StorageError, JournalDamaged
    for a record that is not whole."""
    shard, at = address.shard, 0
    async with held(address) as connection:
        await require(connection, address)
        last = await connection.fetchval(LAST_SEQ, shard)
        async with connection.transaction():
            await make_tables(connection, shard)
            while at < last:
                chunk = decoded(await connection.fetch(SELECT_RECORDS, shard, at, RECORDS_AT_ONCE), at)
                if chunk.damage is not None:
                    raise chunk.damage
                if not chunk.records:
                    raise JournalDamaged(at + 1, "it is missing")
                await write(connection, shard, chunk.records, fold(chunk.records))
                at = chunk.records[-1].seq
                progress(at, last)
    return at


async def first_damage(address: Address, progress: Progress) -> JournalDamaged | None:
    """The first record that is not whole. Raises StorageError."""
    shard, at = address.shard, 0
    async with one_moment(address) as connection:
        last = await connection.fetchval(LAST_SEQ, shard)
        while at < last:
            chunk = decoded(await connection.fetch(SELECT_RECORDS, shard, at, RECORDS_AT_ONCE), at)
            if chunk.damage is not None or not chunk.records:
                return chunk.damage or JournalDamaged(at + 1, "it is missing")
            at = chunk.records[-1].seq
            progress(at, last)
    return None
