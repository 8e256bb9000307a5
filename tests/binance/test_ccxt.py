"""The real ccxt, the version that is locked, on the Binance face: only its base URL is changed (docs/BINANCE.md)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import pytest
from msgspec.structs import replace

from exness.core.rates import Rates
from exness.runtime.clock import WallClock
from tests.binance.face import Bot, bot, face
from tests.support.app import App
from tests.support.books import SOL, make_rules

SYMBOL = "SOL/USDC:USDC"
LIMIT = {"timeInForce": "GTC"}


def urls_of(base: str) -> dict[str, str]:
    versions = {"": "v1", "V2": "v2", "V3": "v3"}
    urls = {
        f"fapi{kind}{name}": f"{base}/fapi/{path}" for kind in ("Public", "Private") for name, path in versions.items()
    }
    return urls | {"fapiData": f"{base}/futures/data", "sapi": f"{base}/sapi/v1"}


def client(module: Any, app: App, ann: Bot, **options: Any) -> Any:
    exchange = module.binanceusdm(
        {
            "apiKey": ann.key.key,
            "secret": ann.key.secret.decode(),
            "rateLimit": 1,
            "options": {"fetchCurrencies": False} | options,
        }
    )
    exchange.urls["api"] = exchange.urls["api"] | urls_of(app.url)
    return exchange


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[App, Any]]:
    """SOL costs 200. ccxt signs by the machine's time."""
    rules = replace(make_rules(), rates={SOL: Rates(taker=50_000, maker=20_000)})
    async with face(wall=WallClock(), rules=rules) as app:
        ann = await bot(app, "ann")
        exchange = client(ccxt.async_support, app, ann, **options)
        try:
            await exchange.load_markets()
            yield app, exchange
        finally:
            await exchange.close()


async def order(exchange: Any, kind: str, side: str, amount: float, price: float | None = None, **params: Any) -> Any:
    return await exchange.create_order(SYMBOL, kind, side, amount, price, params)


async def test_markets_are_loaded_with_and_without_keys_and_currencies() -> None:
    async with connected(fetchCurrencies=True) as (app, exchange):
        assert set(exchange.markets) == {f"{base}/USDC:USDC" for base in ("SOL", "ETH", "BTC")}
        market = exchange.market(SYMBOL)
        assert (market["type"], market["linear"], market["active"], market["contractSize"]) == ("swap", True, True, 1)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (1e-6, 1e-3)
        assert (market["limits"]["cost"]["min"], market["limits"]["amount"]["min"]) == (5, 0.001)
        assert market["limits"]["market"]["min"] == 0.001
        nobody = ccxt.async_support.binanceusdm({"options": {"fetchCurrencies": False}})
        nobody.urls["api"] = nobody.urls["api"] | urls_of(app.url)
        try:
            assert set(await nobody.load_markets()) == set(exchange.markets)
        finally:
            await nobody.close()
        assert await exchange.fetch_time() == pytest.approx(exchange.milliseconds(), abs=5000)
        assert (await exchange.fetch_status())["status"] == "ok"


async def test_money_positions_and_settings() -> None:
    async with connected() as (app, exchange):
        assert (await exchange.fetch_balance())["USDC"] == {"free": 5000, "used": 0, "total": 5000}
        assert int((await exchange.set_leverage(10, SYMBOL))["leverage"]) == 10
        with pytest.raises(ccxt.MarginModeAlreadySet):
            await exchange.fapiPrivatePostMarginType({"symbol": "SOLUSDC", "marginType": "ISOLATED"})
        with suppress(ccxt.MarginModeAlreadySet):  # older releases keep it to themselves
            await exchange.set_margin_mode("isolated", SYMBOL)
        with pytest.raises(ccxt.OperationRejected):
            await exchange.set_position_mode(False)
        assert (await exchange.fetch_position_mode())["hedged"] is False
        assert await exchange.fetch_positions() == []
        done = await order(exchange, "market", "buy", 10)
        assert (done["status"], done["filled"], done["average"]) == ("closed", 10, 200)
        await app.quote(SOL, "210")
        for options in ({}, {"useV2": True}):
            (position,) = await exchange.fetch_positions([SYMBOL], options)
            assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 10, 200)
            assert (position["marginMode"], position["unrealizedPnl"], position["notional"]) == ("isolated", 100, 2100)
            assert position["liquidationPrice"] == 180
            assert position["markPrice"] == 210
        for options in ({}, {"useV2": True}):
            balance = await exchange.fetch_balance(options)
            assert (balance["USDC"]["total"], balance["USDC"]["free"]) == (5099, 4799)
        assert (await exchange.fetch_leverage(SYMBOL))["longLeverage"] == 10
        assert (await exchange.fetch_margin_mode(SYMBOL))["marginMode"] == "isolated"
        tiers = await exchange.fetch_leverage_tiers([SYMBOL])
        assert (tiers[SYMBOL][0]["maxLeverage"], tiers[SYMBOL][0]["maintenanceMarginRate"]) == (100, 0)
        fee = await exchange.fetch_trading_fee(SYMBOL)
        assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)
        assert (await exchange.add_margin(SYMBOL, 50))["amount"] == 50
        assert (await exchange.reduce_margin(SYMBOL, 50))["amount"] == 50
        moved = await exchange.fetch_margin_adjustment_history(SYMBOL)
        assert [each["type"] for each in moved] == ["add", "reduce"]
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.reduce_margin(SYMBOL, 5000)


async def test_orders_of_every_kind_live_and_end() -> None:
    async with connected() as (_, exchange):
        limit = await order(exchange, "limit", "buy", 1, 190, clientOrderId="mine-1")
        assert (limit["status"], limit["clientOrderId"], limit["timeInForce"]) == ("open", "mine-1", "GTC")
        maker = await order(exchange, "limit", "buy", 1, 189, postOnly=True)
        assert maker["postOnly"] is True
        ioc = await order(exchange, "limit", "buy", 1, 188, timeInForce="IOC")
        assert (ioc["status"], ioc["filled"]) == ("expired", 0)
        fok = await order(exchange, "limit", "buy", 1, 205, timeInForce="FOK")
        assert (fok["status"], fok["average"]) == ("closed", 200)
        assert {each["id"] for each in await exchange.fetch_open_orders(SYMBOL)} == {limit["id"], maker["id"]}
        edited = await exchange.edit_order(limit["id"], SYMBOL, "limit", "buy", 2, 191)
        assert (edited["id"], edited["price"], edited["amount"]) == (limit["id"], 191, 2)
        assert (await exchange.fetch_order(limit["id"], SYMBOL))["amount"] == 2
        assert (await exchange.fetch_open_order(limit["id"], SYMBOL))["id"] == limit["id"]
        cancelled = await exchange.cancel_order(limit["id"], SYMBOL)
        assert cancelled["status"] == "canceled"
        batch = [
            {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 1, "price": 180 + number}
            for number in range(2)
        ]
        made = await exchange.create_orders(batch)
        assert [each["status"] for each in made] == ["open", "open"]
        await exchange.cancel_orders([each["id"] for each in made], SYMBOL)
        assert [each["id"] for each in await exchange.fetch_open_orders(SYMBOL)] == [maker["id"]]
        await exchange.cancel_all_orders(SYMBOL)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        assert [each["id"] for each in await exchange.fetch_closed_orders(SYMBOL)] == [fok["id"]]
        statuses = {each["id"]: each["status"] for each in await exchange.fetch_orders(SYMBOL)}
        assert statuses[limit["id"]] == statuses[maker["id"]] == "canceled"
        assert len(await exchange.fetch_canceled_orders(SYMBOL)) == 4


async def test_conditional_orders_fire_close_and_are_cancelled() -> None:
    async with connected() as (app, exchange):
        await order(exchange, "market", "buy", 4)
        stop = await order(exchange, "market", "sell", 1, stopLossPrice=195, reduceOnly=True)
        profit = await order(exchange, "market", "sell", 1, takeProfitPrice=205, reduceOnly=True)
        resting = await order(exchange, "limit", "sell", 1, 193, triggerPrice=194, reduceOnly=True)
        trailing = await order(exchange, "market", "sell", 1, trailingPercent=1, reduceOnly=True)
        everything = await order(exchange, "STOP_MARKET", "sell", 0, triggerPrice=192, closePosition=True)
        waiting = await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
        assert {each["id"] for each in waiting} == {
            each["id"] for each in (stop, profit, resting, trailing, everything)
        }
        await app.quote(SOL, "205")
        fired = await exchange.fetch_order(profit["id"], SYMBOL, {"trigger": True})
        assert fired["info"]["algoStatus"] == "FINISHED"
        actual = await exchange.fetch_order(fired["info"]["actualOrderId"], SYMBOL)
        assert (actual["status"], actual["average"], actual["filled"]) == ("closed", 205, 1)
        await app.quote(SOL, "202.9")
        assert (await exchange.fetch_order(trailing["id"], SYMBOL, {"trigger": True}))["info"]["actualOrderId"]
        await exchange.cancel_order(resting["id"], SYMBOL, {"trigger": True})
        await exchange.cancel_all_orders(SYMBOL, {"trigger": True})
        assert await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True}) == []
        (position,) = await exchange.fetch_positions([SYMBOL])
        assert position["contracts"] == 2


async def test_what_has_happened() -> None:
    async with connected() as (app, exchange):
        opened = await order(exchange, "market", "buy", 10)
        await app.quote(SOL, "210")
        closed = await order(exchange, "market", "sell", 5, reduceOnly=True)
        trades = await exchange.fetch_my_trades(SYMBOL)
        assert [(each["order"], each["side"], each["amount"], each["takerOrMaker"]) for each in trades] == [
            (opened["id"], "buy", 10, "taker"),
            (closed["id"], "sell", 5, "taker"),
        ]
        assert trades[0]["fee"] == {"cost": 1.0, "currency": "USDC"}
        only = await exchange.fetch_my_trades(SYMBOL, None, None, {"orderId": closed["id"]})
        assert [each["order"] for each in only] == [closed["id"]]
        ledger = await exchange.fetch_ledger("USDC")
        moved = sum(each["amount"] if each["direction"] == "in" else -each["amount"] for each in ledger)
        account = (await exchange.fetch_balance())["info"]
        assert moved == pytest.approx(float(account["totalWalletBalance"])) == pytest.approx(5048.475)
        assert await exchange.fetch_funding_history(SYMBOL) == []
        await app.quote(SOL, "180")
        (liquidation,) = await exchange.fetch_my_liquidations(SYMBOL)
        assert (liquidation["contracts"], liquidation["price"]) == (5, 190), "where the margin was gone"
        assert (await exchange.fetch_orders(SYMBOL))[-1]["clientOrderId"].startswith("autoclose-")
        assert await exchange.fetch_positions() == []


Attempt = Callable[[Any], Any]
ATTEMPTS: dict[str, tuple[type[Exception], Attempt]] = {
    "no margin": (ccxt.InsufficientFunds, lambda e: order(e, "market", "buy", 1000)),
    "would trigger": (
        ccxt.OrderImmediatelyFillable,
        lambda e: order(e, "market", "sell", 1, stopLossPrice=201, reduceOnly=True),
    ),
    "reduce only": (ccxt.InvalidOrder, lambda e: order(e, "market", "buy", 1, reduceOnly=True)),
    "post only": (ccxt.InvalidOrder, lambda e: order(e, "limit", "buy", 1, 205, postOnly=True)),
    "fok": (ccxt.InvalidOrder, lambda e: order(e, "limit", "buy", 1, 190, timeInForce="FOK")),
    "notional": (ccxt.InvalidOrder, lambda e: order(e, "market", "buy", 0.01)),
    "no such order": (ccxt.OrderNotFound, lambda e: e.fetch_order("77", SYMBOL)),
    "nothing to cancel": (ccxt.OrderNotFound, lambda e: e.cancel_order("77", SYMBOL)),
    "client id": (ccxt.BadRequest, lambda e: order(e, "limit", "buy", 1, 190, clientOrderId="not allowed")),
    "leverage": (ccxt.BadRequest, lambda e: e.fapiPrivatePostLeverage({"symbol": "SOLUSDC", "leverage": 101})),
    "symbol": (ccxt.BadSymbol, lambda e: e.fapiPrivateGetUserTrades({"symbol": "NOUSDC"})),
    "parameter": (ccxt.BadRequest, lambda e: e.fapiPrivateGetUserTrades()),
    "precision": (
        ccxt.BadRequest,
        lambda e: e.fapiPrivatePostOrder({"symbol": "SOLUSDC", "side": "BUY", "type": "MARKET", "quantity": "0.00001"}),
    ),
    "quantity": (
        ccxt.InvalidOrder,
        lambda e: e.fapiPrivatePostOrder({"symbol": "SOLUSDC", "side": "BUY", "type": "MARKET", "quantity": "0"}),
    ),
    "cross margin": (ccxt.BadRequest, lambda e: e.set_margin_mode("cross", SYMBOL)),
    "two sides": (ccxt.BadRequest, lambda e: e.set_position_mode(True)),
    "no position": (ccxt.OperationRejected, lambda e: e.add_margin("ETH/USDC:USDC", 1)),
    "too little margin": (ccxt.InsufficientFunds, lambda e: e.add_margin(SYMBOL, 10_000)),
    "leverage down": (ccxt.ExchangeError, lambda e: e.set_leverage(5, SYMBOL)),
}


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_refusals_are_the_exceptions_that_bots_wait_for(name: str) -> None:
    kind, attempt = ATTEMPTS[name]
    async with connected() as (_, exchange):
        await order(exchange, "market", "buy", 1)
        with pytest.raises(ccxt.BaseError) as raised:
            await attempt(exchange)
        assert type(raised.value) is kind


async def test_a_wrong_key_secret_or_clock_is_told_apart() -> None:
    async with connected() as (_, exchange):
        for change, kind in (
            ({"secret": "x" * 64}, ccxt.AuthenticationError),
            ({"apiKey": "a" * 64}, ccxt.AuthenticationError),
            ({"apiKey": "short"}, ccxt.AuthenticationError),
        ):
            before = {name: getattr(exchange, name) for name in change}
            for name, value in change.items():
                setattr(exchange, name, value)
            with pytest.raises(kind):
                await exchange.fetch_balance()
            for name, value in before.items():
                setattr(exchange, name, value)
        exchange.options["timeDifference"] = 60_000
        with pytest.raises(ccxt.InvalidNonce):
            await exchange.fetch_balance()


async def test_the_synchronous_client_trades_as_well() -> None:
    async with face(wall=WallClock()) as app:
        ann = await bot(app, "ann")

        def trade() -> tuple[str, float, list[str]]:
            exchange = client(ccxt, app, ann)
            exchange.load_markets()
            done = exchange.create_order(SYMBOL, "market", "buy", 1)
            stop = exchange.create_order(SYMBOL, "market", "sell", 1, None, {"stopLossPrice": 195, "reduceOnly": True})
            waiting = exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
            exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
            exchange.session.close()
            return done["status"], exchange.fetch_positions()[0]["contracts"], [each["id"] for each in waiting]

        status, contracts, waiting = await asyncio.to_thread(trade)
        assert (status, contracts, len(waiting)) == ("closed", 1, 1)


async def test_the_manual_is_followed_word_for_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the address, which is another one."""
    manual = (Path(__file__).parents[2] / "docs" / "BINANCE.md").read_text(encoding="utf-8")
    code = manual.partition("```python\nimport json\n\nimport ccxt\n")[2].partition("```")[0]
    assert "http://127.0.0.1:8002" in code
    async with face(wall=WallClock()) as app:
        ann = await bot(app, "ann")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "key.json").write_text(json.dumps({"key": ann.key.key, "secret": ann.key.secret.decode()}))
        names: dict[str, Any] = {"ccxt": ccxt, "json": json}

        def follow() -> None:
            exec(code.replace("http://127.0.0.1:8002", app.url), names)
            names["exchange"].session.close()

        await asyncio.to_thread(follow)
        (position,) = await ann.get("/fapi/v3/positionRisk", symbol="BTCUSDC")
        assert position["positionAmt"] == "0.01000"
