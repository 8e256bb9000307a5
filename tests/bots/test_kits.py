"""python-binance, the vendor's connector and the vendor's SDK, unchanged but for their addresses."""

from pathlib import Path
from typing import Any

from tests.bots.clients import desk, found_by, key_of, python_of

SYMBOLS = ["SOLUSDC", "ETHUSDC", "BTCUSDC"]


async def found(tmp_path: Path, environment: str, script: str) -> Any:
    python_of(environment)
    async with desk(tmp_path) as it:
        return await found_by(environment, script, it.server.url, await key_of(it.server, "bot@example.com"))


async def test_python_binance_sync_async_and_its_sockets(tmp_path: Path) -> None:
    told = await found(tmp_path, "python-binance", "python_binance.py")
    assert told.pop("version")
    assert told["sync"] == {
        "symbols": SYMBOLS,
        "ticker": "200.000000",
        "book": [5, 5],
        "candles": True,
        "balance": "5000.00000000",
        "same margin": -4046,
        "leverage": 5,
        "entry": ["FILLED", "200", "2.000"],
        "position": ["2.000"],
        "label": "a:b/c",
        "twice": -4116,
        "cancelled": "CANCELED",
        "batch": ["NEW", -1111],
        "open": [],
        "stop": "NEW",
        "stopped": "200",
        "flat": [],
        "fills": ["BUY", "SELL"],
        "too much": -2019,
        "no such": -2013,
        "wrong key": -1022,
    }
    sockets = {
        "bookTicker": "SOLUSDC",
        "markPrice": "200.000000",
        "kline": "1m",
        "continuous": "SOLUSDC",
        "user": ["NEW", "1.000", "TRADE", "FILLED"],
    }
    assert told["async"] == {"balance": "USDC", "order": "NEW", "cancelled": "CANCELED", "sockets": sockets}


async def test_the_vendors_connector_whose_stops_are_refused_as_at_binance(tmp_path: Path) -> None:
    told = await found(tmp_path, "vendor", "connector.py")
    assert told.pop("version")
    assert told == {
        "symbols": SYMBOLS,
        "candles": True,
        "depth": 5,
        "mark": "200.000000",
        "balance": "5000.00000000",
        "leverage": 5,
        "same margin": -4046,
        "bookTicker": "SOLUSDC",
        "entry": ["FILLED", "200"],
        "user": ["NEW", "TRADE"],
        "changed": ["191", "2.000"],
        "cancelled": "CANCELED",
        "batch": ["CANCELED", "CANCELED"],
        "stop": -4120,
        "too much": -2019,
        "held": [],
        "income": ["TRANSFER"],
    }


async def test_the_vendors_sdk_whose_models_are_strict(tmp_path: Path) -> None:
    told = await found(tmp_path, "vendor", "sdk.py")
    assert told["rest"].pop("version")
    assert told["rest"] == {
        "symbols": SYMBOLS,
        "time": True,
        "depth": 5,
        "total": "5000.00000000",
        "leverage": 5,
        "entry": ["FILLED", "2.000"],
        "position": ["2.000"],
        "waits": "NEW",
        "cancelled": "CANCELED",
        "stop": "NEW",
        "stopped": "200",
        "too much": ["BadRequestError", "(-2019, 'Account has insufficient balance for requested action.')"],
        "flat": [],
    }
    assert told["streams"] == {"bookTicker": "SOLUSDC", "user": ["NEW", "TRADE"]}
