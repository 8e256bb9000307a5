"""web/v1/orders.py: orders are placed, amended, filled, cancelled, listed, and answered again word for word."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.app import App, Trader, assert_error, bad, order, running_app, unchanged
from tests.support.books import PRICE_LIFE, SOL, make_rules
from tests.web.streams import Json, listening

NOW = "2026-01-31T09:15:02.123456Z"


def waiting(**changed: Any) -> dict[str, Any]:
    """A body of /order/create that is good, but for what is changed."""
    return order(limitPrice=190) | changed


async def placed(trader: Trader, **changed: Any) -> dict[str, Any]:
    answer = await trader.post("/order/create", waiting(**changed))
    assert (answer.status, answer.body["status"]) == (200, "pending"), answer
    body: dict[str, Any] = answer.body
    return body


async def listed(trader: Trader) -> list[dict[str, Any]]:
    answer = await trader.get("/order/open")
    assert answer.status == 200, answer
    rows: list[dict[str, Any]] = answer.body["data"]
    return rows


async def test_an_order_that_waits_is_answered_whole_and_reserves_its_margin(app: App, ann: Trader) -> None:
    body = waiting(takeProfit=250, stopLoss="180.5", trailingStop={"distance": 3, "activation": 195}, clientOrderId="a")
    answer = await ann.post("/order/create", body | {"expiresAt": "2026-02-01T00:00:00Z"})
    assert answer.status == 200
    row = {
        "orderId": answer.body["orderId"],
        "clientOrderId": "a",
        "asset": "SOL",
        "type": "long",
        "kind": "limit",
        "margin": "100.000000",
        "leverage": 10,
        "quantity": "5.263",
        "limitPrice": "190.000000",
        "stopPrice": None,
        "expiresAt": "2026-02-01T00:00:00.000000Z",
        "reserved": "100.000000",
        "takeProfit": "250.000000",
        "stopLoss": "180.500000",
        "trailingStop": {"distance": "3.000000", "activation": "195.000000"},
        "createdAt": NOW,
    }
    assert answer.body == {"success": True, "status": "pending", "balance": "4900.000000"} | row
    assert await listed(ann) == [row]
    account = (await ann.get("/account")).body
    assert (account["reserved"], account["balance"], account["equity"]) == ("100.000000", "4900.000000", "5000.000000")


@pytest.mark.parametrize(
    ("prices", "kind"),
    [
        ({"limitPrice": 190}, "limit"),
        ({"limitPrice": None, "stopPrice": 210}, "stop"),
        ({"limitPrice": 211, "stopPrice": 210}, "stop_limit"),
    ],
)
async def test_which_prices_there_are_makes_the_kind(ann: Trader, prices: dict[str, Any], kind: str) -> None:
    row = await placed(ann, **prices)
    assert row["kind"] == kind
    assert (row["limitPrice"], row["stopPrice"]) == tuple(
        None if prices.get(name) is None else f"{prices[name]}.000000" for name in ("limitPrice", "stopPrice")
    )


async def test_a_limit_that_crosses_is_answered_as_the_trade_that_it_opens(app: App, ann: Trader) -> None:
    crossed = await ann.post("/order/create", waiting(limitPrice=205))
    assert (crossed.status, crossed.body["status"]) == (200, "open")
    opened = {name: value for name, value in crossed.body.items() if name != "status"}
    created = await ann.create()
    own = {"orderId": opened["orderId"], "balance": "4900.000000"}
    assert opened == created | own
    assert await listed(ann) == []


async def test_what_is_asked_again_with_its_client_order_id_is_answered_again_whatever_became_of_it(
    app: App, ann: Trader
) -> None:
    body = waiting(clientOrderId="mine")
    first = await ann.post("/order/create", body)
    await app.quote(SOL, "185")
    assert await listed(ann) == []
    again = await ann.post("/order/create", body | {"limitPrice": "190.0"})
    assert (again.status, again.body) == (200, first.body)
    await ann.close(first.body["orderId"])
    assert (await ann.post("/order/create", body)).body == first.body
    with unchanged(app):
        other = await ann.post("/order/create", body | {"limitPrice": 191})
        assert_error(other, 409, "client_order_id_conflict", details={"orderId": first.body["orderId"]})
        trade = await ann.try_create(clientOrderId="mine")
        assert_error(trade, 409, "client_order_id_conflict", details={"orderId": first.body["orderId"]})


BOTH = "Give limitPrice, stopPrice or both"
POSITIVE = "{} must be greater than zero"


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"limitPrice": None}, "limitPrice", BOTH),
        ({"limitPrice": 0}, "limitPrice", POSITIVE.format("limitPrice")),
        ({"stopPrice": -1}, "stopPrice", POSITIVE.format("stopPrice")),
        ({"stopLoss": 0}, "stopLoss", POSITIVE.format("stopLoss")),
        ({"margin": 0}, "margin", "Margin must be greater than zero"),
        ({"timeInForce": "day"}, "timeInForce", "timeInForce must be one of gtc, gtt, ioc"),
        ({"expiresAt": "2026-01-01T00:00:00Z"}, "expiresAt", "expiresAt must be ahead"),
        ({"timeInForce": "gtt"}, "expiresAt", "expiresAt must be given with gtt, and with nothing else"),
        ({"postOnly": 1}, "postOnly", "postOnly must be true or false"),
        ({"trailingStop": 5}, "trailingStop", "trailingStop must be an object with distance or percent"),
        ({"trailingStop": {}}, "trailingStop.distance", "Give one of trailingStop.distance and trailingStop.percent"),
        (
            {"takeProfit": 180, "stopLoss": 185},
            "stopLoss",
            "stopLoss must be below takeProfit of a long, above that of a short",
        ),
        ({"slippage": 100}, "slippage", "slippage is not a known field"),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_its_field(
    app: App, ann: Trader, changed: dict[str, Any], field: str, message: str
) -> None:
    with unchanged(app):
        refused = await ann.post("/order/create", waiting(**changed))
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))


@pytest.mark.parametrize(
    ("changed", "code", "details"),
    [
        ({"limitPrice": 201, "postOnly": True}, "would_take", None),
        ({"timeInForce": "ioc"}, "would_rest", None),
        ({"limitPrice": None, "stopPrice": 199}, "would_trigger", {"price": "200.000000", "level": "199.000000"}),
        ({"stopLoss": 190}, "would_trigger", {"price": "190.000000", "level": "190.000000"}),
        ({"margin": 5001}, "insufficient_margin", {"required": "5001.000000", "available": "5000.000000"}),
        (
            {"limitPrice": "1000000000000"},
            "invalid_request",
            [{"field": "limitPrice", "message": "limitPrice is out of range"}],
        ),
        (
            {"trailingStop": {"percent": 10_000}},
            "amount_out_of_range",
            {"figure": "percent", "allowed": "1 to 9999", "given": "10000"},
        ),
    ],
)
async def test_an_order_that_can_not_be_is_refused_and_changes_nothing(
    app: App, ann: Trader, changed: dict[str, Any], code: str, details: Any
) -> None:
    with unchanged(app):
        refused = await ann.post("/order/create", waiting(**changed))
    status = 400 if code == "invalid_request" else 422
    assert_error(refused, status, code, **({} if details is None else {"details": details}))


async def test_there_is_a_limit_to_orders_that_wait() -> None:
    async with running_app(rules=replace(make_rules(), max_open_orders_per_account=1)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await placed(ann)
        refused = await ann.post("/order/create", waiting())
        limit = {"limit": "max_open_orders_per_account", "allowed": 1, "wouldBe": 2}
        assert_error(refused, 422, "position_limit", details=limit)


async def test_placing_and_amending_need_a_price_and_cancelling_does_not(app: App, ann: Trader) -> None:
    order_id = (await placed(ann))["orderId"]
    app.let_prices_age()
    details = {"asset": "SOL", "reason": "stale", "age_us": PRICE_LIFE + 1}
    with unchanged(app):
        assert_error(await ann.post("/order/create", waiting()), 503, "price_unavailable", details=details, retry=True)
        amended = await ann.post("/order/amend", {"orderId": order_id, "limitPrice": 180})
        assert_error(amended, 503, "price_unavailable", details=details, retry=True)
    cancelled = await ann.post("/order/cancel", {"orderId": order_id})
    assert cancelled.body == {
        "success": True,
        "orderId": order_id,
        "status": "cancelled",
        "released": "100.000000",
        "balance": "5000.000000",
    }


# --- amending and cancelling ----------------------------------------------------------------------------------------


async def test_an_amended_order_keeps_its_id_and_what_is_left_out_and_null_removes(app: App, ann: Trader) -> None:
    first = await placed(ann, stopLoss=180, takeProfit=250)
    answer = await ann.post(
        "/order/amend", {"orderId": first["orderId"], "limitPrice": 195, "margin": 50, "stopLoss": None}
    )
    changed = {"limitPrice": "195.000000", "margin": "50.000000", "reserved": "50.000000", "stopLoss": None}
    changed |= {"quantity": "2.564", "balance": "4950.000000"}
    assert answer.body == first | changed
    filled = await ann.post("/order/amend", {"orderId": first["orderId"], "limitPrice": 200})
    assert (filled.body["status"], filled.body["entryPrice"]) == ("open", "200.000000")
    assert filled.body["orderId"] == first["orderId"]


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({}, "body", "Give what changes"),
        ({"quantity": 1}, "quantity", "quantity must not be given for such an order"),
        ({"limitPrice": None}, "limitPrice", "limitPrice must be given, or a stop price"),
        ({"limitPrice": 0}, "limitPrice", POSITIVE.format("limitPrice")),
        ({"expiresAt": "soon"}, "expiresAt", None),
    ],
)
async def test_a_bad_amendment_is_refused(
    app: App, ann: Trader, changed: dict[str, Any], field: str, message: str | None
) -> None:
    order_id = (await placed(ann))["orderId"]
    with unchanged(app):
        refused = await ann.post("/order/amend", {"orderId": order_id} | changed)
    assert (refused.status, refused.code, refused.details[0]["field"]) == (400, "invalid_request", field)
    assert message in (None, refused.message)


async def test_somebody_elses_order_is_as_one_that_never_was(app: App, ann: Trader) -> None:
    order_id = (await placed(ann))["orderId"]
    (bob,) = await app.known("bob")
    with unchanged(app):
        for trader, name in ((bob, order_id), (ann, "unknown")):
            refused = await trader.post("/order/cancel", {"orderId": name})
            assert_error(refused, 404, "order_not_found", "There is no such order")
            refused = await trader.post("/order/amend", {"orderId": name, "limitPrice": 180})
            assert_error(refused, 404, "order_not_found", "There is no such order")
        assert await listed(bob) == []


async def test_of_an_order_that_has_ended_it_is_told_how(app: App, ann: Trader) -> None:
    order_id = (await placed(ann))["orderId"]
    await ann.post("/order/cancel", {"orderId": order_id})
    ended = {"orderId": order_id, "status": "cancelled", "reason": "user"}
    for path, body in (("/order/cancel", {}), ("/order/amend", {"limitPrice": 1})):
        refused = await ann.post(path, {"orderId": order_id} | body)
        assert_error(refused, 409, "order_already_ended", details=ended)


async def test_all_orders_are_cancelled_or_those_of_an_asset(app: App, ann: Trader) -> None:
    ids = [(await placed(ann))["orderId"], (await placed(ann, asset="ETH", limitPrice=2900))["orderId"]]
    answer = await ann.post("/order/cancelAll", {"asset": "ETH"})
    assert answer.body == {"success": True, "cancelled": ids[1:], "balance": "4900.000000"}
    assert [row["orderId"] for row in await listed(ann)] == ids[:1]
    assert (await ann.post("/order/cancelAll", {})).body["cancelled"] == ids[:1]
    with unchanged(app):
        none = await ann.post("/order/cancelAll", {})
    assert none.body == {"success": True, "cancelled": [], "balance": "5000.000000"}


async def test_what_has_ended_is_in_the_history_newest_first(app: App, ann: Trader) -> None:
    filled = (await placed(ann, clientOrderId="mine"))["orderId"]
    cancelled = (await placed(ann, limitPrice=100))["orderId"]
    await ann.post("/order/cancel", {"orderId": cancelled})
    await app.quote(SOL, "189")
    answer = (await ann.get("/order/history")).body
    assert [row["orderId"] for row in answer["data"]] == [cancelled, filled]
    assert answer["pagination"] == {"total": 2, "limit": 50, "offset": 0, "hasMore": False}
    row = answer["data"][1]
    assert row == {
        "orderId": filled,
        "clientOrderId": "mine",
        "asset": "SOL",
        "type": "long",
        "kind": "limit",
        "margin": "100.000000",
        "leverage": 10,
        "quantity": "5.263",
        "limitPrice": "190.000000",
        "stopPrice": None,
        "expiresAt": None,
        "reserved": "100.000000",
        "takeProfit": None,
        "stopLoss": None,
        "trailingStop": None,
        "createdAt": NOW,
        "status": "filled",
        "reason": None,
        "endedAt": NOW,
        "filledQuantity": row["filledQuantity"],
        "averagePrice": "189.000000",
    }
    page = (await ann.get("/order/history?limit=1&offset=1")).body
    assert page["data"] == [row]
    assert (await ann.get("/order/history?asset=ETH")).body["data"] == []


# --- the stream -----------------------------------------------------------------------------------------------------


async def test_a_record_is_told_on_trades_then_orders_then_account(app: App, ann: Trader) -> None:
    async with listening(app, ann) as client:
        await client.subscribed("account", "orders", "trades")
        first = await placed(ann)
        frame = await client.next("orders", "placed")
        assert {"success": True, "status": "pending", "balance": "4900.000000"} | frame["data"] == first
        assert (await client.next("account", "balance"))["data"]["reserved"] == "100.000000"
        await app.quote(SOL, "190")
        ended = await client.next("orders", "ended")
        assert ended["data"] == {
            "orderId": first["orderId"],
            "asset": "SOL",
            "status": "filled",
            "reason": None,
            "released": "100.000000",
            "averagePrice": "190.000000",
            "balance": "5000.000000",
        }
        await client.pong()
        told = [(each["channel"], each["type"], each["seq"]) for each in client.frames if each["seq"] >= ended["seq"]]
    seq = ended["seq"]
    assert told[:4] == [
        ("orders", "ended", seq),
        ("account", "balance", seq),
        ("trades", "opened", seq + 1),
        ("account", "balance", seq + 1),
    ]


async def test_an_exit_that_is_an_order_is_told_on_both_channels(app: App, ann: Trader) -> None:
    trade = await ann.create()
    async with listening(app, ann) as client:
        await client.subscribed("account", "orders", "trades")
        body = {"orderId": trade["orderId"], "kind": "take_profit", "price": 220, "percent": 5000}
        row = (await ann.post("/trade/exit", body)).body
        frames = [await client.next(channel, kind) for channel, kind in CHANGED]
        assert {"success": True, **frames[1]["data"]} == row
        assert len({each["seq"] for each in frames}) == 1
        await app.quote(SOL, "220")
        reduced: Json = await client.next("trades", "reduced")
        assert (reduced["data"]["by"], reduced["data"]["reason"]) == (row["orderId"], "take_profit")
        ended = await client.next("orders", "ended")
        assert (ended["data"]["orderId"], ended["data"]["status"]) == (row["orderId"], "filled")
        assert ended["seq"] == reduced["seq"]


CHANGED = (("trades", "changed"), ("orders", "placed"), ("account", "balance"))


async def test_the_snapshot_of_orders_is_what_the_list_says(app: App, ann: Trader) -> None:
    trade = await ann.create(trailingStop={"percent": 100})
    await placed(ann)
    await ann.post("/trade/exit", {"orderId": trade["orderId"], "kind": "limit", "price": 300, "margin": 10})
    async with listening(app, ann) as client:
        snapshot = await client.snapshot("orders")
        rows = await listed(ann)
        assert snapshot["data"] == rows
        assert len(rows) == 2
