"""What `trades`, `orders` and `account` tell: the snapshot of an account, and the frame of each record after it."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from exness.core.events import (
    AccountEvent,
    CloseReason,
    EndStatus,
    Event,
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
    Why,
)
from exness.core.instruments import Asset
from exness.core.money import format_scaled, format_usdc
from exness.core.rules import Rules
from exness.core.trades import PLACES
from exness.core.views import Holdings
from exness.web.stream.encoding import Ledger, StreamEncoder
from exness.web.stream.protocol import ORDERS, TRADES
from exness.web.v1 import orders
from exness.web.v1.format import iso
from exness.web.v1.holdings import rows_of
from exness.web.v1.order_models import OrderRow
from exness.web.v1.shown import exit_named, exit_row, opened, order_row, quantity_out, trade_shown
from exness.web.v1.trade_models import OpenedData, TradeShown

News = tuple[str, object]
"""The type of a frame, and its data."""


class BalanceData(msgspec.Struct, frozen=True, rename="camel"):
    """The account after the record of this frame."""

    balance: str
    locked_margin: str
    reserved: str
    open_trades: int


class ClosedData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """As the answer to /trade/close, with its asset. `by` is the order or exit that did it."""

    order_id: str
    asset: str
    close_price: str
    pnl: str
    returned: str
    liquidated: bool
    shortfall: str
    closed_at: str
    balance: str
    reason: str
    commission: str
    forfeited: str
    by: str | UnsetType = UNSET


class LiquidatedData(ClosedData, frozen=True, kw_only=True, rename="camel"):
    """Like `closed`; `closePrice` is the mark of the tick that did it, which had this bid and ask. `forfeited` went to
    the insurance, `liquidationFee` too."""

    liquidation_fee: str
    mark: str
    bid: str
    ask: str


class ReducedData(ClosedData, frozen=True, kw_only=True, rename="camel"):
    """A part of a trade was closed: `margin` and `quantity` are its, and `trade` is what stays."""

    margin: str
    quantity: str
    trade: TradeShown


class IncreasedData(msgspec.Struct, frozen=True, rename="camel"):
    """A net position has grown: `margin` and `quantity` were added at `price`, and `trade` is what it is now."""

    order_id: str
    asset: str
    by: str
    price: str
    quantity: str
    margin: str
    commission: str
    balance: str
    trade: TradeShown


class ChangedData(msgspec.Struct, frozen=True, rename="camel"):
    """`why` is exits, triggered, margin, leverage or funding. `amount` went from the free balance to the margin, below
    0 back; `funding` was paid from the margin, below 0 received, and `shortfall` is what it did not suffice for."""

    order_id: str
    asset: str
    why: str
    amount: str
    funding: str
    shortfall: str
    balance: str
    trade: TradeShown


class OrderTriggeredData(msgspec.Struct, frozen=True, rename="camel"):
    """A stop was reached by a price past the limit: from now on it waits as a limit."""

    order_id: str
    asset: str
    balance: str


class OrderEndedData(msgspec.Struct, frozen=True, rename="camel"):
    """`status` is filled, cancelled, expired or refused; `averagePrice` is that of a fill, else null."""

    order_id: str
    asset: str
    status: str
    reason: str | None
    released: str
    average_price: str | None
    balance: str


class AccountFrames:
    """Makes the frames of one exchange's accounts."""

    def __init__(self, rules: Rules, encoder: StreamEncoder) -> None:
        self._rules = rules
        self._encoder = encoder

    async def snapshot(self, channel: str, holdings: Holdings) -> bytes:
        """What a channel shows of an account. The loop turns between rows."""
        data: object
        if channel == TRADES:
            data = await rows_of(holdings, holdings.trades, self._rules)
        elif channel == ORDERS:
            data = orders.rows_of(holdings, self._rules)
        else:
            owner = holdings.owner
            data = _balance(owner.free, owner.locked, owner.reserved, len(holdings.trades))
        return self._encoder.frame(channel, holdings.newest, holdings.at, "snapshot", data)

    def event(self, channel: str, record: Record, ledger: Ledger) -> bytes | None:
        """What a channel tells of a record: nothing, or one frame. `ledger` is the account after it."""
        event = record.event
        assert isinstance(event, AccountEvent), "what concerns no account is told to none"
        told: News | None
        if channel == TRADES:
            told = _trade_news(event, record.at, self._rules)
        elif channel == ORDERS:
            told = _order_news(event, record.seq, self._rules)
        else:
            told = "balance", _balance(event.balance, ledger.locked, ledger.reserved, ledger.open_trades)
        if told is None:
            return None
        kind, data = told
        return self._encoder.frame(channel, record.seq, record.at, kind, data)


def _balance(free: int, locked: int, reserved: int, open_trades: int) -> BalanceData:
    return BalanceData(format_usdc(free), format_usdc(locked), format_usdc(reserved), open_trades)


# --- trades ---------------------------------------------------------------------------------------------------------


def _trade_news(event: Event, at: int, rules: Rules) -> News | None:
    """Raises KeyError when the asset is not configured any more. So does the one below."""
    match event:
        case TradeOpened():
            return "opened", opened(OpenedData, event, rules)
        case TradeIncreased():
            return "increased", _increased(event, rules)
        case TradeReduced():
            return "reduced", _reduced(event, at, rules)
        case TradeClosed():
            return "liquidated" if event.liquidated else "closed", _closed(event, at, rules)
        case TradeChanged():
            return "changed", _changed(event, rules)
        case _:
            return None


def _closed(event: TradeClosed, at: int, rules: Rules) -> ClosedData | LiquidatedData:
    """A liquidation shows the tick that did it."""
    fields = _end(event, at, rules, event.trade_id, event.asset)
    if not event.liquidated:
        return ClosedData(**fields, commission=format_usdc(event.fee), forfeited=format_usdc(event.forfeited))
    assert event.bid is not None, "a tick liquidates"
    assert event.ask is not None, "and has both"
    decimals = rules.instruments[event.asset].decimals
    return LiquidatedData(
        **fields,
        commission=format_usdc(0),
        forfeited=format_usdc(event.forfeited),
        liquidation_fee=format_usdc(event.fee),
        mark=format_scaled(event.price, decimals),
        bid=format_scaled(event.bid, decimals),
        ask=format_scaled(event.ask, decimals),
    )


def _reduced(event: TradeReduced, at: int, rules: Rules) -> ReducedData:
    trade = event.trade
    return ReducedData(
        **_end(event, at, rules, trade.id, trade.asset),
        commission=format_usdc(event.fee),
        forfeited=format_usdc(0),
        margin=format_usdc(event.margin),
        quantity=quantity_out(event.size, trade.entry, rules.instruments[trade.asset], net=trade.net),
        trade=trade_shown(trade, rules),
    )


def _end(event: TradeClosed | TradeReduced, at: int, rules: Rules, trade_id: str, asset: Asset) -> dict[str, Any]:
    """What every end of a trade, or of a part of it, tells."""
    instrument = rules.instruments[asset]
    told = {
        "order_id": trade_id,
        "asset": asset,
        "close_price": format_scaled(event.price, instrument.decimals),
        "pnl": format_usdc(event.pnl),
        "returned": format_usdc(event.returned),
        "liquidated": event.reason is CloseReason.LIQUIDATION,
        "shortfall": format_usdc(event.shortfall),
        "closed_at": iso(at),
        "balance": format_usdc(event.balance),
        "reason": event.reason.value,
    }
    return told if event.by is None else told | {"by": event.by}


def _increased(event: TradeIncreased, rules: Rules) -> IncreasedData:
    trade, instrument = event.trade, rules.instruments[event.trade.asset]
    return IncreasedData(
        trade.id,
        trade.asset,
        event.by,
        format_scaled(event.price, instrument.decimals),
        format_scaled(event.size, instrument.quantity_places),
        format_usdc(event.margin),
        format_usdc(event.fee),
        format_usdc(event.balance),
        trade_shown(trade, rules),
    )


def _changed(event: TradeChanged, rules: Rules) -> ChangedData:
    trade = event.trade
    return ChangedData(
        trade.id,
        trade.asset,
        event.why.value,
        format_usdc(event.amount),
        format_usdc(event.paid),
        format_usdc(event.shortfall),
        format_usdc(event.balance),
        trade_shown(trade, rules),
    )


# --- orders ---------------------------------------------------------------------------------------------------------


def _order_news(event: Event, seq: int, rules: Rules) -> News | None:
    match event:
        case OrderPlaced(order=order):
            return "placed", order_row(OrderRow, order, rules.instruments[order.asset])
        case OrderAmended(order=order):
            return "amended", order_row(OrderRow, order, rules.instruments[order.asset])
        case OrderTriggered():
            return "triggered", OrderTriggeredData(event.order_id, event.asset, format_usdc(event.balance))
        case OrderEnded():
            price = format_scaled(event.price, rules.instruments[event.asset].decimals) if event.price else None
            reason, released = event.reason or None, format_usdc(event.released)
            return "ended", OrderEndedData(
                event.order_id, event.asset, event.status.value, reason, released, price, format_usdc(event.balance)
            )
        case TradeChanged(exit=str()):
            return _exit_news(event, seq, rules)
        case TradeReduced(by=str(by)) | TradeClosed(by=str(by)) if event.reason is not CloseReason.ORDER:
            asset = event.trade.asset if isinstance(event, TradeReduced) else event.asset
            price = format_scaled(event.price, rules.instruments[asset].decimals)
            filled = EndStatus.FILLED.value
            return "ended", OrderEndedData(by, asset, filled, None, format_usdc(0), price, format_usdc(event.balance))
        case _:
            return None


def _exit_news(event: TradeChanged, seq: int, rules: Rules) -> News:
    """Of an exit that is an order: it is part of its trade, which has changed."""
    trade, name, balance = event.trade, event.exit, format_usdc(event.balance)
    assert name is not None
    if event.ended is not None:
        reason = "user" if event.ended is EndStatus.CANCELLED else event.ended.value
        return "ended", OrderEndedData(name, trade.asset, event.ended.value, reason, format_usdc(0), None, balance)
    if event.why is Why.TRIGGERED:
        return "triggered", OrderTriggeredData(name, trade.asset, balance)
    exit_ = exit_named(trade, name)
    kind = "placed" if exit_.number // PLACES == seq else "amended"
    return kind, exit_row(OrderRow, trade, exit_, rules.instruments[trade.asset])
