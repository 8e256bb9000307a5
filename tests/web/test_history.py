"""GET /trade/history over HTTP, on both storages: shape, filters, order, pages, sums, and bad parameters."""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.app import App, Stores, Trader, assert_error, bad, running_app, unchanged
from tests.support.books import BTC, ETH, SOL

ROW_KEYS = {
    "orderId", "asset", "type", "margin", "leverage", "entryPrice", "liquidationPrice", "openPrice", "closePrice",
    "pnl", "pnlPercentage", "status", "liquidated", "shortfall", "createdAt", "closedAt", "durationSeconds",
    "net", "quantity", "notional", "commission", "funding", "realizedPnl", "closeReason",
}  # fmt: skip


# These tests only read, so they share one app for each storage.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "sqlite"])
async def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    async with AsyncExitStack() as stack:
        stores = None
        if request.param == "sqlite":
            stores = await stack.enter_async_context(Stores.sqlite(tmp_path_factory.mktemp("data")))
        app = await stack.enter_async_context(running_app(stores))
        await app.quote_all()
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(app: App) -> Trader:
    """With six trades of all kinds, a second between each, told by their client order ids:

    id  asset  side   margin  leverage  ended
    a   SOL    long   100     10        closed with +50
    b   BTC    short  50      2         closed with -1
    c   ETH    long   10      100       liquidated, -10 and a shortfall of 20
    d   SOL    short  20      1         open
    e   SOL    long   30      40.99     closed at its entry, 0
    f   BTC    long   40      5         open
    """
    ann, bob = await app.known("ann", "bob")
    trades = {}
    wishes: list[tuple[str, str, str, int, str]] = [
        ("a", "SOL", "long", 100, "10"),
        ("b", "BTC", "short", 50, "2"),
        ("c", "ETH", "long", 10, "100"),
        ("d", "SOL", "short", 20, "1"),
    ]
    for name, asset, kind, margin, leverage in wishes:
        trades[name] = await ann.create(clientOrderId=name, asset=asset, type=kind, margin=margin, leverage=leverage)
        app.clock.advance(1)
    await bob.create(margin=77)
    await app.quote(SOL, "210")
    await ann.close(trades["a"]["orderId"])
    trades["e"] = await ann.create(clientOrderId="e", margin=30, leverage="40.99")
    app.clock.advance(1)
    await app.quote(BTC, "101000")
    await ann.close(trades["b"]["orderId"])
    trades["f"] = await ann.create(clientOrderId="f", asset="BTC", margin=40, leverage=5)
    app.clock.advance(1)
    await app.quote(ETH, "2910")
    await ann.close(trades["e"]["orderId"])
    return ann


async def names(ann: Trader, query: str = "") -> str:
    """The client order ids of the rows a query gives, in order."""
    answer = await ann.get(f"/trade/history?{query}")
    assert answer.status == 200, answer
    return "".join(row["clientOrderId"] for row in answer.body["data"])


async def row(ann: Trader, name: str) -> dict[str, Any]:
    rows = {row["clientOrderId"]: row for row in (await ann.get("/trade/history")).body["data"]}
    found: dict[str, Any] = rows[name]
    return found


async def test_a_closed_trade_is_told_whole(ann: Trader) -> None:
    closed = await row(ann, "a")
    assert closed == {
        "orderId": closed["orderId"],
        "clientOrderId": "a",
        "asset": "SOL",
        "type": "long",
        "margin": "100.000000",
        "leverage": 10,
        "entryPrice": "200.000000",
        "liquidationPrice": "180.000000",
        "openPrice": "200.000000",
        "closePrice": "210.000000",
        "pnl": "50.000000",
        "pnlPercentage": "50.0000",
        "status": "closed",
        "liquidated": False,
        "shortfall": "0.000000",
        "createdAt": "2026-01-31T09:15:02.123456Z",
        "closedAt": "2026-01-31T09:15:06.123456Z",
        "durationSeconds": "4.0",
        "net": False,
        "quantity": "5.000",
        "notional": "1000.000000",
        "commission": "0.000000",
        "funding": "0.000000",
        "realizedPnl": "50.000000",
        "closeReason": "user",
    }


async def test_a_liquidated_trade_is_told_with_its_shortfall(ann: Trader) -> None:
    liquidated = await row(ann, "c")
    assert liquidated == liquidated | {
        "status": "closed",
        "liquidated": True,
        "closePrice": "2910.000000",
        "pnl": "-10.000000",
        "pnlPercentage": "-100.0000",
        "shortfall": "20.000000",
    }


async def test_an_open_trade_has_nothing_yet_of_what_only_an_end_brings(ann: Trader) -> None:
    open_trade = await row(ann, "f")
    assert open_trade.keys() == ROW_KEYS | {"clientOrderId"}
    ends = ("closePrice", "pnl", "pnlPercentage", "closedAt", "durationSeconds", "closeReason")
    assert [open_trade[name] for name in ends] == [None] * 6
    assert (open_trade["status"], open_trade["liquidated"], open_trade["shortfall"]) == ("open", False, "0.000000")
    assert (open_trade["leverage"], open_trade["liquidationPrice"]) == (5, "80800.0000")


async def test_without_a_client_order_id_the_field_is_left_out(app: App, ann: Trader) -> None:
    dan = app.trader("dan")
    await dan.create(margin=1)
    (only,) = (await dan.get("/trade/history")).body["data"]
    assert only.keys() == ROW_KEYS


async def test_who_never_traded_has_an_empty_history(app: App) -> None:
    answer = await app.trader("cid").get("/trade/history")
    assert answer.body == {
        "success": True,
        "data": [],
        "analytics": {
            "totalTrades": 0,
            "openTrades": 0,
            "closedTrades": 0,
            "profitableTrades": 0,
            "unprofitableTrades": 0,
            "liquidatedTrades": 0,
            "totalPnl": "0.000000",
        },
        "pagination": {"total": 0, "limit": 50, "offset": 0, "hasMore": False},
    }


async def test_the_newest_trade_comes_first_unless_asked_otherwise(ann: Trader) -> None:
    assert await names(ann) == "fedcba"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=open", "fd"),
        ("status=closed", "ecba"),
        ("asset=SOL", "eda"),
        ("asset=BTC", "fb"),
        ("tradeType=long", "feca"),
        ("tradeType=short", "db"),
        ("profitable=true", "a"),
        ("profitable=false", "ecb"),
        ("liquidated=true", "c"),
        ("liquidated=false", "eba"),
        ("asset=SOL&tradeType=long&status=closed", "ea"),
        ("status=open&profitable=true", ""),
        ("fromDate=2026-01-31T09:15:04.123456Z", "fedc"),
        ("fromDate=2026-01-31T09:15:04.123457Z", "fed"),
        ("toDate=2026-01-31T09:15:04.123456Z", "cba"),
        ("toDate=2026-01-31T09:15:04.123455Z", "ba"),
        ("fromDate=2026-01-31T09:15:03.123456Z&toDate=2026-01-31T09:15:05.123456", "dcb"),
        (f"fromDate={quote('2026-01-31T10:15:04.123456+01:00')}", "fedc"),
        ("fromDate=2026-01-31&toDate=2026-01-31", "fedcba"),
        ("toDate=2026-01-30", ""),
        ("fromDate=2026-02-01", ""),
        ("fromDate=0001-01-01&toDate=9999-12-31", "fedcba"),
    ],
)
async def test_filters_keep_what_matches_all_of_them(ann: Trader, query: str, expected: str) -> None:
    answer = await ann.get(f"/trade/history?{query}")
    assert answer.status == 200, answer
    assert "".join(found["clientOrderId"] for found in answer.body["data"]) == expected
    assert answer.body["pagination"]["total"] == answer.body["analytics"]["totalTrades"] == len(expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sortBy=createdAt&sortOrder=asc", "abcdef"),
        ("sortOrder=asc", "abcdef"),
        ("sortBy=margin", "abfedc"),
        ("sortBy=margin&sortOrder=asc", "cdefba"),
        ("sortBy=leverage", "ceafbd"),
        ("sortBy=leverage&sortOrder=asc", "dbfaec"),
        ("sortBy=pnl", "aebcfd"),
        ("sortBy=pnl&sortOrder=asc", "cbeadf"),
        ("sortBy=closedAt", "ecbafd"),
        ("sortBy=closedAt&sortOrder=asc", "abcedf"),
    ],
)
async def test_rows_come_in_the_order_asked_for_and_what_has_no_value_comes_last(
    ann: Trader, query: str, expected: str
) -> None:
    assert await names(ann, query) == expected


async def test_pages_follow_one_another_without_gap_or_repeat(ann: Trader) -> None:
    pages = []
    for offset in (0, 4, 8):
        answer = (await ann.get(f"/trade/history?limit=4&offset={offset}")).body
        pages.append("".join(found["clientOrderId"] for found in answer["data"]))
        answer["pagination"].pop("nextCursor", None)
        assert answer["pagination"] == {"total": 6, "limit": 4, "offset": offset, "hasMore": offset == 0}
    assert pages == ["fedc", "ba", ""]
    assert (await ann.get("/trade/history?limit=6")).body["pagination"]["hasMore"] is False
    assert (await ann.get("/trade/history?limit=5")).body["pagination"]["hasMore"] is True


@pytest.mark.parametrize(
    ("query", "expected"), [("", "fedcba"), ("&sortOrder=asc", "abcdef"), ("&tradeType=long", "feca")]
)
async def test_a_cursor_goes_on_from_the_last_row_until_there_is_none(ann: Trader, query: str, expected: str) -> None:
    first = (await ann.get(f"/trade/history?limit=2{query}")).body
    found, answer = [], first
    while True:
        found += [row["clientOrderId"] for row in answer["data"]]
        assert answer["analytics"] == first["analytics"]
        assert answer["pagination"]["total"] == len(expected)
        cursor = answer["pagination"].get("nextCursor")
        assert answer["pagination"]["hasMore"] == (cursor is not None)
        if cursor is None:
            break
        answer = (await ann.get(f"/trade/history?limit=2{query}&cursor={cursor}")).body
    assert "".join(found) == expected


async def test_where_the_order_is_another_there_is_no_cursor(ann: Trader) -> None:
    answer = (await ann.get("/trade/history?limit=2&sortBy=pnl")).body
    assert answer["pagination"] == {"total": 6, "limit": 2, "offset": 0, "hasMore": True}


async def test_trades_are_found_by_when_they_were_closed(ann: Trader) -> None:
    rows = {row["clientOrderId"]: row for row in (await ann.get("/trade/history")).body["data"]}
    ended = sorted((row["closedAt"], name) for name, row in rows.items() if row["closedAt"])
    for at, _ in ended:
        assert set(await names(ann, f"closedFrom={at}")) == {name for closed, name in ended if closed >= at}
        assert set(await names(ann, f"closedTo={at}")) == {name for closed, name in ended if closed <= at}
    assert await names(ann, f"closedFrom={ended[0][0]}&closedTo={ended[0][0]}&status=open") == ""


async def test_as_csv_all_that_match_come_with_the_text_of_the_json(ann: Trader) -> None:
    for query in ("", "tradeType=long", "sortOrder=asc", "status=open"):
        answer = await ann.get(f"/trade/history?format=csv&{query}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="trades.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.raw.decode(), newline="")))
        told = (await ann.get(f"/trade/history?{query}")).body["data"]
        assert [row["clientOrderId"] for row in rows] == [row["clientOrderId"] for row in told]
        for row, shown in zip(rows, told, strict=True):
            assert set(row) == ROW_KEYS | {"clientOrderId"}
            for name, value in shown.items():
                words = {None: "", True: "true", False: "false"}
                assert row[name] == (words[value] if value is None or isinstance(value, bool) else str(value)), name
    asked = await ann.get("/trade/history", headers={"Accept": "text/csv"})
    assert asked.raw == (await ann.get("/trade/history?format=csv")).raw
    assert (await ann.get("/trade/history?format=json", headers={"Accept": "text/csv"})).body["success"]


async def test_the_sums_cover_everything_that_matches_and_not_the_page(ann: Trader) -> None:
    everything = {
        "totalTrades": 6,
        "openTrades": 2,
        "closedTrades": 4,
        "profitableTrades": 1,
        "unprofitableTrades": 3,
        "liquidatedTrades": 1,
        "totalPnl": "39.000000",
    }
    assert (await ann.get("/trade/history")).body["analytics"] == everything
    assert (await ann.get("/trade/history?limit=1&offset=5")).body["analytics"] == everything
    longs = (await ann.get("/trade/history?tradeType=long&status=closed&limit=1")).body["analytics"]
    assert longs == everything | {"totalTrades": 3, "openTrades": 0, "closedTrades": 3, "unprofitableTrades": 2,
                                  "totalPnl": "40.000000"}  # fmt: skip


async def test_the_books_of_the_history_agree_with_the_account(ann: Trader) -> None:
    account = (await ann.get("/account")).body
    total = (await ann.get("/trade/history")).body["analytics"]["totalPnl"]
    assert (account["balance"], account["lockedMargin"], total) == ("4979.000000", "60.000000", "39.000000")


KNOWN = (
    "status, asset, tradeType, profitable, liquidated, fromDate, toDate, closedFrom, closedTo, limit, offset, cursor, "
    "sortBy, sortOrder, format"
)
CSV_WHOLE = "as CSV all trades come, in the order createdAt, without limit and offset"
DATE = "must be a date like 2024-08-05 or a time like 2024-08-05T06:00:00Z"


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("status=pending", "status", "status must be one of open, closed"),
        ("status=", "status", "status must be one of open, closed"),
        ("asset=XRP", "asset", "Invalid asset. Supported assets are SOL, ETH, BTC"),
        ("tradeType=buy", "tradeType", "tradeType must be one of long, short"),
        ("profitable=1", "profitable", "profitable must be one of true, false"),
        ("profitable=True", "profitable", "profitable must be one of true, false"),
        ("liquidated=yes", "liquidated", "liquidated must be one of true, false"),
        ("fromDate=yesterday", "fromDate", f"fromDate {DATE}"),
        ("fromDate=1769850902", "fromDate", f"fromDate {DATE}, not 1769850902, which looks like seconds"),
        (
            "fromDate=1799020800000",
            "fromDate",
            f"fromDate {DATE}, not 1799020800000, which looks like milliseconds",
        ),
        (
            "fromDate=2026-11-26T20:00:00+00:00",
            "fromDate",
            f"fromDate {DATE}; a + in a query stands for a space: write %2B before the offset",
        ),
        ("toDate=20260131", "toDate", f"toDate {DATE}, not 20260131, which looks like a date without dashes"),
        ("toDate=2026-W05-6", "toDate", f"toDate {DATE}"),
        ("toDate=2026-02-30", "toDate", "toDate is no day and time of the calendar"),
        ("asset=SOL&asset=BTC", "asset", "asset is given more than once"),
        ("status=closed&status=open", "status", "status is given more than once"),
        ("limit=5&limit=500", "limit", "limit is given more than once"),
        ("limit=5&lim%69t=5", "limit", "limit is given more than once"),
        ("toDate=", "toDate", f"toDate {DATE}"),
        ("limit=0", "limit", "limit must be a whole number from 1 to 500"),
        ("limit=501", "limit", "limit must be a whole number from 1 to 500"),
        ("limit=-1", "limit", "limit must be a whole number from 1 to 500"),
        ("limit=1.5", "limit", "limit must be a whole number from 1 to 500"),
        ("limit=ten", "limit", "limit must be a whole number from 1 to 500"),
        ("limit=" + "9" * 5000, "limit", "limit must be a whole number from 1 to 500"),
        ("limit=%EF%BC%95", "limit", "limit must be a whole number from 1 to 500"),
        ("offset=-1", "offset", "offset must be a whole number from 0 to 1000000000000"),
        ("offset=9999999999999999999", "offset", "offset must be a whole number from 0 to 1000000000000"),
        ("sortBy=size", "sortBy", "sortBy must be one of createdAt, closedAt, pnl, margin, leverage"),
        ("sortBy=pnl;DROP", "sortBy", "sortBy must be one of createdAt, closedAt, pnl, margin, leverage"),
        ("sortOrder=up", "sortOrder", "sortOrder must be one of asc, desc"),
        ("format=xml", "format", "format must be one of json, csv"),
        ("format=csv&limit=5", "format", CSV_WHOLE),
        ("format=csv&sortBy=pnl", "format", CSV_WHOLE),
        ("cursor=abc", "cursor", "cursor must be the nextCursor of the page before"),
        ("cursor=1-1&offset=1", "cursor", "cursor goes with the order createdAt, and without an offset"),
        ("cursor=1-1&sortBy=pnl", "cursor", "cursor goes with the order createdAt, and without an offset"),
        ("page=2", "page", f"page is not a known parameter; known are {KNOWN}"),
        ("userId=bob", "userId", f"userId is not a known parameter; known are {KNOWN}"),
    ],
)
async def test_a_bad_parameter_is_named(app: App, ann: Trader, query: str, field: str, message: str) -> None:
    with unchanged(app):
        refused = await ann.get(f"/trade/history?{query}")
    assert_error(refused, 400, "invalid_request", message, details=bad(field, message))


async def test_several_bad_parameters_are_all_listed_unknown_ones_first(ann: Trader) -> None:
    refused = await ann.get("/trade/history?limit=0&status=none&page=2")
    assert [problem["field"] for problem in refused.details] == ["page", "status", "limit"]
    assert refused.message == refused.details[0]["message"]


@pytest.mark.parametrize("query", ["%ED%A0%80=1", "status=%FF", "asset=%00", "=1", "&&&", "limit=5&limit=6"])
async def test_a_broken_query_is_never_an_internal_error(ann: Trader, query: str) -> None:
    assert (await ann.get(f"/trade/history?{query}")).status in (200, 400)


async def test_the_ends_of_what_parameters_allow_are_allowed(ann: Trader) -> None:
    assert await names(ann, "limit=1") == "f"
    assert await names(ann, "limit=500&offset=0") == "fedcba"
    assert await names(ann, "offset=1000000000000") == ""
    assert await names(ann, "profitable=false&liquidated=true") == "c"
    assert await names(ann, "sortBy=pnl&limit=2&offset=1") == "eb"
