"""web/v1/quote.py and rates.py: what an order would come to, and what trading costs."""

from typing import Any

import pytest
from msgspec.structs import replace

from exness.core.instruments import Execution
from exness.core.rates import Rates, Tier
from exness.web.services import Dev
from tests.support.app import App, Trader, assert_error, bad, order, running_app, unchanged
from tests.support.books import SOL, make_rules

RATES = Rates(taker=100_000, maker=200_000, maintenance=(Tier(0, 1_000_000),))


async def test_a_quote_is_the_order_without_the_order(app: App, ann: Trader) -> None:
    with unchanged(app):
        quoted = await ann.post("/trade/quote", order(clientOrderId="mine", stopLoss=190))
    assert quoted.body == {
        "success": True,
        "price": "200.000000",
        "quantity": "5.000",
        "notional": "1000.000000",
        "margin": "100.000000",
        "commission": "0.000000",
        "required": "100.000000",
        "liquidationPrice": "180.000000",
        "bankruptcyPrice": "180.000000",
        "breakEvenPrice": "200.000000",
        "closeCommission": "0.000000",
        "requirement": "0.000000",
        "maxMargin": "5000.000000",
        "balance": "5000.000000",
    }
    created = await ann.create(clientOrderId="mine", stopLoss=190)
    same = ("margin", "quantity", "liquidationPrice")
    assert [created[name] for name in same] == [quoted.body[name] for name in same]


async def test_an_order_is_quoted_at_its_own_price_and_the_dearer_rate() -> None:
    async with running_app(rules=replace(make_rules(), rates={SOL: RATES})) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        with unchanged(app):
            quoted = (await ann.post("/trade/quote", order(limitPrice=190))).body
            now = (await ann.post("/trade/quote", order())).body
        assert (quoted["price"], quoted["commission"], quoted["maxMargin"]) == (
            "190.000000",
            "2.000000",
            "4901.960784",
        )
        assert (now["price"], now["commission"], now["requirement"]) == ("200.000000", "1.000000", "10.000000")
        assert "refusal" not in quoted
        most = await ann.try_create(margin=now["maxMargin"])
        assert most.status == 200, "the most is not too much"


async def test_a_refusal_is_a_field_and_the_figures_follow(app: App, ann: Trader) -> None:
    with unchanged(app):
        quoted = (await ann.post("/trade/quote", order(margin=6000))).body
    refused = await ann.try_create(margin=6000)
    assert quoted["refusal"] == {name: refused.body[name] for name in ("code", "message", "details")}
    assert (quoted["required"], quoted["maxMargin"]) == ("6000.000000", "5000.000000")
    app.let_prices_age()
    stale = (await ann.post("/trade/quote", order())).body
    assert (stale["refusal"]["code"], stale["price"]) == ("price_unavailable", "200.000000")


@pytest.mark.parametrize(
    ("more", "code", "price"),
    [
        ({"limitPrice": 190, "margin": 6000}, "insufficient_margin", "190.000000"),
        ({"limitPrice": 190, "timeInForce": "ioc"}, "would_rest", "190.000000"),
        ({"stopPrice": 195}, "would_trigger", "195.000000"),
        ({"stopPrice": 195, "limitPrice": 194}, "would_trigger", "194.000000"),
        ({"limitPrice": 210, "postOnly": True}, "would_take", "200.000000"),
    ],
)
async def test_a_refused_order_is_quoted_at_its_own_price_too(more: dict[str, Any], code: str, price: str) -> None:
    async with running_app(rules=replace(make_rules(), rates={SOL: RATES})) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        with unchanged(app):
            quoted = (await ann.post("/trade/quote", order(**more))).body
    assert (quoted["refusal"]["code"], quoted["price"]) == (code, price)
    waits = price != "200.000000"
    assert quoted["maxMargin"] == ("4901.960784" if waits else "4950.495049"), "an order reserves for the dearer rate"


async def test_without_any_price_there_are_no_figures() -> None:
    async with running_app() as app:
        (ann,) = await app.known("ann")
        quoted = (await ann.post("/trade/quote", order())).body
        assert quoted["refusal"]["code"] == "price_unavailable"
        assert (quoted["price"], quoted["maxMargin"], quoted["balance"]) == (None, None, "5000.000000")


async def test_a_net_order_is_quoted_with_the_most_of_its_quantity(app: App, ann: Trader) -> None:
    body = {"asset": "SOL", "side": "sell", "quantity": "1.5", "clientOrderId": "x"}
    with unchanged(app):
        quoted = (await ann.post("/net/quote", body)).body
    assert (quoted["quantity"], quoted["margin"], quoted["maxQuantity"]) == ("1.500", "15.000000", "500.000")
    assert "maxMargin" not in quoted
    with unchanged(app):
        far = (await ann.post("/net/quote", body | {"limitPrice": 250, "reduceOnly": True})).body
        none = (await ann.post("/net/quote", {"asset": "SOL", "side": "sell", "closePosition": True})).body
    assert (far["refusal"]["code"], far["price"]) == ("reduce_only_rejected", "250.000000")
    assert (none["refusal"]["code"], none["price"]) == ("reduce_only_rejected", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (order(margin=0), "margin"),
        (order(limitPrice=0), "limitPrice"),
        (order(limitPrice=190, expiresAt="2020-01-01T00:00:00Z"), "expiresAt"),
    ],
)
async def test_a_bad_quote_is_refused(ann: Trader, body: dict[str, Any], field: str) -> None:
    refused = await ann.post("/trade/quote", body)
    assert_error(refused, 400, "invalid_request", details=bad(field, refused.message))


# --- rates ----------------------------------------------------------------------------------------------------------


async def test_rates_are_told_with_where_they_are_from() -> None:
    async with running_app(rules=replace(make_rules(), rates={SOL: RATES}), profile="binance") as app:
        told = (await app.get("/rates")).body
    assert told["profile"] == "binance"
    assert told["rates"]["ETH"]["taker"] == {"value": "0.00000000", "source": "default"}
    assert told["rates"]["SOL"]["taker"] == {"value": "0.00100000", "source": "configuration"}
    tier = {"floor": "0.000000", "rate": "0.01000000", "maxLeverage": None}
    assert told["rates"]["SOL"]["maintenance"] == {"value": [tier], "source": "configuration"}


async def test_rates_are_set_by_hand_and_hold_until_a_reset() -> None:
    async with running_app(dev=Dev()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        body = {"taker": "0.001", "maintenance": [{"floor": 0, "rate": "0.005"}, {"floor": 50, "rate": "0.01"}]}
        answer = await app.request("PUT", "/dev/rates/SOL", body=body)
        assert answer.status == 200
        assert answer.body["rates"]["taker"] == {"value": "0.00100000", "source": "dev"}
        trade = await ann.create()
        assert (trade["commission"], trade["balance"]) == ("1.000000", "4899.000000")
        house = (await app.get("/dev/house")).body
        zero = "0.000000"
        assert house == {"success": True, "pnl": zero, "commission": "1.000000", "funding": zero} | {
            "insurance": zero,
            "shortfall": zero,
        }
        with unchanged(app):
            refused = await app.request("PUT", "/dev/rates/SOL", body={"maintenance": "1"})
        assert (refused.status, refused.details[0]["field"]) == (400, "maintenance")
        await app.request("PUT", "/dev/rates/SOL", body={"fundingRate": "0.01", "fundingRateShort": "0.02"})
        fed = (await app.request("PUT", "/dev/rates/SOL", body={"fundingRate": "feed"})).body["rates"]
        assert (fed["fundingRate"]["value"], fed["fundingRateShort"]["value"]) == ("feed", None)
        with unchanged(app):
            both = await app.request("PUT", "/dev/rates/SOL", body={"fundingRate": "feed", "fundingRateShort": 0})
        assert (both.status, both.details[0]["field"]) == (400, "fundingRateShort")
        profile = await app.request("PUT", "/dev/profile", body={"profile": "hyperliquid"})
        assert profile.body == (await app.get("/rates")).body
        assert (profile.body["profile"], profile.body["execution"]) == (
            "hyperliquid",
            {"value": "touch", "source": "dev"},
        )
        await app.post("/dev/reset")
        after = (await app.get("/rates")).body
        assert (after["profile"], after["rates"]["SOL"]["taker"]["source"]) == ("", "default")


async def test_a_profile_is_set_where_stops_look_at_another_price_from_then_on() -> None:
    async with running_app(rules=make_rules(execution=Execution.TOUCH), dev=Dev()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create(trailingStop={"percent": 250})
        await app.quote(SOL, "200", "210")
        (before,) = await ann.open_trades()
        profile = await app.request("PUT", "/dev/profile", body={"profile": "hyperliquid"})
        (after,) = await ann.open_trades()
    assert (profile.status, profile.body["profile"]) == (200, "hyperliquid")
    assert before["trailingStop"]["level"] == "195.000000", "a long's stop looks at the bid"
    assert after["trailingStop"]["level"] == "199.875000", "and then at the mark"
