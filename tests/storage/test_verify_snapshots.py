"""verify holds every snapshot against the state that the journal leads to."""

from pathlib import Path

import pytest

from exness.storage.files import SNAPSHOTS_DB
from exness.storage.sqlite import open_storage
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import random_trading
from tests.storage.agreeing import DESK, LAST, MIDDLE, SNAPSHOTS_AT, difference
from tests.storage.damage import (
    checked,
    save,
    tamper,
)
from tests.support.books import (
    Desk,
    deposit,
)
from tests.support.states import replayed

SNAPSHOT_DAMAGE = {
    "a byte of an account": "UPDATE chunks SET accounts = CAST(substr(accounts, 1, 9) || x'00' || "
    "substr(accounts, 11) AS BLOB)",
    "a chunk is gone": "DELETE FROM chunks",
    "a byte of the header": "UPDATE snapshots SET header = CAST(substr(header, 1, 20) || x'00' || "
    "substr(header, 22) AS BLOB)",
    "the digest": "UPDATE snapshots SET digest = 'f' || substr(digest, 2) || 'f'",
    "the number of chunks": "UPDATE snapshots SET chunks = chunks + 1",
    "the checksum": "UPDATE snapshots SET checksum = checksum + 1",
}


@pytest.mark.parametrize("what", SNAPSHOT_DAMAGE)
@pytest.mark.parametrize("seq", [1, LAST])
def test_a_damaged_snapshot_is_found(data_dir: Path, what: str, seq: int) -> None:
    tamper(data_dir / SNAPSHOTS_DB, f"{SNAPSHOT_DAMAGE[what]} WHERE seq = ?", seq)
    found = difference(data_dir)
    assert found.seq == seq
    assert f"snapshot {seq} does not restore: " in str(found)


async def test_a_snapshot_of_another_state_is_found_though_its_checksums_are_right(data_dir: Path) -> None:
    other = random_trading(22)
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        other.state.seq = MIDDLE
        await save(storage.snapshots, other.state)
    found = difference(data_dir)
    assert (found.seq, f"snapshot {MIDDLE} is not the state that the journal leads to" in str(found)) == (MIDDLE, True)


async def test_a_snapshot_with_another_time_is_found(data_dir: Path) -> None:
    """The digest does not cover it; but the clock would go on from there."""
    state = replayed(DESK.records[:MIDDLE])
    state.at += 1
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        await save(storage.snapshots, state)
    assert f"snapshot {MIDDLE} is not the state" in str(difference(data_dir))


async def test_a_snapshot_of_the_right_state_by_other_records_is_found(data_dir: Path) -> None:
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        state = replayed(DESK.records[:MIDDLE])
        right = await storage.journal.fingerprint(MIDDLE)
        await save(storage.snapshots, state, right)
        assert checked(data_dir).snapshots == len(SNAPSHOTS_AT)
        await save(storage.snapshots, state, right ^ 1)
    found = difference(data_dir)
    assert (found.seq, str(found).partition(": ")[2]) == (
        MIDDLE,
        f"snapshot {MIDDLE} is of another journal: the records up to it differ",
    )


async def test_a_snapshot_ahead_of_the_journal_is_found(data_dir: Path) -> None:
    ahead = Desk()
    ahead.engine.state = replayed(DESK.records)
    ahead.at = DESK.at
    ahead.do(deposit(DESK.state.account_list[0].id, "1"))
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        await save(storage.snapshots, ahead.state)
    found = difference(data_dir)
    assert (found.seq, f"snapshot {LAST + 1} is ahead of the journal" in str(found)) == (LAST, True)
