"""Records -> rows of orders, and of the exits that are orders: see `fold`."""

from typing import assert_never

import msgspec

from exness.core.events import (
    CloseReason,
    EndStatus,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    Record,
    TradeChanged,
    TradeIncreased,
    TradeReduced,
    Why,
)
from exness.core.trades import PLACES, Exit, Kind, Order, Trade, Trailing
from exness.storage import rows
from exness.storage.changes import AMENDED, FIRED, ORDER_ENDED, ORDERS_COUNTED, Change, Effect

BY_EXIT = {CloseReason.EXIT, CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS, CloseReason.TRAILING_STOP}
"""What is closed for one of these is closed by an exit."""

POSITION_CLOSED = "position_closed"
"""Why an exit ends that did not fire before its trade ended."""


def of_order(record: Record, event: OrderPlaced | OrderAmended | OrderTriggered | OrderEnded) -> list[Effect]:
    match event:
        case OrderPlaced(order):
            return [order_row(order)]
        case OrderAmended(order):
            prices = order.limit, order.stop, order.expires_at, order.reserved
            own = order.take_profit, order.stop_loss, _json(order.trailing_stop)
            amounts = order.kind.value, order.margin, order.leverage, order.quantity
            return [Change(AMENDED, order.id, (*amounts, *prices, *own))]
        case OrderTriggered():
            return [Change(FIRED, event.order_id, (event.fired,))]
        case OrderEnded(account=account, status=status):
            fired: list[Effect] = [Change(FIRED, event.order_id, (event.fired,))] if event.fired else []
            figures = event.filled, event.price
            return [*fired, *end(record, account, event.order_id, status, event.reason, *figures)]
        case _:
            assert_never(event)


def of_trade(record: Record, event: TradeReduced | TradeIncreased | TradeChanged) -> list[Effect]:
    """What becomes of an order by which a trade changes, or of an order among its exits."""
    if isinstance(event, TradeChanged):
        return [] if event.exit is None else _exit(record, event, event.exit)
    if event.placed is not None:
        return filled_at_once(record, event.placed, event.size, event.price)
    if isinstance(event, TradeReduced) and event.by is not None and event.reason in BY_EXIT:
        return exit_filled(record, event.account, event.by, event.size, event.price)
    return []


def _exit(record: Record, event: TradeChanged, order_id: str) -> list[Effect]:
    """It was added, amended, or has fired, or has ended while its trade goes on."""
    if event.ended is not None:
        reason = "expired" if event.ended is EndStatus.EXPIRED else "user"
        return end(record, event.account, order_id, event.ended, reason)
    exit_ = next(each for each in event.trade.exits if each.id == order_id)
    assert exit_.order is not None
    if event.why is Why.TRIGGERED:
        return [Change(FIRED, order_id, (exit_.order.fired,))]
    row = exit_row(event.trade, exit_)
    if exit_.number // PLACES == record.seq:
        return [row]
    return [Change(AMENDED, order_id, tuple([getattr(row, column) for column in AMENDED.columns]))]


def exit_filled(record: Record, account: str, order_id: str, size: int, price: int) -> list[Effect]:
    return [
        Change(FIRED, order_id, (record.seq * PLACES,)),
        *end(record, account, order_id, EndStatus.FILLED, "", size, price),
    ]


def filled_at_once(record: Record, order: Order, size: int, price: int) -> list[Effect]:
    """A net order that never waited."""
    row = order_row(order)
    row.status, row.reason, row.ended_at, row.ended_seq = EndStatus.FILLED.value, "", record.at, record.seq
    row.filled, row.price, row.fired = size, price, order.number
    return [row, Change(ORDERS_COUNTED, order.account, (1,))]


def end(
    record: Record, account: str, order_id: str, status: EndStatus, reason: str, size: int = 0, price: int = 0
) -> list[Effect]:
    return [
        Change(ORDER_ENDED, order_id, (status.value, reason, record.at, record.seq, size, price)),
        Change(ORDERS_COUNTED, account, (1,)),
    ]


def order_row(order: Order) -> rows.Order:
    return rows.Order(
        number=order.number,
        id=order.id,
        account_id=order.account,
        asset=order.asset,
        side=order.side.value,
        kind=None if order.limit is None and order.stop is None else order.kind.value,
        net=int(order.net),
        margin=order.margin,
        leverage=order.leverage,
        quantity=order.quantity,
        limit_price=order.limit,
        stop_price=order.stop,
        expires_at=order.expires_at,
        reserved=order.reserved,
        take_profit=order.take_profit,
        stop_loss=order.stop_loss,
        trailing=_json(order.trailing_stop),
        closes=None,
        client_order_id=order.client_order,
        label=order.label,
        created_at=order.placed_at,
    )


def exit_row(trade: Trade, exit_: Exit) -> rows.Order:
    order = exit_.order
    assert order is not None
    limit, stop = order.limit, exit_.price or None
    if exit_.kind is Kind.LIMIT:
        limit, stop = exit_.price, None
    elif exit_.kind is Kind.TRAILING_STOP:
        stop = None
    return rows.Order(
        number=exit_.number,
        id=order.id,
        account_id=trade.account,
        asset=trade.asset,
        side=trade.side.value,
        kind=exit_.kind.value,
        net=int(trade.net),
        margin=0,
        leverage=0,
        quantity=order.size,
        limit_price=limit,
        stop_price=stop,
        expires_at=order.expires_at,
        reserved=0,
        take_profit=None,
        stop_loss=None,
        trailing=_json(exit_.trailing),
        closes=trade.id,
        client_order_id=order.client_order,
        label=order.label,
        created_at=order.placed_at,
    )


def _json(trailing: Trailing | None) -> str | None:
    return None if trailing is None else msgspec.json.encode(trailing).decode()
