"""web/v1/exits.py and trades.py: exits, parts, margin and leverage of an open trade."""

from typing import Any

import pytest

from tests.support.app import App, Trader, assert_error, bad, unchanged
from tests.support.books import SOL

NONE: dict[str, Any] = {"takeProfit": None, "stopLoss": None, "trailingStop": None}


async def test_a_trade_is_opened_with_its_exits_and_told_what_may_not_be_meant(app: App, ann: Trader) -> None:
    trade = await ann.create(takeProfit=220, stopLoss=170, trailingStop={"percent": 250})
    told = {name: trade[name] for name in NONE}
    assert told == {"takeProfit": "220.000000", "stopLoss": "170.000000", "trailingStop": {"percent": 250}}
    assert [each["code"] for each in trade["warnings"]] == ["stop_loss_beyond_liquidation"]
    (row,) = await ann.open_trades()
    assert row["trailingStop"] == {"percent": 250, "level": "195.000000"}
    assert "warnings" not in await ann.create(stopLoss=190)
    with unchanged(app):
        refused = await ann.try_create(takeProfit=200)
        assert_error(refused, 422, "would_trigger", details={"price": "200.000000", "level": "200.000000"})


async def test_exits_are_set_and_null_removes_one_and_what_is_left_out_stays(app: App, ann: Trader) -> None:
    order_id = (await ann.create(takeProfit=220, stopLoss=190))["orderId"]
    body = {"orderId": order_id, "takeProfit": None, "trailingStop": {"distance": "7.5", "activation": 210}}
    answer = await ann.post("/trade/exits", body)
    trailing = {"distance": "7.500000", "activation": "210.000000"}
    assert answer.body == {
        "success": True,
        "orderId": order_id,
        "takeProfit": None,
        "stopLoss": "190.000000",
        "trailingStop": trailing,
        "liquidationPrice": "180.000000",
    }
    (row,) = await ann.open_trades()
    assert row["trailingStop"] == trailing | {"level": None}, "it waits for its activation"
    await app.quote(SOL, "215")
    (row,) = await ann.open_trades()
    assert row["trailingStop"]["level"] == "207.500000"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/trade/exits", {}, "body"),
        ("/trade/exits", {"stopLoss": 0}, "stopLoss"),
        ("/trade/exits", {"trailingStop": {"percent": 1, "distance": 1}}, "trailingStop.distance"),
        ("/trade/exits", {"stopLoss": 195, "takeProfit": 190}, "stopLoss"),
        ("/trade/exit", {"kind": "limit", "price": 210}, "percent"),
        ("/trade/exit", {"kind": "limit", "price": 210, "percent": 1, "margin": 1}, "percent"),
        ("/trade/exit", {"kind": "limit", "price": 210, "quantity": 1}, "quantity"),
        ("/trade/exit", {"kind": "trailing_stop", "price": 210, "percent": 1}, "kind"),
        ("/trade/exit", {"kind": "limit", "price": None, "percent": 1}, "price"),
        ("/trade/exit", {"kind": "limit", "price": 0, "percent": 1}, "price"),
        ("/trade/close", {"percent": 1, "margin": 1}, "percent"),
        ("/trade/close", {"quantity": 1}, "quantity"),
        ("/trade/close", {"percent": "1.5"}, "percent"),
        ("/trade/margin", {"amount": 0}, "amount"),
        ("/trade/margin", {}, "amount"),
        ("/trade/leverage", {"leverage": "x"}, "leverage"),
        ("/trade/close", {"clientOrderId": "ä"}, "clientOrderId"),
        ("/trade/exit", {"kind": "limit", "price": 210, "percent": 1, "clientOrderId": "x" * 65}, "clientOrderId"),
        ("/trade/margin", {"amount": 1, "clientOrderId": ""}, "clientOrderId"),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_its_field(
    app: App, ann: Trader, path: str, body: dict[str, Any], field: str
) -> None:
    order_id = (await ann.create())["orderId"]
    with unchanged(app):
        refused = await ann.post(path, {"orderId": order_id} | body)
    assert_error(refused, 400, "invalid_request", details=bad(field, refused.message))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/trade/exits", {"stopLoss": 190}),
        ("/trade/exit", {"kind": "limit", "price": 210, "percent": 1}),
        ("/trade/close", {"percent": 5000}),
        ("/trade/margin", {"amount": 1}),
        ("/trade/leverage", {"leverage": 5}),
    ],
)
async def test_of_somebody_elses_trade_nothing_is_known_and_of_one_that_has_ended_how(
    app: App, ann: Trader, path: str, body: dict[str, Any]
) -> None:
    order_id = (await ann.create())["orderId"]
    (bob,) = await app.known("bob")
    with unchanged(app):
        assert_error(await bob.post(path, {"orderId": order_id} | body), 404, "trade_not_found")
    await ann.close(order_id)
    ended = await ann.post(path, {"orderId": order_id} | body)
    assert_error(ended, 409, "trade_already_closed", details=ended.details)
    assert ended.details["orderId"] == order_id


async def test_an_exit_over_a_part_is_an_order_of_its_own_and_closes_that_part(app: App, ann: Trader) -> None:
    trade = await ann.create()
    body = {"orderId": trade["orderId"], "kind": "take_profit", "price": 220, "margin": 40, "clientOrderId": "exit"}
    answer = await ann.post("/trade/exit", body)
    row = (await ann.get("/order/open")).body["data"][0]
    assert answer.body == {"success": True} | row
    assert row == NONE | {
        "orderId": row["orderId"],
        "clientOrderId": "exit",
        "asset": "SOL",
        "type": "short",
        "kind": "take_profit",
        "margin": None,
        "leverage": None,
        "quantity": "2.000",
        "limitPrice": None,
        "stopPrice": "220.000000",
        "expiresAt": None,
        "reserved": "0.000000",
        "closes": trade["orderId"],
        "createdAt": trade["createdAt"],
    }
    assert (await ann.post("/order/amend", {"orderId": row["orderId"], "stopPrice": 210})).body[
        "stopPrice"
    ] == "210.000000"
    await app.quote(SOL, "211")
    (left,) = await ann.open_trades()
    assert (left["margin"], left["quantity"], left["realizedPnl"]) == ("60.000000", "3.000", "22.000000")
    (ended,) = (await ann.get("/order/history")).body["data"]
    assert (ended["status"], ended["averagePrice"], ended["filledQuantity"]) == ("filled", "211.000000", "2.000")
    again = await ann.post("/order/cancel", {"orderId": ended["orderId"]})
    details = {name: ended[name] for name in ("orderId", "status", "reason")}
    assert_error(again, 409, "order_already_ended", details=details)
    assert details["reason"] is None, "a fill needs no reason"
    await ann.close(trade["orderId"])
    assert (await ann.post("/trade/exit", body)).body == answer.body, "the first answer, though the trade has ended"


async def test_exits_end_with_their_trade(app: App, ann: Trader) -> None:
    trade = await ann.create()
    body = {"orderId": trade["orderId"], "kind": "limit", "price": 220, "percent": 10_000}
    exit_id = (await ann.post("/trade/exit", body)).body["orderId"]
    await ann.close(trade["orderId"])
    assert (await ann.get("/order/open")).body["data"] == []
    refused = await ann.post("/order/cancel", {"orderId": exit_id})
    details = {"orderId": exit_id, "status": "cancelled", "reason": "position_closed"}
    assert_error(refused, 409, "order_already_ended", details=details)


async def test_a_part_is_closed_once_under_its_client_order_id(app: App, ann: Trader) -> None:
    order_id = (await ann.create())["orderId"]
    await app.quote(SOL, "210")
    body = {"orderId": order_id, "percent": 2500, "clientOrderId": "part"}
    answer = await ann.post("/trade/close", body)
    assert answer.body == {
        "success": True,
        "orderId": order_id,
        "closePrice": "210.000000",
        "pnl": "12.500000",
        "returned": "37.500000",
        "liquidated": False,
        "closedAt": answer.body["closedAt"],
        "balance": "4937.500000",
        "commission": "0.000000",
        "reason": "user",
        "remaining": {"margin": "75.000000", "quantity": "3.750", "liquidationPrice": "180.000000"},
    }
    assert (await ann.post("/trade/close", body)).body == answer.body
    rest = await ann.post("/trade/close", {"orderId": order_id, "margin": 1000})
    assert (rest.body["remaining"], rest.body["pnl"]) == (None, "37.500000")
    assert (await ann.post("/trade/close", body)).body == answer.body, "also when all of it has ended"
    (row,) = (await ann.get("/trade/history")).body["data"]
    assert (row["pnl"], row["realizedPnl"], row["closeReason"]) == ("37.500000", "50.000000", "user")


async def test_too_small_a_part_is_refused(app: App, ann: Trader) -> None:
    order_id = (await ann.create(margin="0.000001"))["orderId"]
    with unchanged(app):
        assert_error(await ann.post("/trade/close", {"orderId": order_id, "percent": 1}), 422, "amount_too_small")
        over = await ann.post("/trade/close", {"orderId": order_id, "percent": 10_001})
        details = {"figure": "percent", "allowed": "1 to 10000", "given": "10001"}
        assert_error(over, 422, "amount_out_of_range", details=details)


async def test_margin_is_added_and_taken_and_told_what_could_be(app: App, ann: Trader) -> None:
    order_id = (await ann.create())["orderId"]
    added = await ann.post("/trade/margin", {"orderId": order_id, "amount": "50.5", "clientOrderId": "add"})
    assert added.body == {
        "success": True,
        "orderId": order_id,
        "margin": "150.500000",
        "leverage": 10,
        "liquidationPrice": "169.900000",
        "removable": "50.500000",
        "balance": "4849.500000",
    }
    await app.quote(SOL, "199")
    again = await ann.post("/trade/margin", {"orderId": order_id, "amount": "50.5", "clientOrderId": "add"})
    assert again.body == added.body, "as it was at the mark of then"
    with unchanged(app):
        refused = await ann.post("/trade/margin", {"orderId": order_id, "amount": -50})
        assert_error(refused, 422, "margin_too_low", details={"removable": "45.500000"})
        too_much = await ann.post("/trade/margin", {"orderId": order_id, "amount": 5000})
        assert_error(too_much, 422, "insufficient_margin", details=too_much.details)
    taken = await ann.post("/trade/margin", {"orderId": order_id, "amount": "-45.5"})
    assert (taken.body["margin"], taken.body["removable"]) == ("105.000000", "0.000000")


async def test_less_leverage_takes_margin_and_more_gives_none_back(app: App, ann: Trader) -> None:
    order_id = (await ann.create())["orderId"]
    less = (await ann.post("/trade/leverage", {"orderId": order_id, "leverage": 5})).body
    assert (less["margin"], less["leverage"], less["balance"]) == ("200.000000", 5, "4800.000000")
    more = (await ann.post("/trade/leverage", {"orderId": order_id, "leverage": 20})).body
    assert more == less | {"leverage": 20, "removable": "150.000000"}
    with unchanged(app):
        refused = await ann.post("/trade/leverage", {"orderId": order_id, "leverage": 101})
        assert_error(refused, 422, "amount_out_of_range", details=refused.details)
