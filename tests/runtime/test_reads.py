"""runtime/reads.py: a bound on reads that wait."""

import asyncio

import pytest

from exness.core.instruments import AccountId, TradeId
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.ports.tables import Analytics, Place, TradeQuery, TradeRow
from exness.runtime.reads import BoundedHistory
from tests.support.history import UnaskedHistory
from tests.support.waiting import until

QUERY = TradeQuery(AccountId("ann"))


class HeldHistory(UnaskedHistory):
    """A History that answers when the test lets it, or fails."""

    def __init__(self) -> None:
        self.answering = asyncio.Event()
        self.asked = 0
        self.failure: Exception | None = None

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        await self._wait()
        return [], Analytics(total=7)

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        await self._wait()
        return [], None

    async def trade(self, account: AccountId, order: TradeId) -> TradeRow | None:
        await self._wait()
        return None

    async def _wait(self) -> None:
        self.asked += 1
        await self.answering.wait()
        if self.failure is not None:
            raise self.failure


async def test_a_read_beyond_the_bound_is_refused_at_once_whichever_kind_it_is() -> None:
    held = HeldHistory()
    history = BoundedHistory(held, 2)
    waiting: list[asyncio.Task[object]] = [
        asyncio.create_task(history.trades(QUERY)),
        asyncio.create_task(history.trade(AccountId("ann"), TradeId("t"))),
    ]
    await until(lambda: held.asked == 2)
    for late in (history.trades(QUERY), history.trade(AccountId("ann"), TradeId("t"))):
        with pytest.raises(NotTaken) as refusal:
            await late
        assert refusal.value.why is Busy.OVERLOADED
    assert (held.asked, history.waiting) == (2, 2)
    held.answering.set()
    assert await asyncio.gather(*waiting) == [([], Analytics(total=7)), None]
    assert history.waiting == 0
    assert (await history.trades(QUERY))[1].total == 7


async def test_a_read_that_fails_or_is_given_up_makes_room_again() -> None:
    held = HeldHistory()
    history = BoundedHistory(held, 1)
    given_up = asyncio.create_task(history.trades(QUERY))
    await until(lambda: held.asked == 1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert history.waiting == 0
    held.failure = RuntimeError("broken")
    held.answering.set()
    with pytest.raises(RuntimeError, match="broken"):
        await history.trades(QUERY)
    assert history.waiting == 0
