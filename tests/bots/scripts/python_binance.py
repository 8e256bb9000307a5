"""python-binance, sync, async and its sockets: `KEY=... SECRET=... python_binance.py URL`. SOL costs 200."""

import asyncio
import json
import os
import sys
from importlib.metadata import version
from typing import Any

from binance import AsyncClient, BinanceSocketManager, Client
from binance.exceptions import BinanceAPIException

BASE, KEY, SECRET = sys.argv[1], os.environ["KEY"], os.environ["SECRET"]
SOL = {"symbol": "SOLUSDC"}

for kind in (Client, AsyncClient):
    kind.FUTURES_URL = f"{BASE}/fapi"
    kind.FUTURES_DATA_URL = f"{BASE}/futures/data"
    kind.API_URL = f"{BASE}/api"
BinanceSocketManager.FSTREAM_URL = BASE.replace("http", "ws", 1) + "/"


def code_of(call: Any, *args: Any, **params: Any) -> int | None:
    try:
        call(*args, **params)
    except BinanceAPIException as refused:
        return refused.code
    return None


def sync() -> dict[str, Any]:
    client = Client(KEY, SECRET)
    found: dict[str, Any] = {
        "symbols": [each["symbol"] for each in client.futures_exchange_info()["symbols"]],
        "ticker": client.futures_symbol_ticker(**SOL)["price"],
        "book": [len(client.futures_order_book(limit=5, **SOL)[side]) for side in ("bids", "asks")],
        "candles": len(client.futures_klines(interval="1m", **SOL)) > 0,
        "balance": client.futures_account_balance()[0]["balance"],
        "same margin": code_of(client.futures_change_margin_type, marginType="ISOLATED", **SOL),
        "leverage": client.futures_change_leverage(leverage=5, **SOL)["leverage"],
    }
    entry = client.futures_create_order(side="BUY", type="MARKET", quantity=2, newOrderRespType="RESULT", **SOL)
    found["entry"] = [entry["status"], entry["avgPrice"], entry["executedQty"]]
    found["position"] = [each["positionAmt"] for each in client.futures_position_information(**SOL)]
    limit = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 1, "price": 190} | SOL
    waiting = client.futures_create_order(newClientOrderId="a:b/c", **limit)
    found["label"] = client.futures_get_order(orderId=waiting["orderId"], **SOL)["clientOrderId"]
    found["twice"] = code_of(client.futures_create_order, newClientOrderId="a:b/c", **limit)
    found["cancelled"] = client.futures_cancel_order(origClientOrderId="a:b/c", **SOL)["status"]
    batch = [limit | {"price": "189", "quantity": "1"}, limit | {"price": "0.0000001", "quantity": "1"}]
    made = client.futures_place_batch_order(batchOrders=batch)
    found["batch"] = [each.get("status", each.get("code")) for each in made]
    client.futures_cancel_all_open_orders(**SOL)
    found["open"] = client.futures_get_open_orders(**SOL)
    stop = client.futures_create_order(side="SELL", type="STOP_MARKET", stopPrice=190, closePosition=True, **SOL)
    found["stop"] = stop["algoStatus"]
    found["stopped"] = client.futures_cancel_algo_order(algoId=stop["algoId"])["code"]
    client.futures_create_order(side="SELL", type="MARKET", quantity=2, reduceOnly=True, **SOL)
    found["flat"] = [each["positionAmt"] for each in client.futures_position_information(**SOL)]
    found["fills"] = [each["side"] for each in client.futures_account_trades(**SOL)]
    found["too much"] = code_of(client.futures_create_order, side="BUY", type="MARKET", quantity=10_000, **SOL)
    found["no such"] = code_of(client.futures_get_order, orderId=1, **SOL)
    found["wrong key"] = code_of(Client(KEY, SECRET + "x").futures_account)
    client.close_connection()
    return found


async def event(socket: Any, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            told = await socket.recv()
            told = told.get("data", told)
            if told.get("e") == kind:
                return dict(told)


async def sockets(client: AsyncClient) -> dict[str, Any]:
    manager = BinanceSocketManager(client)
    found: dict[str, Any] = {}
    async with manager.symbol_ticker_futures_socket("SOLUSDC") as socket:
        found["bookTicker"] = (await event(socket, "bookTicker"))["s"]
    async with manager.futures_multiplex_socket(["solusdc@markPrice@1s", "solusdc@kline_1m"]) as socket:
        found["markPrice"] = (await event(socket, "markPriceUpdate"))["p"]
        found["kline"] = (await event(socket, "kline"))["k"]["i"]
    async with manager.kline_futures_socket("SOLUSDC") as socket:
        found["continuous"] = (await event(socket, "continuous_kline"))["ps"]
    async with manager.futures_user_socket() as socket:
        await client.futures_create_order(side="BUY", type="MARKET", quantity=1, **SOL)
        placed = await event(socket, "ORDER_TRADE_UPDATE")
        moved = await event(socket, "ACCOUNT_UPDATE")
        filled = await event(socket, "ORDER_TRADE_UPDATE")
        found["user"] = [placed["o"]["x"], moved["a"]["P"][0]["pa"], filled["o"]["x"], filled["o"]["X"]]
        await client.futures_create_order(side="SELL", type="MARKET", quantity=1, reduceOnly=True, **SOL)
        while (await event(socket, "ORDER_TRADE_UPDATE"))["o"]["X"] != "FILLED":
            pass
    return found


async def asynchronous() -> dict[str, Any]:
    client = await AsyncClient.create(KEY, SECRET)
    try:
        found: dict[str, Any] = {"balance": (await client.futures_account_balance())[0]["asset"]}
        order = await client.futures_create_order(
            side="SELL", type="LIMIT", timeInForce="GTC", quantity=1, price=210, **SOL
        )
        found["order"] = order["status"]
        gone = await client.futures_cancel_order(orderId=order["orderId"], **SOL)
        found["cancelled"] = gone["status"]
        return found | {"sockets": await sockets(client)}
    finally:
        await client.close_connection()


print(json.dumps({"version": version("python-binance"), "sync": sync(), "async": asyncio.run(asynchronous())}))
