"""A History to make another of."""

from collections.abc import Sequence
from typing import NoReturn

from exness.core.instruments import AccountId, OrderId, TradeId
from exness.runtime.ports.tables import (
    ClosedTrade,
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    RecordQuery,
    Span,
    StatementQuery,
)


class UnaskedHistory:
    """The part of a History that a test does not ask for."""

    async def orders(self, query: OrderQuery) -> tuple[list[OrderRow], int]:
        self._asked()

    async def order(self, account: AccountId, order_id: OrderId) -> OrderRow | None:
        self._asked()

    async def net_orders(self, query: NetOrderQuery) -> list[OrderRow]:
        self._asked()

    async def orders_named(self, account: AccountId, ids: Sequence[OrderId]) -> list[OrderRow]:
        self._asked()

    async def picked(self, query: RecordQuery) -> list[int]:
        self._asked()

    async def moves(self, query: StatementQuery) -> list[int]:
        self._asked()

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        self._asked()

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        self._asked()

    async def deposited(self, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        self._asked()

    def _asked(self) -> NoReturn:
        raise AssertionError("nobody asks for this")
