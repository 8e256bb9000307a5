"""GET /trade/history where it is refused: too much to look at, or tables that do not come."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from exness.core.events import Record
from exness.runtime import projector
from exness.runtime.ports.journal import StorageError
from exness.storage import history
from tests.support.app import Stores, running_app
from tests.support.memory_storage import MemoryTables


async def test_a_question_that_would_look_at_too_many_trades_is_told_to_narrow_its_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LOOKED_AT", 2)
    async with Stores.sqlite(tmp_path) as stores, running_app(stores) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        for _ in range(4):
            await ann.create(margin=1)
        for query in ("limit=2", "limit=2&sortOrder=asc", "offset=4"):
            assert (await ann.get(f"/trade/history?{query}")).status == 200
        for query in ("limit=3", "tradeType=long", "sortBy=pnl", "offset=2"):
            answer = await ann.get(f"/trade/history?{query}")
            assert (answer.status, answer.code) == (400, "invalid_request"), query
            (detail,) = answer.body["details"]
            assert detail["field"] == "fromDate"
            assert "more than 2 trades would have to be looked at: narrow the span" in detail["message"]


async def test_history_that_the_tables_do_not_come_to_is_refused_and_trading_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projector, "WAIT_S", 0.02)
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        with monkeypatch.context() as patch:

            async def fails(self: MemoryTables, records: Sequence[Record]) -> None:
                raise StorageError("the disk is full")

            patch.setattr(MemoryTables, "write", fails)
            created = await ann.create(margin=1)
            answer = await ann.get("/trade/history")
            assert (answer.status, answer.code, "Retry-After" in answer.headers) == (503, "overloaded", True)
            assert (await ann.get("/trade/open")).body["data"][0]["orderId"] == created["orderId"]
        monkeypatch.setattr(projector, "WAIT_S", 10)
        assert (await ann.get("/trade/history")).body["data"][0]["orderId"] == created["orderId"]
