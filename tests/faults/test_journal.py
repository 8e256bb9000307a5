"""The journal's bits on disk, changed while nobody looked: what a start of the real process makes of it.

How each was seen to fail with its guard taken out (the guard, then the tests that failed):
- no checksum comparison in `codec.check_row`: the flipped bits, newest and in the middle (nothing is noticed)
- `repair.cut` leaves the snapshots: the torn newest record (the next start refuses)
- no `_check_covered` in `app`: damage under a snapshot (it serves on)
"""

import asyncio
import json
from pathlib import Path

import pytest

from exness.storage.files import JOURNAL_DB
from tests.faults.trading import (
    WAIT_S,
    killed_after_trading,
    notes,
    refusal_to_start,
    verified,
)
from tests.storage.damage import flip_in_record, row_of, tamper
from tests.storage.tables import journal_rows
from tests.support.process import DidNotStart, Server, finished


def newest(data_dir: Path) -> int:
    seq = journal_rows(data_dir, "SELECT max(seq) FROM journal")[0][0]
    assert isinstance(seq, int)
    return seq


@pytest.mark.parametrize("column", ["at", "kind", "payload", "request", "checksum"])
async def test_a_flipped_bit_in_the_newest_record_refuses_to_start_and_is_cut_on_request_only(
    tmp_path: Path, column: str
) -> None:
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir)
    last = newest(data_dir)
    flip_in_record(data_dir, last, column)
    damaged = row_of(data_dir, last)
    for _ in range(2):
        sentence = await refusal_to_start(data_dir)
        assert f"journal record {last} is damaged" in sentence
        assert "it is the newest one: `exness repair` shows what is left of it, and cuts it on request" in sentence
    shown = await finished("repair", "--data-dir", str(data_dir), cwd=tmp_path)
    assert shown.code == 1
    assert f"journal record {last} is damaged" in shown.output
    assert f"`exness repair --cut` removes record {last}, what it did is lost" in shown.errors
    assert row_of(data_dir, last) == damaged, "nothing was changed"
    done = await finished("repair", "--cut", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert json.loads((data_dir / f"journal.cut-{last}.json").read_text())["row"]["seq"] == str(last)
    async with Server(data_dir) as server:
        assert notes(server) == []
        assert server.recovered.seq == last - 1
        reopened = books.closed.pop()
        await books.assert_kept(server)
        assert (await books.close(server, reopened["orderId"])).status == 200
        server.kill()
        await server.restart()
        await books.assert_kept(server)
        assert await server.stop() == 0
    await verified(data_dir)


@pytest.mark.parametrize("torn", ["half of it", "zeros", "nothing"])
async def test_a_torn_newest_record_under_a_snapshot_is_cut_with_it(tmp_path: Path, torn: str) -> None:
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir)
    async with Server(data_dir) as server:
        assert await server.stop() == 0  # which takes a snapshot of it all
    last = newest(data_dir)
    payload = row_of(data_dir, last)[3]
    written = {"half of it": payload[: len(payload) // 2], "zeros": "\x00" * len(payload), "nothing": ""}[torn]
    tamper(data_dir / JOURNAL_DB, "UPDATE journal SET payload = ? WHERE seq = ?", written, last)
    assert "`exness repair`" in await refusal_to_start(data_dir)
    done = await finished("repair", "--cut", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    async with Server(data_dir) as server:
        assert (notes(server), server.recovered.seq) == ([], last - 1)
        books.closed.pop()
        await books.assert_kept(server)
        assert (await books.create(server)).status == 200
        assert await server.stop() == 0
    await verified(data_dir)


async def test_a_whole_journal_has_nothing_to_repair_and_damage_in_the_middle_is_not_cut(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await killed_after_trading(data_dir)
    done = await finished("repair", "--cut", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, "there is nothing to repair" in done.output) == (0, True)
    flip_in_record(data_dir, 3, "payload")
    before = journal_rows(data_dir, "SELECT * FROM journal")
    done = await finished("repair", "--cut", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, "journal record 3 is damaged" in done.output) == (1, True)
    assert "it is not the newest record, so it can't be cut: restore a backup" in done.errors
    assert journal_rows(data_dir, "SELECT * FROM journal") == before


@pytest.mark.parametrize("damage", ["flipped bit", "lost record"])
async def test_damage_in_the_middle_refuses_to_start_and_says_which_record_and_what_to_do(
    tmp_path: Path, damage: str
) -> None:
    data_dir = tmp_path / "data"
    await killed_after_trading(data_dir)
    spoil(data_dir, damage)
    before = journal_rows(data_dir, "SELECT * FROM journal")
    sentence = await refusal_to_start(data_dir)
    assert "journal record 3 is damaged" in sentence
    assert "it is not the last one, so it can't be cut: restore a backup (`exness restore`)" in sentence
    assert await refusal_to_start(data_dir) == sentence
    assert journal_rows(data_dir, "SELECT * FROM journal") == before, "nothing is repaired by guessing"
    done = await finished("verify", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, "at journal record 3" in done.errors) == (1, True)


def spoil(data_dir: Path, damage: str) -> None:
    if damage == "flipped bit":
        flip_in_record(data_dir, 3, "payload")
    else:
        tamper(data_dir / JOURNAL_DB, "DELETE FROM journal WHERE seq = 3")


@pytest.mark.parametrize("damage", ["flipped bit", "lost record"])
async def test_damage_under_a_snapshot_stops_the_server_once_it_is_found_behind_the_port(
    tmp_path: Path, damage: str
) -> None:
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir)
    async with Server(data_dir) as server:
        for _ in range(1100 // 2):  # so that the snapshot's fingerprint does not reach back to it
            created = await books.create(server)
            assert (await books.close(server, created.body["orderId"])).status == 200
        assert await server.stop() == 0  # which takes a snapshot of it all
    spoil(data_dir, damage)
    server = Server(data_dir)
    try:
        async with server, asyncio.timeout(WAIT_S):
            assert await server.wait() == 1
        errors = server.errors
    except DidNotStart as early:  # it is found at once in a short journal
        errors = early.errors.splitlines()
    assert "journal record 3 is damaged" in errors[-1]
    assert "restore a backup (`exness restore`)" in errors[-1]
    assert not any("Traceback" in line for line in errors)


async def test_a_journal_cut_short_is_refused_and_named(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await killed_after_trading(data_dir)
    async with Server(data_dir) as server:
        assert await server.stop() == 0  # everything is in the file now
    path = data_dir / JOURNAL_DB
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    sentence = await refusal_to_start(data_dir)
    assert "journal.db" in sentence
    assert "restore a backup" in sentence
