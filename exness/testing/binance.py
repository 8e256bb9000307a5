"""What a Binance client has to be told to trade on an exchange of a test. It imports no client."""

from typing import Any


def ccxt_settings(url: str, key: str, secret: str) -> dict[str, Any]:
    """For the constructor of `ccxt.binanceusdm`, synchronous, asynchronous or pro: keys, addresses, no throttle."""
    sides = ("Public", "Private")
    addresses: dict[str, Any] = {f"fapi{side}": f"{url}/fapi/v1" for side in sides}
    addresses |= {f"fapi{side}V{version}": f"{url}/fapi/v{version}" for side in sides for version in (2, 3)}
    streams = url.replace("http", "ws", 1) + "/ws"
    addresses |= {
        "fapiData": f"{url}/futures/data",
        "sapi": f"{url}/sapi/v1",
        "ws": {"linear": streams, "future": streams},
    }
    return {
        "apiKey": key,
        "secret": secret,
        "enableRateLimit": False,
        "options": {"fetchCurrencies": False},
        "urls": {"api": addresses},
    }
