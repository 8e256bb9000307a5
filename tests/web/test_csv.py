"""web/v1/export.py: lists as CSV, whole, bounded, and without holding the loop."""

import asyncio
import contextlib
import csv
import io
import tracemalloc
from functools import partial
from typing import Any, cast

import msgspec
import pytest

from exness.runtime.ports.tables import History, Place, TradeQuery, TradeRow
from exness.web.v1 import export
from exness.web.v1.export import EXPORTS, MOST_EXPORTS
from tests.support.app import App, Trader, assert_error, bad, running_app
from tests.support.books import SOL
from tests.support.history import UnaskedHistory
from tests.support.waiting import until


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


class LongHistory(UnaskedHistory):
    """A History of very many trades, all alike."""

    def __init__(self, inner: History, trades: int) -> None:
        self.inner, self.count = inner, trades
        self.row: TradeRow | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def walk(self, query: TradeQuery) -> tuple[list[TradeRow], Place | None]:
        if self.row is None:
            (self.row, *_), _ = await self.inner.walk(query)
        given = 0 if query.beyond is None else query.beyond.seq
        count = min(query.limit, self.count - given)
        rows = [msgspec.structs.replace(self.row, seq=given + number + 1) for number in range(count)]
        return rows, Place(0, given + count) if given + count < self.count else None


def long(trades: int, inner: History) -> History:
    return cast(History, LongHistory(inner, trades))


async def export_of(app: App, trader: Trader, query: str = "") -> tuple[int, int, str]:
    """Bytes, lines and the last line of an export of trades, of which nothing is kept."""
    assert app.http is not None
    size = lines = 0
    last = b""
    headers = {"Authorization": f"Bearer {trader.token}"}
    async with app.http.get(f"{app.url}/api/v1/trade/history?format=csv{query}", headers=headers) as response:
        assert response.status == 200
        async for chunk in response.content.iter_any():
            size, lines, last = size + len(chunk), lines + chunk.count(b"\n"), chunk[-500:]
    return size, lines, last.decode().rsplit("\r\n", 2)[-2]


async def test_a_long_export_takes_the_memory_of_a_page_and_others_are_served_meanwhile() -> None:
    async with running_app(history=partial(long, 30_000)) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        await ann.create()
        tracemalloc.start()
        try:
            exporting = asyncio.create_task(export_of(app, ann))
            served = 0
            while not exporting.done():
                assert (await bob.get("/balance")).status == 200
                served += 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        size, lines, _ = await exporting
        assert lines == 30_001
        assert size > 5_000_000
        assert peak < size / 2, "it is written as it is read"
        assert served > 100, "they wait for some rows at most"


async def test_what_a_spreadsheet_would_take_for_a_formula_is_text_and_a_number_is_none(app: App, ann: Trader) -> None:
    names = ["=1+1", "+1", "-x", "@sum", "plain", 'with "quotes", and commas', "-1.5"]
    for name in names:
        await ann.create(clientOrderId=name, margin=1)
    answer = await ann.get("/trade/history?format=csv&sortOrder=asc")
    told = [row["clientOrderId"] for row in rows_of(answer.raw.decode())]
    assert told == ["'=1+1", "'+1", "'-x", "'@sum", "plain", 'with "quotes", and commas', "-1.5"]


async def test_a_statement_comes_whole_as_csv(app: App, ann: Trader) -> None:
    for _ in range(3):
        trade = await ann.create(margin=1)
        await ann.close(trade["orderId"])
    answer = await ann.get("/account/statement?format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="statement.csv"'
    told = (await ann.get("/account/statement?limit=500")).body["data"]
    shown = [{name: str(value) for name, value in row.items()} for row in told]
    assert [{name: text for name, text in row.items() if text} for row in rows_of(answer.raw.decode())] == shown
    message = "as CSV all rows come, without a limit"
    refused = await ann.get("/account/statement?format=csv&limit=5")
    assert_error(refused, 400, "invalid_request", message, details=bad("format", message))


async def test_candles_come_as_csv_without_a_session(app: App) -> None:
    await app.quote(SOL, "201")
    answer = await app.get("/klines?asset=SOL&interval=1m&format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="SOL-1m.csv"'
    (row,) = rows_of(answer.raw.decode())
    (candle,) = (await app.get("/klines?asset=SOL&interval=1m")).body
    assert {name: text for name, text in row.items() if text} == {name: str(each) for name, each in candle.items()}


async def test_an_export_of_nothing_has_its_columns(ann: Trader) -> None:
    answer = await ann.get("/trade/history?format=csv")
    assert answer.raw.decode().startswith("orderId,clientOrderId,asset,type,margin,leverage,")
    assert answer.raw.count(b"\n") == 1


async def test_more_than_so_many_at_a_time_are_refused_at_once(app: App, ann: Trader) -> None:
    exports = app.runner.app[EXPORTS]
    for _ in range(MOST_EXPORTS):
        exports.__enter__()
    assert_error(await ann.get("/trade/history?format=csv"), 503, "overloaded", retry=True)
    assert_error(await ann.get("/account/statement?format=csv"), 503, "overloaded", retry=True)
    exports.__exit__()
    assert (await ann.get("/trade/history?format=csv")).status == 200
    assert (await ann.get("/trade/history?format=csv")).status == 200, "it gives its place back"


async def test_who_takes_nothing_is_cut_off_and_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "WRITE_S", 0.2)
    async with running_app(history=partial(long, 10_000_000)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await ann.create()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(app.url.rpartition(":")[2]), limit=1024)
        head = f"GET /api/v1/trade/history?format=csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ann.token}\r\n\r\n"
        writer.write(head.encode())
        exports = app.runner.app[EXPORTS]
        await until(lambda: exports.running == 1)
        await until(lambda: exports.running == 0, "for the place to be given back", within_s=20)
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(1 << 16):
                rest += part
        writer.close()
        assert b"200 OK" in rest
        assert not rest.endswith(b"0\r\n\r\n"), "an answer that was cut off has no end"
