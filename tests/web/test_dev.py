"""web/dev.py: price and clock in the hand of a script on this machine."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from exness.core.commands import Deposit
from exness.core.money import AmountError, format_scaled, parse_scaled
from exness.feeds.manual import ManualFeed
from exness.runtime.candles import Interval
from exness.runtime.ports.prices import LastRecord
from exness.web.dev.endpoints import ENDPOINTS
from exness.web.dev.models import MOST_SCRIPTED
from exness.web.services import Dev
from tests.support.app import API, App, Trader, assert_error, bad, running_app, unchanged
from tests.support.books import PRICE_LIFE, SECOND, SOL
from tests.support.waiting import until

JSON_TYPE = {"Content-Type": "application/json"}


@asynccontextmanager
async def manual_app(**options: Any) -> AsyncIterator[tuple[App, ManualFeed]]:
    """The app with a manual feed, its clock paused at first."""
    feed = ManualFeed(PRICE_LIFE)
    feed.clock.pause()
    async with running_app(clock=cast(Any, feed.clock), **{"dev": Dev(feed)} | options) as app:
        feed.hold(app.sequencer)
        feeding = asyncio.create_task(feed.conduct(LastRecord()))
        try:
            yield app, feed
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding


@pytest.fixture
async def dev() -> AsyncIterator[App]:
    async with manual_app() as (app, _):
        yield app


async def put_price(app: App, asset: str, body: Any, **options: Any) -> Any:
    return await app.request("PUT", f"/dev/prices/{asset}", body=body, **options)


async def set_price(app: App, asset: str, mid: str) -> dict[str, Any]:
    answer = await put_price(app, asset, {"mid": mid})
    assert answer.status == 200, answer
    return answer.body


async def clock(app: App, **order: Any) -> dict[str, Any]:
    answer = await app.post("/dev/clock", order)
    assert answer.status == 200, answer
    return answer.body


async def known(app: App, name: str = "ann") -> Trader:
    (trader,) = await app.known(name)
    return trader


# --- prices -------------------------------------------------------------------------------------------------------


async def test_a_price_is_told_back_with_its_mark_and_time_and_is_the_exchanges(dev: App) -> None:
    answer = await put_price(dev, "SOL", {"bid": "199.999999", "ask": 200.000002})
    now = (await dev.get("/dev/clock")).body["now"]
    assert (answer.status, answer.body) == (
        200,
        {
            "success": True,
            "asset": "SOL",
            "bid": "199.999999",
            "ask": "200.000002",
            "mark": "200.000000",
            "at": now,
            "liquidated": 0,
        },
    )
    price = (await dev.get("/prices/SOL")).body
    assert (price["mark"], price["at"], price["state"]) == ("200.000000", now, "live")


async def test_a_mid_is_bid_and_ask_in_the_assets_own_decimals(dev: App) -> None:
    body = await set_price(dev, "BTC", "98765.4321")
    assert (body["bid"], body["ask"], body["mark"]) == ("98765.4321",) * 3


async def test_what_a_price_set_off_is_durable_when_it_is_answered(dev: App) -> None:
    await set_price(dev, "SOL", "200")
    ann = await known(dev)
    trade = await ann.create(leverage=10)
    assert trade["liquidationPrice"] == "180.000000"
    assert (await set_price(dev, "SOL", "180.000001"))["liquidated"] == 0
    dev.hold_disk()
    putting = asyncio.create_task(put_price(dev, "SOL", {"mid": "180"}))
    await until(lambda: not dev.state.open_trades)  # decided, and on its way to the disk
    for _ in range(100):
        await asyncio.sleep(0)
    assert not putting.done(), "nothing is told before it is on disk"
    dev.release_disk()
    assert (await putting).body["liquidated"] == 1
    (row,) = (await ann.get("/trade/history")).body["data"]
    assert (row["liquidated"], row["closePrice"]) == (True, "180.000000")


async def test_prices_are_down_until_set_and_stale_after_their_life_of_engine_time(dev: App) -> None:
    ann = await known(dev)
    assert_error(
        await ann.try_create(), 503, "price_unavailable", details={"asset": "SOL", "reason": "down"}, retry=True
    )
    await set_price(dev, "SOL", "200")
    await clock(dev, step=30)
    trade = await ann.create()
    await clock(dev, step="0.000001")
    refused = await ann.try_close(trade["orderId"])
    assert (refused.code, refused.details["reason"]) == ("price_unavailable", "stale")
    await set_price(dev, "SOL", "200")
    assert (await ann.close(trade["orderId"]))["pnl"] == "0.000000"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "body", "Give bid and ask, or mid alone"),
        ({"bid": 1}, "body", "Give bid and ask, or mid alone"),
        ({"ask": 1}, "body", "Give bid and ask, or mid alone"),
        ({"bid": 1, "ask": 2, "mid": 1}, "body", "Give bid and ask, or mid alone"),
        ({"bid": 2, "ask": 1}, "bid", "bid must not be greater than ask"),
        ({"mid": 0}, "mid", "mid must be greater than zero"),
        ({"mid": -1}, "mid", "mid must be greater than zero"),
        ({"bid": 0, "ask": 1}, "bid", "bid must be greater than zero"),
        ({"mid": "1.0000001"}, "mid", "mid can have at most 6 decimals"),
        ({"mid": None}, "body", "Give bid and ask, or mid alone"),
        ({"bid": 1, "ask": None}, "body", "Give bid and ask, or mid alone"),
        ({"mid": True}, "mid", "mid must be a number or a decimal string"),
        ({"mid": [1]}, "mid", "mid must be a number or a decimal string"),
        ({"mid": "1e400"}, "mid", "mid is out of range"),
        ({"mid": 10**18}, "mid", "mid is out of range"),
        ({"mid": 1, "price": 1}, "price", "price is not a known field"),
        ([], "body", "The body must be a JSON object"),
    ],
)
async def test_a_bad_price_is_refused_by_name_and_sets_nothing(dev: App, body: Any, field: str, message: str) -> None:
    await set_price(dev, "SOL", "200")
    before = (await dev.get("/prices")).body
    assert_error(await put_price(dev, "SOL", body), 400, "invalid_request", message, details=bad(field, message))
    assert (await dev.get("/prices")).body == before


async def test_every_bad_field_of_a_price_is_named_at_once(dev: App) -> None:
    refused = await put_price(dev, "SOL", {"bid": "x", "ask": 0})
    assert [detail["field"] for detail in refused.details] == ["bid", "ask"]


async def test_a_price_of_an_unknown_asset_is_not_found(dev: App) -> None:
    for asset in ("XRP", "sol", "script"):
        assert_error(await put_price(dev, asset, {"mid": 1}), 404, "not_found")


@pytest.mark.parametrize("seed", range(3))
async def test_every_amount_is_taken_exactly_or_refused(dev: App, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        text = rng.choice(("", "-", "0", "00", "+", " ")) + "".join(rng.choices("0123456789", k=rng.randint(0, 14)))
        text += rng.choice(("", ".", ".5", ".123456", ".1234567", "e2", "e-3", "E+1", "e", "Infinity", "\u0664"))
        try:
            scaled = parse_scaled(text, 6)
        except AmountError:
            scaled = 0
        answer = await put_price(dev, "SOL", {"mid": text})
        if scaled <= 0:
            assert_error(answer, 400, "invalid_request", details=answer.details)
        else:
            assert answer.body["mark"] == format_scaled(scaled, 6), f"seed {seed}: {text!r}"


# --- scripts ------------------------------------------------------------------------------------------------------


def entry(offset: Any, asset: Any = "SOL", price: Any = "200") -> dict[str, Any]:
    return {"offset": offset, "asset": asset, "price": price}


async def run_script(app: App, *entries: dict[str, Any]) -> Any:
    return await app.post("/dev/prices/script", {"prices": list(entries)})


async def test_a_script_sets_prices_as_the_clock_is_stepped_over_them(dev: App) -> None:
    started = await run_script(
        dev, entry(0), entry("0.5", price="181"), entry(0.500001, price="180"), entry(9, "BTC", 1)
    )
    now = (await dev.get("/dev/clock")).body["now"]
    told = {"success": True, "at": now, "scripted": 1, "left": 3, "replaced": 0, "liquidated": 0}
    assert (started.status, started.body) == (200, told)
    ann = await known(dev)
    await ann.create(leverage=10)
    assert (await clock(dev, step=0.5))["liquidated"] == 0
    stepped = await clock(dev, step=0.000001)
    assert (stepped["scripted"], stepped["liquidated"], stepped["scriptLeft"]) == (1, 1, 1)
    (row,) = (await ann.get("/trade/history")).body["data"]
    assert (row["liquidated"], row["closedAt"], row["durationSeconds"]) == (True, stepped["now"], "0.500001")


async def test_a_new_script_says_how_much_of_the_old_one_it_replaced(dev: App) -> None:
    await run_script(dev, entry(1), entry(2), entry(3))
    assert (await run_script(dev, entry(0), entry(1))).body["replaced"] == 3
    ended = (await run_script(dev)).body
    assert (ended["replaced"], ended["left"]) == (1, 0)


@pytest.mark.parametrize(
    ("entries", "field", "message"),
    [
        ([entry(2), entry(1)], "prices[1].offset", "offset must not be less than the one before"),
        ([entry(-1)], "prices[0].offset", "offset must be from 0 to 31622400 seconds"),
        ([entry(31622401)], "prices[0].offset", "offset must be from 0 to 31622400 seconds"),
        ([entry("0.0000001")], "prices[0].offset", "offset can have at most 6 decimals"),
        ([entry(0), entry(1, price=0)], "prices[1].price", "price must be greater than zero"),
        ([entry(0, "BTC", "1.00001")], "prices[0].price", "price can have at most 4 decimals"),
        ([entry(0, "XRP")], "prices[0].asset", "Invalid asset. Supported assets are SOL, ETH, BTC"),
        ([entry(0, 7)], "prices[0].asset", "asset must be a string"),
        ([entry(0) | {"bid": 1}], "prices[0].bid", "bid is not a known field"),
        ([{"offset": 0, "asset": "SOL"}], "prices[0].price", "price is required"),
        ([entry(0), 7], "prices[1].body", "The body must be a JSON object"),
        (7, "prices", "prices must be a list of objects with offset, asset and price"),
        (None, "prices", "prices must be a list of objects with offset, asset and price"),
    ],
)
async def test_a_bad_script_is_refused_by_the_place_in_it_and_nothing_of_it_runs(
    dev: App, entries: Any, field: str, message: str
) -> None:
    await run_script(dev, entry(5))
    refused = await dev.post("/dev/prices/script", {"prices": entries})
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))
    assert (await dev.get("/dev/clock")).body["scriptLeft"] == 1, "the script before it goes on"
    assert dev.state.price(SOL) is None


async def test_a_script_without_prices_and_one_of_too_many_are_refused() -> None:
    async with manual_app(max_body_bytes=2_000_000) as (app, _):
        refused = await app.post("/dev/prices/script", {})
        assert_error(refused, 400, "invalid_request", details=bad("prices", "prices is required"))
        most = [entry(number / 1000) for number in range(MOST_SCRIPTED)]
        refused = await run_script(app, *most, entry(10))
        assert_error(refused, 400, "invalid_request", details=bad("prices", "prices can have at most 10000 entries"))
        refused = await run_script(app, *(entry(-1) for _ in range(100)))
        assert len(refused.details) == 20, "nobody wants to read a hundred errors"
        assert (await run_script(app, *most)).body["left"] == MOST_SCRIPTED - 1
        assert (await clock(app, step=10))["scripted"] == MOST_SCRIPTED - 1


# --- the clock ----------------------------------------------------------------------------------------------------


async def test_the_clock_is_shown_paused_and_running(dev: App) -> None:
    shown = (await dev.get("/dev/clock")).body
    assert shown == {"success": True, "now": shown["now"], "paused": True, "speed": 1, "scriptLeft": 0}
    assert (await dev.get("/dev/clock")).body == shown, "it stands"
    running = await clock(dev, paused=False, speed=2.5)
    assert (running["paused"], running["speed"]) == (False, "2.5")
    async with asyncio.timeout(10):
        while (await dev.get("/dev/clock")).body["now"] == running["now"]:
            pass
    assert (await clock(dev, paused=True))["paused"] is True


async def test_a_step_is_exact_and_everything_that_is_stamped_goes_by_it(dev: App) -> None:
    await set_price(dev, "SOL", "200")
    ann = await known(dev)
    trade = await ann.create()
    await clock(dev, step="12.345678")
    closed = await ann.close(trade["orderId"])
    (row,) = (await ann.get("/trade/history")).body["data"]
    assert row["durationSeconds"] == "12.345678"
    assert (row["createdAt"], row["closedAt"]) == (trade["createdAt"], closed["closedAt"])


async def test_pause_and_step_go_in_one_request(dev: App) -> None:
    await clock(dev, paused=False)
    body = await clock(dev, paused=True, step=60)
    assert body["paused"] is True
    assert (await dev.get("/dev/clock")).body["now"] == body["now"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "body", "Give paused, speed or step"),
        ({"paused": "yes"}, "paused", "paused must be true or false"),
        ({"paused": None}, "body", "Give paused, speed or step"),
        ({"paused": None, "speed": None, "step": None}, "body", "Give paused, speed or step"),
        ({"speed": 0}, "speed", "speed must be greater than 0 and at most 1000 times real time"),
        ({"speed": 1001}, "speed", "speed must be greater than 0 and at most 1000 times real time"),
        ({"speed": "1e60"}, "speed", "speed must be greater than 0 and at most 1000 times real time"),
        ({"speed": 0.0001}, "speed", "speed can have at most 3 decimals"),
        ({"speed": "fast"}, "speed", "speed must be a number or a decimal string"),
        ({"step": 0}, "step", "step must be greater than 0 and at most 31622400 seconds"),
        ({"step": -5}, "step", "step must be greater than 0 and at most 31622400 seconds"),
        ({"step": 31622401}, "step", "step must be greater than 0 and at most 31622400 seconds"),
        ({"step": "0.0000001"}, "step", "step can have at most 6 decimals"),
        ({"step": True}, "step", "step must be a number or a decimal string"),
        ({"step": 1, "now": 1}, "now", "now is not a known field"),
        ({"paused": True, "rate": 1}, "rate", "rate is not a known field"),
    ],
)
async def test_a_bad_clock_order_is_refused_by_name_and_moves_nothing(
    dev: App, body: Any, field: str, message: str
) -> None:
    before = (await dev.get("/dev/clock")).body
    refused = await dev.post("/dev/clock", body)
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))
    assert (await dev.get("/dev/clock")).body == before


async def test_no_step_leads_beyond_what_can_be_shown() -> None:
    async with manual_app() as (app, feed):
        feed.clock.advance_to(253_370_764_800 * SECOND - 5 * SECOND)
        message = "step must not lead beyond the year 9998"
        refused = await app.post("/dev/clock", {"step": 6})
        assert_error(refused, 400, "invalid_request", message, details=bad("step", message))
        message = "prices must not lead beyond the year 9998"
        refused = await run_script(app, entry(6))
        assert_error(refused, 400, "invalid_request", message, details=bad("prices", message))


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


# --- who may ------------------------------------------------------------------------------------------------------

ASKED = [(row.method, row.path.replace("{asset}", "SOL")) for row in ENDPOINTS]


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_when_it_is_off_there_is_nothing_at_its_addresses(app: App, method: str, path: str) -> None:
    for each in {method, "GET", "POST", "HEAD", "OPTIONS", "DELETE"}:
        answer = await app.request(each, path)
        nowhere = await app.request(each, "/dev/nothing/here")
        assert (answer.status, answer.raw) == (404, nowhere.raw)
        assert answer.headers.get("Allow") is None


@pytest.mark.parametrize(("method", "path"), ASKED)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_what_a_proxy_passes_on_is_refused(dev: App, method: str, path: str, header: str) -> None:
    with unchanged(dev):
        refused = await dev.request(method, path, body={"mid": 1}, headers={header: "127.0.0.1"})
        assert_error(refused, 403, "local_only")


@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        ("localhost", True),
        ("LOCALHOST:8002", True),
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("[::1]:8002", True),
        ("[::ffff:127.0.0.1]", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.7:8002", False),
        ("[2001:db8::1]", False),
        ("[", False),
    ],
)
async def test_it_answers_to_names_of_this_machine_only(dev: App, host: str, welcome: bool) -> None:
    answer = await dev.get("/dev/clock", headers={"Host": host})
    if welcome:
        assert answer.status == 200
    else:
        assert_error(answer, 403, "local_only")


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_a_connection_from_elsewhere_is_refused(
    dev: App, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for peer in ("192.0.2.7", "2001:db8::7", "::ffff:10.0.0.1", "", "nonsense"):
        monkeypatch.setattr("aiohttp.web.BaseRequest.remote", peer)
        with unchanged(dev):
            assert_error(await dev.request(method, path, body={"mid": 1}), 403, "local_only")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_a_foreign_page_is_refused(dev: App, method: str, path: str, origin: str) -> None:
    with unchanged(dev):
        refused = await dev.request(method, path, body={"mid": 1}, headers={"Origin": origin})
        assert_error(refused, 403, "forbidden_origin")


async def test_our_own_page_is_welcome(dev: App) -> None:
    assert (await dev.get("/dev/clock", headers={"Origin": dev.url})).status == 200


@pytest.mark.parametrize(("method", "path"), ASKED[:4])
async def test_price_and_clock_are_in_no_hand_unless_the_feed_is_manual(method: str, path: str) -> None:
    async with running_app(dev=Dev()) as app:
        assert_error(await app.request(method, path, body={}), 409, "not_manual")


async def test_bodies_must_be_json(dev: App) -> None:
    for method, path in ASKED:
        if method == "GET" or path == "/dev/reset":
            continue
        for headers in ({}, {"Content-Type": "text/plain"}):
            refused = await dev.request(method, path, data=b'{"mid": 1}', headers=headers)
            assert_error(refused, 415, "unsupported_media_type")
        refused = await dev.request(method, path, data=b'{"mid"', headers=JSON_TYPE)
        assert_error(refused, 400, "invalid_request", details=bad("body", "The body is not valid JSON"))
        refused = await dev.request(method, path, data=b"x" * 70_000, headers=JSON_TYPE)
        assert_error(refused, 413, "body_too_large")


async def test_where_it_is_on_the_document_has_it(dev: App) -> None:
    assert dev.http is not None
    async with dev.http.get(f"{dev.url}/openapi.json") as response:
        paths = (await response.json())["paths"]
    for row in ENDPOINTS:
        assert row.method.lower() in paths[API + row.path]


async def test_where_it_is_off_the_document_has_nothing_of_it(app: App) -> None:
    assert app.http is not None
    async with app.http.get(app.url + "/openapi.json") as response:
        assert "/dev/" not in await response.text()


# --- sessions and books -------------------------------------------------------------------------------------------


async def test_a_session_of_dev_control_is_good_also_after_those_before_it_were_ended(dev: App) -> None:
    ann = await known(dev)
    assert (await ann.post("/logout", None)).status == 200
    assert_error(await ann.get("/balance"), 401, "unauthorized")
    answer = await dev.post("/dev/session", {"email": "Ann@Example.com"}, headers={"Accept": "application/json"})
    assert "Set-Cookie" not in answer.headers
    assert (answer.status, answer.body["email"]) == (200, ann.email)
    ann.token = answer.body["token"]
    assert (await ann.get("/account")).body["email"] == ann.email


async def test_the_books_are_told_and_balance(dev: App) -> None:
    ann = await known(dev)
    await set_price(dev, "SOL", "200")
    await ann.create(margin=100, leverage=10)
    await set_price(dev, "SOL", "170")
    await ann.create(margin=1, leverage=2)
    answer = await dev.get("/dev/books")
    assert answer.body == {
        "success": True,
        "seq": dev.state.seq,
        "accounts": 1,
        "openTrades": 1,
        "free": "4899.000000",
        "locked": "1.000000",
        "housePnl": "100.000000",
        "deposits": "5000.000000",
        "balanced": True,
    }


# --- sessions of browsers -----------------------------------------------------------------------------------------


async def test_a_browser_is_signed_in_by_a_cookie_that_no_script_sees(dev: App) -> None:
    answer = await dev.post("/dev/session", {"email": "Ann@Example.com"})
    assert answer.status == 200
    assert answer.body.keys() == {"success", "email", "expiresAt"}, "no token"
    assert answer.body["email"] == "ann@example.com"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("authToken=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    signed_in = await dev.get("/account", headers={"Cookie": cookie.partition(";")[0]})
    assert (signed_in.status, signed_in.body["email"]) == (200, "ann@example.com")


async def test_no_foreign_page_and_nobody_from_elsewhere_gets_a_session(dev: App) -> None:
    with unchanged(dev):
        foreign = await dev.post(
            "/dev/session", {"email": "ann@example.com"}, headers={"Origin": "https://evil.example"}
        )
        assert_error(foreign, 403, "forbidden_origin")
        passed_on = await dev.post("/dev/session", {"email": "ann@example.com"}, headers={"X-Forwarded-For": "1.2.3.4"})
        assert_error(passed_on, 403, "local_only")
        for answer in (foreign, passed_on):
            assert "Set-Cookie" not in answer.headers
        assert_error(
            await dev.post("/dev/session", {"email": "nobody"}),
            400,
            "invalid_request",
            details=bad("email", "email must be a mail address like you@example.com"),
        )


async def test_without_dev_control_there_are_no_sessions_without_a_mail() -> None:
    async with running_app() as app:
        assert_error(await app.post("/dev/session", {"email": "ann@example.com"}), 404, "not_found")
