"""verify: passes on what our own program wrote, changes nothing, and finds whatever does not agree."""

import re
from pathlib import Path

import msgspec
import pytest

from exness.core.capture import digest_of
from exness.core.events import (
    AccountOpened,
    CloseReason,
    Deposited,
    Event,
    Record,
    TradeClosed,
    TradeOpened,
)
from exness.core.evolve import evolve
from exness.core.state import State
from exness.runtime.ports.journal import StorageError
from exness.storage.datadir import locked
from exness.storage.files import JOURNAL_DB, MAIN_DB, SNAPSHOTS_DB
from exness.storage.verify import verify
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import random_trading
from tests.storage.agreeing import DESK, LAST, MIDDLE, SNAPSHOTS_AT, difference
from tests.storage.damage import (
    checked,
    contents,
    flip_in_record,
    forge,
    make_directory,
    tamper,
)
from tests.support.books import (
    ANN,
    SOL,
    assert_books_balance,
    desk_with,
    is_close,
    is_liquidation,
    open_trade,
    tick,
)
from tests.support.process import Server, finished
from tests.support.states import replayed

# --- what agrees ----------------------------------------------------------------------------------------------------


def test_what_the_engine_wrote_agrees_and_is_counted(data_dir: Path) -> None:
    report = checked(data_dir)
    events = [record.event for record in DESK.records]
    assert report.records == LAST
    assert report.snapshots == len(SNAPSHOTS_AT)
    assert report.users == len(DESK.state.account_list)
    assert report.trades_opened == sum(isinstance(event, TradeOpened) for event in events)
    assert report.trades_closed == sum(is_close(event) for event in events)
    assert report.liquidations == sum(is_liquidation(event) for event in events) > 5
    assert 1 < report.liquidating_ticks <= report.liquidations
    assert report.open_trades == DESK.state.open_trades
    assert report.deposits == DESK.state.deposits
    assert report.digest == digest_of(DESK.state)
    assert_books_balance(DESK.state)


@pytest.mark.parametrize("seed", range(5))
async def test_any_trading_agrees_at_every_snapshot(tmp_path: Path, seed: int) -> None:
    desk = random_trading(seed + 100, steps=150)
    await make_directory(tmp_path, desk.records, range(1, desk.state.seq + 1, 7))
    assert checked(tmp_path).digest == digest_of(desk.state)


async def test_a_journal_alone_agrees(data_dir: Path) -> None:
    (data_dir / SNAPSHOTS_DB).unlink()
    assert checked(data_dir).snapshots == 0
    (data_dir / SNAPSHOTS_DB).touch()  # a server was killed when it had just made it
    assert checked(data_dir).snapshots == 0


async def test_an_exchange_in_which_nothing_happened_agrees(tmp_path: Path) -> None:
    await make_directory(tmp_path, [])
    assert checked(tmp_path).digest == digest_of(State())


def test_progress_ends_with_everything_done(data_dir: Path) -> None:
    calls: list[tuple[int, int]] = []
    verify(data_dir / JOURNAL_DB, None, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (LAST, LAST)


def test_it_changes_neither_a_byte_nor_a_time_nor_the_list_of_files(data_dir: Path) -> None:
    before = contents(data_dir)
    checked(data_dir)
    assert contents(data_dir) == before


@pytest.mark.slow
async def test_a_directory_in_use_is_refused_through_the_command_line(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with Server(data_dir) as server:
        done = await finished("verify", "--data-dir", str(data_dir), cwd=tmp_path)
        assert (done.code, done.output) == (1, "")
        assert f"is in use by another exness server (process {server.pid})" in done.errors
        state = server.banner("state")
        assert await server.stop() == 0
    done = await finished("verify", "--data-dir", str(data_dir), cwd=tmp_path)
    assert done.code == 0
    assert state in done.output


async def test_a_verify_that_runs_keeps_servers_out(data_dir: Path) -> None:
    from exness.storage.datadir import held

    (data_dir / "lock").touch()
    with held(data_dir), held(data_dir), pytest.raises(StorageError, match="is in use"), locked(data_dir):
        pass


@pytest.mark.slow
async def test_the_command_line_says_what_was_checked_or_what_differs(data_dir: Path) -> None:
    done = await finished("verify", "--data-dir", str(data_dir), cwd=data_dir.parent)
    assert (done.code, done.errors) == (0, "")
    for part in (f"{LAST:,} records", f"{len(SNAPSHOTS_AT)}, each the state", digest_of(DESK.state), "none overdue"):
        assert part in done.output
    flip_in_record(data_dir, MIDDLE, "payload")
    done = await finished("verify", "--data-dir", str(data_dir), cwd=data_dir.parent)
    assert (done.code, done.output) == (1, "")
    assert f"at journal record {MIDDLE}: journal record {MIDDLE} is damaged" in done.errors
    assert len(done.errors.splitlines()) == 1
    done = await finished("verify", "--data-dir", str(data_dir.parent / "nowhere"), cwd=data_dir.parent)
    assert (done.code, done.output) == (1, "")
    assert "is not there" in done.errors
    assert not (data_dir.parent / "nowhere").exists()


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["at", "kind", "payload", "request", "checksum"])
@pytest.mark.parametrize("seq", [1, MIDDLE, LAST])
def test_a_flipped_bit_in_any_record_is_found(data_dir: Path, seq: int, column: str) -> None:
    if column == "request":
        tamper(data_dir / JOURNAL_DB, "UPDATE journal SET request = request || 'x' WHERE seq = ?", seq)
    else:
        flip_in_record(data_dir, seq, column)
    found = difference(data_dir)
    assert found.seq == seq
    assert f"journal record {seq} is damaged" in str(found)


@pytest.mark.parametrize("seq", [1, MIDDLE])
def test_a_lost_record_is_found(data_dir: Path, seq: int) -> None:
    tamper(data_dir / JOURNAL_DB, "DELETE FROM journal WHERE seq = ?", seq)
    found = difference(data_dir)
    assert (found.seq, f"the record is missing, the next one is {seq + 1}" in str(found)) == (seq, True)


def test_lost_records_at_the_end_are_found_by_the_snapshots_or_the_tables(data_dir: Path) -> None:
    tamper(data_dir / JOURNAL_DB, "DELETE FROM journal WHERE seq = ?", LAST)
    assert f"snapshot {LAST} is ahead of the journal" in str(difference(data_dir))
    (data_dir / SNAPSHOTS_DB).unlink()
    assert difference(data_dir).seq == LAST - 1


def first(kind: type[object], after: int = 0) -> Record:
    return next(record for record in DESK.records if isinstance(record.event, kind) and record.seq > after)


def changed(record: Record, **fields: object) -> Record:
    return msgspec.structs.replace(record, event=msgspec.structs.replace(record.event, **fields))


def with_trade(record: Record, **fields: object) -> Record:
    assert isinstance(record.event, TradeOpened)
    return changed(record, trade=msgspec.structs.replace(record.event.trade, **fields))


OPENED, CLOSED = first(TradeOpened), first(TradeClosed)
LIQUIDATED = next(record for record in DESK.records if is_liquidation(record.event))
ACCOUNT, PAID = first(AccountOpened), first(Deposited)
assert is_close(CLOSED.event)
assert is_liquidation(LIQUIDATED.event)
assert isinstance(OPENED.event, TradeOpened)
assert isinstance(PAID.event, Deposited)
OTHER_ASSET = next(asset for asset in INSTRUMENTS if asset not in (CLOSED.event.asset, LIQUIDATED.event.asset))
BID, ASK = LIQUIDATED.event.bid, LIQUIDATED.event.ask
assert BID is not None
assert ASK is not None

FORGED = {
    "a pnl": changed(CLOSED, pnl=CLOSED.event.pnl + 1),
    "what was returned": changed(CLOSED, returned=CLOSED.event.returned + 1),
    "pnl, returned and balance together": changed(
        CLOSED,
        pnl=CLOSED.event.pnl + 1,
        returned=CLOSED.event.returned + 1,
        balance=CLOSED.event.balance + 1,
    ),
    "a shortfall at a close": changed(CLOSED, shortfall=CLOSED.event.shortfall + 1),
    "a balance after a close": changed(CLOSED, balance=CLOSED.event.balance + 1),
    "a closing price": changed(CLOSED, price=CLOSED.event.price * 2),
    "the asset of a close": changed(CLOSED, asset=OTHER_ASSET),
    "a close of somebody else's trade": changed(CLOSED, account="nobody"),
    "a close of a trade that is not open": changed(CLOSED, trade_id="never-opened"),
    "a liquidation price": with_trade(OPENED, liquidation=OPENED.event.trade.liquidation - 1),
    "an entry price": with_trade(OPENED, entry=OPENED.event.trade.entry + 1_000_000),
    "a margin": with_trade(OPENED, margin=OPENED.event.trade.margin + 1),
    "a margin of nothing": with_trade(OPENED, margin=0),
    "the record a trade says it is": with_trade(OPENED, seq=OPENED.seq + 1),
    "when a trade says it was opened": with_trade(OPENED, opened_at=OPENED.event.trade.opened_at - 1),
    "a balance after opening": changed(OPENED, balance=OPENED.event.balance - 1),
    "a client order id": with_trade(OPENED, client_order="another"),
    "what a trade pushes out of the window": changed(
        with_trade(OPENED, client_order="x"), fingerprint="x", forgets=("unknown",)
    ),
    "a shortfall": changed(LIQUIDATED, shortfall=LIQUIDATED.event.shortfall + 1),
    "a mark that is not the middle": changed(LIQUIDATED, price=LIQUIDATED.event.price + 1),
    "bid and ask around the same mark": changed(LIQUIDATED, bid=BID - 1, ask=ASK + 1),
    "the asset of a liquidation": changed(LIQUIDATED, asset=OTHER_ASSET),
    "the margin of a liquidation": changed(LIQUIDATED, margin=LIQUIDATED.event.margin - 1),
    "a balance after a liquidation": changed(LIQUIDATED, balance=LIQUIDATED.event.balance + 1),
    "a deposit": changed(PAID, amount=PAID.event.amount + 1),
    "a deposit of less than nothing": changed(PAID, amount=-1, balance=PAID.event.balance - PAID.event.amount - 1),
    "whose account was opened": changed(ACCOUNT, email="mallory@example.com"),
    "an account opened twice": msgspec.structs.replace(DESK.records[1], event=DESK.records[0].event),
    "a time before the one before it": msgspec.structs.replace(CLOSED, at=1),
    "a time after the trade": msgspec.structs.replace(CLOSED, at=CLOSED.at + 1),
}


FITTING = {
    "a client order id",
    "bid and ask around the same mark",
    "whose account was opened",
    "a time after the trade",
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_record_with_the_right_checksum_is_found(data_dir: Path, what: str) -> None:
    """Also without the snapshots, by the arithmetic and the state alone; what fits both, by the tables."""
    record = FORGED[what]
    forge(data_dir, record)
    (data_dir / SNAPSHOTS_DB).unlink()
    found = difference(data_dir)
    assert found.seq == (LAST if what in FITTING else record.seq)


def test_payloads_that_changed_places_are_found(data_dir: Path) -> None:
    """Each with the checksum of its new place."""
    one, other = DESK.records[MIDDLE], DESK.records[MIDDLE + 1]
    forge(data_dir, msgspec.structs.replace(one, event=other.event))
    forge(data_dir, msgspec.structs.replace(other, event=one.event))
    assert difference(data_dir).seq in (one.seq, other.seq)


async def test_a_liquidation_that_was_not_due_is_found(tmp_path: Path) -> None:
    """Made with an engine whose formula is one unit off: everything else fits."""
    desk = desk_with(ANN)
    trade = desk.open(open_trade("o-1", leverage="10"))
    mark = trade.liquidation + 1
    lost, free = trade.margin, desk.state.accounts[ANN].free
    liquidation = CloseReason.LIQUIDATION
    early = TradeClosed(trade.id, ANN, SOL, liquidation, mark, lost, -lost, 0, free, bid=mark, ask=mark)
    record = Record(desk.state.seq + 1, desk.at, early)
    evolve(desk.state, record)
    await make_directory(tmp_path, [*desk.records, record])
    found = difference(tmp_path)
    assert found.seq == record.seq
    assert "trade o-1 was liquidated at 180000001, before its price 180000000" in str(found)


@pytest.mark.parametrize("then", ["nothing", "a deposit", "another tick"])
async def test_a_trade_overdue_at_a_liquidating_tick_is_found(tmp_path: Path, then: str) -> None:
    """A tick that should have liquidated two, and did one."""
    desk = desk_with(ANN)
    for order in ("o-1", "o-2", "o-3"):
        desk.open(open_trade(order, leverage="100" if order == "o-3" else "10"))
    other = desk.do(tick(SOL, "180"))[:-1]
    records = [*desk.records[:-3], *other]
    state = replayed(records)
    after: dict[str, list[Event]] = {
        "nothing": [],
        "a deposit": [Deposited(ANN, 1, state.accounts[ANN].free + 1)],
        "another tick": [msgspec.structs.replace(desk.records[-1].event, price=179, bid=179, ask=179)],
    }
    for event in after[then]:
        records.append(Record(state.seq + 1, desk.at + 1, event))
    if then == "another tick":
        shortfall = 10_000_000 * 10 * (200_000_000 - 179) // 200_000_000 - 10_000_000
        records[-1] = changed(records[-1], shortfall=shortfall)
    evolve(state, records[-1]) if then != "nothing" else None
    await make_directory(tmp_path, records)
    found = difference(tmp_path)
    assert "was due at 180000000 and was not liquidated" in str(found)
    assert found.seq == other[-1].seq


TABLES = {
    "users: an address": "UPDATE users SET email = 'other@example.com' WHERE opened_seq = 1",
    "users: when it was opened": "UPDATE users SET created_at = created_at + 1 WHERE opened_seq = 1",
    "users: which record opened it": "UPDATE users SET opened_seq = 999999 WHERE opened_seq = 1",
    "users: another id": "UPDATE users SET id = 'someone' WHERE opened_seq = 1",
    "users: one too many": "INSERT INTO users VALUES ('x', 'x@example.com', 0, 999999)",
    "users: one is gone": "DELETE FROM users WHERE opened_seq = 1",
    "balances: free": "UPDATE balances SET free = free + 1 WHERE account_id = 'trader-1'",
    "balances: locked": "UPDATE balances SET locked = locked + 1 WHERE account_id = 'trader-1'",
    "balances: deposited": "UPDATE balances SET deposited = deposited + 1 WHERE account_id = 'trader-1'",
    "balances: deposits that changed owners": "UPDATE balances SET deposited = deposited + CASE account_id "
    "WHEN 'trader-0' THEN 1 ELSE -1 END WHERE account_id IN ('trader-0', 'trader-1')",
    "balances: the house's pnl": "UPDATE balances SET free = free - 1 WHERE account_id = 'house'",
    "balances: the house has locked something": "UPDATE balances SET locked = 1 WHERE account_id = 'house'",
    "balances: one is gone": "DELETE FROM balances WHERE account_id = 'trader-1'",
    "balances: the house's is gone": "DELETE FROM balances WHERE account_id = 'house'",
    "balances: one too many": "INSERT INTO balances VALUES ('x', 0, 0, 0, 0, 0)",
    "trades: one is gone": "DELETE FROM trades WHERE close_reason IS NULL AND id = (SELECT max(id) FROM trades WHERE "
    "close_reason IS NULL)",
    "trades: the newest is gone": "DELETE FROM trades WHERE opened_seq = (SELECT max(opened_seq) FROM trades)",
    "trades: one too many": "INSERT INTO trades (opened_seq, id, account_id, asset, side, margin, leverage, "
    "entry_price, liquidation_price, created_at, balance_after, shortfall, net, size, size_e18, commission, funding, "
    "realized) VALUES (999999, 'x', 'trader-1', 'SOL', 'long', 1, 1, 1, 1, 1, 1, 0, 0, 100, 0, 0, 0, 0)",
    "trades: an open one shows a pnl": "UPDATE trades SET pnl = 1 WHERE close_reason IS NULL",
    "trades: an open one shows a shortfall": "UPDATE trades SET shortfall = 1 WHERE close_reason IS NULL",
    "trades: an open one shows an end": "UPDATE trades SET closed_at = 1 WHERE close_reason IS NULL",
    "trades: an open one is said to be closed": "UPDATE trades SET close_reason = 'user', closed_seq = 1 "
    "WHERE close_reason IS NULL",
    "trades: a closed one is open again": "UPDATE trades SET close_reason = NULL, closed_seq = NULL "
    "WHERE close_reason = 'user'",
    "trades: a liquidated one is only closed": "UPDATE trades SET close_reason = 'user' "
    "WHERE close_reason = 'liquidation'",
    "account_records: one is gone": "DELETE FROM account_records WHERE seq = 7",
    "account_records: one is somebody else's": "UPDATE account_records SET account_id = 'x' WHERE seq = 7",
    **{
        f"account_records: {column}": f"UPDATE account_records SET {column} = {new} WHERE seq = 7"
        for column, new in {"at": "at + 1", "reasons": "reasons + 1", "asset": "'x'", "changes": "7"}.items()
    },
    "watermark: another checksum": "UPDATE watermark SET checksum = checksum + 1",
    "watermark: a reset": "UPDATE watermark SET reset = 1",
    **{
        f"trades: {column}": f"UPDATE trades SET {column} = {new} WHERE opened_seq = {OPENED.seq}"
        for column, new in {
            "opened_seq": "-opened_seq",
            "id": "id || 'x'",
            "account_id": "'trader-9'",
            "asset": "CASE asset WHEN 'SOL' THEN 'ETH' ELSE 'SOL' END",
            "side": "CASE side WHEN 'long' THEN 'short' ELSE 'long' END",
            "margin": "margin + 1",
            "leverage": "leverage + 1",
            "entry_price": "entry_price + 1",
            "liquidation_price": "liquidation_price + 1",
            "created_at": "created_at + 1",
            "client_order_id": "coalesce(client_order_id, '') || 'x'",
            "fingerprint": "coalesce(fingerprint, '') || 'x'",
            "balance_after": "balance_after + 1",
            "net": "1 - net",
            "size": "size + 1",
            "commission": "commission + 1",
            "funding": "funding + 1",
            "realized": "realized + 1",
        }.items()
    },
    **{
        f"trades: {column} of a closed one": f"UPDATE trades SET {column} = {column} + 1 WHERE close_reason = 'user'"
        for column in ("close_price", "pnl", "returned", "shortfall", "closed_at", "closed_seq")
    },
    **{
        f"trades: {column} of a liquidated one": f"UPDATE trades SET {column} = {column} + 1 "
        "WHERE close_reason = 'liquidation'"
        for column in ("close_bid", "close_ask")
    },
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_that_was_tampered_with_is_found(data_dir: Path, what: str) -> None:
    tamper(data_dir / MAIN_DB, TABLES[what])
    table = what.partition(":")[0]
    sentence = str(difference(data_dir))
    assert re.search(rf"{table}|trades|{table[:-1]}", sentence), sentence
    assert re.search(r"at journal record \d+: ", sentence)
