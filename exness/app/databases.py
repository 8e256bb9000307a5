"""Where the exchange is kept: SQLite in the data directory or, where one is configured, a PostgreSQL. asyncpg is loaded
for the latter only."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import structlog

from exness.access.ports import AuthStore
from exness.app.build import StartError
from exness.config import Config
from exness.process.threads import in_thread_of_its_own
from exness.storage.auth import open_auth
from exness.storage.opened import Storage
from exness.storage.snapshots import SnapshotStoreDamaged
from exness.storage.sqlite import open_storage, set_snapshots_aside
from exness.storage.upgrade import keep_copies

if TYPE_CHECKING:
    from exness.storage.postgres.session import Address


_log = structlog.get_logger("exness.app.databases")


class Databases(NamedTuple):
    """Everything open."""

    storage: Storage
    access: AuthStore
    notes: list[str]
    """What was not as it should be, one sentence each."""
    where: str = ""
    """For the banner; "" is the data directory."""
    watch: Callable[[], Awaitable[None]] | None = None
    """Runs until the exchange is no longer this process's, and raises then."""


def address_of(config: Config) -> "Address | None":
    """Of the configured PostgreSQL; None: SQLite. Raises StartError."""
    if not config.deploy.database:
        return None
    if find_spec("asyncpg") is None:
        raise StartError("deploy.database needs asyncpg, which is not installed: pip install 'exness[spread]'")
    from exness.storage.postgres.session import Address

    return Address(config.deploy.database, config.deploy.name)


async def open_databases(config: Config, stack: AsyncExitStack) -> Databases:
    """Opened, and closed by `stack`. On PostgreSQL this process is a spare until it returns, which may take for ever.
    Raises StorageError, StartError."""
    address = address_of(config)
    if address is None:
        storage, notes = await _open_files(config, stack)
        return Databases(storage, await stack.enter_async_context(open_auth(config.storage.data_dir)), notes)
    from exness.storage.postgres import storage as postgres

    opening = postgres.open_storage(address, config.instruments(), snapshots_kept=config.storage.snapshots_kept)
    opened = await stack.enter_async_context(opening)
    return Databases(opened.storage, opened.access, [], opened.describe(), opened.watch)


@asynccontextmanager
async def open_access(config: Config) -> AsyncIterator[AuthStore]:
    """Links, ended sessions and API keys alone, also beside a server. Raises StorageError, StartError."""
    address = address_of(config)
    if address is None:
        async with open_auth(config.storage.data_dir) as store:
            yield store
    else:
        from exness.storage.postgres import auth as postgres

        async with postgres.open_auth(address) as access:
            yield access


async def _open_files(config: Config, stack: AsyncExitStack) -> tuple[Storage, list[str]]:
    """The files, and what was wrong with them. A snapshots.db that is none is moved aside: nothing is lost."""
    data_dir = config.storage.data_dir
    for copy in await in_thread_of_its_own(lambda: keep_copies(data_dir, lambda done, total: None)):
        _log.info("an older database is brought to its present form; a copy is kept", file=str(copy))

    async def opened() -> Storage:
        opening = open_storage(data_dir, config.instruments(), snapshots_kept=config.storage.snapshots_kept)
        return await stack.enter_async_context(opening)

    try:
        return await opened(), []
    except SnapshotStoreDamaged as damage:
        note = f"{damage}; it is now {set_snapshots_aside(data_dir).name}"
    return await opened(), [note]
