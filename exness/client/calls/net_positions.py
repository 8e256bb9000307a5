"""Net positions: one for each account and asset, which orders change."""

from typing import Literal, TypeAlias

from exness.client import answers
from exness.client.calls.call import (
    API,
    Amount,
    Call,
    Moment,
    Read,
    TimeInForce,
    TrailingStop,
    date,
    new_client_order_id,
    reader,
)

BuyOrSell: TypeAlias = Literal["buy", "sell"]
ExitKind: TypeAlias = Literal["take_profit", "stop_loss"]
_placed: Read[answers.OrderPending | answers.OrderFilled] = reader(answers.OrderPending | answers.OrderFilled)
_leverage = reader(answers.NetLeverageSet)
_positions = reader(answers.NetPositions)
_quote = reader(answers.Quote)


def net_order(
    asset: str,
    side: BuyOrSell,
    *,
    quantity: Amount | None = None,
    close_position: bool | None = None,
    limit_price: Amount | None = None,
    stop_price: Amount | None = None,
    trailing_stop: TrailingStop | None = None,
    kind: ExitKind | None = None,
    reduce_only: bool | None = None,
    time_in_force: TimeInForce | None = None,
    expires_at: Moment | None = None,
    post_only: bool | None = None,
    slippage: int | None = None,
    expected_price: Amount | None = None,
    client_order_id: str | None = None,
) -> Call[answers.OrderPending | answers.OrderFilled]:
    """POST /net/order: `quantity` of the asset, or `close_position`; at the market, or with a price, which waits.
    `kind` is that of an exit with a `stop_price`. Without a `client_order_id` one is made, so that asking again never
    trades twice."""
    body = {
        "asset": asset,
        "side": side,
        "quantity": quantity,
        "closePosition": close_position,
        "limitPrice": limit_price,
        "stopPrice": stop_price,
        "trailingStop": trailing_stop,
        "kind": kind,
        "reduceOnly": reduce_only,
        "timeInForce": time_in_force,
        "expiresAt": date(expires_at),
        "postOnly": post_only,
        "slippage": slippage,
        "expectedPrice": expected_price,
        "clientOrderId": client_order_id or new_client_order_id(),
    }
    return Call("POST", f"{API}/net/order", _placed, body)


def net_quote(
    asset: str,
    side: BuyOrSell,
    *,
    quantity: Amount | None = None,
    close_position: bool | None = None,
    limit_price: Amount | None = None,
    stop_price: Amount | None = None,
    trailing_stop: TrailingStop | None = None,
    kind: ExitKind | None = None,
    reduce_only: bool | None = None,
    time_in_force: TimeInForce | None = None,
    expires_at: Moment | None = None,
    post_only: bool | None = None,
    slippage: int | None = None,
    expected_price: Amount | None = None,
) -> Call[answers.Quote]:
    """POST /net/quote: what net_order would come to. Nothing is done."""
    body = {
        "asset": asset,
        "side": side,
        "quantity": quantity,
        "closePosition": close_position,
        "limitPrice": limit_price,
        "stopPrice": stop_price,
        "trailingStop": trailing_stop,
        "kind": kind,
        "reduceOnly": reduce_only,
        "timeInForce": time_in_force,
        "expiresAt": date(expires_at),
        "postOnly": post_only,
        "slippage": slippage,
        "expectedPrice": expected_price,
    }
    return Call("POST", f"{API}/net/quote", _quote, body)


def net_leverage(asset: str, leverage: Amount) -> Call[answers.NetLeverageSet]:
    """POST /net/leverage: of the position that is open, too."""
    return Call("POST", f"{API}/net/leverage", _leverage, {"asset": asset, "leverage": leverage})


def net(asset: str | None = None) -> Call[list[answers.NetPosition]]:
    """GET /net: of every asset, or of one."""
    return Call("GET", f"{API}/net", lambda body: _positions(body).data, query={"asset": asset})
