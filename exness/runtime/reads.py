"""A bound in front of what is read from disk: when too many reads wait, the next one is refused at once."""

from collections.abc import Sequence

from exness.core.instruments import AccountId, OrderId, TradeId
from exness.runtime.candles import Candle, CandleBatch, CandleQuery
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.tables import (
    Analytics,
    ClosedTrade,
    History,
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    Place,
    RecordQuery,
    Span,
    StatementQuery,
    TradeQuery,
    TradeRow,
)


class _Bounded:
    """At most `bound` reads wait; beyond, NotTaken(OVERLOADED) is raised."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self.waiting = 0

    @property
    def bound(self) -> int:
        return self._bound

    def __enter__(self) -> None:
        if self.waiting >= self._bound:
            raise NotTaken(Busy.OVERLOADED)
        self.waiting += 1

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1


class BoundedHistory(_Bounded):
    """A History."""

    def __init__(self, history: History, bound: int) -> None:
        super().__init__(bound)
        self._history = history

    async def trades(self, query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
        with self:
            return await self._history.trades(query)

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        with self:
            return await self._history.walk(query)

    async def trade(self, account: AccountId, trade_id: TradeId) -> TradeRow | None:
        with self:
            return await self._history.trade(account, trade_id)

    async def orders(self, query: OrderQuery) -> tuple[list[OrderRow], int]:
        with self:
            return await self._history.orders(query)

    async def net_orders(self, query: NetOrderQuery) -> list[OrderRow]:
        with self:
            return await self._history.net_orders(query)

    async def orders_named(self, account: AccountId, ids: Sequence[OrderId]) -> list[OrderRow]:
        with self:
            return await self._history.orders_named(account, ids)

    async def picked(self, query: RecordQuery) -> list[int]:
        with self:
            return await self._history.picked(query)

    async def order(self, account: AccountId, order_id: OrderId) -> OrderRow | None:
        with self:
            return await self._history.order(account, order_id)

    async def moves(self, query: StatementQuery) -> list[int]:
        with self:
            return await self._history.moves(query)

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        with self:
            return await self._history.span(account, start, end)

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        with self:
            return await self._history.closed_trades(after, limit)

    async def deposited(self, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        with self:
            return await self._history.deposited(accounts)


class BoundedCandles(_Bounded):
    """A CandleStore whose reads are bounded. What writes it is one task."""

    def __init__(self, candles: CandleStore, bound: int) -> None:
        super().__init__(bound)
        self._candles = candles

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        await self._candles.write(batch, seq, forget=forget)

    async def candles(self, query: CandleQuery) -> list[Candle]:
        with self:
            return await self._candles.candles(query)

    async def newest_candles(self) -> CandleBatch:
        return await self._candles.newest_candles()

    async def heard(self) -> int:
        return await self._candles.heard()
