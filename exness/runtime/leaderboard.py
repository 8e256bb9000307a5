"""Who has gained most: accounts ranked by what their closed trades have realized, within a day, a week and ever.

It follows the exchange: a trade that closes costs a step in each of three rankings, however many accounts there are,
and no question looks at more accounts than it shows. Nothing of it is stored. At a start it is made from the tables, a
page at a time and behind the open port; so it outlives a restart, and tables that were made anew.

Windows begin at whole hours of the exchange's clock: what leaves one is a bucket of an hour.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import structlog

from exness.core.ceilings import summed
from exness.core.events import ExchangeReset, Record, TradeClosed
from exness.core.instruments import AccountId, TradeId
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.ports.journal import StorageError
from exness.runtime.ranking import HOURS, PER_TURN, Period, Ranking, Standing, Window
from exness.runtime.writer import Halted

HOUR_US = 3_600_000_000
PAGE = 1_000
"""Trades that are read at a time while it is made."""
LOOK_S = 1.0
"""How often it is looked whether another hour has begun; how soon it is tried again when the tables can't be read."""

_log = structlog.get_logger("exness.runtime.leaderboard")


class Leaderboard:
    """Of one exchange, at most `size` accounts of each period."""

    def __init__(self, exchange: Exchange, size: int) -> None:
        self._exchange = exchange
        self.size = size
        self._windows = {period: Window(HOURS.get(period)) for period in Period}
        self._after = 0
        self.ready = asyncio.Event()
        """Set once it holds all that closed before it was begun."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It follows the exchange as long as the context is open."""
        tasks = [
            asyncio.create_task(self._run(), name="leaderboard"),
            asyncio.create_task(self._pass_time(), name="leaderboard's hours"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def top(self, period: Period, most: int) -> list[Standing]:
        """Highest profit first. Raises NotTaken while it is made."""
        return self._ranking(period).top(min(most, self.size))

    def find(self, period: Period, account: AccountId) -> Standing | None:
        """None: no trade of this account has closed within the period. Raises NotTaken while it is made."""
        return self._ranking(period).find(account)

    def accounts(self, period: Period) -> int:
        """How many accounts have a rank. Raises NotTaken while it is made."""
        return len(self._ranking(period))

    def since(self, period: Period) -> int | None:
        """When a period began, in microseconds; None: with the exchange."""
        return self._windows[period].since * HOUR_US if period in HOURS else None

    def _ranking(self, period: Period) -> Ranking:
        if not self.ready.is_set():
            raise NotTaken(Busy.OVERLOADED)
        return self._windows[period].ranking

    def _hour(self) -> int:
        return self._exchange.clock.now_us() // HOUR_US

    # --- following the exchange -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        """A bug in it would end the ranking and nothing else, so it is logged."""
        try:
            await self._make()
            while True:
                try:
                    await self._follow()
                    return
                except FellBehind:
                    continue  # after the last record that was taken
                except StorageError as error:
                    _log.warning("the leaderboard can't be followed", why=str(error))
                    await asyncio.sleep(LOOK_S)
        except Halted:  # the writer has said why
            self.ready.clear()
        except Exception:  # noqa: BLE001 - whatever is wrong with it is nobody else's matter
            self.ready.clear()
            _log.exception("the leaderboard has failed; trading goes on")

    async def _make(self) -> None:
        """From the trades that had closed when it was begun."""
        while True:
            try:
                await self._read()
            except (NotTaken, StorageError):
                await asyncio.sleep(LOOK_S)
            else:
                self.ready.set()
                return

    async def _read(self) -> None:
        """Raises NotTaken, StorageError when it has to be begun anew."""
        for window in self._windows.values():
            window.clear(is_arranged=False)
            await window.advance(self._hour())
        self._after, place = self._exchange.durable_seq, TradeId("")
        await self._exchange.in_tables(self._after)
        while True:
            closed, last = await self._exchange.closed_trades(place, PAGE)
            for number, trade in enumerate(closed, 1):
                if trade.seq <= self._after:
                    self._add(trade.account, trade.realized, trade.at)
                if number % PER_TURN == 0:
                    await asyncio.sleep(0)
            if last is None:
                break
            place = last
        for window in self._windows.values():
            await window.ranking.arrange()

    async def _follow(self) -> None:
        """Until the exchange has stopped."""
        async with aclosing(self._exchange.follow(self._after)) as records:
            async for record in records:
                self._take(record)
                self._after = record.seq
                if record.seq % PER_TURN == 0:
                    await asyncio.sleep(0)

    def _take(self, record: Record) -> None:
        match record.event:
            case TradeClosed(account=account) as closed:
                self._add(account, summed(closed.realized_before, closed.pnl), record.at)
            case ExchangeReset():
                for window in self._windows.values():
                    window.clear()
            case _:
                pass

    def _add(self, account: AccountId, profit: int, at: int) -> None:
        for window in self._windows.values():
            window.add(account, profit, at // HOUR_US)

    async def _pass_time(self) -> None:
        """Not before it is made: only then is anything in order."""
        await self.ready.wait()
        while True:
            for window in self._windows.values():
                await window.advance(self._hour())
            await asyncio.sleep(LOOK_S)
