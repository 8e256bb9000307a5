"""runtime/equity.py: an account's statement and its equity over time, held against the state at each moment."""

from collections.abc import Iterator

import pytest

from exness.core.events import AccountEvent, ExchangeReset, Record
from exness.core.evolve import evolve
from exness.core.instruments import Asset
from exness.core.line import pnl
from exness.core.state import Account, State
from exness.core.statement import Reason
from exness.runtime.candles import Candle, Interval
from exness.runtime.equity import Closes, Course, Curve, EquityRow, moments, statement_rows
from exness.runtime.ports.tables import StatementQuery
from tests.contracts.stories import of_today, story

SECOND = 1_000_000
MINUTE = 60 * SECOND


def states(records: list[Record]) -> Iterator[tuple[Record, State]]:
    state = State()
    for record in records:
        evolve(state, record)
        yield record, state


# --- statement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_each_row_leads_from_one_balance_to_the_next_and_all_add_up_to_the_account(seed: int) -> None:
    balances: dict[str, int] = {}
    sums: dict[tuple[str, Reason], int] = {}
    for record, state in states(story(seed)[0]):
        event = record.event
        if isinstance(event, ExchangeReset):
            balances.clear()
            sums.clear()
        if not isinstance(event, AccountEvent):
            continue
        account = state.accounts[event.account]
        rows = statement_rows(record, StatementQuery(account.id))
        for place, row in enumerate(rows):
            assert (row.seq, row.place, row.at) == (record.seq, place, record.at)
            balances[account.id] = balances.get(account.id, 0) + row.amount
            assert row.balance == balances[account.id]
            sums[account.id, row.reason] = sums.get((account.id, row.reason), 0) + row.amount
        assert balances.get(account.id, 0) == account.free
        assert sums.get((account.id, Reason.MARGIN), 0) == -account.locked
        assert sums.get((account.id, Reason.RESERVE), 0) == -account.reserved
        assert [row.reason for row in rows] == sorted({row.reason for row in rows}, key=list(Reason).index)


@pytest.mark.parametrize("seed", range(6))
def test_a_reason_leaves_the_other_rows_out_and_each_as_it_is(seed: int) -> None:
    for record in story(seed)[0]:
        if isinstance(record.event, AccountEvent):
            every = statement_rows(record, StatementQuery(record.event.account))
            for reason in Reason:
                asked = StatementQuery(record.event.account, reason)
                assert statement_rows(record, asked) == [row for row in every if row.reason is reason]


# --- equity ---------------------------------------------------------------------------------------------------------


def candle(asset: Asset, end: int, close: int) -> Candle:
    """One that ends at the first whole second from then on."""
    return Candle(asset, Interval.M1, -(-end // 1_000_000) - 60, close, close, close, close)


def equity_of(account: Account, at: int, closes: dict[Asset, int]) -> EquityRow:
    unrealized = sum(pnl(trade.line, closes[trade.asset]) for trade in account.trades.values() if trade.asset in closes)
    free, locked, reserved = account.free, account.locked, account.reserved
    return EquityRow(at, free + locked + reserved + unrealized, free, locked, reserved, unrealized)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])  # that of 0 ends with a reset
def test_the_curve_is_the_state_of_each_moment_at_the_last_close_before_it(seed: int) -> None:
    told = story(seed)[0]
    records = of_today(told)
    account = next(record.event.account for record in records if isinstance(record.event, AccountEvent))
    ends = sorted({record.at + number % 2 for number, record in enumerate(records[10::9])})
    marks = {asset: [(end, 90 + number) for number, end in enumerate(ends) if number % 3] for asset in ("BTC", "SOL")}
    expected = []
    for end in ends:
        state = State()
        for each in told:
            if each.at <= end:
                evolve(state, each)
        closes = {
            Asset(a): close for a, those in marks.items() for at, close in those if -(-at // SECOND) * SECOND <= end
        }
        expected.append(equity_of(state.accounts[account], end, closes))
    course = Course()
    curve = Curve(course, ends)
    curve.closes = {Asset(a): Closes(candle(Asset(a), *each) for each in those) for a, those in marks.items()}
    for each in records:
        if isinstance(each.event, AccountEvent) and each.event.account == account:
            while curve.is_before(each.at):
                curve.draw()
            course.take(each)
    while curve.is_before(ends[-1] + 1):
        curve.draw()
    assert curve.rows == expected


def test_the_curves_above_show_gains_and_reserves() -> None:
    accounts = [account for seed in range(6) for account in story(seed)[1].account_list]
    assert any(account.trades for account in accounts)
    assert any(account.reserved for account in accounts)


def test_without_a_start_the_newest_moments_are_taken_and_with_one_the_oldest() -> None:
    at = 1_000 * MINUTE
    assert moments(Interval.M1, None, at + 1, 3) == [at - 2 * MINUTE, at - MINUTE, at]
    assert moments(Interval.M1, at - MINUTE + 1, at + 5 * MINUTE, 3) == [at, at + MINUTE, at + 2 * MINUTE]
    assert moments(Interval.M1, at, at, 3) == [at]
    assert moments(Interval.M1, at + 1, at + 2, 3) == []
    assert moments(Interval.D1, None, 5, 500) == []


def test_a_close_counts_from_the_end_of_its_candle_until_the_next_one() -> None:
    closes = Closes([candle(Asset("SOL"), 5 * MINUTE, 7), candle(Asset("SOL"), 3 * MINUTE, 6)])
    assert [closes.at(at) for at in (3 * MINUTE - 1, 3 * MINUTE, 5 * MINUTE - 1, 5 * MINUTE, 99 * MINUTE)] == [
        *(None, 6, 6, 7, 7)
    ]
