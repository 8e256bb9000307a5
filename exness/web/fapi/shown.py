"""Orders of net positions as Binance shows them: one shape made from what waits, from rows and from records.

What waits for a price to fire is an algo order, by the number of its placing. Fired, it is an order like any other as
well, by its second number.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from exness.core.events import (
    EndStatus,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)
from exness.core.instruments import Asset, OrderId, Side
from exness.core.trades import PLACES, Exit, Kind, Order, Trade, Trailing
from exness.core.views import NetHoldings
from exness.runtime.ports.tables import OrderRow
from exness.web.fapi.params import trimmed
from exness.web.fapi.symbols import closed_at, notional_of, price_text, quantity_text
from exness.web.services import Fapi, Market

BUY, SELL = "BUY", "SELL"
SIDES = {BUY: Side.LONG, SELL: Side.SHORT}
WORDS = {side: word for word, side in SIDES.items()}
OPPOSITE = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}
LIQUIDATED = "autoclose-"
"""What the client order ids of liquidations begin with."""
_FIRE = {Kind.STOP, Kind.STOP_LIMIT, Kind.STOP_LOSS, Kind.TAKE_PROFIT, Kind.TRAILING_STOP}
_POSITION_CLOSED = "position_closed"
_ENDED = {
    EndStatus.FILLED: "FILLED",
    EndStatus.CANCELLED: "CANCELED",
    EndStatus.EXPIRED: "EXPIRED",
    EndStatus.REFUSED: "EXPIRED",
}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An order, or an exit that is one. Figures are the asset's integers, times microseconds. `quantity` 0: all there
    is. `status` None: it waits."""

    market: Market
    id: OrderId
    label: str | None
    side: Side
    kind: Kind | None
    """None: at the market."""
    number: int
    fired: int
    quantity: int
    limit: int | None
    stop: int | None
    trailing: Trailing | None
    expires_at: int | None
    reduces: bool
    created_at: int
    updated_at: int
    post_only: bool = False
    time_in_force: str = ""
    status: EndStatus | None = None
    reason: str = ""
    filled: int = 0
    price: int = 0
    liquidates: bool = False

    @property
    def fires(self) -> bool:
        """Whether it waits, or has waited, for a price to fire: it is an algo order."""
        return self.kind in _FIRE or (self.kind is Kind.LIMIT and self.fired > 0 and self.status is None)

    @property
    def is_order(self) -> bool:
        """Whether it is an order by now."""
        return not self.fires or self.fired > 0

    @property
    def order_id(self) -> int:
        return self.fired if self.fires else self.number

    @property
    def client_id(self) -> str:
        return self.label or self.id

    @property
    def closes_all(self) -> bool:
        return self.reduces and not self.quantity

    @property
    def whole(self) -> int:
        """What it asked for. One that reduces only is cut to what there was to reduce."""
        if self.status is EndStatus.FILLED and not self.reason:
            return self.filled
        return self.quantity

    @property
    def original(self) -> str:
        """Its type as it was placed."""
        match self.kind:
            case None:
                return "LIQUIDATION" if self.liquidates else "MARKET"
            case Kind.LIMIT:
                return "STOP" if self.fires else "LIMIT"
            case Kind.TAKE_PROFIT:
                return "TAKE_PROFIT_MARKET" if self.limit is None else "TAKE_PROFIT"
            case Kind.TRAILING_STOP:
                return "TRAILING_STOP_MARKET"
            case _:
                return "STOP_MARKET" if self.limit is None else "STOP"

    @property
    def type(self) -> str:
        """Its type as an order."""
        if self.fires:
            return "MARKET" if self.limit is None else "LIMIT"
        return self.original

    @property
    def state(self) -> str:
        if self.status is None:
            return "NEW"
        if self.status is EndStatus.FILLED and self.filled < self.whole:
            return "EXPIRED"
        return "EXPIRED" if self.ended_with_its_position else _ENDED[self.status]

    @property
    def ended_with_its_position(self) -> bool:
        return self.reason == _POSITION_CLOSED

    @property
    def lives(self) -> str:
        if self.time_in_force:
            return self.time_in_force
        if self.expires_at is not None:
            return "GTD"
        if self.post_only:
            return "GTX"
        return "IOC" if self.reason == "would_rest" else "GTC"


# --- from what there is ---------------------------------------------------------------------------------------------


def of_order(order: Order, market: Market) -> Shown:
    return Shown(
        market=market,
        id=order.id,
        label=order.label,
        side=order.side,
        kind=None if order.limit is None and order.stop is None else order.kind,
        number=order.number,
        fired=order.fired,
        quantity=order.quantity,
        limit=order.limit,
        stop=order.stop,
        trailing=None,
        expires_at=order.expires_at,
        reduces=False,
        created_at=order.placed_at,
        updated_at=order.placed_at,
        post_only=order.post_only,
    )


def of_exit(trade: Trade, exit_: Exit, market: Market) -> Shown:
    order = exit_.order
    assert order is not None, "the trade's own are no orders"
    limit, stop = order.limit, exit_.price or None
    if exit_.kind is Kind.LIMIT:
        limit, stop = exit_.price, None
    elif exit_.kind is Kind.TRAILING_STOP:
        stop = None
    return Shown(
        market=market,
        id=order.id,
        label=order.label,
        side=OPPOSITE[trade.side],
        kind=exit_.kind,
        number=exit_.number,
        fired=order.fired,
        quantity=order.size,
        limit=limit,
        stop=stop,
        trailing=exit_.trailing,
        expires_at=order.expires_at,
        reduces=True,
        created_at=order.placed_at,
        updated_at=order.placed_at,
        post_only=order.post_only,
    )


def of_row(row: OrderRow, market: Market) -> Shown:
    ended_at = row.created_at if row.ended_at is None else row.ended_at
    return Shown(
        market=market,
        id=row.order_id,
        label=row.label,
        side=row.side if row.closes is None else OPPOSITE[row.side],
        kind=row.kind,
        number=row.number,
        fired=row.fired,
        quantity=row.quantity,
        limit=row.limit,
        stop=row.stop,
        trailing=row.trailing,
        expires_at=row.expires_at,
        reduces=row.closes is not None,
        created_at=row.created_at,
        updated_at=ended_at,
        status=row.status,
        reason=row.reason or "",
        filled=row.filled,
        price=row.price,
    )


def of_liquidation(event: TradeClosed, record: Record, market: Market) -> Shown:
    """A liquidation, which is an order of its own at Binance."""
    assert event.net is not None, "of a net position"
    price = closed_at(market, event)
    return Shown(
        market=market,
        id=OrderId(f"{LIQUIDATED}{record.seq}"),
        label=None,
        side=OPPOSITE[event.net],
        kind=None,
        number=record.seq * PLACES,
        fired=0,
        quantity=event.filled,
        limit=price,
        stop=None,
        trailing=None,
        expires_at=None,
        reduces=True,
        created_at=record.at,
        updated_at=record.at,
        time_in_force="IOC",
        status=EndStatus.FILLED,
        filled=event.filled,
        price=price,
        liquidates=True,
    )


def of_records(records: Sequence[Record], market: Market) -> Shown:
    """The order that a command has placed or amended, and what came of it at once."""
    first, last = records[0].event, records[-1]
    match first:
        case OrderPlaced(order=order) | OrderAmended(order=order):
            shown = replace(of_order(order, market), updated_at=last.at)
        case TradeChanged(trade=trade, exit=str(name)):
            return replace(of_exit(trade, _named(trade, name), market), updated_at=last.at)
        case TradeOpened() | TradeIncreased() | TradeReduced() | TradeClosed():
            assert first.placed is not None, "a net order did it"
            shown = replace(of_order(first.placed, market), updated_at=last.at, status=EndStatus.FILLED)
            filled = sum(_filled(record) for record in records)
            return replace(shown, filled=filled, price=_price(first))
        case _:
            raise AssertionError(f"no order begins with {first}")
    for record in records[1:]:
        if isinstance(record.event, OrderEnded):
            end = record.event
            shown = replace(shown, status=end.status, reason=end.reason, filled=end.filled, price=end.price)
    return shown


def _named(trade: Trade, name: str) -> Exit:
    return next(each for each in trade.exits if each.id == name)


def _filled(record: Record) -> int:
    match record.event:
        case TradeOpened(trade=trade):
            return trade.size
        case TradeIncreased(size=size) | TradeReduced(size=size):
            return size
        case TradeClosed(filled=filled):
            return filled
        case _:
            return 0


def _price(event: TradeOpened | TradeIncreased | TradeReduced | TradeClosed) -> int:
    return event.trade.entry if isinstance(event, TradeOpened) else event.price


def waiting(holdings: NetHoldings, fapi: Fapi, asset: Asset | None = None) -> list[Shown]:
    """All that waits, by the numbers of placing."""
    markets = {market.asset: market for market in fapi.markets.values() if asset in (None, market.asset)}
    found = [of_order(order, markets[order.asset]) for order in holdings.orders if order.asset in markets]
    for trade in holdings.trades.values():
        if trade.asset in markets:
            found += [of_exit(trade, each, markets[trade.asset]) for each in trade.exits]
    return sorted(found, key=lambda each: each.number)


# --- as Binance has them --------------------------------------------------------------------------------------------


def order_object(shown: Shown) -> dict[str, Any]:
    market, price = shown.market, shown.price
    spent = trimmed(notional_of(market, shown.filled, price), 6)
    body = {
        "orderId": shown.order_id,
        "symbol": market.symbol,
        "status": shown.state,
        "clientOrderId": shown.client_id,
        "price": price_text(market, shown.limit),
        "avgPrice": price_text(market, price),
        "origQty": quantity_text(market, shown.whole),
        "executedQty": quantity_text(market, shown.filled),
        "cumQty": quantity_text(market, shown.filled),
        "cumQuote": spent,
        "timeInForce": shown.lives,
        "type": shown.type,
        "reduceOnly": shown.reduces,
        "closePosition": shown.closes_all,
        "side": WORDS[shown.side],
        "positionSide": "BOTH",
        "stopPrice": price_text(market, shown.stop),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": shown.original,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": (shown.expires_at or 0) // 1000,
        "time": shown.created_at // 1000,
        "updateTime": shown.updated_at // 1000,
    }
    return body | _trailing(shown, "priceRate")


def algo_object(shown: Shown) -> dict[str, Any]:
    market = shown.market
    fired_at = shown.updated_at // 1000 if shown.fired else 0
    body = {
        "algoId": shown.number,
        "clientAlgoId": shown.client_id,
        "algoType": "CONDITIONAL",
        "orderType": shown.original,
        "symbol": market.symbol,
        "side": WORDS[shown.side],
        "positionSide": "BOTH",
        "timeInForce": shown.lives,
        "quantity": quantity_text(market, shown.quantity),
        "algoStatus": algo_state(shown),
        "actualOrderId": str(shown.fired) if shown.fired else "",
        "actualPrice": price_text(market, shown.price),
        "actualQty": quantity_text(market, shown.filled),
        "actualType": shown.type if shown.fired else "",
        "triggerPrice": price_text(market, shown.stop),
        "price": price_text(market, shown.limit),
        "icebergQuantity": None,
        "tpTriggerPrice": "0",
        "tpPrice": "0",
        "slTriggerPrice": "0",
        "slPrice": "0",
        "tpOrderType": "",
        "selfTradePreventionMode": "NONE",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": shown.closes_all,
        "priceProtect": False,
        "reduceOnly": shown.reduces,
        "createTime": shown.created_at // 1000,
        "updateTime": shown.updated_at // 1000,
        "triggerTime": fired_at,
        "goodTillDate": (shown.expires_at or 0) // 1000,
    }
    return body | _trailing(shown, "callbackRate")


def _trailing(shown: Shown, rate: str) -> dict[str, str]:
    trailing = shown.trailing
    if trailing is None:
        return {}
    return {
        "activatePrice": price_text(shown.market, trailing.activation),
        rate: trimmed(trailing.percent or 0, 2),
    }


def algo_state(shown: Shown) -> str:
    if shown.status is None:
        return "TRIGGERED" if shown.fired else "NEW"
    if shown.fired:
        return "FINISHED"
    return "REJECTED" if shown.status is EndStatus.REFUSED else shown.state
