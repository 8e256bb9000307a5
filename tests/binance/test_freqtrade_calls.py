"""The calls of freqtrade, live and with its stop on the exchange, in their order, as it makes them through ccxt."""

from typing import Any

import ccxt
import pytest

from tests.binance.test_ccxt import SYMBOL, connected
from tests.support.app import App
from tests.support.books import SOL


async def start(exchange: Any) -> None:
    """What it asks before it trades: it stops unless each is as it expects."""
    assert SYMBOL in await exchange.fetch_leverage_tiers()
    assert (await exchange.fapiPrivateGetPositionSideDual())["dualSidePosition"] is False
    assert (await exchange.fapiPrivateGetMultiAssetsMargin())["multiAssetsMargin"] is False
    await exchange.fetch_balance()
    await exchange.fetch_positions()


async def settings(exchange: Any, leverage: int) -> None:
    """Margin mode and leverage come before every order, also with the position open."""
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await exchange.fapiPrivatePostMarginType({"symbol": "SOLUSDC", "marginType": "ISOLATED"})
    await exchange.set_leverage(leverage, SYMBOL)


async def stop_of(exchange: Any, side: str, amount: float, price: float, limit: float | None) -> Any:
    kind = "market" if limit is None else "limit"
    return await exchange.create_order(SYMBOL, kind, side, amount, limit, {"stopPrice": price, "reduceOnly": True})


@pytest.mark.parametrize("limit", [None, 194.0])
@pytest.mark.parametrize("sign", [1, -1])
async def test_an_entry_a_stop_that_fires_and_what_the_bot_learns_of_it(sign: int, limit: float | None) -> None:
    side, other = ("buy", "sell") if sign > 0 else ("sell", "buy")
    at, through = (195.0, "194.5") if sign > 0 else (205.0, "205.5")
    rest = None if limit is None else limit if sign > 0 else 400 - limit
    async with connected() as (app, exchange):
        await start(exchange)
        await settings(exchange, 5)
        entry = await exchange.create_order(SYMBOL, "limit", side, 2, 200 + sign * 5, {"timeInForce": "GTC"})
        assert (entry["status"], entry["filled"], entry["average"]) == ("closed", 2, 200)
        await settings(exchange, 5)
        since = app.clock.now // 1000 - 5000
        (fill,) = await exchange.fetch_my_trades(SYMBOL, since)
        assert (fill["order"], fill["fee"]["cost"]) == (entry["id"], 0.2)
        (position,) = await exchange.fetch_positions([SYMBOL])
        assert (position["contracts"], position["side"]) == (2, "long" if sign > 0 else "short")
        stop = await stop_of(exchange, other, 2, at, rest)
        await follow_stop(app, exchange, stop, through, other)


async def follow_stop(app: App, exchange: Any, stop: Any, through: str, other: str) -> None:
    waiting = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True, "stop": True})
    assert (waiting["status"], waiting["filled"]) == ("open", 0)
    await app.quote(SOL, through)
    fired = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True, "stop": True})
    assert fired["info"]["algoStatus"] == "FINISHED"
    actual = await exchange.fetch_order(fired["info"]["actualOrderId"], SYMBOL)
    assert (actual["status"], actual["filled"], actual["side"]) == ("closed", 2, other)
    assert actual["average"] == float(through)
    trades = await exchange.fetch_my_trades(SYMBOL, None, None, {"orderId": actual["id"]})
    assert [each["amount"] for each in trades] == [2]
    assert await exchange.fetch_positions([SYMBOL]) == []
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})


async def test_an_exit_cancels_the_stop_and_both_are_found_after_a_restart_of_the_bot() -> None:
    async with connected() as (app, exchange):
        await start(exchange)
        await settings(exchange, 3)
        entry = await exchange.create_order(SYMBOL, "market", "buy", 2)
        stop = await stop_of(exchange, "sell", 2, 190, None)
        assert await exchange.fetch_funding_history(SYMBOL) == []
        await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        gone = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True})
        assert gone["status"] == "canceled"
        done = await exchange.create_order(SYMBOL, "market", "sell", 2, None, {"reduceOnly": True})
        assert (done["status"], done["filled"]) == ("closed", 2)
        since = app.clock.now // 1000 - 6 * 86_400_000
        orders = await exchange.fetch_orders(SYMBOL, since)
        assert [each["id"] for each in orders] == [entry["id"], done["id"]]
        assert await exchange.fetch_positions() == []
