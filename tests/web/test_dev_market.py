"""web/dev: prices, scripts and the clock in the hand of a script on this machine."""

import asyncio
import random
from typing import Any

import pytest

from exness.core.money import AmountError, format_scaled, parse_scaled
from exness.web.dev.models import MOST_SCRIPTED
from tests.support.app import App, assert_error, bad
from tests.support.books import SECOND, SOL
from tests.support.waiting import until
from tests.web.dev_control import clock, entry, known, manual_app, put_price, run_script, set_price

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
