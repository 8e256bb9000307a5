"""What can be traded, at what price and for what."""

from datetime import datetime
from typing import Literal, TypeAlias

from exness.client import answers
from exness.client.calls.call import API, Call, in_path, reader, seconds

Interval: TypeAlias = Literal["1m", "5m", "15m", "1h", "4h", "1d"]
_time = reader(answers.Time)
_assets = reader(answers.SupportedAssets)
_rates = reader(answers.Rates)
_prices = reader(dict[str, answers.Price])
_price = reader(answers.Price)
_tickers = reader(answers.Tickers)
_klines = reader(list[answers.Kline])


def time() -> Call[answers.Time]:
    """GET /time."""
    return Call("GET", f"{API}/time", _time)


def supported_assets() -> Call[list[answers.SupportedAsset]]:
    """GET /supportedAssets."""
    return Call("GET", f"{API}/supportedAssets", lambda body: _assets(body).assets)


def prices() -> Call[dict[str, answers.Price]]:
    """GET /prices."""
    return Call("GET", f"{API}/prices", _prices)


def price(asset: str) -> Call[answers.Price]:
    """GET /prices/{asset}."""
    return Call("GET", f"{API}/prices/{in_path(asset)}", _price)


def ticker(asset: str | None = None) -> Call[list[answers.Ticker]]:
    """GET /ticker: what prices did within 24 hours. Assets that have had no price yet are not in it."""
    return Call("GET", f"{API}/ticker", lambda body: _tickers(body).data, query={"asset": asset})


def klines(
    asset: str,
    interval: Interval,
    *,
    start_time: datetime | int | None = None,
    end_time: datetime | int | None = None,
    limit: int | None = None,
) -> Call[list[answers.Kline]]:
    """GET /klines: candles, oldest first. Times are whole seconds."""
    query = {
        "asset": asset,
        "interval": interval,
        "startTime": seconds(start_time),
        "endTime": seconds(end_time),
        "limit": limit,
    }
    return Call("GET", f"{API}/klines", _klines, query=query)


def rates() -> Call[answers.Rates]:
    """GET /rates: what trading costs, and who says so."""
    return Call("GET", f"{API}/rates", _rates)
