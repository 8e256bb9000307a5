"""Brings an exchange's schema to the present version: numbered SQL files, each step in one transaction.

Only the process that holds the shard migrates one that is there: an engine of an older version may be at work in it.
"""

from importlib import resources
from zlib import crc32

from exness.storage.database import DatabaseRefused
from exness.storage.postgres.session import Address, Connection

VERSION_TABLE = "exchange"
HAS_SCHEMA = """
    SELECT EXISTS (
        SELECT 1 FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = $1 AND relname = $2
    )"""
"""A name is not looked up: within a transaction the server would go by what it has looked up before, and of two that
make the exchange at the same time both would."""
MAKE_VERSION = """
    CREATE TABLE exchange (
        one smallint PRIMARY KEY CHECK (one = 1),
        version integer NOT NULL, -- how many migrations were applied
        shards integer NOT NULL   -- into how many the accounts are divided; never changes
    )"""


def scripts() -> list[str]:
    """The n-th brings a schema to version n."""
    folder = resources.files("exness.storage.postgres") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def lock_key(address: Address) -> int:
    """Of advisory locks, whose keys are two signed numbers of 32 bits: the exchange's, and the shard or -1."""
    key = crc32(address.schema.encode())
    return key - 2**32 if key >= 2**31 else key


async def version_of(connection: Connection, address: Address) -> int:
    """0 when there is no exchange. Raises DatabaseRefused for one of a newer version, or of more shards."""
    if not await connection.fetchval(HAS_SCHEMA, address.schema, VERSION_TABLE):
        return 0
    row = await connection.fetchrow("SELECT version, shards FROM exchange")
    version: int = row["version"]
    if version > len(scripts()):
        raise DatabaseRefused(
            f"{address.describe()} was written by a newer version of exness (schema {version}, this one knows "
            f"{len(scripts())}): use that version"
        )
    if row["shards"] != 1:
        raise DatabaseRefused(f"{address.describe()} is of {row['shards']} shards: this version knows only 1")
    return version


async def make(connection: Connection, address: Address) -> None:
    """Make the exchange's schema, unless it is there. Of two that come at the same time, one makes it. Raises
    DatabaseRefused for one that is of another version."""
    if await version_of(connection, address) == 0:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1, -1)", lock_key(address))
            if await version_of(connection, address) == 0:
                await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"')
                await connection.execute(MAKE_VERSION)
                await connection.execute("INSERT INTO exchange VALUES (1, $1, 1)", len(scripts()))
                for script in scripts():
                    await connection.execute(script)
                await connection.execute("INSERT INTO shards (shard) VALUES (0)")


async def require(connection: Connection, address: Address) -> None:
    """For who works beside an engine. Raises DatabaseRefused unless the schema is of this version."""
    version = await version_of(connection, address)
    if version == 0:
        raise DatabaseRefused(f"{address.describe()} holds no exchange: a first `serve` makes one")
    if version < len(scripts()):
        raise DatabaseRefused(
            f"{address.describe()} is of an older version of exness (schema {version}, this one's is "
            f"{len(scripts())}): start the server once, which brings it up to date"
        )


async def migrate(connection: Connection, address: Address) -> None:
    """Apply what is newer. For who holds the shard."""
    version = await version_of(connection, address)
    for number, script in enumerate(scripts()[version:], version + 1):
        async with connection.transaction():
            await connection.execute(script)
            await connection.execute("UPDATE exchange SET version = $1", number)
