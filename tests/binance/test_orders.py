"""web/fapi/orders.py, algo.py, wishes.py: orders placed, asked for, modified, cancelled and refused."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from exness.core.instruments import Execution
from tests.binance.face import FAPI, Bot, assert_failed, bot, face
from tests.binance.shapes import are_decimals, has_shape
from tests.support.app import App, rate_limits, unchanged
from tests.support.books import SOL, make_rules
from tests.support.waiting import until

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
LIMIT = {"type": "LIMIT", "timeInForce": "GTC"}
SHAPE = {
    "S": "symbol status clientOrderId price avgPrice origQty executedQty cumQty cumQuote timeInForce type side "
    "positionSide stopPrice workingType origType priceMatch selfTradePreventionMode",
    "I": "orderId goodTillDate time updateTime",
    "B": "reduceOnly closePosition priceProtect",
}
ALGO_SHAPE = {
    "S": "clientAlgoId algoType orderType symbol side positionSide timeInForce quantity algoStatus actualOrderId "
    "actualPrice actualQty actualType triggerPrice price tpTriggerPrice tpPrice slTriggerPrice slPrice tpOrderType "
    "selfTradePreventionMode workingType priceMatch",
    "I": "algoId createTime updateTime triggerTime goodTillDate",
    "B": "closePosition priceProtect reduceOnly",
    "NoneType": "icebergQuantity",
}


async def algo(bot: Bot, kind: str, trigger: object, side: str = "SELL", **params: object) -> Any:
    wish = {
        "symbol": "SOLUSDC",
        "side": side,
        "type": kind,
        "triggerPrice": trigger,
        "algoType": "CONDITIONAL",
    } | params
    return await bot.post(ALGO, **{name: value for name, value in wish.items() if value is not None})


async def refused(bot: Bot, code: int, message: str | None = None, *, path: str = ORDER, **params: Any) -> None:
    """An order like a good one but for these."""
    wish: dict[str, object] = {"symbol": "SOLUSDC", "side": "BUY", "type": "MARKET", "quantity": 1} | params
    with unchanged(bot.app):
        answer = await bot.ask("POST", path, **{name: value for name, value in wish.items() if value is not None})
        assert_failed(answer, code, message)


@pytest.fixture(autouse=True)
async def known(ann: Bot) -> None:
    """Her account is there, so that a refusal changes nothing."""
    await ann.get("/fapi/v2/balance")


# --- at once --------------------------------------------------------------------------------------------------------


async def test_an_order_at_the_market_is_filled_and_its_result_is_told(ann: Bot) -> None:
    done = await ann.order(quantity="1.5", newOrderRespType="RESULT", newClientOrderId="a:b/c")
    has_shape(done, **SHAPE)
    are_decimals(done, "price avgPrice origQty executedQty cumQty cumQuote stopPrice")
    assert (done["status"], done["type"], done["side"], done["clientOrderId"]) == ("FILLED", "MARKET", "BUY", "a:b/c")
    assert (done["avgPrice"], done["executedQty"], done["cumQuote"]) == ("200", "1.500", "300")
    assert 0 < done["orderId"] < 2**53
    for named in ({"orderId": done["orderId"]}, {"origClientOrderId": "a:b/c"}):
        assert await ann.get(ORDER, symbol="SOLUSDC", **named) == done


async def test_an_acknowledgement_says_only_that_it_was_taken(ann: Bot) -> None:
    taken = await ann.order()
    assert (taken["status"], taken["executedQty"], taken["avgPrice"]) == ("NEW", "0.000", "0")
    found = await ann.get(ORDER, symbol="SOLUSDC", orderId=taken["orderId"])
    assert (found["status"], found["executedQty"]) == ("FILLED", "1.000")
    assert found["clientOrderId"] == taken["clientOrderId"]


@pytest.mark.parametrize("where", ["query", "body"])
async def test_an_order_is_taken_from_the_query_and_from_the_body(ann: Bot, where: str) -> None:
    signed = ann.signed({"symbol": "solusdc", "side": "BUY", "type": "MARKET", "quantity": 1.0, "unknown": "x"})
    given = (signed, None) if where == "query" else ("", signed)
    answer = await ann.raw("POST", ORDER, *given, **{"Content-Type": "application/json"})
    assert (answer.status, answer.body["symbol"]) == (200, "SOLUSDC")


async def test_past_zero_one_order_closes_and_opens(ann: Bot) -> None:
    await ann.order()
    flipped = await ann.order("SELL", 3, newOrderRespType="RESULT")
    assert (flipped["status"], flipped["executedQty"]) == ("FILLED", "3.000")
    (position,) = await ann.get("/fapi/v3/positionRisk")
    assert position["positionAmt"] == "-2.000"


async def test_what_reduces_only_is_cut_to_the_position(ann: Bot) -> None:
    await ann.order(quantity=1)
    cut = await ann.order("SELL", 5, reduceOnly="TRUE", newOrderRespType="RESULT")
    assert (cut["status"], cut["executedQty"], cut["reduceOnly"]) == ("FILLED", "1.000", True)
    assert await ann.get("/fapi/v3/positionRisk") == []
    await refused(ann, -2022, "ReduceOnly Order is rejected. (LOT_SIZE)", side="SELL", reduceOnly="true")


# --- what waits -----------------------------------------------------------------------------------------------------


async def test_a_limit_order_waits_is_listed_modified_and_cancelled(ann: Bot) -> None:
    waiting = await ann.order(quantity=2, price=190, newClientOrderId="mine", **LIMIT)
    has_shape(waiting, **SHAPE)
    assert (waiting["status"], waiting["price"], waiting["origQty"]) == ("NEW", "190", "2.000")
    named = {"symbol": "SOLUSDC", "orderId": waiting["orderId"]}
    assert await ann.get("/fapi/v1/openOrders") == await ann.get("/fapi/v1/openOrders", symbol="SOLUSDC") == [waiting]
    assert await ann.get("/fapi/v1/openOrders", symbol="BTCUSDC") == []
    assert await ann.get("/fapi/v1/openOrder", **named) == await ann.get(ORDER, **named) == waiting
    assert_failed(await ann.ask("PUT", ORDER, **named, side="BUY", quantity=2, price=190), -5027)
    modified = await ann.put(ORDER, **named, side="BUY", quantity="1.5", price="185")
    assert (modified["price"], modified["origQty"], modified["orderId"]) == ("185", "1.500", waiting["orderId"])
    cancelled = await ann.delete(ORDER, symbol="SOLUSDC", origClientOrderId="mine")
    assert (cancelled["status"], cancelled["executedQty"]) == ("CANCELED", "0.000")
    found = await ann.get(ORDER, **named)
    assert (found["status"], found["updateTime"]) == ("CANCELED", cancelled["updateTime"])
    assert_failed(await ann.ask("DELETE", ORDER, **named), -2011, "Unknown order sent.")
    assert_failed(await ann.ask("GET", "/fapi/v1/openOrder", **named), -2013, "Order does not exist.")
    assert_failed(await ann.ask("PUT", ORDER, **named, side="BUY", quantity=1, price=190), -2013)


async def test_a_modified_order_that_crosses_is_filled(ann: Bot) -> None:
    waiting = await ann.order(price=190, **LIMIT)
    done = await ann.put(ORDER, symbol="SOLUSDC", orderId=waiting["orderId"], side="BUY", quantity=1, price=205)
    assert (done["status"], done["avgPrice"], done["orderId"]) == ("FILLED", "200", waiting["orderId"])


async def test_a_limit_is_filled_when_the_price_comes(app: App, ann: Bot) -> None:
    waiting = await ann.order(price=190, **LIMIT)
    await app.quote(SOL, "190")
    found = await ann.get(ORDER, symbol="SOLUSDC", orderId=waiting["orderId"])
    assert (found["status"], found["avgPrice"], found["type"]) == ("FILLED", "190", "LIMIT")
    (trade,) = await ann.get("/fapi/v1/userTrades", symbol="SOLUSDC")
    assert (trade["orderId"], trade["maker"], trade["price"]) == (waiting["orderId"], True, "190")


async def test_a_client_order_id_is_unique_among_what_waits_and_free_again_after(ann: Bot) -> None:
    await ann.order(price=190, newClientOrderId="one", **LIMIT)
    await refused(ann, -4116, "ClientOrderId is duplicated.", newClientOrderId="one")
    await ann.delete(ORDER, symbol="SOLUSDC", origClientOrderId="one")
    again = await ann.order(price=190, newClientOrderId="one", **LIMIT)
    assert (await ann.get(ORDER, symbol="SOLUSDC", origClientOrderId="one"))["orderId"] == again["orderId"]


async def test_times_in_force_are_kept_or_refused(app: App, ann: Bot) -> None:
    expired = await ann.order(price=190, type="LIMIT", timeInForce="IOC", newOrderRespType="RESULT")
    assert (expired["status"], expired["timeInForce"], expired["executedQty"]) == ("EXPIRED", "IOC", "0.000")
    found = await ann.get(ORDER, symbol="SOLUSDC", orderId=expired["orderId"])
    assert (found["status"], found["timeInForce"]) == ("EXPIRED", "IOC")
    filled = await ann.order(price=205, type="LIMIT", timeInForce="FOK", newOrderRespType="RESULT")
    assert (filled["status"], filled["avgPrice"]) == ("FILLED", "200")
    await refused(ann, -5021, type="LIMIT", timeInForce="FOK", price=190)
    await refused(ann, -5022, type="LIMIT", timeInForce="GTX", price=205)
    maker = await ann.order(price=190, type="LIMIT", timeInForce="GTX")
    assert (maker["status"], maker["timeInForce"]) == ("NEW", "GTX")
    till = app.clock.now // 1000 + 700_000
    dated = await ann.order(price=189, type="LIMIT", timeInForce="GTD", goodTillDate=till)
    assert (dated["timeInForce"], dated["goodTillDate"]) == ("GTD", till)
    await refused(ann, -5040, type="LIMIT", timeInForce="GTD", price=190, goodTillDate=till - 101_000)
    await refused(ann, -1102, type="LIMIT", timeInForce="GTD", price=190)
    await refused(ann, -1130, type="LIMIT", timeInForce="GTD", price=190, goodTillDate=2**63 - 1)
    app.clock.advance(701)
    await app.quote(SOL, "200")
    assert (await ann.get(ORDER, symbol="SOLUSDC", orderId=dated["orderId"]))["status"] == "EXPIRED"


async def test_all_orders_of_a_symbol_are_cancelled_and_no_other(ann: Bot) -> None:
    for price in (190, 189):
        await ann.order(price=price, **LIMIT)
    other = await ann.order(symbol="ETHUSDC", quantity="0.1", price=2900, **LIMIT)
    stop = await algo(ann, "STOP_MARKET", 210, "BUY", quantity=1)
    done = {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert await ann.delete("/fapi/v1/allOpenOrders", symbol="SOLUSDC") == done
    assert await ann.delete("/fapi/v1/allOpenOrders", symbol="SOLUSDC") == done
    assert [each["orderId"] for each in await ann.get("/fapi/v1/openOrders")] == [other["orderId"]]
    assert [each["algoId"] for each in await ann.get("/fapi/v1/openAlgoOrders")] == [stop["algoId"]]
    assert await ann.delete("/fapi/v1/algoOpenOrders", symbol="SOLUSDC") == done
    assert await ann.get("/fapi/v1/openAlgoOrders") == []


async def test_a_countdown_cancels_unless_it_is_asked_again(app: App, ann: Bot) -> None:
    path, named = "/fapi/v1/countdownCancelAll", {"symbol": "SOLUSDC"}
    await ann.order(price=190, **LIMIT)
    assert await ann.post(path, **named, countdownTime=60_000) == {"symbol": "SOLUSDC", "countdownTime": "60000"}
    assert await ann.post(path, **named, countdownTime=0) == {"symbol": "SOLUSDC", "countdownTime": "0"}
    await ann.post(path, **named, countdownTime=30)
    account = app.state.accounts[app.state.by_email[ann.key.email]]
    await until(lambda: not account.orders, "for the countdown to end")
    assert await ann.get("/fapi/v1/openOrders") == []
    assert_failed(await ann.ask("POST", path, **named, countdownTime=-1), -1130)
    assert_failed(await ann.ask("POST", path, **named), -1102)


# --- batches --------------------------------------------------------------------------------------------------------


async def test_in_a_batch_what_fails_stops_no_other(ann: Bot) -> None:
    good = {"symbol": "SOLUSDC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "190"}
    items = [good, good | {"symbol": "NOUSDC"}, good | {"price": 189.5, "reduceOnly": False}]
    first, failed, last = await ann.post("/fapi/v1/batchOrders", batchOrders=json.dumps(items))
    assert failed == {"code": -1121, "msg": "Invalid symbol."}
    assert (first["price"], last["price"], last["status"]) == ("190", "189.5", "NEW")
    ids = json.dumps([first["orderId"], 5])
    cancelled, unknown = await ann.delete("/fapi/v1/batchOrders", symbol="SOLUSDC", orderIdList=ids)
    assert (cancelled["status"], unknown) == ("CANCELED", {"code": -2011, "msg": "Unknown order sent."})
    names = json.dumps([last["clientOrderId"]])
    (cancelled,) = await ann.delete("/fapi/v1/batchOrders", symbol="SOLUSDC", origclientorderidlist=names)
    assert cancelled["orderId"] == last["orderId"]
    too_many = json.dumps([good] * 6)
    assert_failed(await ann.ask("POST", "/fapi/v1/batchOrders", batchOrders=too_many), -4082)
    assert_failed(await ann.ask("POST", "/fapi/v1/batchOrders", batchOrders="[]"), -4082)
    assert_failed(await ann.ask("POST", "/fapi/v1/batchOrders", batchOrders="{"), -1102)
    assert_failed(await ann.ask("POST", "/fapi/v1/batchOrders"), -1102)
    assert_failed(await ann.ask("DELETE", "/fapi/v1/batchOrders", symbol="SOLUSDC", orderIdList="[1.5]"), -1130)


async def test_of_a_batch_that_cannot_be_read_nothing_is_done(app: App, ann: Bot) -> None:
    path = "/fapi/v1/batchOrders"
    good = {"symbol": "SOLUSDC", "side": "BUY", "quantity": "1", "price": "190"} | LIMIT
    waiting = await ann.order(price=190, newClientOrderId="mine", **LIMIT)
    with unchanged(app):
        assert_failed(await ann.ask("POST", path, batchOrders=json.dumps([good, 5])), -1102)
        for deep in ("[" * 5000, "[" * 5000 + "]" * 5000):
            assert_failed(await ann.ask("POST", path, batchOrders=deep), -1102)
        for name, items in (("orderIdList", [waiting["orderId"], "x"]), ("origClientOrderIdList", ["mine", 5])):
            answer = await ann.ask("DELETE", path, symbol="SOLUSDC", **{name: json.dumps(items)})
            assert_failed(answer, -1130, f"Data sent for parameter '{name}' is not valid.")


async def test_orders_are_counted_and_too_many_refused() -> None:
    limits = rate_limits(fapi_orders_per_account="3/10 second;100/minute")
    async with face(limits=limits) as app:
        ann = await bot(app, "ann")
        wish = {"symbol": "SOLUSDC", "side": "BUY", "type": "MARKET", "quantity": 1}
        for number in ("1", "2", "3"):
            answer = await ann.ask("POST", ORDER, **wish)
            assert answer.headers["X-MBX-ORDER-COUNT-10S"] == answer.headers["X-MBX-ORDER-COUNT-1M"] == number
        refusal = await ann.ask("POST", ORDER, **wish)
        assert_failed(refusal, -1015, status=429)
        assert int(refusal.headers["Retry-After"]) >= 1
        assert (await ann.ask("GET", "/fapi/v1/openOrders")).status == 200


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "params"),
    [
        (-1121, "Invalid symbol.", {"symbol": "NOUSDC"}),
        (-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.", {"symbol": None}),
        (-1117, "Invalid side.", {"side": "LONG"}),
        (-1116, "Invalid orderType.", {"type": "STOP_LOSS"}),
        (-1115, "Invalid timeInForce.", {"type": "LIMIT", "timeInForce": "DAY", "price": 190}),
        (-1102, None, {"type": "LIMIT", "price": 190}),
        (-1102, None, {"type": "LIMIT", "timeInForce": "GTC"}),
        (-1106, "Parameter 'price' sent when not required.", {"price": 190}),
        (-1102, None, {"quantity": None}),
        (-1102, None, {"quantity": "x"}),
        (-1111, None, {"quantity": "1.00000000000000000001"}),
        (-1111, None, {"quantity": "1e-30"}),
        (-4003, None, {"quantity": 0}),
        (-4003, None, {"quantity": -1}),
        (-1111, "Precision is over the maximum defined for this asset.", {"quantity": "0.0001"}),
        (-4001, None, {"type": "LIMIT", "timeInForce": "GTC", "price": -1}),
        (-1111, None, {"type": "LIMIT", "timeInForce": "GTC", "price": "190.0000001"}),
        (-4016, None, {"type": "LIMIT", "timeInForce": "GTC", "price": 1001}),
        (-4024, None, {"side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "price": 39}),
        (
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only). (LOT_SIZE)",
            {"quantity": "0.024"},
        ),
        (-4015, None, {"newClientOrderId": "not allowed"}),
        (-4015, None, {"newClientOrderId": "a" * 37}),
        (-4061, None, {"positionSide": "LONG"}),
        (-1128, None, {"priceMatch": "QUEUE"}),
        (-1128, None, {"closePosition": "true"}),
        (-1130, None, {"newOrderRespType": "FULL"}),
        (-2019, "Account has insufficient balance for requested action.", {"quantity": 1000}),
        (-2027, None, {"quantity": 100_000}),
        (-4120, None, {"type": "STOP_MARKET", "stopPrice": 190}),
        (-4120, None, {"type": "TRAILING_STOP_MARKET"}),
    ],
)
async def test_what_is_wrong_with_an_order_has_its_code(
    ann: Bot, code: int, message: str | None, params: dict[str, Any]
) -> None:
    await refused(ann, code, message, **params)
    if code not in (-2019, -2027):
        await refused(ann, code, message, path="/fapi/v1/order/test", **params)


async def test_a_test_order_is_checked_and_not_placed(app: App, ann: Bot) -> None:
    with unchanged(app):
        assert await ann.post("/fapi/v1/order/test", symbol="SOLUSDC", side="BUY", type="MARKET", quantity=1) == {}


async def test_steps_and_bounds_are_those_of_the_symbol() -> None:
    coarse = replace(FAPI.markets["SOLUSDC"], tick=10_000, step=100, least_notional=50_000_000)
    async with face(fapi=replace(FAPI, markets={"SOLUSDC": coarse})) as app:
        ann = await bot(app, "ann")
        await ann.get("/fapi/v2/balance")
        limit: dict[str, Any] = {"type": "LIMIT", "timeInForce": "GTC"}
        await refused(ann, -4014, price="190.005", **limit)
        await refused(ann, -4013, price="0.001", **limit)
        await refused(ann, -4023, quantity="1.05")
        await refused(ann, -4004, quantity="0.05")
        await refused(ann, -4002, price="1e13", **limit)
        await refused(ann, -4005, quantity=10**16)
        await refused(ann, -4164, quantity="0.2")
        assert (await ann.order(price="190.01", quantity="0.3", **limit))["price"] == "190.01"


async def test_without_a_fresh_price_there_is_no_counterparty(app: App, ann: Bot) -> None:
    app.let_prices_age()
    await refused(ann, -4131)


async def test_nobody_sees_or_cancels_what_is_anothers(ann: Bot, bob: Bot) -> None:
    hers = await ann.order(price=190, newClientOrderId="hers", **LIMIT)
    stop = await algo(ann, "STOP_MARKET", 210, "BUY", quantity=1)
    named = {"symbol": "SOLUSDC", "orderId": hers["orderId"]}
    assert_failed(await bob.ask("GET", ORDER, **named), -2013)
    assert_failed(await bob.ask("GET", ORDER, symbol="SOLUSDC", origClientOrderId="hers"), -2013)
    assert_failed(await bob.ask("GET", ORDER, symbol="SOLUSDC", origClientOrderId=hers["clientOrderId"]), -2013)
    assert_failed(await bob.ask("DELETE", ORDER, **named), -2011)
    assert_failed(await bob.ask("GET", ALGO, algoId=stop["algoId"]), -2013)
    assert_failed(await bob.ask("DELETE", ALGO, algoId=stop["algoId"]), -2011)
    assert await bob.get("/fapi/v1/openOrders") == await bob.get("/fapi/v1/allOrders", symbol="SOLUSDC") == []


# --- conditional orders ---------------------------------------------------------------------------------------------


async def test_a_stop_fires_and_is_an_order_of_its_own_from_then_on(app: App, ann: Bot) -> None:
    await ann.order(quantity=2)
    stop = await algo(ann, "STOP_MARKET", 195, quantity=2, reduceOnly="true", clientAlgoId="stop-1")
    has_shape(stop, **ALGO_SHAPE)
    assert (stop["algoStatus"], stop["actualOrderId"], stop["triggerPrice"]) == ("NEW", "", "195")
    assert await ann.get("/fapi/v1/openAlgoOrders", symbol="SOLUSDC") == [stop]
    assert await ann.get(ALGO, algoId=stop["algoId"]) == await ann.get(ALGO, clientAlgoId="stop-1") == stop
    assert await ann.get("/fapi/v1/openOrders") == []
    assert_failed(await ann.ask("GET", ORDER, symbol="SOLUSDC", orderId=stop["algoId"]), -2013)
    await app.quote(SOL, "194")
    fired = await ann.get(ALGO, algoId=stop["algoId"])
    assert (fired["algoStatus"], fired["actualQty"], fired["actualPrice"]) == ("FINISHED", "2.000", "194")
    order = await ann.get(ORDER, symbol="SOLUSDC", orderId=int(fired["actualOrderId"]))
    has_shape(order, **SHAPE)
    assert (order["status"], order["clientOrderId"], order["avgPrice"]) == ("FILLED", "stop-1", "194")
    assert (order["type"], order["origType"], order["stopPrice"]) == ("MARKET", "STOP_MARKET", "195")
    (_, trade) = await ann.get("/fapi/v1/userTrades", symbol="SOLUSDC")
    assert (trade["orderId"], trade["realizedPnl"]) == (order["orderId"], "-12.00000000")
    assert await ann.get("/fapi/v1/openAlgoOrders") == await ann.get("/fapi/v3/positionRisk") == []
    assert_failed(await ann.ask("DELETE", ALGO, algoId=stop["algoId"]), -2011, "Unknown order sent.")
    assert [each["algoId"] for each in await ann.get("/fapi/v1/allAlgoOrders", symbol="SOLUSDC")] == [stop["algoId"]]


async def test_a_stop_with_a_limit_rests_and_is_cancelled_as_an_order(app: App, ann: Bot) -> None:
    await ann.order(quantity=1)
    stop = await algo(ann, "STOP", 195, quantity=1, price=194, reduceOnly="true", timeInForce="GTC")
    assert (stop["orderType"], stop["price"]) == ("STOP", "194")
    await app.quote(SOL, "193")
    fired = await ann.get(ALGO, algoId=stop["algoId"])
    assert (fired["algoStatus"], fired["actualType"]) == ("TRIGGERED", "LIMIT")
    (order,) = await ann.get("/fapi/v1/openOrders")
    assert str(order["orderId"]) == fired["actualOrderId"]
    assert (order["type"], order["price"], order["reduceOnly"]) == ("LIMIT", "194", True)
    cancelled = await ann.delete(ORDER, symbol="SOLUSDC", orderId=order["orderId"])
    assert cancelled["status"] == "CANCELED"
    assert (await ann.get(ALGO, algoId=stop["algoId"]))["algoStatus"] == "FINISHED"


async def test_a_stop_that_opens_fires_upwards(app: App, ann: Bot) -> None:
    stop = await algo(ann, "STOP_MARKET", 210, "BUY", quantity=1)
    assert stop["reduceOnly"] is False
    await app.quote(SOL, "210")
    (position,) = await ann.get("/fapi/v3/positionRisk")
    assert (position["positionAmt"], position["entryPrice"]) == ("1.000", "210")


async def test_take_profit_trailing_and_close_position(app: App, ann: Bot) -> None:
    await ann.order(quantity=2)
    profit = await algo(ann, "TAKE_PROFIT_MARKET", 220, quantity=1, reduceOnly="true", workingType="MARK_PRICE")
    assert (profit["orderType"], profit["workingType"]) == ("TAKE_PROFIT_MARKET", "MARK_PRICE")
    trailing = await algo(
        ann, "TRAILING_STOP_MARKET", None, quantity=1, reduceOnly="true", callbackRate="1.5", activatePrice=205
    )
    has_shape(trailing, **ALGO_SHAPE | {"S": ALGO_SHAPE["S"] + " activatePrice callbackRate"})
    assert (trailing["activatePrice"], trailing["callbackRate"]) == ("205", "1.5")
    everything = await algo(ann, "STOP_MARKET", 150, closePosition="true", priceProtect="true", quantity=0)
    assert (everything["closePosition"], everything["quantity"], everything["priceProtect"]) == (True, "0.000", True)
    await app.quote(SOL, "220")
    assert (await ann.get(ALGO, algoId=profit["algoId"]))["algoStatus"] == "FINISHED"
    await app.quote(SOL, "216")
    assert (await ann.get(ALGO, algoId=trailing["algoId"]))["algoStatus"] == "FINISHED"
    ended = await ann.get(ALGO, algoId=everything["algoId"])
    assert (ended["algoStatus"], ended["actualOrderId"]) == ("EXPIRED", "")
    kinds = [(each["origType"], each["status"]) for each in await ann.get("/fapi/v1/allOrders", symbol="SOLUSDC")]
    assert kinds == [("MARKET", "FILLED"), ("TAKE_PROFIT_MARKET", "FILLED"), ("TRAILING_STOP_MARKET", "FILLED")]


async def test_what_has_ended_with_its_position_may_be_cancelled_as_if_it_still_waited(ann: Bot, bob: Bot) -> None:
    await ann.order(quantity=2)
    reducing = await algo(ann, "STOP_MARKET", 190, quantity=2, reduceOnly="true", clientAlgoId="mine")
    closing = await algo(ann, "STOP_MARKET", 180, closePosition="true")
    await ann.order("SELL", 2, reduceOnly="true")
    for named in ({"algoId": reducing["algoId"]}, {"clientAlgoId": "mine"}):
        gone = await ann.delete(ALGO, symbol="SOLUSDC", **named)
        assert (gone["algoId"], gone["clientAlgoId"], gone["code"]) == (reducing["algoId"], "mine", "200")
        assert (await ann.get(ALGO, **named))["algoStatus"] == "EXPIRED"
    assert_failed(await ann.ask("DELETE", ALGO, algoId=closing["algoId"]), -2011, "Unknown order sent.")
    assert_failed(await bob.ask("DELETE", ALGO, algoId=reducing["algoId"]), -2011, "Unknown order sent.")


async def test_a_conditional_order_is_cancelled_by_a_string_code(ann: Bot) -> None:
    stop = await algo(ann, "STOP_MARKET", 210, "BUY", quantity=1, clientAlgoId="c")
    assert await ann.delete(ALGO, clientAlgoId="c", symbol="SOLUSDC") == {
        "algoId": stop["algoId"],
        "clientAlgoId": "c",
        "code": "200",
        "msg": "success",
    }
    assert (await ann.get(ALGO, algoId=stop["algoId"]))["algoStatus"] == "CANCELED"
    assert_failed(await ann.ask("GET", ALGO), -1102)


@pytest.mark.parametrize(
    ("code", "message", "params"),
    [
        (-2021, "Order would trigger immediately.", {"type": "STOP_MARKET", "triggerPrice": 201, "reduceOnly": "true"}),
        (-2021, None, {"type": "TAKE_PROFIT_MARKET", "triggerPrice": 199, "reduceOnly": "true"}),
        (-2021, None, {"type": "STOP_MARKET", "side": "BUY", "triggerPrice": 199}),
        (-2022, None, {"type": "STOP_MARKET", "side": "BUY", "triggerPrice": 210, "reduceOnly": "true"}),
        (-1130, None, {"algoType": "VP", "type": "STOP_MARKET", "triggerPrice": 190}),
        (-1116, None, {"type": "LIMIT", "triggerPrice": 190}),
        (-1102, None, {"type": "STOP_MARKET"}),
        (-1102, None, {"type": "STOP", "triggerPrice": 190}),
        (-1128, None, {"type": "TAKE_PROFIT_MARKET", "triggerPrice": 220}),
        (-1128, None, {"type": "TRAILING_STOP_MARKET", "callbackRate": 1}),
        (-1128, None, {"type": "STOP", "triggerPrice": 190, "price": 189, "closePosition": "true", "quantity": None}),
        (-1128, None, {"type": "STOP", "triggerPrice": 190, "price": 189, "timeInForce": "IOC"}),
        (-1130, None, {"type": "TRAILING_STOP_MARKET", "callbackRate": "0.09", "reduceOnly": "true"}),
        (-1130, None, {"type": "TRAILING_STOP_MARKET", "callbackRate": 11, "reduceOnly": "true"}),
        (-1102, None, {"type": "TRAILING_STOP_MARKET", "reduceOnly": "true"}),
        (-1130, None, {"type": "STOP_MARKET", "triggerPrice": 190, "workingType": "LAST"}),
        (-4137, None, {"type": "STOP_MARKET", "triggerPrice": 190, "closePosition": "true"}),
        (
            -4138,
            None,
            {
                "type": "STOP_MARKET",
                "triggerPrice": 190,
                "closePosition": "true",
                "quantity": None,
                "reduceOnly": "true",
            },
        ),
        (-4164, None, {"type": "STOP_MARKET", "triggerPrice": 190, "quantity": "0.01"}),
        (-4015, None, {"type": "STOP_MARKET", "triggerPrice": 190, "clientAlgoId": "ä"}),
    ],
)
async def test_what_is_wrong_with_a_conditional_order_has_its_code(
    ann: Bot, code: int, message: str | None, params: dict[str, Any]
) -> None:
    await ann.order()
    await refused(ann, code, message, path=ALGO, **{"algoType": "CONDITIONAL", "side": "SELL"} | params)


async def test_too_many_orders_are_refused_by_kind(ann: Bot) -> None:
    await ann.order(quantity=1)
    for number in range(10):
        await algo(ann, "STOP_MARKET", 190 - number, quantity="0.1", reduceOnly="true")
    await refused(
        ann,
        -4045,
        path=ALGO,
        algoType="CONDITIONAL",
        side="SELL",
        type="STOP_MARKET",
        triggerPrice=150,
        quantity="0.1",
        reduceOnly="true",
    )


async def test_limits_and_liquidation_have_their_codes() -> None:
    rules = replace(make_rules(execution=Execution.TOUCH), max_open_orders_per_account=1, max_open_trades_per_account=1)
    async with face(rules=rules) as app:
        ann = await bot(app, "ann")
        await ann.order(price=190, **LIMIT)
        await refused(ann, -2025, "Reach max open order limit.", price=190, **LIMIT)
        await ann.post("/fapi/v1/leverage", symbol="SOLUSDC", leverage=100)
        await app.quote(SOL, "190.5", "209.5")
        await refused(ann, -2023, "User in liquidation mode now.")
        await ann.order(symbol="ETHUSDC", quantity="0.1")
        await refused(ann, -2027, symbol="BTCUSDC", quantity="0.01")
