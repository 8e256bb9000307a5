"""Snapshots in SQLite: the file does not grow, and damage anywhere is found."""

from pathlib import Path

import pytest

from exness.core.capture import Header
from exness.runtime.ports.snapshots import SnapshotDamaged, Snapshots
from exness.storage import snapshots
from exness.storage.files import SNAPSHOTS_DB
from exness.storage.sqlite import open_storage
from tests.contracts.backends import INSTRUMENTS, with_own_connection
from tests.contracts.trading import picture, random_trading

NOISE = [bytes((seed * 7 + n * n) % 251 for n in range(2000)) for seed in range(100)]
"""Accounts that are none: snapshots do not look into them."""


async def save(snapshots: Snapshots, seq: int, accounts: list[bytes]) -> None:
    header = Header(seq=seq, at=seq, accounts=len(accounts), house_pnl=0, deposits=0, shortfall=0)
    async with snapshots.draft(header) as draft:
        for start in range(0, len(accounts), 10):
            await draft.add(accounts[start : start + 10])
        await draft.commit()


async def test_fifty_snapshots_with_ten_kept_do_not_grow_the_file(tmp_path: Path) -> None:
    pages: list[object] = []
    async with open_storage(tmp_path, INSTRUMENTS, snapshots_kept=10) as storage:
        for seq in range(1, 51):
            await save(storage.snapshots, seq, [f"{seq}".encode() + blob for blob in NOISE])
            pages += with_own_connection(tmp_path / SNAPSHOTS_DB, "PRAGMA page_count")[0]
    chunks = with_own_connection(tmp_path / SNAPSHOTS_DB, "SELECT DISTINCT seq FROM chunks ORDER BY seq")
    assert chunks == [(seq,) for seq in range(41, 51)]
    eleven_at_once = pages[10]
    assert isinstance(eleven_at_once, int)
    assert max(pages[11:]) <= eleven_at_once * 1.05  # type: ignore[type-var, operator]
    assert (tmp_path / SNAPSHOTS_DB).stat().st_size <= eleven_at_once * 1.05 * 4096


async def test_the_file_shrinks_when_the_state_does(tmp_path: Path) -> None:
    path = tmp_path / SNAPSHOTS_DB
    async with open_storage(tmp_path, INSTRUMENTS, snapshots_kept=3) as storage:
        for seq in range(1, 5):
            await save(storage.snapshots, seq, [bytes([seq]) + blob for blob in NOISE * 5])
    large = path.stat().st_size
    async with open_storage(tmp_path, INSTRUMENTS, snapshots_kept=3) as storage:
        for seq in range(5, 10):
            await save(storage.snapshots, seq, NOISE[:1])
    assert path.stat().st_size < large / 4


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE snapshots SET header = CAST(x'81a373657101' AS BLOB)",
        "UPDATE snapshots SET digest = 'f' || substr(digest, 2) || 'f'",
        "UPDATE snapshots SET digest = CAST(x'ff' AS TEXT)",
        "UPDATE snapshots SET chunks = chunks - 1",
        "UPDATE snapshots SET stored_bytes = 1",
        "UPDATE snapshots SET checksum = checksum + 1",
        "UPDATE chunks SET accounts = substr(accounts, 2) WHERE n = 0",
        "UPDATE chunks SET accounts = x'' WHERE n = 1",
        "UPDATE chunks SET checksum = checksum - 1 WHERE n = 1",
        "UPDATE chunks SET n = 1000 WHERE n = 0",
        "DELETE FROM chunks",
    ],
)
async def test_damage_to_any_column_is_found(tmp_path: Path, damage: str) -> None:
    header, chunks = picture(random_trading(1).state, budget=1)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        async with storage.snapshots.draft(header) as draft:
            for accounts in chunks:
                await draft.add(accounts)
            await draft.commit()
        with_own_connection(tmp_path / SNAPSHOTS_DB, damage)
        with pytest.raises(SnapshotDamaged, match=f"snapshot {header.seq} is damaged"):
            [_ async for _ in storage.snapshots.accounts(header.seq)]
        assert [info.seq for info in await storage.snapshots.infos()] == [header.seq]


async def test_chunks_that_changed_places_are_found_by_the_digest(tmp_path: Path) -> None:
    header, chunks = picture(random_trading(1).state, budget=1)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        async with storage.snapshots.draft(header) as draft:
            for accounts in chunks:
                await draft.add(accounts)
            await draft.commit()
        with_own_connection(tmp_path / SNAPSHOTS_DB, "UPDATE chunks SET n = 1 - n + 100 WHERE n IN (0, 1)")
        with_own_connection(tmp_path / SNAPSHOTS_DB, "UPDATE chunks SET n = n - 100 WHERE n >= 100")
        with pytest.raises(SnapshotDamaged, match="its accounts do not match its digest"):
            [_ async for _ in storage.snapshots.accounts(header.seq)]


@pytest.mark.parametrize("at_once", [1, 3, 10, 16])
async def test_chunks_come_in_their_order_however_many_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(snapshots, "CHUNKS_PER_READ", at_once)
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        await save(storage.snapshots, 1, NOISE)
        read = [accounts async for accounts in storage.snapshots.accounts(1)]
        assert [account for accounts in read for account in accounts] == NOISE
        assert len(read) == -(-10 // at_once)
        with_own_connection(tmp_path / SNAPSHOTS_DB, "UPDATE chunks SET checksum = checksum + 1 WHERE n = 7")
        with pytest.raises(SnapshotDamaged, match="chunk 7 does not match its checksum"):
            [_ async for _ in storage.snapshots.accounts(1)]
