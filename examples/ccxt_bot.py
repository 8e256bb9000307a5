"""The same bot with ccxt: it buys when the price has fallen, and leaves a stop loss on the exchange.

    make serve
    .venv/bin/python -m exness key create bot@example.com > key.json
    .venv/bin/python -m pip install ccxt
    .venv/bin/python examples/ccxt_bot.py key.json

Everything but the addresses is what one writes for Binance's USD-M futures. It holds one position at a time. Where an
answer was lost it looks the order up by its own id before it sends it again. Ctrl+C ends it.
"""

import json
import os
import sys
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import ccxt

BASE = os.environ.get("EXNESS_URL", "http://localhost:8002")
SYMBOL = "SOL/USDC:USDC"
AMOUNT, LEVERAGE = 1, 5
LOOKS, FALL, STEP = 20, 0.001, 0.002
EVERY_S = float(os.environ.get("EVERY_S", "0.5"))


def exchange_of(key: str, secret: str) -> Any:
    exchange = ccxt.binanceusdm({"apiKey": key, "secret": secret, "options": {"fetchCurrencies": False}})
    exchange.urls["api"] |= {
        **{f"fapi{side}": f"{BASE}/fapi/v1" for side in ("Public", "Private")},
        **{f"fapi{side}V{version}": f"{BASE}/fapi/v{version}" for side in ("Public", "Private") for version in (2, 3)},
        "fapiData": f"{BASE}/futures/data",
        "sapi": f"{BASE}/sapi/v1",
    }
    return exchange


def send(exchange: Any, kind: str, side: str, amount: float, **params: Any) -> Any:
    """An order, done once, however often its answer gets lost."""
    name = uuid.uuid4().hex
    while True:
        try:
            return exchange.create_order(SYMBOL, kind, side, amount, params=params | {"newClientOrderId": name})
        except ccxt.NetworkError:
            time.sleep(EVERY_S)
        try:
            return exchange.fetch_order(None, SYMBOL, {"origClientOrderId": name})
        except ccxt.OrderNotFound:
            pass
        except ccxt.NetworkError:
            time.sleep(EVERY_S)


def size(exchange: Any) -> float:
    positions = exchange.fetch_positions([SYMBOL])
    return float(positions[0]["contracts"]) if positions else 0.0


def trade(exchange: Any, prices: deque[float], held: float) -> float:
    """One look. Returns the price at which the position was opened, 0 without one."""
    price = float(exchange.fetch_ticker(SYMBOL)["last"])
    prices.append(price)
    has = size(exchange)
    if held and not has:
        print(f"stopped out near {price}", flush=True)
        return 0.0
    if has and not held:  # From an earlier run.
        return float(exchange.fetch_positions([SYMBOL])[0]["entryPrice"])
    if has and price >= held * (1 + STEP):
        exchange.cancel_all_orders(SYMBOL)
        exchange.cancel_all_orders(SYMBOL, {"trigger": True})
        send(exchange, "market", "sell", has, reduceOnly=True)
        print(f"sold at {price}", flush=True)
        return 0.0
    if not has and price <= max(prices) * (1 - FALL):
        entry = float(send(exchange, "market", "buy", AMOUNT)["average"])
        stop = exchange.price_to_precision(SYMBOL, entry * (1 - 2 * STEP))
        send(exchange, "market", "sell", AMOUNT, stopLossPrice=stop, reduceOnly=True)
        print(f"bought at {entry}, stop at {stop}", flush=True)
        prices.clear()
        return entry
    return held


def main() -> None:
    exchange = exchange_of(*json.loads(Path(sys.argv[1]).read_text()).values())
    exchange.load_markets()
    exchange.set_leverage(LEVERAGE, SYMBOL)
    prices: deque[float] = deque(maxlen=LOOKS)
    held = 0.0
    while True:
        try:
            held = trade(exchange, prices, held)
        except ccxt.OperationFailed as error:  # no connection, or no price yet
            print(f"not there: {type(error).__name__}", flush=True)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
