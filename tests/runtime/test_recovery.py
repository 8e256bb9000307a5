"""runtime/recovery.py: newest whole snapshot plus the journal after it. What can't be trusted is not guessed."""

import random
from collections.abc import Callable

import msgspec
import pytest

from exness.core.capture import Capture, Header, digest_of
from exness.core.engine import Done
from exness.core.events import Record
from exness.core.state import State
from exness.runtime import recovery
from exness.runtime.ports.journal import JournalDamaged, StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged
from exness.runtime.recovery import Recovered, recover
from tests.contracts.trading import random_trading
from tests.support.books import (
    BOB,
    ETH,
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
from tests.support.memory_storage import MemoryJournal, MemorySnapshot, MemorySnapshots
from tests.support.states import replayed


class PowerCut(Exception): ...


async def journal_of(desk: Desk) -> MemoryJournal:
    journal = MemoryJournal()
    await journal.append(desk.records)
    return journal


def state_at(desk: Desk, seq: int) -> State:
    """The state that the first `seq` records make."""
    return replayed(desk.records[:seq])


async def store(snapshots: MemorySnapshots, state: State, records: list[Record]) -> None:
    """As the exchange does that `records` are of."""
    journal = MemoryJournal()
    await journal.append(records[: state.seq])
    with Capture(state) as capture:
        async with snapshots.draft(capture.header) as draft:
            while accounts := capture.take(1):
                await draft.add(accounts)
            await draft.commit(await journal.fingerprint(state.seq))


async def snapshots_of(desk: Desk, *seqs: int) -> MemorySnapshots:
    """Snapshots of what this desk's state was at these places."""
    snapshots = MemorySnapshots()
    for seq in seqs:
        await store(snapshots, state_at(desk, seq), desk.records)
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


def damage_row(journal: MemoryJournal, seq: int) -> None:
    row = journal.rows[seq - 1]
    journal.rows[seq - 1] = (*row[:3], row[3][:-1] + " ", *row[4:])


@pytest.mark.parametrize("covered", [False, True], ids=["replayed", "under a snapshot"])
async def test_a_damaged_last_record_refuses_to_start_and_says_what_to_do(covered: bool) -> None:
    """Somebody may have been told of it: whether it goes is not for a start to say."""
    desk = known_history()
    journal, last = await journal_of(desk), len(desk.records)
    snapshots = await snapshots_of(desk, 5, *([last] if covered else []))
    damage_row(journal, last)
    rows, stored = list(journal.rows), dict(snapshots.stored)
    with pytest.raises(StorageError, match=rf"record {last} is damaged.* the newest one: `exness repair` shows"):
        await recover(journal, snapshots)
    assert (journal.rows, snapshots.stored) == (rows, stored), "nothing was changed"


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


async def test_damage_that_a_snapshot_covers_is_left_for_the_check_behind_the_port() -> None:
    """The journal is the audit trail: it must be whole even where it is not needed to get back."""
    desk = known_history()
    journal = await journal_of(desk)
    recovered = await recover(journal, await snapshots_of(desk, 5))
    assert (recovered.unchecked, recovered.notes) == (5, [])
    damage_row(journal, 3)
    with pytest.raises(JournalDamaged, match="record 3 is damaged"):
        await journal.check(recovered.unchecked)


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


# --- journals and snapshots that do not belong together ------------------------------------------------------------


async def assert_refused(journal: MemoryJournal, snapshots: MemorySnapshots, *what: str) -> str:
    """A start is refused in one sentence with all of this in it, twice, and nothing has changed."""
    rows, stored = list(journal.rows), dict(snapshots.stored)
    said = set()
    for _ in range(2):
        with pytest.raises(StorageError) as refusal:
            await recover(journal, snapshots)
        said.add(str(refusal.value))
        assert (journal.rows, snapshots.stored) == (rows, stored)
    (sentence,) = said
    assert "\n" not in sentence
    for part in (*what, "nothing was changed"):
        assert part in sentence
    return sentence


def another(desk: Desk, place: int) -> list[Record]:
    """The same history, but for the request that record `place` was made by."""
    records = list(desk.records)
    records[place - 1] = msgspec.structs.replace(records[place - 1], request="of another exchange")
    return records


LENGTH = len(known_history().records)


@pytest.mark.parametrize("length", range(1, LENGTH + 1))
async def test_a_snapshot_is_used_as_far_as_the_journal_goes_and_one_that_is_ahead_is_proof_of_loss(
    length: int,
) -> None:
    desk = known_history()
    for seq in range(1, LENGTH + 1):
        journal, snapshots = MemoryJournal(), await snapshots_of(desk, seq)
        await journal.append(desk.records[:length])
        if seq <= length:
            recovered = await recover(journal, snapshots)
            assert (recovered.snapshot_seq, recovered.state.seq, recovered.notes) == (seq, length, [])
            assert recovered.digest == digest_of(state_at(desk, length))
        else:
            await assert_refused(
                journal,
                snapshots,
                f"the journal ends at {length}, but there is a snapshot of record {seq}",
                "put journal.db-wal back",
                "restore a newer backup",
                f"to go on without the records after {length}, move snapshots.db away",
            )


@pytest.mark.parametrize("place", range(1, LENGTH + 1))
async def test_a_snapshot_is_refused_beside_a_journal_that_differs_before_it_in_a_single_request(place: int) -> None:
    desk = known_history()
    for seq in range(1, LENGTH + 1):
        journal, snapshots = MemoryJournal(), await snapshots_of(desk, seq)
        await journal.append(another(desk, place))
        if seq < place:
            recovered = await recover(journal, snapshots)
            assert (recovered.snapshot_seq, recovered.digest) == (seq, digest_of(desk.state))
        else:
            await assert_refused(
                journal,
                snapshots,
                f"snapshot {seq} is of another journal, the records up to it differ",
                "move snapshots.db away, the journal brings everything back",
            )


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_exchanges_journal_and_snapshots_are_of_a_start_is_exact_or_refused(seed: int) -> None:
    """Two exchanges of the same traders, and every kind of cut: what comes up is what the journal says, or nothing."""
    dice = random.Random(seed)
    desks = [random_trading(2 * seed + number, steps=60) for number in range(2)]
    for _ in range(60):
        mine, other = dice.sample(desks, 2)
        length = dice.randint(1, len(mine.records))
        journal, snapshots = MemoryJournal(), MemorySnapshots()
        await journal.append(mine.records[:length])
        seqs = {}
        for _ in range(dice.choice((1, 1, 2, 3))):
            of = dice.choice((mine, mine, other))
            seqs[dice.randint(1, len(of.records))] = of
        for seq, of in seqs.items():
            await store(snapshots, state_at(of, seq), of.records)
        fits = max(seqs) <= length and seqs[max(seqs)].records[: max(seqs)] == mine.records[: max(seqs)]
        if fits:
            recovered = await recover(journal, snapshots)
            assert recovered.snapshot_seq == max(seqs)
            assert recovered.digest == digest_of(state_at(mine, length))
            assert_books_balance(recovered.state)
        else:
            await assert_refused(journal, snapshots)


async def test_a_snapshot_of_0_1_0_is_held_against_the_time_of_its_record() -> None:
    desk = known_history()
    snapshots = await snapshots_of(desk, 5)
    old = snapshots.stored[5]
    old.header = msgspec.structs.replace(old.header, journal=None)
    assert (await recover(await journal_of(desk), snapshots)).snapshot_seq == 5
    later = [msgspec.structs.replace(record, at=record.at + 1) for record in desk.records]
    journal = MemoryJournal()
    await journal.append(later)
    await assert_refused(
        journal,
        snapshots,
        "snapshot 5 is of another journal",
        "its last record is of 2026-01-31T09:15:03.123456Z, the same of the journal of 2026-01-31T09:15:03.123457Z",
    )


async def test_a_damaged_snapshot_of_another_journal_is_still_known_as_such() -> None:
    desk = known_history()
    snapshots = await snapshots_of(desk, 5)
    lose_an_account(snapshots.stored[5])
    journal = MemoryJournal()
    await journal.append(another(desk, 3))
    await assert_refused(journal, snapshots, "snapshot 5 is of another journal")


async def test_a_damaged_snapshot_proves_that_records_are_missing_as_long_as_its_header_is_whole() -> None:
    desk = known_history()
    snapshots = await snapshots_of(desk, 4, 8)
    lose_an_account(snapshots.stored[8])
    journal = MemoryJournal()
    await journal.append(desk.records[:6])
    await assert_refused(journal, snapshots, "the journal ends at 6, but there is a snapshot of record 8")


async def test_a_snapshot_that_is_ahead_and_whose_header_is_damaged_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its number may be what was damaged. It is left where it is, and said."""
    desk = known_history()
    snapshots = await snapshots_of(desk, 4, 8)
    journal = MemoryJournal()
    await journal.append(desk.records[:6])
    header = MemorySnapshots.header

    async def damaged(self: MemorySnapshots, seq: int) -> Header:
        if seq == 8:
            raise SnapshotDamaged("snapshot 8 is damaged: its row does not match its checksum")
        return await header(self, seq)

    monkeypatch.setattr(MemorySnapshots, "header", damaged)
    recovered = await recover(journal, snapshots)
    assert (recovered.snapshot_seq, recovered.state.seq) == (4, 6)
    assert recovered.notes == ["snapshot 8 is damaged and ahead of the journal, which ends at 6; it was left out"]
    assert list(snapshots.stored) == [4, 8]


async def test_once_the_lost_records_are_given_up_their_snapshot_is_that_of_another_journal() -> None:
    """Moved away, it may come back: by then other things have happened under the same numbers."""
    desk = known_history()
    snapshots = await snapshots_of(desk, 8)
    journal = MemoryJournal()
    await journal.append(desk.records[:6])
    after = make_engine()
    after.state = (await recover(journal, MemorySnapshots())).state
    for _ in range(5):
        outcome = after.execute(deposit(BOB, "1"), desk.at)
        assert isinstance(outcome, Done)
        await journal.append(outcome.records)
    await assert_refused(journal, snapshots, "snapshot 8 is of another journal")


async def test_proof_of_loss_is_seen_before_a_damaged_last_record() -> None:
    desk = known_history()
    journal, snapshots = MemoryJournal(), await snapshots_of(desk, 8)
    await journal.append(desk.records[:6])
    damage_row(journal, 6)
    await assert_refused(journal, snapshots, "the journal ends at 6, but there is a snapshot of record 8")


async def test_damage_in_the_journal_is_named_as_damage_and_not_as_another_journal() -> None:
    desk = known_history()
    journal, snapshots = await journal_of(desk), await snapshots_of(desk, 8)
    row = journal.rows[3]
    journal.rows[3] = (*row[:5], row[5] ^ 1, *row[6:])
    with pytest.raises(StorageError, match="record 4 is damaged"):
        await recover(journal, snapshots)
