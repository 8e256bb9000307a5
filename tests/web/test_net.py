"""web/v1/net.py: net positions, and the orders that change them."""

from typing import Any

import pytest

from tests.support.app import App, Trader, assert_error, bad, unchanged
from tests.support.books import SOL


async def net(trader: Trader, side: str = "buy", **fields: Any) -> dict[str, Any]:
    answer = await trader.post("/net/order", {"asset": "SOL", "side": side} | fields)
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    return body


async def test_an_order_opens_a_position_and_another_adds_to_it(app: App, ann: Trader) -> None:
    first = await net(ann, quantity="1.5", clientOrderId="first")
    assert first["trade"]["net"] is True
    assert {name: value for name, value in first.items() if name != "trade"} == {
        "status": "filled",
        "success": True,
        "orderId": first["trade"]["orderId"],
        "clientOrderId": "first",
        "price": "200.000000",
        "commission": "0.000000",
        "pnl": "0.000000",
        "balance": "4985.000000",
    }
    await app.quote(SOL, "210")
    more = await net(ann, quantity=1)
    trade = more["trade"]
    assert trade["orderId"] == first["orderId"] != more["orderId"]
    assert (trade["quantity"], trade["entryPrice"], trade["margin"]) == ("2.500", "204.000000", "25.500000")
    assert trade["line"] == {"size": "2500", "cost": "510000000000", "unit": "1000"}
    assert await net(ann, quantity="1.50", clientOrderId="first") == first


async def test_past_zero_it_is_a_close_and_an_open_answered_as_one(app: App, ann: Trader) -> None:
    await net(ann, quantity=1)
    await app.quote(SOL, "210")
    flipped = await net(ann, "sell", quantity=3, clientOrderId="flip")
    assert (flipped["pnl"], flipped["trade"]["type"], flipped["trade"]["quantity"]) == ("10.000000", "short", "2.000")
    assert flipped["trade"]["orderId"] == flipped["orderId"]
    closed = await net(ann, closePosition=True)
    assert (closed["trade"], closed["pnl"]) == (None, "0.000000")
    assert await net(ann, "sell", quantity=3, clientOrderId="flip") == flipped
    history = (await ann.get("/order/history")).body["data"]
    assert [row["status"] for row in history] == ["filled"] * len(history)
    assert (history[0]["averagePrice"], len(history)) == ("210.000000", 3)


async def test_what_waits_is_listed_reserves_what_would_open_and_is_amended(app: App, ann: Trader) -> None:
    waiting = await net(ann, quantity=2, limitPrice=190)
    assert (waiting["status"], waiting["kind"], waiting["margin"]) == ("pending", "limit", None)
    assert (waiting["quantity"], waiting["reserved"], waiting["leverage"]) == ("2.000", "19.000000", 20)
    amended = (await ann.post("/order/amend", {"orderId": waiting["orderId"], "quantity": "1.5"})).body
    assert (amended["quantity"], amended["reserved"]) == ("1.500", "14.250000")
    filled = (await ann.post("/order/amend", {"orderId": waiting["orderId"], "limitPrice": 201})).body
    assert (filled["status"], filled["orderId"], filled["price"]) == ("filled", waiting["orderId"], "200.000000")
    assert filled["trade"]["quantity"] == "1.500"


async def test_an_exit_of_all_there_is_ends_with_the_position(app: App, ann: Trader) -> None:
    position = await net(ann, quantity=1)
    stop = await net(ann, "sell", closePosition=True, stopPrice=190, limitPrice=189)
    assert (stop["status"], stop["kind"], stop["quantity"], stop["closes"]) == (
        "pending",
        "stop_loss",
        None,
        position["orderId"],
    )
    assert (stop["stopPrice"], stop["limitPrice"], stop["type"]) == ("190.000000", "189.000000", "short")
    trailing = await net(ann, "sell", reduceOnly=True, quantity="0.5", trailingStop={"percent": 100})
    (row,) = [each for each in (await ann.get("/order/open")).body["data"] if each["orderId"] == trailing["orderId"]]
    assert row["trailingStop"] == {"percent": 100, "level": "198.000000"}
    await net(ann, closePosition=True, side="sell")
    assert (await ann.get("/order/open")).body["data"] == []


async def test_leverage_is_set_with_and_without_a_position(app: App, ann: Trader) -> None:
    answer = await ann.post("/net/leverage", {"asset": "SOL", "leverage": "12.5"})
    assert answer.body == {"success": True, "asset": "SOL", "leverage": "12.5", "trade": None}
    await net(ann, quantity=1)
    lower = (await ann.post("/net/leverage", {"asset": "SOL", "leverage": 4})).body
    assert (lower["leverage"], lower["trade"]["margin"]) == (4, "50.000000")
    rows = (await ann.get("/net")).body["data"]
    assert [(row["asset"], row["leverage"]) for row in rows] == [("SOL", 4), ("ETH", 20), ("BTC", 20)]
    assert rows[0]["trade"] == (await ann.open_trades())[0]
    assert (await ann.get("/net?asset=ETH")).body["data"] == [{"asset": "ETH", "leverage": 20, "trade": None}]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "quantity"),
        ({"quantity": 1, "closePosition": True}, "quantity"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "0.0001"}, "quantity"),
        ({"quantity": 1, "side": "long"}, "side"),
        ({"quantity": 1, "kind": "limit"}, "kind"),
        ({"quantity": 1, "stopPrice": 210, "kind": "stop_loss"}, "kind"),
        ({"quantity": 1, "trailingStop": {"percent": 1}}, "trailingStop"),
        ({"quantity": 1, "slippage": 1}, "slippage"),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_its_field(
    app: App, ann: Trader, fields: dict[str, Any], field: str
) -> None:
    with unchanged(app):
        refused = await ann.post("/net/order", {"asset": "SOL", "side": "buy"} | fields)
    assert_error(refused, 400, "invalid_request", details=bad(field, refused.message))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"quantity": 1, "side": "sell", "reduceOnly": True}, "reduce_only_rejected"),
        ({"closePosition": True}, "reduce_only_rejected"),
        ({"quantity": 1, "limitPrice": 201, "postOnly": True}, "would_take"),
        ({"quantity": 1, "limitPrice": 190, "timeInForce": "ioc"}, "would_rest"),
        ({"quantity": 1, "stopPrice": 199}, "would_trigger"),
        ({"quantity": 1, "slippage": 10, "expectedPrice": 190}, "slippage_exceeded"),
        ({"quantity": 600}, "insufficient_margin"),
    ],
)
async def test_what_can_not_be_done_is_refused_and_changes_nothing(
    app: App, ann: Trader, fields: dict[str, Any], code: str
) -> None:
    with unchanged(app):
        refused = await ann.post("/net/order", {"asset": "SOL", "side": "buy"} | fields)
    assert (refused.status, refused.code) == (422, code)
