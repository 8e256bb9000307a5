"""What an account is shown while it trades without a pause: answered within two commits, however slow these are, and
never before all it shows is on disk.

How each was seen to fail: a read that looks again after its wait, and waits for that (it is never answered while the
trading goes on); one that does not wait (it is answered before its commit).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exness.core.events import Record
from tests.support.app import App, Stores, Trader, running_app
from tests.support.memory_storage import MemoryJournal
from tests.support.waiting import WAIT_S, until
from tests.web.streams import listening

READS = ["/balance", "/balance/usd", "/account", "/trade/open", "/trade/open?limit=2", "/trade/history"]
MOST_COMMITS = 2


class CountedJournal(MemoryJournal):
    """Each append takes one permit; `waiting` while one waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.permits = asyncio.Semaphore(0)
        self.waiting = False
        self.free_for_all = True

    async def append(self, records: Sequence[Record]) -> None:
        if not self.free_for_all:
            self.waiting = True
            await self.permits.acquire()
            self.waiting = False
        await super().append(records)


class Busy:
    """An app in which ann trades on some connections without a pause. A commit is done when the test says so."""

    def __init__(self, app: App, ann: Trader, journal: CountedJournal, connections: int) -> None:
        self.app, self.ann, self.journal, self.connections = app, ann, journal, connections
        self.orders = 0
        self.stop = False

    async def trade(self) -> None:
        while not self.stop:
            created = await self.ann.create(margin=1, leverage=2)
            await self.ann.close(created["orderId"])
            self.orders += 2

    async def commit(self) -> None:
        """One commit, and until the orders that follow from it wait for the next."""
        commits = self.app.writer.commits
        self.journal.permits.release()
        await until(lambda: self.app.writer.commits > commits)
        await self.all_wait()

    async def all_wait(self) -> None:
        """Until an order of every connection waits for the disk."""
        await until(lambda: self.journal.waiting and self.app.writer.queued == self.connections, "for the orders")

    @property
    def waits(self) -> bool:
        """Whether a read waits for the disk, beside an order of every connection."""
        return self.app.writer.waiting > self.connections

    async def commits_until(self, reading: "asyncio.Task[Any]") -> int:
        """How many it takes; more than MOST_COMMITS is a failure."""
        await until(lambda: reading.done() or self.waits, "for the read to be looked at")
        assert not reading.done(), "it shows what is not on disk"
        for commits in range(1, MOST_COMMITS + 1):
            await self.commit()
            if not self.waits:
                async with asyncio.timeout(WAIT_S):
                    await reading
                return commits
        raise AssertionError(f"not answered within {MOST_COMMITS} commits")


@asynccontextmanager
async def busy(connections: int) -> AsyncIterator[Busy]:
    journal = CountedJournal()
    stores = Stores.memory()._replace(journal=journal)
    async with running_app(stores) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create(margin=1)
        journal.free_for_all = False
        trading = Busy(app, ann, journal, connections)
        tasks = [asyncio.create_task(trading.trade()) for _ in range(connections)]
        try:
            await trading.all_wait()
            yield trading
        finally:
            trading.stop = True
            journal.free_for_all = True
            journal.permits.release()
            await asyncio.gather(*tasks)


@pytest.mark.parametrize("connections", [2, 5])
@pytest.mark.parametrize("path", READS)
async def test_an_account_that_trades_without_a_pause_is_shown_within_two_commits(path: str, connections: int) -> None:
    async with busy(connections) as it:
        for _ in range(3):
            orders = it.orders
            reading = asyncio.create_task(it.ann.get(path))
            assert await it.commits_until(reading) <= MOST_COMMITS
            assert (await reading).status == 200
            await it.commit()
            assert it.orders > orders, "the trading went on"


async def test_the_snapshots_of_an_account_that_trades_without_a_pause_come_within_two_commits() -> None:
    async with busy(3) as it, listening(it.app, it.ann) as client:

        async def look() -> None:
            await client.subscribed("trades", "account")
            await client.next("trades", "snapshot")
            await client.next("account", "snapshot")

        for _ in range(3):
            assert await it.commits_until(asyncio.create_task(look())) <= MOST_COMMITS
            await client.asked("unsubscribe", channels=["account", "trades"])


async def test_what_is_shown_is_of_one_moment_though_trading_goes_on_while_it_waits() -> None:
    """Balance, margin and number of trades belong together: those of when it was asked for."""
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create(margin=100, leverage=2)
        app.hold_disk()
        first = asyncio.create_task(ann.create(margin=50, leverage=2))
        await until(lambda: app.state.open_trades == 2)
        reading = [asyncio.create_task(ann.get(path)) for path in ("/account", "/trade/open", "/balance/usd")]
        await until(lambda: app.writer.waiting == 4)
        later = asyncio.create_task(ann.create(margin=7, leverage=2))
        await until(lambda: app.state.open_trades == 3)
        await app.quote_all(sol="210")
        assert not any(task.done() for task in reading)
        app.release_disk()
        account, trades, balance = [(await task).body for task in reading]
        await asyncio.gather(first, later)
        assert account == {
            "email": "ann@example.com",
            "balance": "4850.000000",
            "lockedMargin": "150.000000",
            "unrealizedPnl": "0.000000",
            "closePnl": "0.000000",
            "equity": "5000.000000",
            "stale": False,
            "openTrades": 2,
        }
        assert [(row["margin"], row["markPrice"]) for row in trades["data"]] == [
            ("100.000000", "200.000000"),
            ("50.000000", "200.000000"),
        ]
        assert balance["usd"] == "4850.000000"
