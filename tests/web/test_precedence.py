"""The order of API.md's error table: who breaks two rows at once is told the earlier one. Every pair that can be broken
at once is tried, neighbours and others."""

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import pytest

from exness.core.instruments import Execution
from exness.web.http.weights import Budget
from tests.support.app import TRADE_WEIGHT, App, Trader, bad, order, rate_limits, running_app, unchanged
from tests.support.books import SOL, make_rules


class Wish(NamedTuple):
    """A request to /trade/create in the making."""

    fields: dict[str, Any]
    headers: dict[str, str]
    padding: list[bytes]


class Row(NamedTuple):
    """A row of the table and how a request breaks it. `world` is what must be so outside the request."""

    name: str
    status: int
    code: str
    break_it: Callable[[Wish], None] = lambda wish: None
    world: Callable[[App, Trader], None] = lambda app, ann: None
    message: str | None = None


def setting(**changed: Any) -> Callable[[Wish], None]:
    return lambda wish: wish.fields.update(changed)


def header(name: str, value: str) -> Callable[[Wish], None]:
    return lambda wish: wish.headers.update({name: value})


def use_up_the_rate(app: App, ann: Trader) -> None:
    limits = app.services.limits
    for _ in range(RATE - 1):  # one request prepares every test
        limits.hit_address("127.0.0.1", Budget.TRADE, TRADE_WEIGHT)


RATE = 5
"""Trading requests that an address has."""

TABLE = [
    Row("rate", 429, "rate_limited", world=use_up_the_rate),
    Row("session", 401, "unauthorized", header("Authorization", "Bearer nonsense")),
    Row("size", 413, "body_too_large", lambda wish: wish.padding.append(b" " * 70_000)),
    Row("media type", 415, "unsupported_media_type", header("Content-Type", "text/plain")),
    Row("unknown field", 400, "invalid_request", setting(who="bob"), message="who is not a known field"),
    Row("margin", 400, "invalid_request", setting(margin=0), message="Margin must be greater than zero"),
    Row(
        "asset",
        400,
        "invalid_request",
        setting(asset="XRP"),
        message="Invalid asset. Supported assets are SOL, ETH, BTC",
    ),
    Row(
        "type",
        400,
        "invalid_request",
        setting(type="up"),
        message="Invalid trade type. Supported types are long and short",
    ),
    Row("leverage", 400, "invalid_request", setting(leverage=101), message="Leverage must be between 1 and 100"),
    Row(
        "slippage out of bounds",
        400,
        "invalid_request",
        setting(slippage=5),
        message="Slippage value should be between 0.1 to 100 %",
    ),
    Row("stop loss", 400, "invalid_request", setting(takeProfit=250, stopLoss=260)),
    Row("client order id", 409, "client_order_id_conflict", setting(clientOrderId="used")),
    Row("price", 503, "price_unavailable", world=lambda app, ann: app.let_prices_age()),
    # `amount_out_of_range` comes here: what the core refuses so, the rows above refuse of a request. See tests/core.
    Row("would liquidate", 422, "would_liquidate", setting(leverage=100)),
    Row("slippage", 422, "slippage_exceeded", setting(slippage=10, expectedPrice=100)),
    Row("position limit", 422, "position_limit", setting(leverage=10, margin=6000)),
    Row("margin over balance", 422, "insufficient_margin", setting(leverage=5, margin=6000)),
]
IMPOSSIBLE = {("margin", "position limit"), ("margin", "margin over balance")}
"""A margin of nothing is never too much."""
PAIRS = [pair for pair in combinations(TABLE, 2) if (pair[0].name, pair[1].name) not in IMPOSSIBLE]


@pytest.mark.parametrize(("earlier", "later"), PAIRS, ids=[f"{a.name} before {b.name}" for a, b in PAIRS])
async def test_who_breaks_two_rows_is_told_the_earlier_one(earlier: Row, later: Row) -> None:
    await assert_told(earlier, later)


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
async def test_each_row_alone_is_broken_by_its_request(row: Row) -> None:
    """Else the pairs would prove nothing."""
    await assert_told(row)


async def assert_told(*broken: Row) -> None:
    """A request that breaks these rows is told the first of them, and changes nothing."""
    rules = make_rules(execution=Execution.TOUCH, max_notional="45000")
    limits = rate_limits(trade_per_ip=f"{RATE * TRADE_WEIGHT}/day")
    async with running_app(rules=rules, limits=limits) as app:
        await app.quote_all()
        await app.quote(SOL, "190", "210")  # a long at 210 that is 100x would be liquidated at 207.9
        ann = app.trader("ann")
        await ann.create(margin=1, clientOrderId="used")
        wish = Wish(order(), {"Content-Type": "application/json", "Authorization": f"Bearer {ann.token}"}, [])
        for row in reversed(broken):  # the earlier row has the last word where both want the same field
            row.break_it(wish)
            row.world(app, ann)
        data = json.dumps(wish.fields).encode() + b"".join(wish.padding)
        with unchanged(app):
            answer = await app.post("/trade/create", data=data, headers=wish.headers)
        told = broken[0]
        assert (answer.status, answer.code) == (told.status, told.code), answer.body
        if told.message is not None:
            assert answer.message == told.message
            assert answer.details[0]["message"] == told.message


async def test_a_close_checks_session_then_size_then_media_type_then_body_then_trade(app: App, ann: Trader) -> None:
    trade = await ann.create()
    other, big, text = {"Authorization": "Bearer x"}, b'{"orderId": 5}' + b" " * 70_000, {"Content-Type": "text/plain"}
    json_type = {"Content-Type": "application/json"}
    tries: list[tuple[bytes, dict[str, str], str]] = [
        (big, other | text, "unauthorized"),
        (big, text, "body_too_large"),
        (b'{"orderId": 5}', text, "unsupported_media_type"),
        (b'{"orderId": 5}', json_type, "invalid_request"),
        (b'{"orderId": "x"}', json_type, "trade_not_found"),
    ]
    app.let_prices_age()  # the last thing that is looked at
    for data, headers, code in tries:
        with unchanged(app):
            assert (await ann.request("POST", "/trade/close", data=data, headers=headers)).code == code
    assert (await ann.try_close(trade["orderId"])).code == "price_unavailable"


async def test_a_bad_request_is_told_so_even_while_nothing_is_taken(app: App, ann: Trader) -> None:
    app.sequencer.close()
    message = "Margin must be greater than zero"
    assert (await ann.try_create(margin=0)).details == bad("margin", message)
    assert (await app.post("/trade/create", order())).code == "unauthorized"
    assert (await ann.try_create()).code == "shutting_down"
