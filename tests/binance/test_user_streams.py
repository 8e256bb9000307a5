"""User data streams: each event whole, in Binance's order, once it is on disk, and to nobody else."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from exness.core.commands import Deposit, Reset
from exness.core.events import Record, TradeChanged, Why
from exness.web.stream.subscriber import Subscriber
from tests.binance.ear import Ear, listen_key_of, listening, named, streams_of, with_key
from tests.binance.face import Bot, assert_failed, bot
from tests.support.app import App
from tests.support.books import SOL
from tests.support.waiting import until


def words(text: str) -> set[str]:
    return set(text.split())


OPENED = ("ORDER NEW NEW", "TRADE_LITE", "ACCOUNT ORDER", "ORDER TRADE FILLED")
FIRED = ("ALGO TRIGGERING", "ALGO TRIGGERED", *OPENED)
ORDER_FIELDS = words("s c S o f q p ap sp x X i l z L T t b a m R wt ot ps cp rp pP si ss V pm gtd")
ALGO_FIELDS = words("caid aid at o s S ps f q X ai ap aq act tp p V wt pm cp pP R tt gtd rm")
POSITION_FIELDS = words("s pa ep bep cr up mt iw ps ma")


def texts(fields: dict[str, Any], *but: str) -> None:
    """Every figure is a text, whole numbers and truths are none."""
    for name, value in fields.items():
        assert isinstance(value, str | int | bool), (name, value)
        if name not in but:
            assert not isinstance(value, float)


async def algo(ann: Bot, **params: Any) -> Any:
    wish = {"algoType": "CONDITIONAL", "symbol": "SOLUSDC", "side": "SELL", "type": "STOP_MARKET", "quantity": 1}
    given = {name: value for name, value in (wish | params).items() if value is not None}
    return await ann.post("/fapi/v1/algoOrder", **given)


# --- orders ---------------------------------------------------------------------------------------------------------


async def test_an_order_at_the_market_is_new_then_filled_and_the_account_changes_in_between(ann: Bot) -> None:
    async with listening(ann) as ear:
        placed = await ann.order(quantity=2, newClientOrderId="mine", newOrderRespType="RESULT")
        new, lite, account, trade = await ear.heard(*OPENED)
    for event in (new, trade):
        order = event["o"]
        assert {"e", "E", "T", "o"} == event.keys()
        assert order.keys() - {"N", "n"} == ORDER_FIELDS
        assert (order["s"], order["c"], order["S"], order["o"], order["ot"]) == (
            "SOLUSDC",
            "mine",
            "BUY",
            "MARKET",
            "MARKET",
        )
        assert (order["i"], order["q"], order["ps"], order["f"]) == (placed["orderId"], "2.000", "BOTH", "GTC")
        texts(order)
    assert (new["o"]["z"], new["o"]["t"], "N" in new["o"]) == ("0.000", 0, False)
    filled = trade["o"]
    assert (filled["l"], filled["z"], filled["L"], filled["ap"]) == ("2.000", "2.000", "200", "200")
    assert (filled["N"], filled["n"], filled["m"], filled["rp"]) == ("USDC", "0.00000000", False, "0.00000000")
    assert lite.keys() == words("e E T s q p m c S L l t i")
    assert (lite["i"], lite["t"], lite["l"], lite["L"], lite["c"]) == (
        placed["orderId"],
        filled["t"],
        "2.000",
        "200",
        "mine",
    )
    balance, position = account["a"]["B"][0], account["a"]["P"][0]
    assert balance == {"a": "USDC", "wb": "5000.00000000", "cw": "4980.00000000", "bc": "0.00000000"}
    assert position.keys() == POSITION_FIELDS
    assert (position["pa"], position["ep"], position["mt"], position["iw"]) == (
        "2.000",
        "200",
        "isolated",
        "20.00000000",
    )
    (row,) = await ann.get("/fapi/v1/userTrades", symbol="SOLUSDC")
    assert (row["id"], row["orderId"]) == (filled["t"], filled["i"]), "the same numbers as in REST"


async def test_what_is_told_is_what_rest_says(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(quantity=2)
        await app.quote(SOL, "210")
        await ann.order("SELL", 1)
        events = await ear.heard(*OPENED, *OPENED)
    balance = events[6]["a"]["B"][0]
    (asset,) = (await ann.get("/fapi/v3/account"))["assets"]
    assert (balance["wb"], balance["cw"]) == (asset["walletBalance"], asset["crossWalletBalance"])
    (risk,) = await ann.get("/fapi/v3/positionRisk")
    position = events[6]["a"]["P"][0]
    assert (position["pa"], position["ep"], position["iw"]) == (
        risk["positionAmt"],
        risk["entryPrice"],
        risk["isolatedWallet"],
    )
    assert (position["cr"], events[7]["o"]["rp"]) == ("10.00000000", "10.00000000")
    assert balance["bc"] == "0.00000000", "pnl is no other change"


async def test_a_limit_waits_is_amended_and_cancelled(ann: Bot) -> None:
    async with listening(ann) as ear:
        placed = await ann.order(type="LIMIT", price=190, timeInForce="GTC")
        (new,) = await ear.heard("ORDER NEW NEW")
        assert (new["o"]["p"], new["o"]["o"], new["o"]["i"], new["o"]["f"]) == (
            "190",
            "LIMIT",
            placed["orderId"],
            "GTC",
        )
        same = {"symbol": "SOLUSDC", "orderId": placed["orderId"]}
        await ann.put("/fapi/v1/order", **same, side="BUY", quantity=2, price=191)
        (amended,) = await ear.heard("ORDER AMENDMENT NEW")
        assert (amended["o"]["p"], amended["o"]["q"], amended["o"]["i"]) == ("191", "2.000", placed["orderId"])
        await ann.delete("/fapi/v1/order", **same)
        (gone,) = await ear.heard("ORDER CANCELED CANCELED")
        assert (gone["o"]["i"], gone["o"]["z"], gone["o"]["t"]) == (placed["orderId"], "0.000", 0)


async def test_a_limit_that_waited_is_filled_as_a_maker(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        placed = await ann.order(type="LIMIT", price=195, timeInForce="GTC")
        await app.quote(SOL, "194")
        *_, trade = await ear.heard("ORDER NEW NEW", "TRADE_LITE", "ACCOUNT ORDER", "ORDER TRADE FILLED")
    assert (trade["o"]["m"], trade["o"]["i"], trade["o"]["z"]) == (True, placed["orderId"], "1.000")


async def test_a_limit_that_is_amended_across_the_price_is_filled_as_a_taker(ann: Bot) -> None:
    async with listening(ann) as ear:
        placed = await ann.order(type="LIMIT", price=195, timeInForce="GTC")
        same = {"symbol": "SOLUSDC", "orderId": placed["orderId"]}
        await ann.put("/fapi/v1/order", **same, side="BUY", quantity=1, price=201)
        *_, trade = await ear.heard(
            "ORDER NEW NEW", "ORDER AMENDMENT NEW", "TRADE_LITE", "ACCOUNT ORDER", "ORDER TRADE FILLED"
        )
    assert (trade["o"]["m"], trade["o"]["i"]) == (False, placed["orderId"])


async def test_an_order_past_zero_is_filled_in_two_parts(ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(quantity=1)
        await ear.heard(*OPENED)
        await ann.order("SELL", 3)
        events = await ear.heard(
            "ORDER NEW NEW",
            *("TRADE_LITE", "ACCOUNT ORDER", "ORDER TRADE PARTIALLY_FILLED"),
            *("TRADE_LITE", "ACCOUNT ORDER", "ORDER TRADE FILLED"),
        )
    first, second = events[3]["o"], events[6]["o"]
    assert [(each["l"], each["z"], each["q"]) for each in (first, second)] == [
        ("1.000", "1.000", "3.000"),
        ("2.000", "3.000", "3.000"),
    ]
    assert first["t"] != second["t"]
    assert [events[at]["a"]["P"][0]["pa"] for at in (2, 5)] == ["0.000", "-2.000"]


async def test_the_rest_of_an_ioc_expires(ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(type="LIMIT", price=190, timeInForce="IOC")
        await ear.heard("ORDER NEW NEW", "ORDER EXPIRED EXPIRED")


# --- conditional orders ---------------------------------------------------------------------------------------------


async def test_a_stop_fires_becomes_an_order_and_is_finished_a_while_after_its_fill(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(quantity=1)
        await ear.heard(*OPENED)
        stop = await algo(ann, triggerPrice=195, reduceOnly="true", clientAlgoId="stop")
        (new,) = await ear.heard("ALGO NEW")
        assert new["o"].keys() == ALGO_FIELDS
        assert (new["o"]["aid"], new["o"]["caid"], new["o"]["ai"], new["o"]["tp"]) == (
            stop["algoId"],
            "stop",
            "",
            "195",
        )
        loop = asyncio.get_running_loop()
        await app.quote(SOL, "194")
        fired = await ear.heard(*FIRED)
        began = loop.time()
        (finished,) = await ear.heard("ALGO FINISHED")
        assert loop.time() - began > 0.1
    triggering, triggered, order, _, account, trade = fired
    assert (triggering["o"]["ai"], triggered["o"]["ai"]) == ("", str(order["o"]["i"]))
    assert (order["o"]["c"], order["o"]["o"], order["o"]["ot"]) == ("stop", "MARKET", "STOP_MARKET")
    assert (order["o"]["sp"], order["o"]["R"], order["o"]["i"] != stop["algoId"]) == ("195", True, True)
    assert (trade["o"]["i"], trade["o"]["rp"]) == (order["o"]["i"], "-6.00000000")
    assert account["a"]["P"][0]["pa"] == "0.000"
    assert (finished["o"]["ai"], finished["o"]["aq"], finished["o"]["ap"]) == (str(order["o"]["i"]), "1.000", "194")
    found = await ann.get("/fapi/v1/order", symbol="SOLUSDC", orderId=order["o"]["i"])
    assert (found["status"], found["clientOrderId"]) == ("FILLED", "stop")


async def test_a_stop_that_opens_fires_too(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await algo(ann, side="BUY", triggerPrice=210)
        await ear.heard("ALGO NEW")
        await app.quote(SOL, "211")
        await ear.heard(*FIRED, "ALGO FINISHED")


async def test_a_stop_is_cancelled_and_another_ends_with_its_position(ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(quantity=1)
        first = await algo(ann, triggerPrice=190, reduceOnly="true")
        second = await algo(ann, triggerPrice=180, closePosition="true", quantity=None)
        await ear.heard(*OPENED, "ALGO NEW", "ALGO NEW")
        await ann.delete("/fapi/v1/algoOrder", algoId=first["algoId"])
        (gone,) = await ear.heard("ALGO CANCELED")
        assert (gone["o"]["aid"], gone["o"]["ai"]) == (first["algoId"], "")
        await ann.order("SELL", 1)
        *_, expired = await ear.heard(*OPENED, "ALGO EXPIRED")
        assert (expired["o"]["aid"], expired["o"]["cp"]) == (second["algoId"], True)


async def test_a_stop_whose_order_is_refused_tells_so(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await algo(ann, side="BUY", triggerPrice=210, quantity=400)
        await ann.order(type="LIMIT", price=150, timeInForce="GTC", quantity=90)
        await ear.heard("ALGO NEW", "ORDER NEW NEW")
        await app.quote(SOL, "300")
        rejected, told = await ear.heard("CONDITIONAL_ORDER_TRIGGER_REJECT", "ALGO REJECTED")
    assert rejected["or"] == {"s": "SOLUSDC", "i": told["o"]["aid"], "r": told["o"]["rm"]}
    assert told["o"]["rm"]


# --- positions and money --------------------------------------------------------------------------------------------


async def test_a_liquidation_is_an_order_of_its_own(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(quantity=1)
        await ear.heard(*OPENED)
        await app.quote(SOL, "180")
        new, _, account, trade = await ear.heard(*OPENED)
    assert new["o"]["c"].startswith("autoclose-")
    assert (trade["o"]["o"], trade["o"]["ot"], trade["o"]["z"], trade["o"]["i"]) == (
        "LIQUIDATION",
        "LIQUIDATION",
        "1.000",
        new["o"]["i"],
    )
    assert (account["a"]["P"][0]["pa"], account["a"]["B"][0]["wb"]) == ("0.000", "4990.00000000")
    (forced,) = await ann.get("/fapi/v1/forceOrders", symbol="SOLUSDC")
    assert (forced["orderId"], forced["clientOrderId"]) == (new["o"]["i"], new["o"]["c"])


async def test_a_position_near_its_liquidation_is_told_of_once_until_it_has_recovered(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.order(quantity=1)
        await ear.heard(*OPENED)
        await app.quote(SOL, "191")
        (call,) = await ear.heard("MARGIN_CALL")
        assert call["cw"] == "4990.00000000"
        assert call["p"] == [
            {
                "s": "SOLUSDC",
                "ps": "BOTH",
                "pa": "1.000",
                "mt": "ISOLATED",
                "iw": "10.00000000",
                "mp": "191",
                "up": "-9.00000000",
                "mm": "0.00000000",
            }
        ]
        streams = streams_of(app)
        (listened,) = streams._accounts.values()
        streams._call_for_margin(listened)
        assert ear.events == []
        await app.quote(SOL, "195")
        streams._call_for_margin(listened)
        await app.quote(SOL, "191")
        streams._call_for_margin(listened)
        await ear.heard("MARGIN_CALL")


async def test_funding_is_told_with_what_it_took(ann: Bot) -> None:
    """Of a record as the engine makes it: when funding falls due no test of the face sets."""
    async with listening(ann) as ear:
        await ann.order(quantity=1)
        await ear.heard(*OPENED)
        (listened,) = streams_of(ann.app)._accounts.values()
        (trade,) = listened.mirror.trades.values()
        paid = replace(trade, margin=trade.margin - 1_000, funding=1_000)
        event = TradeChanged(paid, Why.FUNDING, listened.mirror._free, paid=1_000, price=trade.entry)
        (told,) = listened.mirror.tell([Record(listened.mirror.seq + 1, 7_000_000, event)])
    account = told.payload["a"]
    assert (account["m"], told.payload["T"]) == ("FUNDING_FEE", 7_000)
    assert account["B"] == [{"a": "USDC", "wb": "4999.99900000", "cw": "4990.00000000", "bc": "-0.00100000"}]
    assert (account["P"][0]["s"], account["P"][0]["iw"]) == ("SOLUSDC", "9.99900000")


async def test_margin_moves_into_a_position_and_leverage_is_told(ann: Bot) -> None:
    async with listening(ann) as ear:
        await ann.post("/fapi/v1/leverage", symbol="SOLUSDC", leverage=10)
        (config,) = await ear.heard("ACCOUNT_CONFIG_UPDATE")
        assert config["ac"] == {"s": "SOLUSDC", "l": 10}
        await ann.order(quantity=1)
        await ear.heard(*OPENED)
        await ann.post("/fapi/v1/positionMargin", symbol="SOLUSDC", amount=5, type=1)
        (moved,) = await ear.heard("ACCOUNT MARGIN_TRANSFER")
    assert moved["a"]["B"][0] == {"a": "USDC", "wb": "5000.00000000", "cw": "4975.00000000", "bc": "0.00000000"}
    assert moved["a"]["P"][0]["iw"] == "25.00000000"


async def test_what_the_native_api_takes_leaves_the_wallet_and_its_orders_are_not_told(app: App, ann: Bot) -> None:
    trader = app.trader("ann")
    async with listening(ann) as ear:
        await trader.create(margin=100)
        (taken,) = await ear.heard("ACCOUNT ADJUSTMENT")
        await app.exchange.do(Deposit(trader.account.id, 7_000_000))
        (paid,) = await ear.heard("ACCOUNT DEPOSIT")
    assert taken["a"]["B"][0] == {"a": "USDC", "wb": "4900.00000000", "cw": "4900.00000000", "bc": "-100.00000000"}
    assert taken["a"]["P"] == []
    assert (paid["a"]["B"][0]["wb"], paid["a"]["B"][0]["bc"]) == ("4907.00000000", "7.00000000")


# --- who is told ----------------------------------------------------------------------------------------------------


async def test_nothing_is_told_before_it_is_on_disk(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        app.hold_disk()
        order = asyncio.create_task(ann.order())
        await until(lambda: app.writer.queued > 0 or app.state.seq > app.writer.durable_seq, "for the engine")
        await asyncio.sleep(0.05)
        assert ear.events == []
        app.release_disk()
        await order
        await ear.heard(*OPENED)


async def test_another_account_hears_nothing_and_two_sockets_hear_the_same(ann: Bot, bob: Bot) -> None:
    async with listening(bob) as other, listening(ann) as one, listening(ann, is_wrapped=True) as two:
        await ann.order()
        plain, whole = await one.heard(*OPENED), await two.heard(*OPENED)
        assert [each["stream"] for each in whole] == [await listen_key_of(ann)] * 4
        assert [each["data"] for each in whole] == plain
        assert other.events == []


async def test_who_has_left_hears_no_more_and_who_comes_later_hears_what_comes_after(ann: Bot) -> None:
    async with listening(ann) as first:
        await ann.order(type="LIMIT", price=190, timeInForce="GTC", newClientOrderId="resting")
        await first.heard("ORDER NEW NEW")
    async with listening(ann) as second:
        await ann.delete("/fapi/v1/order", symbol="SOLUSDC", origClientOrderId="resting")
        (gone,) = await second.heard("ORDER CANCELED CANCELED")
        assert (gone["o"]["c"], gone["o"]["p"]) == ("resting", "190"), "it knows orders from before it came"
    assert first.events == []


async def test_a_reset_ends_the_stream(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await app.exchange.do(Reset())
        streams = streams_of(app)
        await until(lambda: not streams._accounts, "for the reset")
        await app.quote_all()
        await ann.order()
        assert ear.events == []


# --- listen keys ----------------------------------------------------------------------------------------------------


async def test_a_listen_key_is_the_same_until_its_api_key_is_another(app: App, ann: Bot) -> None:
    again = await bot(app, "ann")
    first, second = await listen_key_of(ann), await listen_key_of(ann)
    assert first == second
    assert len(first) == 64
    assert ann.key.key not in first
    assert await listen_key_of(again) != first
    for query in ("", f"listenKey={first}"):
        answer = await with_key(ann, "PUT", query=query)
        assert (answer.status, answer.body) == (200, {"listenKey": first})
    ended = await with_key(ann, "DELETE")
    assert (ended.status, ended.body) == (200, {})
    assert_failed(await with_key(ann, "PUT"), -1125, "This listenKey does not exist.")
    assert await listen_key_of(ann) == first


async def test_nobody_extends_or_ends_a_listen_key_of_another(ann: Bot, bob: Bot) -> None:
    hers = await listen_key_of(ann)
    for method in ("PUT", "DELETE"):
        assert_failed(await with_key(bob, method, query=f"listenKey={hers}"), -1125)
    async with listening(ann) as ear:
        await ann.order()
        await ear.heard(*OPENED)


async def test_an_hour_after_it_was_extended_last_it_expires_and_tells_so(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        app.wall.advance(3_599)
        await with_key(ann, "PUT")
        app.wall.advance(3_599)
        await ann.order(recvWindow=60_000)
        await ear.heard(*OPENED)
        app.wall.advance(1)
        (expired,) = await ear.heard("listenKeyExpired")
        assert expired["listenKey"] == streams_of(app).listen_keys._keys.listen_key(ann.key.key)
        await ann.order()
        await asyncio.sleep(0.05)
        assert ear.events == []
    assert_failed(await with_key(ann, "PUT"), -1125)


async def test_it_ends_with_its_api_key(app: App, ann: Bot) -> None:
    async with listening(ann) as ear:
        await app.services.keys.revoke(ann.key.email, ann.key.key)
        await ear.heard("listenKeyExpired")


@pytest.mark.parametrize("name", ["", "x", "0" * 64, "btcusdt@bookTicker"])
async def test_a_name_that_is_no_listen_key_is_passed_over(app: App, name: str) -> None:
    ear, streams = Ear(), streams_of(app)
    subscriber = Subscriber(ear, 10, asyncio.get_running_loop().time())
    await streams.listen(subscriber, name, is_wrapped=False)
    streams.leave(subscriber, name)
    assert streams._accounts == {}
    assert ear.events == []


def test_an_event_is_named_by_what_it_is() -> None:
    assert named({"e": "TRADE_LITE"}) == "TRADE_LITE"


# --- over the wire --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ws/{}", "/private/ws/{}", "/private/ws?listenKey={}", "/ws?listenKey={}"])
async def test_a_socket_hears_by_its_path(app: App, ann: Bot, path: str) -> None:
    assert app.http is not None
    async with app.http.ws_connect(app.url + path.format(await listen_key_of(ann))) as socket:
        await until(lambda: streams_of(app)._accounts, "for the socket to listen")
        await ann.order()
        assert [named(await socket.receive_json(timeout=5)) for _ in OPENED] == list(OPENED)
    await until(lambda: not streams_of(app)._accounts, "for it to have left")


async def test_a_listen_key_is_subscribed_like_a_stream_and_names_it_on_stream(app: App, ann: Bot) -> None:
    assert app.http is not None
    name = await listen_key_of(ann)
    async with app.http.ws_connect(app.url + "/private/stream") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [name], "id": 0})
        assert await socket.receive_json(timeout=5) == {"result": None, "id": 0}
        await ann.order()
        heard = [await socket.receive_json(timeout=5) for _ in OPENED]
        assert [(each["stream"], named(each)) for each in heard] == [(name, each) for each in OPENED]
        await socket.send_json({"method": "UNSUBSCRIBE", "params": [name], "id": "x"})
        assert await socket.receive_json(timeout=5) == {"result": None, "id": "x"}
        assert streams_of(app)._accounts == {}
