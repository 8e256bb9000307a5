"""Orders and exits that wait: placed, amended, cancelled, listed."""

from msgspec import UNSET, UnsetType

from exness.client import answers
from exness.client.calls.call import (
    API,
    Amount,
    Call,
    Moment,
    Read,
    Side,
    TimeInForce,
    TrailingStop,
    changed_date,
    changes,
    date,
    new_client_order_id,
    reader,
)
from exness.client.errors import OrderAlreadyEnded, Refused

_one = reader(answers.TheOrder)
_placed: Read[answers.OrderPending | answers.OrderOpened] = reader(answers.OrderPending | answers.OrderOpened)
_amended: Read[answers.OrderPending | answers.OrderOpened | answers.OrderFilled] = reader(
    answers.OrderPending | answers.OrderOpened | answers.OrderFilled
)
_cancelled = reader(answers.OrderCancelled)
_all_cancelled = reader(answers.OrdersCancelled)
_open = reader(answers.OpenOrders)
_history = reader(answers.OrderHistory)


def create_order(
    asset: str,
    type: Side,  # noqa: A002 - the contract's name
    *,
    margin: Amount,
    leverage: Amount,
    limit_price: Amount | None = None,
    stop_price: Amount | None = None,
    time_in_force: TimeInForce | None = None,
    expires_at: Moment | None = None,
    post_only: bool | None = None,
    take_profit: Amount | None = None,
    stop_loss: Amount | None = None,
    trailing_stop: TrailingStop | None = None,
    client_order_id: str | None = None,
) -> Call[answers.OrderPending | answers.OrderOpened]:
    """POST /order/create: a limit order, a stop order, or with both prices a stop-limit order. Without a
    `client_order_id` one is made, so that asking again never makes a second order."""
    body = {
        "asset": asset,
        "type": type,
        "margin": margin,
        "leverage": leverage,
        "limitPrice": limit_price,
        "stopPrice": stop_price,
        "timeInForce": time_in_force,
        "expiresAt": date(expires_at),
        "postOnly": post_only,
        "takeProfit": take_profit,
        "stopLoss": stop_loss,
        "trailingStop": trailing_stop,
        "clientOrderId": client_order_id or new_client_order_id(),
    }
    return Call("POST", f"{API}/order/create", _placed, body)


def amend_order(
    order_id: str,
    *,
    limit_price: Amount | UnsetType | None = UNSET,
    stop_price: Amount | UnsetType | None = UNSET,
    expires_at: Moment | UnsetType | None = UNSET,
    margin: Amount | UnsetType = UNSET,
    leverage: Amount | UnsetType = UNSET,
    quantity: Amount | UnsetType = UNSET,
    take_profit: Amount | UnsetType | None = UNSET,
    stop_loss: Amount | UnsetType | None = UNSET,
    trailing_stop: TrailingStop | UnsetType | None = UNSET,
) -> Call[answers.OrderPending | answers.OrderOpened | answers.OrderFilled]:
    """POST /order/amend, of an order or of an exit that is one. None removes, what is left out stays. What fills it at
    once has no answer twice: when the first one is lost, OrderAlreadyEnded says that it is filled."""
    body = {
        "orderId": order_id,
        **changes(
            limitPrice=limit_price,
            stopPrice=stop_price,
            expiresAt=changed_date(expires_at),
            margin=margin,
            leverage=leverage,
            quantity=quantity,
            takeProfit=take_profit,
            stopLoss=stop_loss,
            trailingStop=trailing_stop,
        ),
    }
    return Call("POST", f"{API}/order/amend", _amended, body)


def cancel_order(order_id: str) -> Call[answers.OrderCancelled]:
    """POST /order/cancel, of an order or of an exit that is one. Cancelled by an earlier try whose answer was lost, it
    is told as cancelled."""
    return Call("POST", f"{API}/order/cancel", _cancelled, {"orderId": order_id}, settled=_cancelled_before)


def _cancelled_before(refused: Refused) -> answers.OrderCancelled | None:
    if not isinstance(refused, OrderAlreadyEnded) or refused.details["status"] != "cancelled":
        return None
    return answers.OrderCancelled(order_id=refused.details["orderId"], status="cancelled")


def cancel_all_orders(asset: str | None = None) -> Call[answers.OrdersCancelled]:
    """POST /order/cancelAll: all that waits, exits that are orders too. When an answer is lost, the next one names only
    what was left."""
    return Call("POST", f"{API}/order/cancelAll", _all_cancelled, {"asset": asset})


def order(order_id: str | None = None, *, client_order_id: str | None = None) -> Call[answers.TheOrder]:
    """GET /order: one of any time, by one of the ids."""
    return Call("GET", f"{API}/order", _one, query={"orderId": order_id, "clientOrderId": client_order_id})


def open_orders(asset: str | None = None) -> Call[list[answers.OpenOrder]]:
    """GET /order/open: what waits, in the order in which it was placed."""
    return Call("GET", f"{API}/order/open", lambda body: _open(body).data, query={"asset": asset})


def order_history(
    asset: str | None = None, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
) -> Call[answers.OrderHistory]:
    """GET /order/history: what has ended, newest first. `cursor` is the `next_cursor` of the page before."""
    query = {"asset": asset, "limit": limit, "offset": offset, "cursor": cursor}
    return Call("GET", f"{API}/order/history", _history, query=query)
