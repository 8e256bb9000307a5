"""What every Snapshots promises."""

import msgspec
import pytest

from exness.core.capture import Restorer, digest_of
from exness.core.state import State
from exness.runtime.ports.snapshots import SnapshotDamaged, SnapshotInfo, Snapshots
from tests.contracts.backends import KEPT, Stored
from tests.contracts.trading import picture, random_trading
from tests.support.books import ANN, Desk, assert_books_balance, deposit, desk_with, known_history


async def save(snapshots: Snapshots, state: State, budget: int = 5) -> SnapshotInfo:
    header, chunks = picture(state, budget)
    async with snapshots.draft(header) as draft:
        for accounts in chunks:
            await draft.add(accounts)
        return await draft.commit()


async def load(snapshots: Snapshots, seq: int) -> State:
    restorer = Restorer(await snapshots.header(seq))
    async for accounts in snapshots.accounts(seq):
        for account in accounts:
            restorer.add(account)
    return restorer.finish()


async def save_moments(snapshots: Snapshots, desk: Desk, count: int) -> list[int]:
    """Snapshots of `count` moments; their seqs, oldest first."""
    seqs = []
    for _ in range(count):
        desk.do(deposit(ANN, "1"))
        seqs.append((await save(snapshots, desk.state)).seq)
    return seqs


async def test_a_state_comes_back_as_it_was(stored: Stored) -> None:
    desk = random_trading(4)
    info = await save(stored.snapshots, desk.state)
    restored = await load(stored.snapshots, info.seq)
    assert digest_of(restored) == digest_of(desk.state) == info.digest
    assert (info.seq, info.at) == (desk.state.seq, desk.state.at)
    assert info.stored_bytes > 0
    assert await stored.snapshots.infos() == [info]
    assert await stored.snapshots.header(info.seq) == picture(desk.state)[0]
    assert_books_balance(restored)


async def test_the_digest_is_of_the_state_and_not_of_the_chunks(stored: Stored) -> None:
    desk = random_trading(5)
    fine = await save(stored.snapshots, desk.state, budget=1)
    coarse = await save(stored.snapshots, desk.state, budget=10_000)
    assert fine.digest == coarse.digest


async def test_a_state_without_accounts_can_be_kept(stored: Stored) -> None:
    info = await save(stored.snapshots, State())
    assert digest_of(await load(stored.snapshots, info.seq)) == digest_of(State())


async def test_there_are_none_at_first(stored: Stored) -> None:
    assert await stored.snapshots.infos() == []
    with pytest.raises(SnapshotDamaged, match="snapshot 1 is not there"):
        await stored.snapshots.header(1)
    with pytest.raises(SnapshotDamaged, match="snapshot 1 is not there"):
        [_ async for _ in stored.snapshots.accounts(1)]


async def test_the_newest_are_kept_and_listed_first(stored: Stored) -> None:
    seqs = await save_moments(stored.snapshots, desk_with(ANN), KEPT + 2)
    assert [info.seq for info in await stored.snapshots.infos()] == seqs[: -KEPT - 1 : -1]
    for dropped in seqs[:-KEPT]:
        with pytest.raises(SnapshotDamaged):
            await stored.snapshots.header(dropped)
    for kept in seqs[-KEPT:]:
        assert (await load(stored.snapshots, kept)).seq == kept


async def test_a_draft_that_is_not_committed_leaves_nothing(stored: Stored) -> None:
    desk = known_history()
    before = await save(stored.snapshots, desk.state)
    desk.do(deposit(ANN, "1"))
    header, chunks = picture(desk.state)
    async with stored.snapshots.draft(header) as draft:
        await draft.add(chunks[0])
        assert await stored.snapshots.infos() == [before], "nothing of a draft is seen"
    assert await stored.snapshots.infos() == [before]
    with pytest.raises(SnapshotDamaged):
        await stored.snapshots.header(header.seq)
    assert (await save(stored.snapshots, desk.state)).seq == header.seq


async def test_a_draft_that_fails_leaves_nothing(stored: Stored) -> None:
    header, chunks = picture(known_history().state)

    class Failure(Exception): ...

    async def fail() -> None:
        async with stored.snapshots.draft(header) as draft:
            await draft.add(chunks[0])
            raise Failure

    with pytest.raises(Failure):
        await fail()
    assert await stored.snapshots.infos() == []


async def test_a_draft_given_up_leaves_the_older_picture_of_the_same_seq(stored: Stored) -> None:
    desk = known_history()
    info = await save(stored.snapshots, desk.state)
    header, chunks = picture(desk.state)
    async with stored.snapshots.draft(header) as draft:
        await draft.add(chunks[0])
    assert await stored.snapshots.infos() == [info]
    assert digest_of(await load(stored.snapshots, info.seq)) == info.digest


async def test_the_same_seq_again_replaces_a_damaged_picture(stored: Stored) -> None:
    desk = known_history()
    info = await save(stored.snapshots, desk.state)
    stored.damage_snapshot(info.seq)
    assert await save(stored.snapshots, desk.state) == info
    assert digest_of(await load(stored.snapshots, info.seq)) == info.digest


async def test_a_changed_byte_is_found(stored: Stored) -> None:
    info = await save(stored.snapshots, random_trading(6).state)
    stored.damage_snapshot(info.seq)
    with pytest.raises(SnapshotDamaged, match=f"snapshot {info.seq} is damaged"):
        [_ async for _ in stored.snapshots.accounts(info.seq)]
    assert [listed.seq for listed in await stored.snapshots.infos()] == [info.seq], "it is listed all the same"


async def test_a_lost_chunk_is_found(stored: Stored) -> None:
    info = await save(stored.snapshots, random_trading(6).state)
    stored.lose_chunk(info.seq)
    with pytest.raises(SnapshotDamaged, match=f"snapshot {info.seq} is damaged"):
        [_ async for _ in stored.snapshots.accounts(info.seq)]


async def test_accounts_that_were_never_added_are_found(stored: Stored) -> None:
    header, chunks = picture(random_trading(6).state)
    async with stored.snapshots.draft(header) as draft:
        for accounts in chunks[:-1]:
            await draft.add(accounts)
        await draft.commit()
    with pytest.raises(SnapshotDamaged):
        [_ async for _ in stored.snapshots.accounts(header.seq)]


async def test_a_damaged_one_leaves_the_others_whole(stored: Stored) -> None:
    seqs = await save_moments(stored.snapshots, known_history(), 2)
    stored.damage_snapshot(seqs[-1])
    with pytest.raises(SnapshotDamaged):
        await load(stored.snapshots, seqs[-1])
    assert (await load(stored.snapshots, seqs[0])).seq == seqs[0]


async def test_what_ties_a_snapshot_to_its_journal_is_kept_and_is_no_part_of_its_digest(stored: Stored) -> None:
    desk = known_history()
    header, chunks = picture(desk.state)
    digests = set()
    for journal in (0, 1, 2**32 - 1, None):
        async with stored.snapshots.draft(header) as draft:
            for accounts in chunks:
                await draft.add(accounts)
            info = await draft.commit(journal)
        digests.add(info.digest)
        assert await stored.snapshots.header(info.seq) == msgspec.structs.replace(header, journal=journal)
        assert digest_of(await load(stored.snapshots, info.seq)) == info.digest
    assert digests == {digest_of(desk.state)}
