"""The journal's bits on disk, changed while nobody looked: what a start of the real process makes of it.

How each was seen to fail with its guard taken out (the guard, then the tests that failed):
- no checksum comparison in `codec.check_row`: the flipped bits, newest and in the middle (nothing is noticed)
- `mend` answers False: the flipped and the torn newest record (an acknowledged trade is gone)
- `recover` neither mends nor cuts: the same, and the one that is cut (no start)
- no `journal.check` before the snapshot: damage in the middle that a snapshot covers (it starts)
"""

from pathlib import Path

import pytest

from exness.storage.sqlite import MAIN_DB
from tests.faults.trading import (
    SNAPSHOTS_OFTEN,
    killed_after_trading,
    notes,
    refusal_to_start,
    verified,
)
from tests.storage.damage import flip_in_record, row_of, tamper
from tests.storage.tables import rows
from tests.support.process import Server, finished


def newest(data_dir: Path) -> int:
    seq = rows(data_dir, "SELECT max(seq) FROM journal")[0][0]
    assert isinstance(seq, int)
    return seq


@pytest.mark.parametrize("column", ["at", "kind", "payload", "request", "checksum"])
async def test_a_flipped_bit_in_the_newest_record_loses_nothing_and_is_said(tmp_path: Path, column: str) -> None:
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir)
    digest, last = await verified(data_dir), newest(data_dir)
    whole = row_of(data_dir, last)
    flip_in_record(data_dir, last, column)
    async with Server(data_dir) as server:
        (note,) = notes(server)
        assert f"journal record {last} is damaged" in note
        assert "it was the last one and has been cut and written anew from the tables: nothing is lost" in note
        assert server.banner("state") == digest
        await books.assert_kept(server)
        assert await server.stop() == 0
    assert row_of(data_dir, last) == whole
    assert await verified(data_dir) == digest


@pytest.mark.parametrize("torn", ["half of it", "zeros", "nothing"])
async def test_a_torn_newest_record_loses_nothing_and_is_said(tmp_path: Path, torn: str) -> None:
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir, env=SNAPSHOTS_OFTEN)
    digest, last = await verified(data_dir), newest(data_dir)
    payload = row_of(data_dir, last)[3]
    written = {"half of it": payload[: len(payload) // 2], "zeros": "\x00" * len(payload), "nothing": ""}[torn]
    tamper(data_dir / MAIN_DB, "UPDATE journal SET payload = ? WHERE seq = ?", written, last)
    async with Server(data_dir) as server:
        assert "nothing is lost" in notes(server)[0]
        assert server.banner("state") == digest
        await books.assert_kept(server)
        assert (await books.create(server)).status == 200
        assert await server.stop() == 0
    await verified(data_dir)


async def test_a_newest_record_that_the_tables_do_not_confirm_is_cut_and_said(tmp_path: Path) -> None:
    """Then nothing can be known of it. All the others stay, and the directory agrees with itself."""
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir)
    last = newest(data_dir)
    flip_in_record(data_dir, last, "payload")
    tamper(data_dir / MAIN_DB, "UPDATE trades SET close_price = close_price + 1 WHERE closed_seq = ?", last)
    async with Server(data_dir) as server:
        (note,) = notes(server)
        assert note.endswith("it was the last one and has been cut")
        assert server.recovered.seq == last - 1
        reopened = books.closed.pop()
        await books.assert_kept(server)
        assert (await books.close(server, reopened["orderId"])).status == 200
        server.kill()
        await server.restart()
        assert notes(server) == []
        await books.assert_kept(server)
        assert await server.stop() == 0
    await verified(data_dir)


@pytest.mark.parametrize("covered", [False, True], ids=["replayed", "under a snapshot"])
@pytest.mark.parametrize("damage", ["flipped bit", "lost record"])
async def test_damage_in_the_middle_refuses_to_start_and_says_which_record_and_what_to_do(
    tmp_path: Path, damage: str, covered: bool
) -> None:
    data_dir = tmp_path / "data"
    books = await killed_after_trading(data_dir)
    if covered:
        async with Server(data_dir) as server:
            await books.create(server)
            assert await server.stop() == 0  # which takes a snapshot of it all
        async with Server(data_dir) as server:
            assert (server.recovered.snapshot, server.recovered.replayed) == (newest(data_dir), 0)
            await books.create(server)
            server.kill()
            await server.wait()
    if damage == "flipped bit":
        flip_in_record(data_dir, 3, "payload")
    else:
        tamper(data_dir / MAIN_DB, "DELETE FROM journal WHERE seq = 3")
    before = rows(data_dir, "SELECT * FROM journal")
    sentence = await refusal_to_start(data_dir)
    assert "journal record 3 is damaged" in sentence
    assert "it is not the last one, so it can't be cut: restore a backup (`exness restore`)" in sentence
    assert await refusal_to_start(data_dir) == sentence
    assert rows(data_dir, "SELECT * FROM journal") == before, "nothing is repaired by guessing"
    done = await finished("verify", "--data-dir", str(data_dir), cwd=tmp_path)
    assert (done.code, "at journal record 3" in done.errors) == (1, True)


async def test_a_main_db_cut_short_is_refused_and_named(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await killed_after_trading(data_dir)
    async with Server(data_dir) as server:
        assert await server.stop() == 0  # everything is in main.db now
    path = data_dir / MAIN_DB
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    sentence = await refusal_to_start(data_dir)
    assert "main.db" in sentence
    assert "restore a backup" in sentence
