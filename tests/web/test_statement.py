"""web/v1/statement.py: what moved an account's money, and what it was worth."""

from typing import Any

import pytest

from exness.core.instruments import AccountId
from exness.core.money import USDC_DECIMALS, parse_scaled
from exness.runtime.ports.tables import History, HistoryTooLong, Span
from tests.support.app import App, Trader, assert_error, bad, order, running_app
from tests.support.books import SOL


async def statement(trader: Trader, query: str = "") -> list[dict[str, Any]]:
    answer = await trader.get(f"/account/statement{query}")
    assert answer.status == 200, answer
    rows: list[dict[str, Any]] = answer.body["data"]
    return rows


def micro(text: str) -> int:
    return parse_scaled(text, USDC_DECIMALS)


async def test_all_rows_add_up_to_the_balance_and_each_tells_the_one_after_it(app: App, ann: Trader) -> None:
    trade = await ann.create()
    await ann.post("/order/create", order(limitPrice=190))
    await app.quote(SOL, "205")
    await ann.post("/trade/close", {"orderId": trade["orderId"], "percent": 5000})
    rows = await statement(ann)
    assert [(row["reason"], row["amount"]) for row in rows] == [
        ("margin", "50.000000"),
        ("pnl", "12.500000"),
        ("reserve", "-100.000000"),
        ("margin", "-100.000000"),
        ("deposit", "5000.000000"),
    ]
    assert sum(micro(row["amount"]) for row in rows) == ann.account.free
    newest = [row for row in rows if row["seq"] == rows[0]["seq"]]
    assert newest[-1]["balance"] == ann.free
    assert newest[-1] | {"seq": 0, "at": ""} == {
        "seq": 0,
        "at": "",
        "reason": "pnl",
        "amount": "12.500000",
        "balance": ann.free,
        "orderId": trade["orderId"],
        "asset": "SOL",
    }
    assert rows[-1].keys() == {"seq", "at", "reason", "amount", "balance"}


async def test_a_page_ends_with_a_record_and_the_next_begins_before_it(app: App, ann: Trader) -> None:
    trade = await ann.create()
    await app.quote(SOL, "205")
    await ann.close(trade["orderId"])
    first = await statement(ann, "?limit=1")
    assert [row["reason"] for row in first] == ["margin", "pnl"], "both rows of one record"
    rest = await statement(ann, f"?before={first[-1]['seq']}")
    assert [row["reason"] for row in rest] == ["margin", "deposit"]
    assert [row["reason"] for row in await statement(ann, "?reason=pnl&asset=SOL")] == ["pnl"]
    (bob,) = await app.known("bob")
    assert [row["reason"] for row in await statement(bob)] == ["deposit"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("reason=x", "reason"), ("asset=DOGE", "asset"), ("before=-1", "before"), ("limit=501", "limit"), ("a=1", "a")],
)
async def test_a_bad_parameter_is_refused(ann: Trader, query: str, field: str) -> None:
    refused = await ann.get(f"/account/statement?{query}")
    assert_error(refused, 400, "invalid_request", details=bad(field, refused.message))


async def test_equity_is_that_at_the_closes_of_candles(app: App, ann: Trader) -> None:
    await ann.create()
    await ann.post("/order/create", order(limitPrice=190, margin=50))
    await app.quote(SOL, "210")
    app.clock.advance(120)
    answer = await ann.get("/account/equity?interval=1m")
    assert answer.status == 200
    row = {
        "equity": "5050.000000",
        "balance": "4850.000000",
        "locked": "100.000000",
        "reserved": "50.000000",
        "unrealizedPnl": "50.000000",
    }
    assert answer.body["data"] == [{"at": f"2026-01-31T09:{minute}:00.000000Z"} | row for minute in ("16", "17")]
    one = await ann.get("/account/equity?interval=1m&startTime=2026-01-31T09:17:00Z&limit=1")
    assert one.body["data"] == answer.body["data"][1:]
    refused = await ann.get("/account/equity")
    assert_error(refused, 400, "invalid_request", details=bad("interval", "interval is required"))


class Busy:
    """A history in which too much has happened."""

    def __init__(self, history: History) -> None:
        self._history = history

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name)

    async def span(self, account: AccountId, start: int, end: int) -> Span:
        raise HistoryTooLong(100_000, "records")


async def test_a_span_in_which_too_much_has_happened_is_refused() -> None:
    async with running_app(history=Busy) as app:
        (ann,) = await app.known("ann")
        app.clock.advance(120)
        refused = await ann.get("/account/equity?interval=1m")
        assert_error(refused, 422, "range_too_large", details={"most": 100_000})
