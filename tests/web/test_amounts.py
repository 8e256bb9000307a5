"""Amounts are read exactly from their text, and leave as decimal text."""

from typing import Any

import pytest

from tests.support.app import App, Trader, bad, unchanged
from tests.support.books import SOL

DECIMAL = "margin must be a number or a decimal string"


async def create_raw(ann: Trader, margin: str, field: str = "margin") -> Any:
    """A create whose amount is this JSON text, untouched by a JSON library."""
    fields = {"margin": "100", "leverage": "10"} | {field: margin}
    rest = ", ".join(f'"{name}": {text}' for name, text in fields.items())
    body = f'{{"asset": "SOL", "type": "long", {rest}}}'
    return await ann.request("POST", "/trade/create", data=body.encode(), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("12.5", "12.500000"),
        ('"12.50"', "12.500000"),
        ("1e2", "100.000000"),
        ("1.25E+1", "12.500000"),
        ('"125e-1"', "12.500000"),
        ("0.1", "0.100000"),
        ("0.000001", "0.000001"),
        ("1e-6", "0.000001"),
        ("0.10000000000000000000", "0.100000"),
        ("4503.599627", "4503.599627"),
        ('"\\u0031\\u0032"', "12.000000"),
        ("  7  ", "7.000000"),
        ('"007"', "7.000000"),
    ],
)
async def test_an_amount_is_read_exactly_from_its_text(ann: Trader, text: str, margin: str) -> None:
    answer = await create_raw(ann, text)
    assert answer.status == 200, answer
    assert answer.body["margin"] == margin
    assert ann.account.locked == int(margin.replace(".", ""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1000000000000000055511151231257827", "margin can have at most 6 decimals"),
        ("0.0000001", "margin can have at most 6 decimals"),
        ('"1.0000001"', "margin can have at most 6 decimals"),
        ("1e-7", "margin can have at most 6 decimals"),
        ("1e13", "margin is out of range"),
        ("1e64", "margin is out of range"),
        ("1e65", "margin is out of range"),
        ("1e999", "margin is out of range"),
        ("1e-999", "margin is out of range"),
        ("1e99999", DECIMAL),
        ("-1e13", "margin is out of range"),
        ("1" * 65, "margin is too long"),
        ('"' + "9" * 5000 + '"', "margin is too long"),
        ("true", DECIMAL),
        ("false", DECIMAL),
        ("null", DECIMAL),
        ("[]", DECIMAL),
        ("{}", DECIMAL),
        ('""', DECIMAL),
        ('" 5"', DECIMAL),
        ('"5 "', DECIMAL),
        ('"+5"', DECIMAL),
        ('".5"', DECIMAL),
        ('"5."', DECIMAL),
        ('"1_000"', DECIMAL),
        ('"1,5"', DECIMAL),
        ('"0x10"', DECIMAL),
        ('"NaN"', DECIMAL),
        ('"Infinity"', DECIMAL),
        ('"-inf"', DECIMAL),
        ('"1e"', DECIMAL),
        ('"１２"', DECIMAL),
        ('"5 USDC"', DECIMAL),
        ("NaN", "The body is not valid JSON"),
        ("Infinity", "The body is not valid JSON"),
        ("-Infinity", "The body is not valid JSON"),
        ("+5", "The body is not valid JSON"),
        (".5", "The body is not valid JSON"),
        ("5.", "The body is not valid JSON"),
        ("05", "The body is not valid JSON"),
        ("0x10", "The body is not valid JSON"),
        ('"\\ud800"', "The body is not valid JSON"),
    ],
)
async def test_what_is_no_exact_amount_is_refused(app: App, ann: Trader, text: str, message: str) -> None:
    with unchanged(app):
        answer = await create_raw(ann, text)
    assert (answer.status, answer.code, answer.message) == (400, "invalid_request", message)
    field = "body" if message.startswith("The body") else "margin"
    assert answer.details == bad(field, message)


async def test_bytes_that_are_no_text_are_no_amount(app: App, ann: Trader) -> None:
    body = b'{"asset": "SOL", "type": "long", "leverage": 10, "margin": "\xff"}'
    with unchanged(app):
        answer = await ann.request("POST", "/trade/create", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.details) == (400, bad("margin", DECIMAL))


@pytest.mark.parametrize("text", ["40.99", '"40.99"', "4.099e1", '"40.990"'])
async def test_leverage_of_40_99_comes_back_as_it_went_in(app: App, ann: Trader, text: str) -> None:
    created = await create_raw(ann, text, "leverage")
    assert created.body["leverage"] == "40.99"
    assert b'"leverage":40.99,' in created.raw
    assert [trade["leverage"] for trade in await ann.open_trades()] == ["40.99"]
    (held,) = ann.account.trades.values()
    assert held.leverage == 4099
    await ann.close(created.body["orderId"])
    history = await ann.get("/trade/history")
    assert b'"leverage":40.99,' in history.raw


@pytest.mark.parametrize(("text", "out"), [("10", b"10"), ("10.0", b"10"), ('"10.50"', b"10.5"), ("1.01", b"1.01")])
async def test_leverage_is_told_as_the_shortest_number(ann: Trader, text: str, out: bytes) -> None:
    created = await create_raw(ann, text, "leverage")
    assert b'"leverage":' + out + b"," in created.raw


@pytest.mark.parametrize(
    ("asset", "bid", "ask", "entry"),
    [
        ("SOL", "200", "200.000001", "200.000000"),
        ("SOL", "200.000001", "200.000002", "200.000002"),
        ("BTC", "100000.0001", "100000.0003", "100000.0002"),
        ("ETH", "0.000001", "0.000003", "0.000002"),
    ],
)
async def test_prices_leave_with_the_decimals_of_their_asset(
    app: App, ann: Trader, asset: Any, bid: str, ask: str, entry: str
) -> None:
    await app.quote(asset, bid, ask)
    created = await ann.create(asset=asset, leverage=1)
    assert created["entryPrice"] == entry


async def test_money_leaves_with_six_decimals_and_a_sign_only_below_zero(app: App, ann: Trader) -> None:
    created = await ann.create(margin="0.1", leverage=1)
    assert (created["margin"], created["balance"]) == ("0.100000", "4999.900000")
    await app.quote(SOL, "199.999999")
    (trade,) = await ann.open_trades()
    assert trade["unrealizedPnl"] == "-0.000001"  # rounded down: against the trader
    assert trade["unrealizedPnlPercentage"] == "-0.0010"
    closed = await ann.close(created["orderId"])
    assert (closed["pnl"], closed["returned"], closed["balance"]) == ("-0.000001", "0.099999", "4999.999999")
