"""A reset: the tables forget, the journal does not, and everything still agrees."""

import random
from pathlib import Path

import pytest

from exness.core.capture import digest_of
from exness.core.commands import Reset
from exness.core.events import Record
from exness.core.evolve import evolve
from exness.core.state import State
from exness.runtime.ports.tables import TradeQuery
from exness.runtime.recovery import recover
from exness.storage.files import MAIN_DB, SNAPSHOTS_DB
from exness.storage.sqlite import open_storage
from exness.storage.verify_tables import Difference
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import batches, random_trading, read_all
from tests.storage.damage import checked, make_directory, save, tamper
from tests.storage.tables import assert_tables_are
from tests.support.books import (
    ANN,
    BOB,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    known_history,
    open_account,
    open_trade,
    tick,
)


def go_on(desk: Desk) -> None:
    """Something of everything, with the ids that were used before."""
    desk.do(open_account(BOB, "300"))
    desk.do(open_account(ANN, "100"))
    desk.do(deposit(ANN, "0.5"))
    desk.do(tick(SOL, "200"))
    desk.open(open_trade("o-1", client_order="mine"))
    desk.open(open_trade("o-2", account=BOB, leverage="50"))
    desk.open(open_trade("o-3", account=BOB))
    desk.do(close_trade("o-1"))
    desk.do(tick(SOL, "196"))


def desk_reset_once() -> Desk:
    """A history, forgotten, and another one."""
    desk = known_history()
    desk.do(Reset())
    go_on(desk)
    return desk


def after_last_reset(desk: Desk) -> list[Record]:
    seq = max((r.seq for r in desk.records if type(r.event).__name__ == "ExchangeReset"), default=0)
    return [record for record in desk.records if record.seq > seq]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
async def test_however_it_is_batched_the_tables_hold_what_came_after(tmp_path: Path, size: int) -> None:
    desk = desk_reset_once()
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for start in range(0, len(desk.records), size):
            await storage.journal.append(desk.records[start : start + size])
            await storage.tables.write(desk.records[start : start + size])
        assert await read_all(storage.journal) == desk.records, "the journal keeps everything"
        rows, sums = await storage.history.trades(TradeQuery(BOB))
        assert ([row.id for row in rows], sums.total, sums.liquidated) == (["o-3", "o-2"], 2, 1)
    assert_tables_are(tmp_path, desk.state, after_last_reset(desk))
    assert checked(tmp_path).digest == digest_of(desk.state)


@pytest.mark.parametrize("seed", range(6))
async def test_random_trading_with_fresh_starts_agrees_at_every_record(tmp_path: Path, seed: int) -> None:
    """Recovery from every snapshot and from none, verify, and the tables."""
    rng = random.Random(seed)
    desk = Desk()
    for number in range(3):
        if number:
            desk.do(Reset())
        random_trading(seed * 10 + number, steps=80, desk=desk)
    snapshots_at = sorted(rng.sample(range(1, desk.state.seq + 1), 3))
    state = State()
    async with open_storage(tmp_path, INSTRUMENTS) as storage:
        for batch in batches(desk.records, seed):
            await storage.journal.append(batch)
            await storage.tables.write(batch)
        for record in desk.records:
            evolve(state, record)
            if record.seq in snapshots_at:
                await save(storage.snapshots, state)
        for seq in [*reversed(snapshots_at), 0]:
            recovered = await recover(storage.journal, storage.snapshots)
            assert (recovered.snapshot_seq, recovered.digest) == (seq, digest_of(desk.state)), f"seed {seed}"
            tamper(tmp_path / SNAPSHOTS_DB, "DELETE FROM snapshots WHERE seq = ?", seq) if seq else None
    assert_tables_are(tmp_path, desk.state, after_last_reset(desk))
    assert checked(tmp_path).digest == digest_of(desk.state)
    assert_books_balance(desk.state)


async def test_verify_counts_what_is_there_and_checks_snapshots_from_before(tmp_path: Path) -> None:
    desk = desk_reset_once()
    before = known_history().state.seq
    await make_directory(tmp_path, desk.records, [before - 1, before, before + 1, desk.state.seq])
    report = checked(tmp_path)
    assert (report.records, report.snapshots, report.users) == (desk.state.seq, 4, 2)
    assert (report.trades_opened, report.trades_closed, report.liquidations, report.open_trades) == (3, 1, 1, 1)
    assert report.deposits == desk.state.deposits == 400_500_000


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users VALUES ('old', 'old@example.com', 1, 1)",
        "UPDATE balances SET free = free + 1 WHERE account_id = 'house'",
        "UPDATE balances SET deposited = deposited + 1 WHERE account_id = 'ann'",
        "UPDATE sums SET liquidated = liquidated + 1 WHERE account_id = 'bob'",
        "UPDATE trades SET close_bid = close_bid + 1 WHERE close_reason = 'liquidation'",
        "UPDATE trades SET margin = margin + 1 WHERE id = 'o-3'",
    ],
)
async def test_verify_finds_what_the_tables_should_have_forgotten_or_kept(tmp_path: Path, statement: str) -> None:
    await make_directory(tmp_path, desk_reset_once().records)
    tamper(tmp_path / MAIN_DB, statement)
    with pytest.raises(Difference):
        checked(tmp_path)
