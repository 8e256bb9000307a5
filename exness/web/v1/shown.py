"""Trades, orders and what happens to them, as they are told: the same in answers, in rows and on the stream."""

from functools import cache
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from exness.core import line as lines
from exness.core.events import TradeClosed, TradeOpened, TradeReduced
from exness.core.instruments import LEVERAGE_DECIMALS, Instrument, Side
from exness.core.line import is_reached
from exness.core.money import USDC_DECIMALS, format_scaled, format_usdc
from exness.core.rules import Rules
from exness.core.trades import Exit, Kind, Order, Trade, Trailing
from exness.web.v1.format import iso, leverage_out
from exness.web.v1.order_models import OrderRow
from exness.web.v1.trade_models import (
    LineShown,
    OpenedData,
    OpenTradeFixed,
    Remaining,
    TradeClosedAnswer,
    TradeShown,
    Trailed,
    Warned,
)

Level = int | UnsetType | None
"""What sets a trailing stop off by now. None: it waits for its activation; UNSET: it is not told."""
OPPOSITE = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}
_SIZE_DECIMALS = USDC_DECIMALS + LEVERAGE_DECIMALS
_BEYOND_LIQUIDATION = Warned(
    "stop_loss_beyond_liquidation",
    "The mark that liquidates the trade comes no later than the stop loss, which may never be reached",
)
Fixed = TypeVar("Fixed", bound=OpenTradeFixed)
Row = TypeVar("Row", bound=OrderRow)


# --- figures --------------------------------------------------------------------------------------------------------


def price_out(price: int | None, instrument: Instrument) -> str | None:
    return None if price is None else format_scaled(price, instrument.decimals)


def quantity_of(size: int, price: int, instrument: Instrument) -> int:
    """The quantity that a trade of this size is at a price, in the asset's units, rounded down."""
    units, size_units = _units(instrument.decimals, instrument.quantity_places)
    return size * units // (size_units * price)


@cache
def _units(decimals: int, places: int) -> tuple[int, int]:
    """Of a price times a quantity, and of a size."""
    return 10 ** (decimals + places), 10**_SIZE_DECIMALS


def quantity_out(size: int, price: int, instrument: Instrument, *, net: bool) -> str:
    """Of a size of a trade, or of a net position, whose size is a quantity."""
    return format_scaled(size if net else quantity_of(size, price, instrument), instrument.quantity_places)


def trailed(trailing: Trailing | None, instrument: Instrument, level: Level = UNSET) -> Trailed | None:
    if trailing is None:
        return None
    return Trailed(
        price_out(trailing.distance, instrument) or UNSET,
        UNSET if trailing.percent is None else trailing.percent,
        price_out(trailing.activation, instrument) or UNSET,
        level if isinstance(level, UnsetType) else price_out(level, instrument),
    )


def trailed_exit(exit_: Exit | None, instrument: Instrument, level: Level = UNSET) -> Trailed | None:
    return None if exit_ is None else trailed(exit_.trailing, instrument, level)


def own_price(exit_: Exit | None, instrument: Instrument) -> str | None:
    """Of a trade's take profit or stop loss."""
    return None if exit_ is None else format_scaled(exit_.price, instrument.decimals)


def warnings_of(trade: Trade) -> list[Warned] | UnsetType:
    stop = trade.stop_loss
    return [_BEYOND_LIQUIDATION] if stop and is_reached(trade.side, trade.liquidation, stop.price) else UNSET


# --- trades ---------------------------------------------------------------------------------------------------------


def fixed(kind: type[Fixed], trade: Trade, instrument: Instrument, **more: Any) -> Fixed:
    """A struct that says what of a trade no price changes, and `more`."""
    decimals, line = instrument.decimals, trade.line
    return kind(
        order_id=trade.id,
        client_order_id=trade.client_order or UNSET,
        asset=trade.asset,
        type=trade.side.value,
        margin=format_usdc(trade.margin),
        leverage=leverage_out(trade.leverage),
        entry_price=format_scaled(trade.entry, decimals),
        liquidation_price=format_scaled(trade.liquidation, decimals),
        created_at=iso(trade.opened_at),
        net=trade.net,
        quantity=quantity_out(trade.size, trade.entry, instrument, net=trade.net),
        commission=format_usdc(trade.commission),
        funding=format_usdc(trade.funding),
        realized_pnl=format_usdc(trade.realized),
        take_profit=own_price(trade.take_profit, instrument),
        stop_loss=own_price(trade.stop_loss, instrument),
        line=LineShown(str(line.size), str(line.cost), str(line.unit)),
        **more,
    )


def trade_shown(trade: Trade, rules: Rules) -> TradeShown:
    instrument = rules.instruments[trade.asset]
    return fixed(TradeShown, trade, instrument, trailing_stop=trailed_exit(trade.trailing_stop, instrument))


def opened(kind: type[OpenedData], event: TradeOpened, rules: Rules) -> Any:
    """Raises KeyError when the asset is not configured any more, as all do that take the rules."""
    trade, instrument = event.trade, rules.instruments[event.trade.asset]
    return fixed(
        kind,
        trade,
        instrument,
        trailing_stop=trailed_exit(trade.trailing_stop, instrument),
        balance=format_usdc(event.balance),
        warnings=warnings_of(trade),
    )


def break_even(trade: Trade, rate: int) -> int | None:
    return lines.break_even_price(trade.line, rate, trade.commission + trade.funding - trade.realized)


def remaining(trade: Trade, rules: Rules) -> Remaining:
    instrument = rules.instruments[trade.asset]
    return Remaining(
        format_usdc(trade.margin),
        quantity_out(trade.size, trade.entry, instrument, net=trade.net),
        format_scaled(trade.liquidation, instrument.decimals),
    )


def closed(event: TradeClosed | TradeReduced, at: int, rules: Rules) -> TradeClosedAnswer:
    """The answer to /trade/close."""
    if isinstance(event, TradeReduced):
        trade_id, asset, left = event.trade.id, event.trade.asset, remaining(event.trade, rules)
    else:
        trade_id, asset, left = event.trade_id, event.asset, None
    return TradeClosedAnswer(
        order_id=trade_id,
        close_price=format_scaled(event.price, rules.instruments[asset].decimals),
        pnl=format_usdc(event.pnl),
        returned=format_usdc(event.returned),
        liquidated=False,
        closed_at=iso(at),
        balance=format_usdc(event.balance),
        commission=format_usdc(event.fee),
        reason=event.reason.value,
        remaining=left,
    )


# --- orders ---------------------------------------------------------------------------------------------------------


def order_row(kind: type[Row], order: Order, instrument: Instrument, **more: Any) -> Row:
    """A struct that shows an order that waits, and `more`."""
    size = order.quantity if order.net else order.margin * order.leverage
    return kind(
        order_id=order.id,
        client_order_id=order.client_order or UNSET,
        asset=order.asset,
        type=order.side.value,
        kind=order.kind.value,
        margin=None if order.net else format_usdc(order.margin),
        leverage=leverage_out(order.leverage),
        quantity=quantity_out(size, order.price, instrument, net=order.net),
        limit_price=price_out(order.limit, instrument),
        stop_price=price_out(order.stop, instrument),
        expires_at=None if order.expires_at is None else iso(order.expires_at),
        reserved=format_usdc(order.reserved),
        take_profit=price_out(order.take_profit, instrument),
        stop_loss=price_out(order.stop_loss, instrument),
        trailing_stop=trailed(order.trailing_stop, instrument),
        created_at=iso(order.placed_at),
        **more,
    )


def exit_row(
    kind: type[Row], trade: Trade, exit_: Exit, instrument: Instrument, level: Level = UNSET, **more: Any
) -> Row:
    """The same of an exit that is an order."""
    order = exit_.order
    assert order is not None, "the others are shown with their trade"
    price = None if exit_.kind is Kind.TRAILING_STOP else format_scaled(exit_.price, instrument.decimals)
    is_limit = exit_.kind is Kind.LIMIT
    return kind(
        order_id=order.id,
        client_order_id=order.client_order or UNSET,
        asset=trade.asset,
        type=OPPOSITE[trade.side].value,
        kind=exit_.kind.value,
        margin=None,
        leverage=None,
        quantity=quantity_out(order.size, trade.entry, instrument, net=trade.net) if order.size else None,
        limit_price=price if is_limit else price_out(order.limit, instrument),
        stop_price=None if is_limit else price,
        expires_at=None if order.expires_at is None else iso(order.expires_at),
        reserved=format_usdc(0),
        take_profit=None,
        stop_loss=None,
        trailing_stop=trailed_exit(exit_, instrument, level),
        closes=trade.id,
        created_at=iso(order.placed_at),
        **more,
    )


def exit_named(trade: Trade, order_id: str) -> Exit:
    """The exit of a trade that is this order."""
    return next(each for each in trade.exits if each.id == order_id)
