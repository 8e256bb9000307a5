"""runtime/recovery.py: newest whole snapshot plus the journal after it. What can't be trusted is not guessed."""

from collections.abc import Callable

import msgspec
import pytest

from exness.core.capture import Capture, digest_of
from exness.core.engine import Done
from exness.core.state import State
from exness.runtime import recovery
from exness.runtime.ports import StorageError
from exness.runtime.recovery import Recovered, recover
from exness.storage.memory import MemoryJournal, MemorySnapshot, MemorySnapshots
from tests.support.books import (
    BOB,
    ETH,
    SECOND,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    digest_and_interest,
    known_history,
    make_engine,
    open_trade,
    tick,
)
from tests.support.states import replayed


async def journal_of(desk: Desk) -> MemoryJournal:
    journal = MemoryJournal()
    await journal.append(desk.records)
    return journal


def state_at(desk: Desk, seq: int) -> State:
    """The state that the first `seq` records make."""
    return replayed(desk.records[:seq])


async def store(snapshots: MemorySnapshots, state: State) -> None:
    with Capture(state) as capture:
        async with snapshots.draft(capture.header) as draft:
            while accounts := capture.take(1):
                await draft.add(accounts)
            await draft.commit()


async def snapshots_of(desk: Desk, *seqs: int) -> MemorySnapshots:
    """Snapshots of what this desk's state was at these places."""
    snapshots = MemorySnapshots()
    for seq in seqs:
        await store(snapshots, state_at(desk, seq))
    return snapshots


def assert_same(recovered: Recovered, desk: Desk) -> None:
    """The recovered state is the desk's, prices aside, and goes on like it."""
    assert digest_and_interest(recovered.state) == digest_and_interest(desk.state)
    assert recovered.digest == digest_of(desk.state)
    assert (recovered.state.seq, recovered.state.at) == (desk.state.seq, desk.state.at)
    assert_books_balance(recovered.state)
    after = make_engine()
    after.state = recovered.state
    for command in (
        deposit(BOB, "1"),
        tick(SOL, "200"),
        open_trade("later"),
        tick(SOL, "1"),
        tick(ETH, "2949"),
        close_trade("o-4", BOB),
    ):
        here, there = after.execute(command, desk.at), desk.engine.execute(command, desk.at)
        assert here == there
        assert not (isinstance(here, Done) and here.more)
    assert digest_and_interest(recovered.state) == digest_and_interest(desk.state)


async def test_nothing_is_recovered_to_an_empty_state() -> None:
    recovered = await recover(MemoryJournal(), MemorySnapshots())
    assert (recovered.state.seq, recovered.snapshot_seq, recovered.replayed, recovered.notes) == (0, 0, 0, [])
    assert recovered.digest == digest_of(State())
    assert recovered.seconds >= 0


async def test_without_a_snapshot_the_whole_journal_is_replayed() -> None:
    desk = known_history()
    recovered = await recover(await journal_of(desk), MemorySnapshots())
    assert (recovered.snapshot_seq, recovered.replayed) == (0, len(desk.records))
    assert recovered.notes == []
    assert_same(recovered, desk)


@pytest.mark.parametrize("seq", range(1, len(known_history().records) + 1))
async def test_a_snapshot_at_any_place_and_the_tail_after_it_give_the_same(seq: int) -> None:
    desk = known_history()
    recovered = await recover(await journal_of(desk), await snapshots_of(desk, seq))
    assert (recovered.snapshot_seq, recovered.replayed) == (seq, len(desk.records) - seq)
    assert recovered.notes == []
    assert_same(recovered, desk)


async def test_the_newest_snapshot_is_used() -> None:
    desk = known_history()
    recovered = await recover(await journal_of(desk), await snapshots_of(desk, 2, 7, 5))
    assert recovered.snapshot_seq == 7
    assert_same(recovered, desk)


async def test_prices_are_not_recovered_the_feed_brings_new_ones() -> None:
    desk = known_history()
    recovered = await recover(await journal_of(desk), await snapshots_of(desk, 5))
    assert all(market.price is None for market in recovered.state.markets.values())


def lose_an_account(snapshot: MemorySnapshot) -> None:
    snapshot.chunks.pop()


def garble_an_account(snapshot: MemorySnapshot) -> None:
    snapshot.chunks[0] = [b"\xc1 this is no account"]


def flip_a_bit(snapshot: MemorySnapshot) -> None:
    (account,) = snapshot.chunks[1]
    snapshot.chunks[1] = [account[:-1] + bytes([account[-1] ^ 1])]


def change_the_digest(snapshot: MemorySnapshot) -> None:
    snapshot.digest = "0" * 64


def change_the_books(snapshot: MemorySnapshot) -> None:
    snapshot.header = msgspec.structs.replace(snapshot.header, house_pnl=snapshot.header.house_pnl + 1)


DAMAGES = [lose_an_account, garble_an_account, flip_a_bit, change_the_digest, change_the_books]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_snapshot_falls_back_to_the_one_before(damage: Callable[[MemorySnapshot], None]) -> None:
    desk = known_history()
    snapshots = await snapshots_of(desk, 3, 5, 7)
    damage(snapshots.stored[7])
    recovered = await recover(await journal_of(desk), snapshots)
    assert (recovered.snapshot_seq, recovered.replayed) == (5, len(desk.records) - 5)
    assert len(recovered.notes) == 1
    assert recovered.notes[0].startswith("snapshot 7 is damaged")
    assert_same(recovered, desk)


async def test_when_every_snapshot_is_damaged_the_journal_alone_is_enough() -> None:
    desk = known_history()
    snapshots = await snapshots_of(desk, 3, 5, 7)
    for seq, damage in zip((3, 5, 7), DAMAGES, strict=False):
        damage(snapshots.stored[seq])
    recovered = await recover(await journal_of(desk), snapshots)
    assert (recovered.snapshot_seq, len(recovered.notes)) == (0, 3)
    assert_same(recovered, desk)


async def test_a_snapshot_ahead_of_the_journal_is_left_out_and_said_so() -> None:
    desk = known_history()
    snapshots = await snapshots_of(desk, 4, 8)
    journal = MemoryJournal()
    await journal.append(desk.records[:6])
    recovered = await recover(journal, snapshots)
    assert (recovered.snapshot_seq, recovered.state.seq, recovered.replayed) == (4, 6, 2)
    assert recovered.digest == digest_of(state_at(desk, 6))
    assert len(recovered.notes) == 1
    assert recovered.notes[0].startswith("snapshot 8 is ahead of the journal, which ends at 6")


async def test_a_snapshot_that_was_ahead_does_not_come_back_once_the_journal_has_grown_past_it() -> None:
    """It shows what never happened: after the restart other things happened under the same numbers."""
    desk = known_history()
    snapshots = await snapshots_of(desk, 4, 8)
    journal = MemoryJournal()
    await journal.append(desk.records[:6])
    after = make_engine()
    after.state = (await recover(journal, snapshots)).state
    for _ in range(5):
        outcome = after.execute(deposit(BOB, "1"), desk.at)
        assert isinstance(outcome, Done)
        await journal.append(outcome.records)
    again = await recover(journal, snapshots)
    assert again.state.seq == 11
    assert again.digest == digest_of(after.state)
    assert again.notes == []


def damage_row(journal: MemoryJournal, seq: int) -> None:
    number, at, kind, payload, request, checksum = journal.rows[seq - 1]
    journal.rows[seq - 1] = (number, at, kind, payload[:-1] + " ", request, checksum)


async def test_a_damaged_last_record_is_cut_and_said_so() -> None:
    desk = known_history()
    journal, last = await journal_of(desk), len(desk.records)
    damage_row(journal, last)
    recovered = await recover(journal, MemorySnapshots())
    assert recovered.state.seq == last - 1
    assert recovered.digest == digest_of(state_at(desk, last - 1))
    assert_books_balance(recovered.state)
    assert len(recovered.notes) == 1
    assert f"record {last} is damaged" in recovered.notes[0]
    assert "cut" in recovered.notes[0]
    assert await journal.last_seq() == last - 1
    again = await recover(journal, MemorySnapshots())
    assert (again.digest, again.notes) == (recovered.digest, [])


async def test_after_a_cut_the_journal_goes_on_with_the_number_of_the_record_that_was_cut() -> None:
    desk = known_history()
    journal, last = await journal_of(desk), len(desk.records)
    damage_row(journal, last)
    engine = make_engine()
    engine.state = (await recover(journal, await snapshots_of(desk, 5))).state
    outcome = engine.execute(deposit(BOB, "1"), desk.at + SECOND)
    assert isinstance(outcome, Done)
    assert outcome.records[0].seq == last
    await journal.append(outcome.records)
    assert (await recover(journal, MemorySnapshots())).digest == digest_of(engine.state)


@pytest.mark.parametrize("seq", [1, 5, len(known_history().records) - 1])
async def test_damage_in_the_middle_refuses_to_start_and_names_the_record(seq: int) -> None:
    desk = known_history()
    journal = await journal_of(desk)
    rows = list(journal.rows)
    damage_row(journal, seq)
    damaged = list(journal.rows)
    with pytest.raises(StorageError, match=rf"record {seq} is damaged") as refusal:
        await recover(journal, MemorySnapshots())
    assert "\n" not in str(refusal.value)
    assert journal.rows == damaged  # nothing was cut or repaired by guessing
    assert journal.rows != rows


async def test_a_snapshot_does_not_hide_damage_that_lies_before_it() -> None:
    """The journal is the audit trail: it must be whole even where it is not needed to get back."""
    desk = known_history()
    journal = await journal_of(desk)
    damage_row(journal, 3)
    with pytest.raises(StorageError, match="record 3 is damaged"):
        await recover(journal, await snapshots_of(desk, 5))


async def test_a_last_record_that_was_cut_takes_the_snapshot_of_it_along() -> None:
    desk = known_history()
    journal, last = await journal_of(desk), len(desk.records)
    damage_row(journal, last)
    snapshots = await snapshots_of(desk, 5, last)
    recovered = await recover(journal, snapshots)
    assert (recovered.snapshot_seq, recovered.state.seq) == (5, last - 1)
    assert recovered.digest == digest_of(state_at(desk, last - 1))
    assert list(snapshots.stored) == [5]


async def test_snapshots_without_a_journal_refuse_to_start_as_if_nothing_had_happened() -> None:
    desk = known_history()
    with pytest.raises(StorageError, match="the journal is empty, but there is a snapshot of record 5"):
        await recover(MemoryJournal(), await snapshots_of(desk, 5))


async def test_a_hole_in_the_journal_refuses_to_start_and_names_it() -> None:
    desk = known_history()
    journal = await journal_of(desk)
    del journal.rows[4]
    rows = list(journal.rows)
    with pytest.raises(StorageError, match="record 5 is damaged"):
        await recover(journal, MemorySnapshots())
    assert journal.rows == rows


async def test_a_record_that_does_not_fit_the_state_before_it_refuses_to_start_and_names_it() -> None:
    """Whole by its checksum, but of another history: nothing goes on from there."""
    desk = known_history()
    other = Desk()
    other.records = [msgspec.structs.replace(record) for record in desk.records]
    misfit = next(number for number, record in enumerate(desk.records) if getattr(record.event, "account", None) == BOB)
    del other.records[misfit]
    other.records = [msgspec.structs.replace(record, seq=seq) for seq, record in enumerate(other.records, 1)]
    with pytest.raises(StorageError, match=r"journal record \d+ does not fit the state before it"):
        await recover(await journal_of(other), MemorySnapshots())


async def test_with_nothing_to_replay_the_digest_is_the_one_the_snapshot_was_held_against(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = known_history()
    last = len(desk.records)
    expected, journal = digest_of(desk.state), await journal_of(desk)

    def once_more(state: State) -> str:
        raise AssertionError("it takes as long as the half of the rest")

    monkeypatch.setattr(recovery, "digest_of", once_more)
    recovered = await recover(journal, await snapshots_of(desk, last))
    assert (recovered.replayed, recovered.digest) == (0, expected)
    assert_books_balance(recovered.state)
    with pytest.raises(AssertionError):
        await recover(journal, await snapshots_of(desk, last - 1))
