"""web/dev: deposits, the books, and a reset."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from exness.core.commands import Deposit
from exness.runtime.candles import Interval
from exness.web.services import Dev
from tests.support.app import App, assert_error, bad, order, running_app, unchanged
from tests.support.books import SOL
from tests.web.dev_control import clock, entry, known, run_script, set_price

# --- deposits -----------------------------------------------------------------------------------------------------


async def test_a_deposit_is_on_top_of_the_balance_and_in_the_journal(dev: App) -> None:
    ann = await known(dev)
    paid = await dev.post("/dev/deposit", {"email": "ANN@example.com", "amount": "0.000001"})
    now = (await dev.get("/dev/clock")).body["now"]
    assert (paid.status, paid.body) == (
        200,
        {"success": True, "email": ann.email, "amount": "0.000001", "balance": "5000.000001", "at": now},
    )
    assert (await ann.get("/balance/usd")).body["usd"] == "5000.000001"
    assert dev.state.deposits == 5_000_000_001
    assert dev.writer.durable_seq == dev.state.seq == 2


async def test_a_deposit_makes_the_account_when_there_is_none(dev: App) -> None:
    paid = await dev.post("/dev/deposit", {"email": "new@example.com", "amount": 1})
    assert paid.body["balance"] == "5001.000000"
    assert dev.trader("new").free == "5001.000000"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"email": "ann@example.com"}, "amount", "amount is required"),
        ({"amount": 1}, "email", "email is required"),
        ({"email": "ann", "amount": 1}, "email", "email must be a mail address like you@example.com"),
        ({"email": 7, "amount": 1}, "email", "email must be a string"),
        (
            {"email": "ann@example.com", "amount": 0},
            "amount",
            "amount must be greater than 0 and at most 1000000000 USDC",
        ),
        (
            {"email": "ann@example.com", "amount": -1},
            "amount",
            "amount must be greater than 0 and at most 1000000000 USDC",
        ),
        (
            {"email": "ann@example.com", "amount": "1000000000.000001"},
            "amount",
            "amount must be greater than 0 and at most 1000000000 USDC",
        ),
        ({"email": "ann@example.com", "amount": "0.0000001"}, "amount", "amount can have at most 6 decimals"),
        ({"email": "ann@example.com", "amount": "NaN"}, "amount", "amount must be a number or a decimal string"),
    ],
)
async def test_a_bad_deposit_is_refused_by_name_and_pays_nothing(dev: App, body: Any, field: str, message: str) -> None:
    with unchanged(dev):
        refused = await dev.post("/dev/deposit", body)
        assert_error(refused, 400, "invalid_request", message, details=bad(field, message))


async def test_deposits_end_where_an_account_is_full(dev: App) -> None:
    await known(dev)
    most = 2**63 - 1
    account = dev.state.accounts[dev.state.by_email["ann@example.com"]]
    await dev.sequencer.submit(Deposit(account.id, most - account.free - account.locked - 1))
    refused = await dev.post("/dev/deposit", {"email": "ann@example.com", "amount": "0.000002"})
    figures = {
        "figure": "balance",
        "allowed": "0.000000 to 9223372036854.775807",
        "given": "9223372036854.775808",
    }
    assert_error(refused, 422, "amount_out_of_range", details=figures)
    paid = await dev.post("/dev/deposit", {"email": "ann@example.com", "amount": "0.000001"})
    assert paid.body["balance"] == "9223372036854.775807"
    assert account.free == most
    other = await dev.post("/dev/deposit", {"email": "bob@example.com", "amount": 1_000_000_000})
    assert other.body["balance"] == "1000005000.000000", "what others hold does not matter"


async def test_a_deposit_needs_no_manual_feed(app: App) -> None:
    async with running_app(dev=Dev()) as simulated:
        assert (await simulated.post("/dev/deposit", {"email": "a@example.com", "amount": 1})).status == 200


# --- reset -------------------------------------------------------------------------------------------------------


async def test_after_a_reset_nothing_is_left_and_the_session_begins_anew(dev: App) -> None:
    dev.sequencer.watchers.append(dev.parts.candles.watch)
    await set_price(dev, "SOL", "200")
    ann = await known(dev)
    trade = await ann.create()
    await ann.close((await ann.create())["orderId"])
    await run_script(dev, entry(5))
    await clock(dev, speed=3)
    assert dev.exchange.candle(SOL, Interval.M1) is not None
    before = (await dev.get("/dev/clock")).body
    answer = await dev.post("/dev/reset")
    assert (answer.status, answer.body["success"], answer.body["seq"]) == (200, True, 5)
    assert dev.writer.durable_seq == 5
    shown = (await dev.get("/dev/clock")).body
    assert (shown["paused"], shown["speed"], shown["scriptLeft"]) == (False, 1, 0)
    assert shown["now"] >= answer.body["at"] >= before["now"], "time does not go back"
    assert (await dev.get("/prices/SOL")).body["state"] == "down"
    assert dev.exchange.candle(SOL, Interval.M1) is None
    assert (await ann.get("/balance/usd")).body["usd"] == "5000.000000", "an account as at a first sign-in"
    assert await ann.open_trades() == []
    assert (await ann.get("/trade/history")).body["analytics"]["totalTrades"] == 0
    assert_error(await ann.try_close(trade["orderId"]), 404, "trade_not_found")
    await set_price(dev, "SOL", "1")
    assert (await ann.create(margin=5000))["balance"] == "0.000000"


async def test_a_client_order_id_of_before_a_reset_opens_a_new_trade(dev: App) -> None:
    await set_price(dev, "SOL", "200")
    ann = await known(dev)
    first = await ann.create(clientOrderId="mine")
    await dev.post("/dev/reset")
    await set_price(dev, "SOL", "100")
    assert (await ann.create(clientOrderId="mine", margin=7))["orderId"] != first["orderId"]


async def test_requests_that_meet_a_reset_are_done_before_it_or_after_it_or_refused_by_name(dev: App) -> None:
    await set_price(dev, "SOL", "200")
    traders = [dev.trader(f"t{number}") for number in range(20)]
    asked = [trader.try_create() for trader in traders]
    asked[7:7] = [dev.post("/dev/reset")]
    asked[15:15] = [dev.post("/dev/reset")]
    asked += [dev.post("/dev/deposit", {"email": trader.email, "amount": 1}) for trader in traders]
    for answer in await asyncio.gather(*asked):
        assert answer.status == 200 or answer.code in ("price_unavailable", "account_not_found"), answer


async def test_a_reset_needs_no_manual_feed(app: App) -> None:
    async with running_app(dev=Dev()) as simulated:
        await simulated.quote_all()
        (ann,) = await simulated.known("ann")
        await ann.create()
        assert (await simulated.post("/dev/reset")).body["seq"] == 3
        assert simulated.state.account_list == []


# --- the books ----------------------------------------------------------------------------------------------------


async def test_the_books_are_told_and_balance(dev: App) -> None:
    ann = await known(dev)
    await set_price(dev, "SOL", "200")
    rates = {"taker": "0.0005", "maintenance": "0.05", "fundingIntervalS": 3600, "fundingRate": "0.01"}
    assert (await dev.request("PUT", "/dev/rates/SOL", body=rates)).status == 200
    await ann.create(margin=100, leverage=10)
    await set_price(dev, "SOL", "188")
    await ann.create(margin=1, leverage=2)
    waiting = {"asset": "SOL", "type": "long", "margin": 10, "leverage": 10, "limitPrice": 150}
    assert (await ann.post("/order/create", waiting)).status == 200
    await clock(dev, step=3600)
    answer = await dev.get("/dev/books")
    assert answer.body == {
        "success": True,
        "seq": dev.state.seq,
        "accounts": 1,
        "openTrades": 1,
        "free": "4888.449000",
        "locked": "0.980000",
        "reserved": "10.050000",
        "housePnl": "60.000000",
        "commission": "0.501000",
        "funding": "0.020000",
        "insurance": "40.000000",
        "deposits": "5000.000000",
        "balanced": True,
    }


async def test_the_books_balance_with_what_orders_reserve_and_what_the_house_is_paid(dev: App) -> None:
    ann = await known(dev)
    await dev.request("PUT", "/dev/rates/SOL", body={"taker": "0.0005"})
    await set_price(dev, "SOL", "200")
    await ann.create(margin=100, leverage=10)
    await ann.post("/order/create", order(limitPrice=190))
    books = (await dev.get("/dev/books")).body
    assert [books[name] for name in ("reserved", "commission", "free")] == ["100.500000", "0.500000", "4799.000000"]
    assert books["balanced"]
    names = ("free", "locked", "reserved", "housePnl", "commission", "funding", "insurance")
    assert sum(Decimal(books[name]) for name in names) == Decimal(books["deposits"]) == 5000
