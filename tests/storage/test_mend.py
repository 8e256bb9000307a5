"""A damaged newest record: written anew, bit for bit, from the tables that were written with it; else cut. Damage
anywhere else is nobody's to repair."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exness.core.capture import digest_of
from exness.core.commands import StartAfresh
from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    Record,
    StartedAfresh,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import AccountId
from exness.runtime.ports import StorageError
from exness.runtime.recovery import Recovered, recover
from exness.storage.sqlite import MAIN_DB, open_storage
from tests.contracts.backends import INSTRUMENTS
from tests.contracts.trading import read_all
from tests.storage.damage import contents, flip_in_record, make_directory, row_of, tamper
from tests.storage.tables import all_tables
from tests.support.books import (
    ANN,
    BOB,
    SECOND,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    make_rules,
    open_account,
    open_trade,
    tick,
)
from tests.support.states import replayed

CAROL = AccountId("carol")


def history(window: int = 2) -> Desk:
    """Something of everything; then the test adds what is to be the newest record."""
    desk = desk_with(ANN, BOB, rules=make_rules(client_order_ids=window))
    desk.do(deposit(BOB, "3.25"))
    for number in range(3):
        desk.at += SECOND
        desk.open(open_trade(f"o-{number}", margin="7", leverage="100", client_order=f"mine-{number}"))
        desk.open(open_trade(f"b-{number}", account=BOB, margin="9.000001"))
    desk.do(close_trade("o-0"))
    desk.at += SECOND
    return desk


def account_opened() -> Desk:
    desk = history()
    desk.do(open_account(CAROL, "12.5"))
    return desk


def account_opened_with_nothing() -> Desk:
    desk = history()
    desk.do(open_account(CAROL, "0"))
    return desk


def deposited() -> Desk:
    desk = history()
    desk.do(deposit(ANN, "0.000001"))
    return desk


def trade_opened() -> Desk:
    desk = history()
    desk.open(open_trade("new", margin="33.3", leverage="2.5"))
    return desk


def trade_opened_with_client_order() -> Desk:
    desk = history(window=100)
    desk.open(open_trade("new", margin="33.3", client_order='mine "naive"'))
    return desk


def trade_opened_that_forgets() -> Desk:
    desk = history(window=2)
    desk.open(open_trade("new", client_order="mine-3"))
    assert forgets(desk) == ("mine-1",)
    return desk


def trade_opened_that_forgets_many() -> Desk:
    """The window was made smaller: one order pushes several ids out, one of which was used twice."""
    desk = history(window=2)
    desk.open(open_trade("again", client_order="mine-0"))
    desk.engine.rules = make_rules(client_order_ids=1)
    desk.open(open_trade("new", client_order="mine-9"))
    assert forgets(desk) == ("mine-2", "mine-0")
    return desk


def trade_closed() -> Desk:
    desk = history()
    desk.do(tick(SOL, "201"))
    desk.do(close_trade("o-1"))
    return desk


def trade_liquidated() -> Desk:
    desk = history()
    desk.do(tick(SOL, "195.5", "195.7"))
    return desk


def started_afresh() -> Desk:
    desk = history()
    desk.do(StartAfresh())
    return desk


def started_afresh_again() -> Desk:
    desk = started_afresh()
    desk.do(open_account(ANN))
    desk.do(StartAfresh())
    return desk


def deposited_after_starting_afresh() -> Desk:
    """The account has the id it had before: what was paid in then counts no more."""
    desk = started_afresh()
    desk.do(open_account(BOB, "1"))
    desk.do(deposit(BOB, "3.25"))
    return desk


def trade_opened_after_starting_afresh() -> Desk:
    """And so do the client order ids of then."""
    desk = started_afresh()
    desk.do(open_account(ANN))
    desk.do(tick(SOL, "200"))
    for number in range(3):
        desk.open(open_trade(f"n-{number}", client_order=f"mine-{number}"))
    assert forgets(desk) == ("mine-0",)
    return desk


def forgets(desk: Desk) -> tuple[str, ...]:
    event = desk.records[-1].event
    assert isinstance(event, TradeOpened)
    return event.forgets


NEWEST: dict[Callable[[], Desk], type[Event]] = {
    account_opened: AccountOpened,
    account_opened_with_nothing: AccountOpened,
    deposited: Deposited,
    trade_opened: TradeOpened,
    trade_opened_with_client_order: TradeOpened,
    trade_opened_that_forgets: TradeOpened,
    trade_opened_that_forgets_many: TradeOpened,
    trade_closed: TradeClosed,
    trade_liquidated: TradeLiquidated,
    started_afresh: StartedAfresh,
    started_afresh_again: StartedAfresh,
    deposited_after_starting_afresh: Deposited,
    trade_opened_after_starting_afresh: TradeOpened,
}

TIME_IN_THE_RECORD_ALONE = (deposited, deposited_after_starting_afresh, started_afresh, started_afresh_again)
"""No table says when money was paid in, or all was forgotten."""

each_kind = pytest.mark.parametrize("make", NEWEST, ids=lambda make: make.__name__)


async def directory(data_dir: Path, desk: Desk) -> int:
    """What this desk did, on disk. Returns the newest seq. Somebody asked for it by an id of its own."""
    last = desk.records[-1]
    desk.records[-1] = Record(last.seq, last.at, last.event, request="request-0123456789abcdef")
    await make_directory(data_dir, desk.records)
    return last.seq


async def recovered_from(data_dir: Path) -> tuple[Recovered, list[Record]]:
    async with open_storage(data_dir, INSTRUMENTS) as storage:
        recovered = await recover(storage.journal, storage.snapshots)
        return recovered, await read_all(storage.journal)


@each_kind
async def test_one_flipped_bit_anywhere_in_the_newest_record_is_mended(
    tmp_path: Path, make: Callable[[], Desk]
) -> None:
    desk = make()
    assert type(desk.records[-1].event) is NEWEST[make]
    last = await directory(tmp_path, desk)
    before, whole = all_tables(tmp_path), row_of(tmp_path, last)
    columns = ("at", "kind", "payload", "request", "checksum")
    for column, place in [(column, step / 3) for column in columns for step in range(4)]:
        flip_in_record(tmp_path, last, column, place)
        assert row_of(tmp_path, last) != whole
        recovered, records = await recovered_from(tmp_path)
        assert row_of(tmp_path, last) == whole, (column, place)
        assert all_tables(tmp_path) == before
        assert records == desk.records, "nothing acknowledged is lost"
        assert recovered.digest == digest_of(desk.state)
        assert_books_balance(recovered.state)
        (note,) = recovered.notes
        assert f"record {last} is damaged" in note
        assert "written anew from the tables: nothing is lost" in note
    assert (await recovered_from(tmp_path))[0].notes == [], "it is said once"


@each_kind
@pytest.mark.parametrize("torn", ["", "\x00" * 300, "half", "{}"])
async def test_a_torn_payload_is_mended(tmp_path: Path, make: Callable[[], Desk], torn: str) -> None:
    desk = make()
    last = await directory(tmp_path, desk)
    before, payload = all_tables(tmp_path), row_of(tmp_path, last)[3]
    torn = payload[: len(payload) // 2] if torn == "half" else torn
    tamper(tmp_path / MAIN_DB, "UPDATE journal SET payload = ?, kind = '' WHERE seq = ?", torn, last)
    if make not in TIME_IN_THE_RECORD_ALONE:
        tamper(tmp_path / MAIN_DB, "UPDATE journal SET at = 7 WHERE seq = ?", last)
    recovered, _ = await recovered_from(tmp_path)
    assert all_tables(tmp_path) == before
    assert recovered.digest == digest_of(desk.state)


@each_kind
async def test_a_request_id_that_is_gone_costs_no_trade(tmp_path: Path, make: Callable[[], Desk]) -> None:
    """The id of a request is kept for the audit only: without it the record still stands, if its time is known."""
    desk = make()
    last = await directory(tmp_path, desk)
    tamper(tmp_path / MAIN_DB, "UPDATE journal SET request = 'lost' WHERE seq = ?", last)
    recovered, records = await recovered_from(tmp_path)
    if make in TIME_IN_THE_RECORD_ALONE:
        assert "has been cut" in recovered.notes[0]
        return
    assert records[:-1] == desk.records[:-1]
    assert (records[-1].at, records[-1].event) == (desk.records[-1].at, desk.records[-1].event)
    assert recovered.digest == digest_of(desk.state)


TAMPERED = {
    account_opened: "UPDATE users SET email = 'mallory@example.com' WHERE opened_seq = :seq",
    account_opened_with_nothing: "UPDATE users SET email = 'mallory@example.com' WHERE opened_seq = :seq",
    trade_opened: "UPDATE trades SET entry_price = entry_price - 1 WHERE opened_seq = :seq",
    trade_opened_with_client_order: "UPDATE trades SET fingerprint = 'other' WHERE opened_seq = :seq",
    trade_opened_that_forgets: "UPDATE trades SET balance_after = 1 WHERE opened_seq = :seq",
    trade_opened_that_forgets_many: "UPDATE trades SET leverage = 101 WHERE opened_seq = :seq",
    trade_closed: "UPDATE trades SET close_price = close_price + 1 WHERE closed_seq = :seq",
    trade_liquidated: "UPDATE liquidations SET bid = bid - 1, ask = ask + 1 WHERE seq = :seq",
}


@pytest.mark.parametrize("make", TAMPERED, ids=lambda make: make.__name__)
async def test_when_the_tables_were_tampered_with_as_well_the_record_is_cut(
    tmp_path: Path, make: Callable[[], Desk]
) -> None:
    desk = make()
    await directory(tmp_path / "before", desk_without_last(desk))
    before = all_tables(tmp_path / "before")
    last = await directory(tmp_path / "data", desk)
    flip_in_record(tmp_path / "data", last, "payload")
    tamper(tmp_path / "data" / MAIN_DB, TAMPERED[make].replace(":seq", str(last)))
    recovered, records = await recovered_from(tmp_path / "data")
    (note,) = recovered.notes
    assert f"record {last} is damaged" in note
    assert note.endswith("it was the last one and has been cut")
    assert records == desk.records[:-1]
    assert without_requests(all_tables(tmp_path / "data")) == without_requests(before)
    assert recovered.digest == digest_of(replayed(desk.records[:-1]))


def desk_without_last(desk: Desk) -> Desk:
    shorter = Desk()
    shorter.records = desk.records[:-1]
    return shorter


def without_requests(tables: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    return tables | {"journal": [row[:4] for row in tables["journal"]]}


async def test_a_deposit_whose_amount_no_longer_adds_up_is_cut(tmp_path: Path) -> None:
    """What the tables say was paid in is one unit more than the record says: neither is believed."""
    desk = deposited()
    last = await directory(tmp_path, desk)
    flip_in_record(tmp_path, last, "payload", 0.9)
    paid_more = "UPDATE balances SET free = free + 1, deposited = deposited + 1 WHERE account_id = 'ann'"
    tamper(tmp_path / MAIN_DB, paid_more)
    recovered, records = await recovered_from(tmp_path)
    assert "has been cut" in recovered.notes[0]
    assert records == desk.records[:-1]
    balances = {row[0]: row[1:4] for row in all_tables(tmp_path)["balances"]}
    ann = replayed(records).accounts[ANN]
    assert balances["ann"] == (ann.free, ann.locked, 5_000_000_000), "the tables are as before that record"


@pytest.mark.parametrize("covered", [False, True], ids=["replayed", "under a later snapshot"])
@pytest.mark.parametrize("column", ["at", "kind", "payload", "checksum"])
async def test_damage_in_the_middle_refuses_names_its_record_and_changes_nothing(
    tmp_path: Path, column: str, covered: bool
) -> None:
    desk = trade_closed()
    await make_directory(tmp_path, desk.records, [desk.records[-2].seq] if covered else [])
    for seq in (1, len(desk.records) // 2, len(desk.records) - 1):
        whole = row_of(tmp_path, seq)
        flip_in_record(tmp_path, seq, column)
        before = contents(tmp_path)[MAIN_DB][0], all_tables(tmp_path)
        with pytest.raises(StorageError) as refusal:
            await recovered_from(tmp_path)
        sentence = str(refusal.value)
        assert f"journal record {seq} is damaged" in sentence
        assert "it is not the last one, so it can't be cut: restore a backup (`exness restore`)" in sentence
        assert (contents(tmp_path)[MAIN_DB][0], all_tables(tmp_path)) == before
        tamper(
            tmp_path / MAIN_DB,
            "REPLACE INTO journal (seq, at, kind, payload, request, checksum) VALUES (?, ?, ?, ?, ?, ?)",
            *whole,
        )
    recovered, _ = await recovered_from(tmp_path)
    assert (recovered.notes, recovered.digest) == ([], digest_of(desk.state))


async def test_a_second_damaged_record_before_the_newest_refuses_and_names_it(tmp_path: Path) -> None:
    desk = trade_closed()
    last = await directory(tmp_path, desk)
    flip_in_record(tmp_path, last, "payload")
    flip_in_record(tmp_path, last - 3, "payload", 0.3)
    with pytest.raises(StorageError, match=f"record {last - 3} is damaged.*not the last one"):
        await recovered_from(tmp_path)
