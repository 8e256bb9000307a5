"""The tables, read past our code, and what the engine's state says they must hold."""

from pathlib import Path

from exness.core.events import AccountEvent, AccountOpened, Record, TradeOpened
from exness.core.state import State
from exness.storage import rows as row_types
from exness.storage.files import JOURNAL_DB, MAIN_DB
from tests.contracts.backends import with_own_connection
from tests.support.books import is_close, is_liquidation

Rows = list[tuple[object, ...]]

TABLES = tuple(table.name for table in row_types.TABLES)


def rows(data_dir: Path, statement: str, *parameters: object) -> Rows:
    return with_own_connection(data_dir / MAIN_DB, statement, *parameters)


def journal_rows(data_dir: Path, statement: str, *parameters: object) -> Rows:
    return with_own_connection(data_dir / JOURNAL_DB, statement, *parameters)


def all_tables(data_dir: Path) -> dict[str, Rows]:
    """Every row of every table that records are projected into."""
    return {table: rows(data_dir, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def assert_tables_are(data_dir: Path, state: State, records: list[Record]) -> None:
    """Users, balances with the house's, open trades and liquidations are those of a state and the records behind it."""
    opened = {record.event.account: record for record in records if isinstance(record.event, AccountOpened)}
    assert rows(data_dir, "SELECT id, email, created_at, opened_seq FROM users ORDER BY opened_seq") == [
        (a.id, a.email, a.opened_at, opened[a.id].seq) for a in state.account_list
    ]
    assert rows(data_dir, "SELECT account_id, free, locked FROM balances ORDER BY account_id") == sorted(
        [("house", state.house.pnl, 0), *((a.id, a.free, a.locked) for a in state.account_list)]
    )
    assert rows(data_dir, "SELECT sum(deposited), sum(free) + sum(locked) FROM balances") == [
        (state.deposits, state.deposits)
    ]
    trades = sorted(
        (trade for account in state.account_list for trade in account.trades.values()), key=lambda trade: trade.seq
    )
    fields = "opened_seq, id, account_id, asset, side, margin, leverage, entry_price, liquidation_price, created_at"
    assert rows(
        data_dir, f"SELECT {fields}, client_order_id FROM trades WHERE close_reason IS NULL ORDER BY opened_seq"
    ) == [
        (
            *(t.seq, t.id, t.account, t.asset, t.side, t.margin, t.leverage, t.entry, t.liquidation),
            *(t.opened_at, t.client_order),
        )
        for t in trades
    ]
    asked = "SELECT opened_seq, client_order_id, fingerprint, balance_after FROM trades ORDER BY opened_seq"
    assert rows(data_dir, asked) == [
        (r.seq, r.event.trade.client_order, r.event.fingerprint or None, r.event.balance)
        for r in records
        if isinstance(r.event, TradeOpened)
    ]
    assert_ended_trades_are(data_dir, state, records)
    assert_sums_are(data_dir, records)
    records_of = "SELECT seq, account_id FROM account_records ORDER BY seq"
    assert rows(data_dir, records_of) == [
        (r.seq, r.event.account) for r in records if isinstance(r.event, AccountEvent)
    ]


def assert_ended_trades_are(data_dir: Path, state: State, records: list[Record]) -> None:
    made = {r.event.trade.id: r.event.trade for r in records if isinstance(r.event, TradeOpened)}
    liquidated = [(r, r.event, made[r.event.trade_id]) for r in records if is_liquidation(r.event)]
    ended = "closed_seq, id, account_id, close_price, close_bid, close_ask, pnl, shortfall, closed_at"
    assert rows(data_dir, f"SELECT {ended} FROM trades WHERE close_reason = 'liquidation' ORDER BY closed_seq") == [
        (*(r.seq, t.id, t.account), *(e.price, e.bid, e.ask, -t.margin, e.shortfall, r.at)) for r, e, t in liquidated
    ]
    assert rows(data_dir, "SELECT sum(shortfall) FROM trades") == [(state.shortfall if made else None,)]
    assert rows(data_dir, "SELECT count(*), coalesce(-sum(pnl), 0) FROM trades") == [(len(made), state.house.pnl)]


def assert_sums_are(data_dir: Path, records: list[Record]) -> None:
    """What each account's history sums up to, counted from the records one kind at a time."""
    events = [record.event for record in records]
    sums = "opened, closed, profitable, closed_pnl, liquidated, liquidated_pnl"
    for account, *found in rows(data_dir, f"SELECT account_id, {sums} FROM sums"):
        opened = [e for e in events if isinstance(e, TradeOpened) and e.account == account]
        closed = [e for e in events if is_close(e) and e.account == account]
        liquidated = [e for e in events if is_liquidation(e) and e.account == account]
        gains = [e for e in closed if e.pnl > 0]
        assert found == [
            *(len(opened), len(closed), len(gains), sum(e.pnl for e in closed)),
            *(len(liquidated), -sum(e.margin for e in liquidated)),
        ], account
