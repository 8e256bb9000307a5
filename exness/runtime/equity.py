"""An account over time: its statement, and its equity at the ends of candles. Worked out when asked, from its records.

Nothing of it is stored. A record tells its statement's rows alone; and whoever knows what an account held at one moment
follows its records from there.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from exness.core.events import (
    AccountEvent,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.instruments import Asset, OrderId, TradeId
from exness.core.line import pnl
from exness.core.statement import Reason, entries
from exness.core.trades import Order, Trade
from exness.runtime.candles import Candle, CandleQuery, Interval
from exness.runtime.ports.tables import StatementQuery

# --- statement ------------------------------------------------------------------------------------------------------


class StatementRow(msgspec.Struct, frozen=True):
    """`amount` (micro-USDC) moved, and `balance` is the free balance after it. It is the `place`-th row of record
    `seq`, from 0. `order_id` is the trade or the order that it is of."""

    seq: int
    place: int
    at: int
    reason: Reason
    amount: int
    balance: int
    order_id: TradeId | OrderId | None
    asset: Asset | None


def statement_rows(record: Record, query: StatementQuery) -> list[StatementRow]:
    """Those of one record that a query wants, in order."""
    event = record.event
    assert isinstance(event, AccountEvent)
    moved = entries(event)
    order_id, asset = _of(event)
    balance = event.balance - sum(amount for _, amount in moved)
    rows = []
    for place, (reason, amount) in enumerate(moved):
        balance += amount
        if query.reason in (None, reason):
            rows.append(StatementRow(record.seq, place, record.at, reason, amount, balance, order_id, asset))
    return rows


def _of(event: AccountEvent) -> tuple[TradeId | OrderId | None, Asset | None]:
    match event:
        case TradeOpened(trade) | TradeIncreased(trade) | TradeReduced(trade) | TradeChanged(trade):
            return trade.id, trade.asset
        case TradeClosed(trade_id=trade_id, asset=asset):
            return trade_id, asset
        case OrderPlaced(order) | OrderAmended(order):
            return order.id, order.asset
        case OrderEnded(order_id=order_id, asset=asset) | OrderTriggered(order_id=order_id, asset=asset):
            return order_id, asset
        case _:
            return None, None


# --- equity ---------------------------------------------------------------------------------------------------------


class EquityRow(msgspec.Struct, frozen=True):
    """Micro-USDC, at `at` (microseconds). `equity` is the sum of the others."""

    at: int
    equity: int
    balance: int
    locked: int
    reserved: int
    unrealized: int


class Course:
    """What an account has, as its records go by: of what it held before the first of them, its newest are to be taken
    first."""

    def __init__(self) -> None:
        self.balance = 0
        self.trades: dict[TradeId, Trade] = {}
        self.orders: dict[OrderId, Order] = {}

    def take(self, record: Record) -> None:
        event = record.event
        match event:
            case TradeOpened(trade) | TradeIncreased(trade) | TradeReduced(trade) | TradeChanged(trade):
                self.trades[trade.id] = trade
            case TradeClosed(trade_id=trade_id):
                self.trades.pop(trade_id, None)
            case OrderPlaced(order) | OrderAmended(order):
                self.orders[order.id] = order
            case OrderEnded(order_id=order_id):
                self.orders.pop(order_id, None)
            case _:
                pass
        if isinstance(event, AccountEvent):
            self.balance = event.balance

    def at(self, at: int, closes: Mapping[Asset, "Closes"]) -> EquityRow:
        """Every open trade at the last close of its asset; at its entry where there is none yet."""
        locked = sum(trade.margin for trade in self.trades.values())
        reserved = sum(order.reserved for order in self.orders.values())
        unrealized = 0
        for trade in self.trades.values():
            close = closes[trade.asset].at(at) if trade.asset in closes else None
            if close is not None:
                unrealized += pnl(trade.line, close)
        return EquityRow(at, self.balance + locked + reserved + unrealized, self.balance, locked, reserved, unrealized)


class Closes:
    """The closes of one asset's candles."""

    def __init__(self, candles: Iterable[Candle]) -> None:
        ordered = sorted(candles, key=lambda candle: candle.start)
        self._ends = [(candle.start + candle.interval.seconds) * 1_000_000 for candle in ordered]
        self._closes = [candle.close for candle in ordered]

    def at(self, at: int) -> int | None:
        """That of the last candle which had ended by then. None: none had."""
        found = bisect_right(self._ends, at)
        return self._closes[found - 1] if found else None


def moments(interval: Interval, start: int | None, end: int, limit: int) -> Sequence[int]:
    """The ends of candles from `start` to `end`, both included: with a `start` the `limit` oldest, without one the
    `limit` newest. Microseconds."""
    length = interval.seconds * 1_000_000
    last = end // length
    if start is None:
        return [number * length for number in range(max(1, last - limit + 1), last + 1)]
    first = max(1, -(-start // length))
    return [number * length for number in range(first, min(last, first + limit - 1) + 1)]


class Curve:
    """Rows at the times `ends`, one after the other, of a course that is moved on in between."""

    def __init__(self, course: Course, ends: Sequence[int]) -> None:
        self.rows: list[EquityRow] = []
        self.closes: dict[Asset, Closes] = {}
        self._course = course
        self._ends = ends

    def is_before(self, at: int) -> bool:
        """Whether the next row is that of a time before this one."""
        return len(self.rows) < len(self._ends) and self._ends[len(self.rows)] < at

    def unpriced(self) -> set[Asset]:
        """What the next row needs the closes of."""
        return {trade.asset for trade in self._course.trades.values()} - self.closes.keys()

    def candles(self, asset: Asset, interval: Interval) -> CandleQuery:
        """Those that end within, and one before."""
        return CandleQuery(asset, interval, end=self._ends[-1] // 1_000_000, limit=len(self._ends) + 1)

    def draw(self) -> None:
        """The next row."""
        self.rows.append(self._course.at(self._ends[len(self.rows)], self.closes))
