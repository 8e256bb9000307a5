"""A bound in front of the history: when too many reads wait, the next one is refused at once."""

from exness.core.instruments import AccountId, OrderId
from exness.runtime.candles import Candle, CandleBatch, CandleQuery
from exness.runtime.ports import Analytics, History, TradeQuery, TradeRow
from exness.runtime.sequencer import Busy, NotTaken


class BoundedHistory:
    """A History that lets at most `bound` reads wait and raises NotTaken(OVERLOADED) beyond."""

    def __init__(self, history: History, bound: int) -> None:
        self._history = history
        self._bound = bound
        self.waiting = 0

    def __enter__(self) -> None:
        if self.waiting >= self._bound:
            raise NotTaken(Busy.OVERLOADED)
        self.waiting += 1

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        with self:
            return await self._history.trades(query)

    async def trade(self, account: AccountId, order: OrderId) -> TradeRow | None:
        with self:
            return await self._history.trade(account, order)

    async def candles(self, query: CandleQuery) -> list[Candle]:
        with self:
            return await self._history.candles(query)

    async def newest_candles(self) -> CandleBatch:
        with self:
            return await self._history.newest_candles()
