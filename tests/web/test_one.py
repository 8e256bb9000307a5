"""One trade or order of any time by an id, all trades closed at once, and what time it is."""

import asyncio

import pytest

from exness.web.v1 import trades
from tests.support.app import App, Trader, assert_error, order, rate_limits, running_app, unchanged
from tests.support.books import ETH, SOL


async def opened(trader: Trader, **changed: object) -> str:
    answer = await trader.post("/trade/create", order() | changed)
    assert answer.status == 200, answer
    order_id: str = answer.body["orderId"]
    return order_id


@pytest.mark.parametrize("closed", [False, True])
async def test_a_trade_is_told_by_its_id_and_by_the_clients_as_the_history_has_it(
    app: App, ann: Trader, closed: bool
) -> None:
    trade_id = await opened(ann, clientOrderId="mine")
    await opened(ann, clientOrderId="another")
    if closed:
        await ann.post("/trade/close", {"orderId": trade_id})
    rows = (await ann.get("/trade/history")).body["data"]
    (row,) = [each for each in rows if each["orderId"] == trade_id]
    by_id, by_name = await ann.get(f"/trade?orderId={trade_id}"), await ann.get("/trade?clientOrderId=mine")
    assert by_id.body == by_name.body == {"success": True} | row
    assert row["status"] == ("closed" if closed else "open")


async def test_an_order_is_told_while_it_waits_and_after_it_has_ended(app: App, ann: Trader) -> None:
    placed = (await ann.post("/order/create", order(limitPrice=190, clientOrderId="mine"))).body
    (row,) = (await ann.get("/order/open")).body["data"]
    waits = (await ann.get("/order?clientOrderId=mine")).body
    assert waits == {"success": True, "filledQuantity": "0.000", "averagePrice": None} | row | {
        "status": "pending",
        "reason": None,
        "endedAt": None,
    }
    await ann.post("/order/cancel", {"orderId": placed["orderId"]})
    (row,) = (await ann.get("/order/history")).body["data"]
    assert (await ann.get(f"/order?orderId={placed['orderId']}")).body == {"success": True} | row
    assert (await ann.get("/order?clientOrderId=mine")).body == {"success": True} | row


async def test_an_exit_that_is_an_order_is_told_with_the_trade_that_it_closes(ann: Trader) -> None:
    trade_id = await opened(ann)
    exit_ = await ann.post("/trade/exit", {"orderId": trade_id, "kind": "take_profit", "price": 250, "percent": 5000})
    told = (await ann.get(f"/order?orderId={exit_.body['orderId']}")).body
    assert (told["status"], told["closes"], told["quantity"], told["type"]) == ("pending", trade_id, "2.500", "short")


@pytest.mark.parametrize(("path", "code"), [("/trade", "trade_not_found"), ("/order", "order_not_found")])
async def test_somebody_elses_is_none_like_one_that_there_is_not(app: App, path: str, code: str) -> None:
    ann, bob = await app.known("ann", "bob")
    await ann.post("/order/create", order(limitPrice=190, clientOrderId="waits"))
    ids = {"/trade": await opened(ann, clientOrderId="opened"), "/order": "none"}
    ids["/order"] = (await ann.get("/order/open")).body["data"][0]["orderId"]
    names = {"/trade": "opened", "/order": "waits"}
    assert (await ann.get(f"{path}?orderId={ids[path]}")).status == 200
    answers = [
        await bob.get(f"{path}?{asked}")
        for asked in (f"orderId={ids[path]}", "orderId=x", f"clientOrderId={names[path]}", "clientOrderId=x")
    ]
    for each in answers:
        assert_error(each, 404, code)
    assert len({each.raw for each in answers}) == 1


@pytest.mark.parametrize("path", ["/trade", "/order"])
@pytest.mark.parametrize("asked", ["", "?orderId=a&clientOrderId=b"])
async def test_one_id_is_given(ann: Trader, path: str, asked: str) -> None:
    refused = await ann.get(path + asked)
    assert_error(refused, 400, "invalid_request", "Give orderId or clientOrderId", details=refused.details)


# --- all at once ----------------------------------------------------------------------------------------------------


async def test_all_trades_are_closed_as_if_each_were_by_itself(app: App, ann: Trader) -> None:
    ids = [await opened(ann, type=side) for side in ("long", "short", "long")]
    await app.quote(SOL, "210")
    answer = await ann.post("/trade/closeAll", {})
    assert [each["orderId"] for each in answer.body["closed"]] == ids
    assert [each["pnl"] for each in answer.body["closed"]] == ["50.000000", "-50.000000", "50.000000"]
    assert (answer.body["refused"], answer.body["balance"]) == ([], "5050.000000")
    assert (await ann.get("/trade/open")).body["data"] == []
    assert (await ann.get("/balance/usd")).body["usd"] == "5050.000000"
    again = await ann.post("/trade/closeAll", {})
    assert again.body == {"success": True, "closed": [], "refused": [], "balance": "5050.000000"}


async def test_only_those_in_one_asset_and_only_ones_own(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    sol, eth, his = await opened(ann), await opened(ann, asset="ETH"), await opened(bob)
    answer = await ann.post("/trade/closeAll", {"asset": "ETH"})
    assert [each["orderId"] for each in answer.body["closed"]] == [eth]
    assert [each["orderId"] for each in (await ann.get("/trade/open")).body["data"]] == [sol]
    assert [each["orderId"] for each in (await bob.get("/trade/open")).body["data"]] == [his]


async def test_what_has_no_fresh_price_stays_and_is_named(app: App, ann: Trader) -> None:
    sol, eth = await opened(ann), await opened(ann, asset="ETH")
    app.clock.advance(29)
    await app.quote(ETH, "3000")
    app.clock.advance(2)
    answer = await ann.post("/trade/closeAll", {})
    assert [each["orderId"] for each in answer.body["closed"]] == [eth]
    (left,) = answer.body["refused"]
    assert (left["orderId"], left["code"]) == (sol, "price_unavailable")
    assert left["message"]
    assert [each["orderId"] for each in (await ann.get("/trade/open")).body["data"]] == [sol]


async def test_more_than_are_closed_at_once_are_closed_while_others_trade(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trades, "CLOSED_AT_ONCE", 4)
    ann, bob = await app.known("ann", "bob")
    ids = [await opened(ann, margin=1) for _ in range(11)]
    closing = asyncio.create_task(ann.post("/trade/closeAll", {}))
    his = await opened(bob)
    answer = await closing
    assert [each["orderId"] for each in answer.body["closed"]] == ids
    assert [each["orderId"] for each in (await bob.get("/trade/open")).body["data"]] == [his]


async def test_an_unknown_asset_closes_nothing(app: App, ann: Trader) -> None:
    await opened(ann)
    with unchanged(app):
        assert_error(
            (refused := await ann.post("/trade/closeAll", {"asset": "DOGE"})),
            400,
            "invalid_request",
            refused.message,
            details=refused.details,
        )


async def test_closing_all_is_charged_by_what_is_open() -> None:
    async with running_app(limits=rate_limits(trade_per_account="1000/hour")) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")

        async def charged(path: str) -> int:
            before = int((await ann.post("/order/cancelAll", {})).headers["X-RateLimit-Remaining"])
            return before - int((await ann.post(path, {})).headers["X-RateLimit-Remaining"])

        nothing = await charged("/trade/closeAll")
        for _ in range(3):
            await opened(ann, margin=1)
        assert await charged("/trade/closeAll") == nothing + 3


# --- time -----------------------------------------------------------------------------------------------------------


async def test_the_time_is_that_of_the_exchange_and_that_of_the_machine(app: App) -> None:
    first = (await app.get("/time")).body
    app.clock.advance(60)
    second = (await app.get("/time")).body
    assert first["exchange"][:16] == "2026-01-31T09:15"
    assert second["exchange"][:16] == "2026-01-31T09:16"
