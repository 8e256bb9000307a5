"""web/v1/market.py: assets and prices, which need no session."""

import pytest

from tests.support.app import JSON, App, assert_error, running_app
from tests.support.books import BTC, PRICE_LIFE, SOL


async def test_the_supported_assets_are_listed_with_what_a_client_needs(app: App) -> None:
    answer = await app.get("/supportedAssets")
    assert answer.status == 200
    assert answer.body == {
        "assets": [
            {"symbol": "SOL", "name": "SOL", "decimals": 6, "imageUrl": "", "maxLeverage": 100},
            {"symbol": "ETH", "name": "ETH", "decimals": 6, "imageUrl": "", "maxLeverage": 100},
            {"symbol": "BTC", "name": "BTC", "decimals": 4, "imageUrl": "", "maxLeverage": 100},
        ]
    }


async def test_a_price_is_told_as_integer_text_and_as_decimal_text(app: App) -> None:
    await app.quote(BTC, "98765.4320", "98765.4322")
    answer = await app.get("/prices/BTC")
    assert answer.status == 200
    assert answer.body == {
        "asset": "BTC",
        "price": "987654321",
        "decimal": 4,
        "bid": "98765.4320",
        "ask": "98765.4322",
        "mark": "98765.4321",
        "at": "2026-01-31T09:15:02.123456Z",
        "stale": False,
        "state": "live",
    }


@pytest.mark.parametrize(
    ("bid", "ask", "mark"), [("1", "1.000001", "1.000000"), ("1.000001", "1.000002", "1.000002"), ("1", "3", "2")]
)
async def test_the_mark_is_the_mid_rounded_half_to_even(app: App, bid: str, ask: str, mark: str) -> None:
    await app.quote(SOL, bid, ask)
    price = (await app.get("/prices/SOL")).body
    assert float(price["mark"]) == float(mark)
    assert price["price"] == price["mark"].replace(".", "").lstrip("0")


async def test_all_prices_come_by_asset(app: App) -> None:
    answer = await app.get("/prices")
    assert list(answer.body) == ["SOL", "ETH", "BTC"]
    for asset, price in answer.body.items():
        assert price == (await app.get(f"/prices/{asset}")).body
        assert price["asset"] == asset


async def test_before_its_first_tick_an_assets_price_is_null_and_stale() -> None:
    async with running_app() as app:
        answer = await app.get("/prices/SOL")
        assert answer.status == 200
        assert answer.body == {
            "asset": "SOL",
            "price": None,
            "decimal": 6,
            "bid": None,
            "ask": None,
            "mark": None,
            "at": None,
            "stale": True,
            "state": "down",
        }


async def test_a_price_is_stale_after_its_life_and_keeps_the_time_it_is_of(app: App) -> None:
    fresh = (await app.get("/prices/SOL")).body
    app.clock.now += PRICE_LIFE
    assert (await app.get("/prices/SOL")).body == fresh
    app.clock.now += 1
    assert (await app.get("/prices/SOL")).body == fresh | {"stale": True, "state": "stale"}
    await app.quote(SOL, "200")
    assert (await app.get("/prices/SOL")).body == fresh | {"at": "2026-01-31T09:15:32.123457Z"}


@pytest.mark.parametrize("asset", ["XRP", "sol", "SOL%20", "%ED%A0%80", "..%2F..%2Fetc", "%00"])
async def test_an_unknown_assets_price_is_not_found(app: App, asset: str) -> None:
    refused = await app.get(f"/prices/{asset}")
    assert_error(refused, 404, "not_found")


async def test_market_data_is_json_and_asks_for_no_session(app: App) -> None:
    for path in ("/supportedAssets", "/prices", "/prices/SOL"):
        answer = await app.get(path, headers={"Authorization": "Bearer nonsense"})
        assert (answer.status, answer.headers["Content-Type"]) == (200, JSON)
