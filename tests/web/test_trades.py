"""web/v1/trades.py: answers of create, close and open; client order ids; what is shown is what is enforced."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exness.core.instruments import Execution
from exness.web.v1.trade_models import OpenTradeLasting, OpenTradeNow, OpenTradeRow
from tests.support.app import App, Stores, Trader, assert_error, bad, order, running_app, unchanged
from tests.support.books import BTC, DECIMALS, SECOND, SOL, make_rules, price_of
from tests.support.exchange import SetClock
from tests.support.waiting import until

ORDER_ID = re.compile(r"[0-9a-f]{32}")
NOW = "2026-01-31T09:15:02.123456Z"


# --- shapes -------------------------------------------------------------------------------------------------------


async def test_a_created_trade_is_answered_whole(app: App, ann: Trader) -> None:
    answer = await ann.try_create(margin="11.5", leverage=40.99, slippage=100, expectedPrice="200")
    assert answer.status == 200
    assert ORDER_ID.fullmatch(answer.body["orderId"])
    assert answer.body == {
        "success": True,
        "orderId": answer.body["orderId"],
        "asset": "SOL",
        "type": "long",
        "margin": "11.500000",
        "leverage": "40.99",
        "entryPrice": "200.000000",
        "liquidationPrice": "195.120761",
        "createdAt": NOW,
        "balance": "4988.500000",
        "net": False,
        "quantity": "2.356",
        "commission": "0.000000",
        "funding": "0.000000",
        "realizedPnl": "0.000000",
        "takeProfit": None,
        "stopLoss": None,
        "line": {"size": "47138500000", "cost": "9427700000000000000", "unit": "20000000000"},
        "trailingStop": None,
    }


async def test_the_client_order_id_is_in_the_answer_when_there_is_one(app: App, ann: Trader) -> None:
    created = await ann.create(clientOrderId="ann's 1st ~ {order}")
    assert created["clientOrderId"] == "ann's 1st ~ {order}"
    (trade,) = await ann.open_trades()
    assert trade["clientOrderId"] == "ann's 1st ~ {order}"
    history = await ann.get("/trade/history")
    assert history.body["data"][0]["clientOrderId"] == "ann's 1st ~ {order}"


async def test_a_closed_trade_is_answered_whole(app: App, ann: Trader) -> None:
    created = await ann.create(type="short", asset="BTC", margin="100", leverage="3")
    app.clock.advance(1.5)
    await app.quote(BTC, "99000.0000", "99000.0002")
    answer = await ann.try_close(created["orderId"])
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "orderId": created["orderId"],
        "closePrice": "99000.0001",
        "pnl": "2.999999",
        "returned": "102.999999",
        "liquidated": False,
        "closedAt": "2026-01-31T09:15:03.623456Z",
        "balance": "5002.999999",
        "commission": "0.000000",
        "reason": "user",
        "remaining": None,
    }


async def test_open_trades_are_listed_whole_with_their_pnl_at_the_mark(app: App, ann: Trader) -> None:
    created = await ann.create(margin="10", leverage=5)
    await app.quote(SOL, "201")
    answer = await ann.get("/trade/open")
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "data": [
            {
                "orderId": created["orderId"],
                "asset": "SOL",
                "type": "long",
                "margin": "10.000000",
                "leverage": 5,
                "entryPrice": "200.000000",
                "liquidationPrice": "160.000000",
                "markPrice": "201.000000",
                "unrealizedPnl": "0.250000",
                "unrealizedPnlPercentage": "2.5000",
                "closePnl": "0.250000",
                "stale": False,
                "createdAt": NOW,
                "notional": "50.250000",
                "breakEvenPrice": "200.000000",
                "net": False,
                "quantity": "0.250",
                "commission": "0.000000",
                "funding": "0.000000",
                "realizedPnl": "0.000000",
                "takeProfit": None,
                "stopLoss": None,
                "line": {"size": "5000000000", "cost": "1000000000000000000", "unit": "20000000000"},
                "trailingStop": None,
            }
        ],
    }


async def test_open_trades_tell_when_their_price_is_old(app: App, ann: Trader) -> None:
    await ann.create()
    app.let_prices_age()
    (trade,) = await ann.open_trades()
    assert (trade["stale"], trade["markPrice"]) == (True, "200.000000")


async def test_after_a_restart_open_trades_are_there_before_any_price_is() -> None:
    stores = Stores.memory()
    async with running_app(stores) as app:
        await app.quote_all()
        created = await app.trader("ann").create()
    async with running_app(stores) as app:
        (trade,) = await app.trader("ann").open_trades()
        assert trade["orderId"] == created["orderId"]
        assert trade["entryPrice"] == created["entryPrice"]
        names = ("markPrice", "unrealizedPnl", "unrealizedPnlPercentage", "closePnl", "stale")
        assert tuple(trade[name] for name in names) == (None, None, None, None, True)


async def test_open_trades_can_be_asked_for_one_asset(app: App, ann: Trader) -> None:
    for asset in ("SOL", "BTC", "SOL"):
        await ann.create(asset=asset)
    assert [trade["asset"] for trade in await ann.open_trades()] == ["SOL", "BTC", "SOL"]
    assert [trade["asset"] for trade in (await ann.get("/trade/open?asset=BTC")).body["data"]] == ["BTC"]
    assert (await ann.get("/trade/open?asset=ETH")).body == {"success": True, "data": []}
    message = "Invalid asset. Supported assets are SOL, ETH, BTC"
    refused = await ann.get("/trade/open?asset=XRP")
    assert_error(refused, 400, "invalid_request", message, details=bad("asset", message))
    message = "sortBy is not a known parameter; known are asset, limit, offset"
    refused = await ann.get("/trade/open?sortBy=pnl")
    assert_error(refused, 400, "invalid_request", message, details=bad("sortBy", message))


async def test_a_trader_sees_no_one_elses_trades(app: App, ann: Trader) -> None:
    (bob,) = await app.known("bob")
    await ann.create()
    assert await bob.open_trades() == []
    assert (await bob.get("/trade/history")).body["pagination"]["total"] == 0


@pytest.mark.parametrize(
    ("kind", "entry", "exit_"), [("long", "200.500000", "209.500000"), ("short", "199.500000", "210.500000")]
)
async def test_at_the_touch_a_trade_opens_and_closes_at_its_side_of_the_book(kind: str, entry: str, exit_: str) -> None:
    async with running_app(rules=make_rules(execution=Execution.TOUCH)) as app:
        await app.quote(SOL, "199.5", "200.5")
        ann = app.trader("ann")
        created = await ann.create(type=kind)
        assert created["entryPrice"] == entry
        await app.quote(SOL, "209.5", "210.5")
        assert (await ann.close(created["orderId"]))["closePrice"] == exit_


async def test_at_the_touch_a_trade_that_the_mark_would_liquidate_at_once_is_refused_with_its_prices() -> None:
    async with running_app(rules=make_rules(execution=Execution.TOUCH)) as app:
        await app.quote(SOL, "100", "300")
        (ann,) = await app.known("ann")
        prices = {"asset": "SOL", "price": "300.000000", "mark": "200.000000", "liquidationPrice": "200.000000"}
        with unchanged(app):
            refused = await ann.try_create(leverage=3)  # opened at 300 it would be liquidated at 200, which is the mark
            assert_error(refused, 422, "would_liquidate", details=prices)
        created = await ann.create(leverage="2.99")
        assert created["entryPrice"] == "300.000000"
        assert len(await ann.open_trades()) == 1


# --- client order ids ---------------------------------------------------------------------------------------------


async def test_the_same_order_again_is_answered_byte_for_byte_and_opens_nothing(app: App, ann: Trader) -> None:
    body = order(clientOrderId="mine", margin=12.5, slippage=100)
    first = await ann.post("/trade/create", body)
    assert first.status == 200
    await app.quote(SOL, "220")
    app.clock.advance(5)
    await ann.create(margin=1)  # the balance has changed since; the answer has not
    with unchanged(app):
        second = await ann.post("/trade/create", body)
    assert (second.status, second.raw) == (200, first.raw)
    own = {"X-Request-ID", "Date"}
    assert {name: value for name, value in second.headers.items() if name not in own} == {
        name: value for name, value in first.headers.items() if name not in own
    }
    assert second.headers["X-Request-ID"] != first.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "again",
    [
        {"margin": "12.50"},
        {"margin": "1.25e1", "leverage": "10.00"},
        {"leverage": 10.0},
        {"slippage": "100"},
        {"slippage": 1e2},
        {"expectedPrice": "200.000000"},
    ],
)
async def test_an_equal_body_written_differently_is_the_same_order(
    ann: Trader, app: App, again: dict[str, Any]
) -> None:
    body = order(clientOrderId="mine", margin=12.5, slippage=100, expectedPrice=200)
    first = await ann.post("/trade/create", body)
    reordered = dict(reversed((body | again).items()))
    with unchanged(app):
        second = await ann.post("/trade/create", reordered)
    assert (second.status, second.raw) == (200, first.raw)


async def test_the_same_order_again_needs_no_price_no_margin_and_no_room(app: App, ann: Trader) -> None:
    """Only the body counts: the first answer stands, whatever has become of the world and of the trade."""
    body = order(clientOrderId="mine", margin=5000, leverage=1)
    first = await ann.post("/trade/create", body)
    await ann.close(first.body["orderId"])
    await ann.create(margin=5000)
    app.let_prices_age()
    with unchanged(app):
        second = await ann.post("/trade/create", body)
    assert (second.status, second.raw) == (200, first.raw)


async def test_ten_of_the_same_order_at_once_open_one_trade(app: App, ann: Trader) -> None:
    answers = await asyncio.gather(*(ann.try_create(clientOrderId="mine") for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == 1
    assert len(ann.account.trades) == 1
    assert ann.free == "4900.000000"


async def test_ten_different_orders_of_one_client_order_id_at_once_open_one_trade(app: App, ann: Trader) -> None:
    answers = await asyncio.gather(*(ann.try_create(clientOrderId="mine", margin=1 + n) for n in range(10)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 9
    assert len(ann.account.trades) == 1


async def test_a_repeated_order_is_not_answered_before_the_first_is_on_disk(app: App, ann: Trader) -> None:
    app.hold_disk()
    first = asyncio.create_task(ann.try_create(clientOrderId="mine"))
    await until(lambda: app.state.open_trades == 1)
    second = asyncio.create_task(ann.try_create(clientOrderId="mine"))
    await until(lambda: len(app.writer._mark._waiters) == 2, "for both to wait for the disk")
    assert (first.done(), second.done()) == (False, False)
    app.release_disk()
    assert (await first).raw == (await second).raw


async def test_a_client_order_id_is_its_accounts_own(app: App, ann: Trader) -> None:
    (bob,) = await app.known("bob")
    mine = await ann.create(clientOrderId="one", margin=10)
    theirs = await bob.create(clientOrderId="one", margin=20)
    assert mine["orderId"] != theirs["orderId"]


async def test_a_refused_order_does_not_use_its_client_order_id_up(app: App, ann: Trader) -> None:
    assert (await ann.try_create(clientOrderId="mine", margin=9999)).status == 422
    await ann.create(clientOrderId="mine", margin=10)


async def test_an_order_repeated_after_a_restart_gets_its_first_answer(tmp_path: Path) -> None:
    body, clock = order(clientOrderId="mine", margin=12.5, leverage=40.99), SetClock()
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, clock=clock) as app:
        await app.quote_all()
        first = await app.trader("ann").post("/trade/create", body)
        assert first.status == 200
    clock.advance(3600)
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, clock=clock) as app:
        ann = app.trader("ann")
        with unchanged(app):
            second = await ann.post("/trade/create", body)
            assert (await ann.post("/trade/create", body | {"margin": 13})).code == "client_order_id_conflict"
        assert (second.status, second.raw) == (200, first.raw)


# --- liquidation: what is shown is what happens -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asset", "kind", "leverage", "entry"),
    [
        ("SOL", "long", "40.99", "198.84"),
        ("SOL", "short", "40.99", "198.84"),
        ("SOL", "long", "3", "201.470001"),
        ("SOL", "short", "1", "0.333333"),
        ("ETH", "long", "1.01", "3123.456789"),
        ("ETH", "short", "99.99", "2999.999999"),
        ("BTC", "long", "100", "100000"),
        ("BTC", "short", "100", "100000"),
        ("BTC", "long", "7", "98765.4321"),
    ],
)
async def test_the_liquidation_price_that_is_shown_is_the_first_that_liquidates(
    app: App, ann: Trader, asset: Any, kind: str, leverage: str, entry: str
) -> None:
    await app.quote(asset, entry)
    created = await ann.create(asset=asset, type=kind, margin="11.5", leverage=leverage)
    shown = created["liquidationPrice"]
    (listed,) = await ann.open_trades()
    assert listed["liquidationPrice"] == shown

    unit = 1 if kind == "long" else -1
    digits = DECIMALS[asset]
    one_before = f"{price_of(asset, shown) + unit:0{digits + 1}d}"
    await app.quote(asset, f"{one_before[:-digits]}.{one_before[-digits:]}")
    assert [trade["orderId"] for trade in await ann.open_trades()] == [created["orderId"]]
    assert ann.free == "4988.500000"

    await app.quote(asset, shown)
    assert await ann.open_trades() == []
    (row,) = (await ann.get("/trade/history")).body["data"]
    assert (row["liquidated"], row["closePrice"], row["pnl"], row["liquidationPrice"]) == (
        True,
        shown,
        "-11.500000",
        shown,
    )
    assert ann.free == "4988.500000"


async def test_a_long_at_1x_is_never_liquidated(app: App, ann: Trader) -> None:
    created = await ann.create(leverage=1)
    assert created["liquidationPrice"] == "0.000000"
    await app.quote(SOL, "0.000001")
    assert len(await ann.open_trades()) == 1


async def test_every_tick_gives_its_asset_30_more_seconds(app: App, ann: Trader) -> None:
    app.clock.now += 29 * SECOND
    await app.quote(SOL, "200")
    app.clock.now += 29 * SECOND
    await ann.create()


def test_an_open_trades_row_is_what_it_was_opened_with_and_how_it_stands() -> None:
    parts = [*msgspec.structs.fields(OpenTradeLasting), *msgspec.structs.fields(OpenTradeNow)]
    assert [(field.encode_name, field.type) for field in msgspec.structs.fields(OpenTradeRow)] == [
        (field.encode_name, field.type) for field in parts
    ]


async def test_acknowledged_in_memory_a_repeat_is_answered_from_the_record_that_is_not_on_disk_yet() -> None:
    async with running_app(wait_for_disk=False) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        app.hold_disk()
        first = await ann.try_create(clientOrderId="mine")
        assert first.status == 200
        second = asyncio.create_task(ann.try_create(clientOrderId="mine"))
        await until(lambda: app.writer.waiting == 1, "for the record to be read")
        app.release_disk()
        assert (await second).raw == first.raw
        assert len(ann.account.trades) == 1
