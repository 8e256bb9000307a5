"""verify: orders, exits, parts, rates and net positions agree, and what was made of them to be another is found."""

from pathlib import Path

import msgspec
import pytest

from exness.core.capture import digest_of
from exness.core.events import Record, TradeClosed
from exness.storage.files import MAIN_DB
from exness.storage.rows import ORDERS
from tests.contracts.stories import story
from tests.storage.agreeing import difference
from tests.storage.damage import checked, forge, make_directory, tamper

SEED = 1
RECORDS, STATE = story(SEED)


@pytest.fixture
async def told(tmp_path: Path) -> Path:
    await make_directory(tmp_path, RECORDS)
    return tmp_path


@pytest.mark.parametrize("seed", range(6))
async def test_any_story_agrees_with_its_tables_and_its_snapshots(tmp_path: Path, seed: int) -> None:
    records, state = story(seed)
    await make_directory(tmp_path, records, range(1, state.seq + 1, 40))
    report = checked(tmp_path)
    assert (report.digest, report.tables) == (digest_of(state), state.seq)


@pytest.mark.parametrize("column", ORDERS.columns)
async def test_an_order_that_was_tampered_with_is_found(told: Path, column: str) -> None:
    is_number = {name: int in (kind, *getattr(kind, "__args__", ())) for name, kind in _types().items()}[column]
    other = f"coalesce({column}, 0) + 100000" if is_number else f"coalesce({column}, '') || 'x'"
    tamper(told / MAIN_DB, f"UPDATE orders SET {column} = {other} WHERE number = (SELECT max(number) FROM orders)")
    assert "orders" in str(difference(told))


async def test_an_order_too_many_or_too_few_and_a_wrong_count_are_found(told: Path) -> None:
    tamper(told / MAIN_DB, "DELETE FROM orders WHERE number = (SELECT min(number) FROM orders)")
    assert "a row of orders" in str(difference(told))


async def test_a_count_of_orders_that_is_another_is_found(told: Path) -> None:
    tamper(told / MAIN_DB, "UPDATE sums SET orders = orders + 1")
    assert "a row of sums" in str(difference(told))


@pytest.mark.parametrize("field", ["filled", "commission_before", "realized_before"])
async def test_an_end_that_tells_another_life_of_its_trade_is_found(told: Path, field: str) -> None:
    record = next(each for each in RECORDS if isinstance(each.event, TradeClosed))
    forge(told, _changed(record, field))
    found = difference(told)
    assert found.seq == record.seq


def _changed(record: Record, field: str) -> Record:
    event = record.event
    assert isinstance(event, TradeClosed)
    return msgspec.structs.replace(record, event=msgspec.structs.replace(event, **{field: getattr(event, field) + 1}))


def _types() -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(ORDERS.row)}
