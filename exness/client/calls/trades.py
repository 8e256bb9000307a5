"""Trades: opened, changed, closed, listed."""

from typing import Literal

from msgspec import UNSET, UnsetType

from exness.client import answers
from exness.client.calls.call import (
    API,
    Amount,
    Call,
    Moment,
    Side,
    TimeInForce,
    TrailingStop,
    changes,
    date,
    new_client_order_id,
    reader,
    truth,
)

_created = reader(answers.TradeCreated)
_closed = reader(answers.TradeClosed)
_all_closed = reader(answers.AllClosed)
_one = reader(answers.HistoryTrade)
_exits = reader(answers.ExitsSet)
_exit = reader(answers.OpenOrder)
_margin = reader(answers.MarginChanged)
_quote = reader(answers.Quote)
_open = reader(answers.OpenTrades)
_history = reader(answers.History)


def create_trade(
    asset: str,
    type: Side,  # noqa: A002 - the contract's name
    *,
    margin: Amount,
    leverage: Amount,
    slippage: int | None = None,
    expected_price: Amount | None = None,
    take_profit: Amount | None = None,
    stop_loss: Amount | None = None,
    trailing_stop: TrailingStop | None = None,
    client_order_id: str | None = None,
) -> Call[answers.TradeCreated]:
    """POST /trade/create. `margin` in USDC, `slippage` in hundredths of a percent. Without a `client_order_id` one is
    made, so that asking again never makes a second trade."""
    body = {
        "asset": asset,
        "type": type,
        "margin": margin,
        "leverage": leverage,
        "slippage": slippage,
        "expectedPrice": expected_price,
        "takeProfit": take_profit,
        "stopLoss": stop_loss,
        "trailingStop": trailing_stop,
        "clientOrderId": client_order_id or new_client_order_id(),
    }
    return Call("POST", f"{API}/trade/create", _created, body)


def close_trade(
    order_id: str,
    *,
    percent: int | None = None,
    margin: Amount | None = None,
    quantity: Amount | None = None,
    client_order_id: str | None = None,
) -> Call[answers.TradeClosed]:
    """POST /trade/close: all of it, or so many hundredths of a percent, so much of its margin or, of a net position,
    such a quantity. Without a `client_order_id` one is made, so that asking again never closes a second part."""
    body = {
        "orderId": order_id,
        "percent": percent,
        "margin": margin,
        "quantity": quantity,
        "clientOrderId": client_order_id or new_client_order_id(),
    }
    return Call("POST", f"{API}/trade/close", _closed, body)


def set_exits(
    order_id: str,
    *,
    take_profit: Amount | UnsetType | None = UNSET,
    stop_loss: Amount | UnsetType | None = UNSET,
    trailing_stop: TrailingStop | UnsetType | None = UNSET,
) -> Call[answers.ExitsSet]:
    """POST /trade/exits: the trade's own three. None removes, what is left out stays."""
    body = {
        "orderId": order_id,
        **changes(takeProfit=take_profit, stopLoss=stop_loss, trailingStop=trailing_stop),
    }
    return Call("POST", f"{API}/trade/exits", _exits, body)


def add_exit(
    order_id: str,
    kind: Literal["take_profit", "stop_loss", "limit"],
    *,
    price: Amount,
    percent: int | None = None,
    margin: Amount | None = None,
    quantity: Amount | None = None,
    client_order_id: str | None = None,
) -> Call[answers.OpenOrder]:
    """POST /trade/exit: one over a part of a trade, which is an order of its own. The part is named as in close_trade.
    Without a `client_order_id` one is made, so that asking again never makes a second exit."""
    body = {
        "orderId": order_id,
        "kind": kind,
        "price": price,
        "percent": percent,
        "margin": margin,
        "quantity": quantity,
        "clientOrderId": client_order_id or new_client_order_id(),
    }
    return Call("POST", f"{API}/trade/exit", _exit, body)


def change_margin(order_id: str, amount: Amount, *, client_order_id: str | None = None) -> Call[answers.MarginChanged]:
    """POST /trade/margin: so many USDC more; below 0, less. Without a `client_order_id` one is made, so that asking
    again never moves money twice."""
    body = {"orderId": order_id, "amount": amount, "clientOrderId": client_order_id or new_client_order_id()}
    return Call("POST", f"{API}/trade/margin", _margin, body)


def change_leverage(order_id: str, leverage: Amount) -> Call[answers.MarginChanged]:
    """POST /trade/leverage."""
    return Call("POST", f"{API}/trade/leverage", _margin, {"orderId": order_id, "leverage": leverage})


def quote(
    asset: str,
    type: Side,  # noqa: A002 - the contract's name
    *,
    margin: Amount,
    leverage: Amount,
    slippage: int | None = None,
    expected_price: Amount | None = None,
    limit_price: Amount | None = None,
    stop_price: Amount | None = None,
    time_in_force: TimeInForce | None = None,
    expires_at: Moment | None = None,
    post_only: bool | None = None,
    take_profit: Amount | None = None,
    stop_loss: Amount | None = None,
    trailing_stop: TrailingStop | None = None,
) -> Call[answers.Quote]:
    """POST /trade/quote: what create_trade or, with a price, create_order would come to. Nothing is done."""
    body = {
        "asset": asset,
        "type": type,
        "margin": margin,
        "leverage": leverage,
        "slippage": slippage,
        "expectedPrice": expected_price,
        "limitPrice": limit_price,
        "stopPrice": stop_price,
        "timeInForce": time_in_force,
        "expiresAt": date(expires_at),
        "postOnly": post_only,
        "takeProfit": take_profit,
        "stopLoss": stop_loss,
        "trailingStop": trailing_stop,
    }
    return Call("POST", f"{API}/trade/quote", _quote, body)


def close_all_trades(asset: str | None = None) -> Call[answers.AllClosed]:
    """POST /trade/closeAll: all, or those in one asset. Asked again it closes what is still open."""
    return Call("POST", f"{API}/trade/closeAll", _all_closed, {"asset": asset})


def trade(order_id: str | None = None, *, client_order_id: str | None = None) -> Call[answers.HistoryTrade]:
    """GET /trade: one of any time, by one of the ids."""
    return Call("GET", f"{API}/trade", _one, query={"orderId": order_id, "clientOrderId": client_order_id})


def open_trades(asset: str | None = None) -> Call[list[answers.OpenTrade]]:
    """GET /trade/open: all of them, oldest first."""
    return Call("GET", f"{API}/trade/open", lambda body: _open(body).data, query={"asset": asset})


def open_trades_page(limit: int = 1000, offset: int = 0, asset: str | None = None) -> Call[answers.OpenTrades]:
    """GET /trade/open: a page, with `pagination`."""
    query = {"asset": asset, "limit": limit, "offset": offset}
    return Call("GET", f"{API}/trade/open", _open, query=query)


def history(
    *,
    status: Literal["open", "closed"] | None = None,
    asset: str | None = None,
    trade_type: Side | None = None,
    profitable: bool | None = None,
    liquidated: bool | None = None,
    from_date: Moment | None = None,
    to_date: Moment | None = None,
    closed_from: Moment | None = None,
    closed_to: Moment | None = None,
    limit: int | None = None,
    offset: int | None = None,
    cursor: str | None = None,
    sort_by: Literal["createdAt", "closedAt", "pnl", "margin", "leverage"] | None = None,
    sort_order: Literal["asc", "desc"] | None = None,
) -> Call[answers.History]:
    """GET /trade/history. Dates are of the opening unless they say otherwise, both ends count. `cursor` is the
    `next_cursor` of the page before."""
    query = {
        "status": status,
        "asset": asset,
        "tradeType": trade_type,
        "profitable": truth(profitable),
        "liquidated": truth(liquidated),
        "fromDate": date(from_date),
        "toDate": date(to_date),
        "closedFrom": date(closed_from),
        "closedTo": date(closed_to),
        "limit": limit,
        "offset": offset,
        "cursor": cursor,
        "sortBy": sort_by,
        "sortOrder": sort_order,
    }
    return Call("GET", f"{API}/trade/history", _history, query=query)
