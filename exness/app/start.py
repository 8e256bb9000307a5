"""What is read and recovered before the first task of a server runs, and what keeps it from starting."""

import gc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import msgspec

from exness.access.ports import AuthStore, Mailer
from exness.app.build import FundingRows, Source, StartError, make_mailer, make_source
from exness.app.databases import open_databases
from exness.config import Config
from exness.core.sums import Books
from exness.feeds.funding import read_funding
from exness.process.threads import in_thread_of_its_own
from exness.runtime.candles import CandleBatch
from exness.runtime.flush import forget_before_reset
from exness.runtime.ports.prices import LastRecord
from exness.runtime.recovery import Recovered, recover
from exness.storage.datadir import locked, prepare
from exness.storage.opened import Storage

GC_THRESHOLDS = (10_000, 20, 10)
"""Python's collector looks at young objects every 700 allocations by default: hardly anything of ours is in a cycle, so
less often. At everything it looks when what has grown old since is a quarter of it, as always: closed connections are
cycles, and would else stay for good."""


class Started(NamedTuple):
    """What is there once the start is through, all of it open."""

    source: Source
    mailer: Mailer
    storage: Storage
    store: AuthStore
    recovered: Recovered
    candles: CandleBatch
    tables_seq: int
    """Where the tables have come to."""
    last: LastRecord
    funding: FundingRows
    """What the file of funding rates says."""
    where: str = ""
    """Where it is kept, for the banner; "" is the data directory."""
    watch: Callable[[], Awaitable[None]] | None = None
    """See `Databases`."""


async def start(config: Config, stack: AsyncExitStack) -> Started:
    """Everything that is read and recovered before the first task. Whatever it opens is closed by `stack`.

    Raises an OperatorError: StartError, StorageError, ReplayError or FundingError.
    """
    data_dir = config.storage.data_dir
    prepare(data_dir)
    stack.enter_context(locked(data_dir))
    source, mailer = make_source(config), make_mailer(config)
    if source.recording is not None:  # it is read through before anything starts
        await in_thread_of_its_own(source.recording.check)
    funding = await read_funding_rates(config)
    storage, store, notes, where, watch = await open_databases(config, stack)
    recovered = await recover(storage.journal, storage.snapshots)
    recovered = msgspec.structs.replace(recovered, notes=[*notes, *recovered.notes])
    check_assets(recovered.books, config)
    await forget_before_reset(storage.journal, storage.candles)
    candles = await storage.candles.newest_candles()
    if source.recording is not None:
        source.recording.refuse_newer(max(recovered.books.at, candles.at))
    spare_the_collector()
    tables_seq = (await storage.tables.watermark()).seq
    last = await _last_record(storage, recovered.books, candles)
    return Started(source, mailer, storage, store, recovered, candles, tables_seq, last, funding, where, watch)


async def read_funding_rates(config: Config) -> FundingRows:
    file = config.rates.funding_file

    def read() -> FundingRows:
        return {} if file is None else read_funding(file, config.instruments())

    return await in_thread_of_its_own(read)


async def _last_record(storage: Storage, books: Books, candles: CandleBatch) -> LastRecord:
    """Where a source that owns the time goes on: after it, and after the candles that are kept."""
    cause = ""
    async for records in storage.journal.read(after=max(0, books.seq - 1)):
        cause = records[-1].cause
    return LastRecord(books.at, cause, min((each.at for each in candles.counted), default=0))


def check_assets(books: Books, config: Config) -> None:
    """Refuse to run without an asset in which trades are open: they could be neither liquidated nor closed."""
    for asset, market in books.markets.items():
        if market.open_trades and asset not in config.instruments():
            raise StartError(
                f"{market.open_trades} trades are open in {asset}, which is not configured: "
                f"add [assets.{asset}] to the configuration again"
            )


def spare_the_collector() -> None:
    """What is there now stays: it is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
