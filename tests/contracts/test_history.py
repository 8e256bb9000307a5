"""What every History promises, held against the plainest computation from the records."""

import random
from itertools import product

import msgspec
import pytest

from exness.core.commands import CancelOrders, PlaceOrder, Reset
from exness.core.events import AccountOpened, Deposited, Record, TradeClosed, TradeOpened
from exness.core.instruments import AccountId, OrderId, TradeId
from exness.runtime.ports.tables import Analytics, ClosedTrade, OrderQuery, SortBy, TradeQuery, TradeRow
from tests.contracts.backends import Stored
from tests.contracts.trading import TRADERS, random_trading
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    DECIMALS,
    ETH,
    LONG,
    SECOND,
    SHORT,
    SOL,
    START,
    close_trade,
    desk_with,
    hundredths,
    known_history,
    open_account,
    open_trade,
    price_of,
    tick,
    usdc,
)


def rows_of(records: list[Record]) -> list[TradeRow]:
    """Every trade, in the order they were opened, found by looking for its end among all records."""
    return [_row(record.event, records) for record in records if isinstance(record.event, TradeOpened)]


def _row(opened: TradeOpened, records: list[Record]) -> TradeRow:
    trade = opened.trade
    ends = [record for record in records if isinstance(record.event, TradeClosed) and record.event.trade_id == trade.id]
    fields = set(trade.__struct_fields__) & set(TradeRow.__struct_fields__)
    row: dict[str, object] = {field: getattr(trade, field) for field in fields}
    row |= {"liquidated": False, "shortfall": 0, "decimals": DECIMALS[trade.asset], "net": trade.net}
    row |= dict.fromkeys(("close_price", "pnl", "returned", "closed_at", "close_reason"))
    for record in ends:
        row["closed_at"] = record.at
        match record.event:
            case TradeClosed(price=price, pnl=pnl, returned=returned) as closed:
                row |= {"close_price": price, "pnl": pnl, "returned": returned}
                row |= {"shortfall": closed.shortfall, "liquidated": closed.liquidated}
                row |= {"realized": pnl, "close_reason": closed.reason}
            case _:
                pass
    return TradeRow(**row)  # type: ignore[arg-type]


def expected(rows: list[TradeRow], query: TradeQuery) -> tuple[list[TradeRow], Analytics]:
    kept = [row for row in rows if wanted(row, query)]
    column = {
        SortBy.CREATED_AT: "opened_at",
        SortBy.CLOSED_AT: "closed_at",
        SortBy.PNL: "pnl",
        SortBy.MARGIN: "margin",
        SortBy.LEVERAGE: "leverage",
    }[query.sort_by]
    sign = -1 if query.descending else 1

    def place(numbered: tuple[int, TradeRow]) -> tuple[bool, int, int]:
        number, row = numbered
        value = getattr(row, column)
        return value is None, sign * (value or 0), sign * number

    ordered = [row for _, row in sorted(enumerate(kept), key=place)]
    sums = Analytics(
        total=len(kept),
        open=len([row for row in kept if row.pnl is None]),
        closed=len([row for row in kept if row.pnl is not None]),
        profitable=len([row for row in kept if row.pnl is not None and row.pnl > 0]),
        unprofitable=len([row for row in kept if row.pnl is not None and row.pnl <= 0]),
        liquidated=len([row for row in kept if row.liquidated]),
        total_pnl=sum(row.pnl or 0 for row in kept),
    )
    return ordered[query.offset :][: query.limit], sums


def wanted(row: TradeRow, query: TradeQuery) -> bool:
    if row.account != query.account:
        return False
    if query.is_open is not None and query.is_open != (row.closed_at is None):
        return False
    if query.asset is not None and query.asset != row.asset:
        return False
    if query.side is not None and query.side is not row.side:
        return False
    if query.profitable is not None and (row.pnl is None or query.profitable != (row.pnl > 0)):
        return False
    if query.liquidated is not None and (row.pnl is None or query.liquidated != row.liquidated):
        return False
    if query.opened_from is not None and row.opened_at < query.opened_from:
        return False
    if query.closed_from is not None and (row.closed_at is None or row.closed_at < query.closed_from):
        return False
    if query.closed_to is not None and (row.closed_at is None or row.closed_at > query.closed_to):
        return False
    return query.opened_to is None or row.opened_at <= query.opened_to


async def test_every_order_lists_every_trade_with_ties_by_opening_and_open_ones_last(stored: Stored) -> None:
    desk = random_trading(2)
    await stored.fill(desk.records)
    rows = rows_of(desk.records)
    for sort_by, descending, trader in product(SortBy, (True, False), TRADERS):
        query = TradeQuery(trader, limit=500, sort_by=sort_by, descending=descending)
        assert await stored.history.trades(query) == expected(rows, query), query


@pytest.mark.parametrize("seed", range(3))
async def test_any_filter_gives_the_same_page_and_sums_as_counting_by_hand(stored: Stored, seed: int) -> None:
    desk = random_trading(seed + 10)
    await stored.fill(desk.records)
    rows, rng = rows_of(desk.records), random.Random(seed)
    times = [row.opened_at for row in rows]
    for _ in range(200):
        query = TradeQuery(
            account=rng.choice(TRADERS),
            is_open=rng.choice((None, None, True, False)),
            asset=rng.choice((None, None, SOL, ETH, BTC)),
            side=rng.choice((None, None, LONG, SHORT)),
            profitable=rng.choice((None, None, None, True, False)),
            liquidated=rng.choice((None, None, None, True, False)),
            opened_from=rng.choice((None, None, rng.choice(times))),
            opened_to=rng.choice((None, None, rng.choice(times))),
            closed_from=rng.choice((None, None, rng.choice(times))),
            closed_to=rng.choice((None, None, rng.choice(times))),
            limit=rng.choice((1, 3, 500)),
            offset=rng.choice((0, 0, 1, 2, 1000)),
            sort_by=rng.choice(list(SortBy)),
            descending=rng.choice((True, False)),
        )
        assert await stored.history.trades(query) == expected(rows, query), query


async def test_pages_laid_side_by_side_are_the_whole(stored: Stored) -> None:
    desk = random_trading(3)
    await stored.fill(desk.records)
    for sort_by in SortBy:
        whole, sums = await stored.history.trades(TradeQuery(TRADERS[0], limit=500, sort_by=sort_by))
        assert len(whole) == sums.total > 10
        pages = []
        for offset in range(0, len(whole), 7):
            query = TradeQuery(TRADERS[0], limit=7, offset=offset, sort_by=sort_by)
            page, page_sums = await stored.history.trades(query)
            assert page_sums == sums, "the sums cover everything, not the page"
            pages += page
        assert pages == whole


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_that_go_on_from_the_last_row_are_the_whole_also_while_trades_are_opened(
    stored: Stored, descending: bool
) -> None:
    desk = random_trading(4)
    await stored.fill(desk.records)
    for more in ({}, {"asset": SOL}, {"is_open": False}, {"profitable": True, "side": LONG}):
        query = TradeQuery(TRADERS[0], limit=500, descending=descending, **more)
        whole, sums = await stored.history.trades(query)
        assert len(whole) > 1
        page, pages = whole[:1], whole[:1]
        while page:
            going_on = msgspec.structs.replace(query, limit=3, beyond=pages[-1].place)
            page, page_sums = await stored.history.trades(going_on)
            assert page_sums == sums, "the sums cover everything, not what is left"
            pages = pages + page
        assert pages == whole


@pytest.mark.parametrize("descending", [True, False])
async def test_a_walk_passes_every_trade_once_and_gives_what_matches(stored: Stored, descending: bool) -> None:
    desk = random_trading(5)
    await stored.fill(desk.records)
    for more in ({}, {"asset": BTC}, {"is_open": True}, {"liquidated": True}):
        query = TradeQuery(TRADERS[1], limit=500, descending=descending, **more)
        whole, _ = await stored.history.trades(query)
        everything, _ = await stored.history.trades(TradeQuery(TRADERS[1], limit=500))
        found, steps, at = [], 0, None
        while steps == 0 or at is not None:
            rows, at = await stored.history.walk(msgspec.structs.replace(query, limit=4, beyond=at))
            found += rows
            steps += 1
        assert found == whole
        assert steps == len(everything) // 4 + 1, "it looks at four trades a step, whatever matches"


async def test_orders_go_on_below_the_last_number(stored: Stored) -> None:
    desk = desk_with(ANN)
    desk.do(tick(SOL, "200"))
    for number in range(7):
        order, limit = OrderId(f"w-{number}"), price_of(SOL, "100")
        desk.do(PlaceOrder(ANN, order, SOL, LONG, usdc("10"), hundredths("2"), limit=limit))
        desk.do(CancelOrders(ANN, named=frozenset({order})))
    await stored.fill(desk.records)
    whole, total = await stored.history.orders(OrderQuery(ANN, limit=500))
    assert len(whole) == total == 7
    for asset in (None, SOL):
        below, found = whole[0].number + 1, []
        while rows := (await stored.history.orders(OrderQuery(ANN, asset, 2, below=below)))[0]:
            found += rows
            below = rows[-1].number
        assert found == whole


async def test_the_times_of_a_query_include_both_ends(stored: Stored) -> None:
    desk = desk_with(ANN)
    for number in range(3):
        desk.at = START + number * SECOND
        desk.open(open_trade(f"o-{number}"))
    await stored.fill(desk.records)
    query = TradeQuery(ANN, opened_from=START + SECOND, opened_to=START + SECOND)
    rows, _ = await stored.history.trades(query)
    assert [row.id for row in rows] == ["o-1"]
    rows, _ = await stored.history.trades(msgspec.structs.replace(query, opened_to=START + SECOND - 1))
    assert rows == []


async def test_a_trade_closed_at_no_gain_counts_as_unprofitable(stored: Stored) -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("flat"))
    desk.do(close_trade("flat"))
    await stored.fill(desk.records)
    rows, sums = await stored.history.trades(TradeQuery(ANN, profitable=False))
    assert [row.id for row in rows] == ["flat"]
    assert sums == Analytics(total=1, closed=1, unprofitable=1)


async def test_a_liquidated_trade_shows_the_tick_that_did_it_and_what_the_house_bore(stored: Stored) -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", SOL, LONG, margin="10", leverage="100"))
    desk.at += SECOND
    desk.do(tick(SOL, "150"))
    await stored.fill(desk.records)
    row = await stored.history.trade(ANN, TradeId("o-1"))
    assert row is not None
    assert (row.liquidated, row.close_price, row.closed_at) == (True, 150_000_000, START + SECOND)
    assert (row.pnl, row.returned, row.shortfall) == (-usdc("10"), 0, usdc("240"))


async def test_nobody_sees_another_ones_trades(stored: Stored) -> None:
    desk = known_history()
    await stored.fill(desk.records)
    rows = rows_of(desk.records)
    for row in rows:
        other = BOB if row.account == ANN else ANN
        assert await stored.history.trade(row.account, row.id) == row
        assert await stored.history.trade(other, row.id) is None
    for account in (ANN, BOB):
        page, sums = await stored.history.trades(TradeQuery(account))
        assert {row.account for row in page} == {account}
        assert sums.total == len(page)
    assert await stored.history.trade(ANN, TradeId("no-such-order")) is None


@pytest.mark.parametrize("name", ["nobody", "", "' OR 1=1 --", "%", "house"])
async def test_an_account_without_trades_has_an_empty_history(stored: Stored, name: str) -> None:
    await stored.journal.append(known_history().records)
    assert await stored.history.trades(TradeQuery(AccountId(name))) == ([], Analytics())


async def test_history_shows_a_trade_once_its_record_is_written_and_its_end_once_that_is(stored: Stored) -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("o-1", client_order="mine"))
    written = len(desk.records)
    await stored.fill(desk.records)
    desk.do(close_trade("o-1"))
    row = await stored.history.trade(ANN, TradeId("o-1"))
    assert row is not None
    assert (row.closed_at, row.client_order) == (None, "mine")
    await stored.fill(desk.records[written:])
    row = await stored.history.trade(ANN, TradeId("o-1"))
    assert row is not None
    assert row.closed_at == desk.at


async def test_a_fresh_start_leaves_an_empty_history_under_the_ids_of_before(stored: Stored) -> None:
    desk = known_history()
    await stored.fill(desk.records)
    assert (await stored.history.trades(TradeQuery(ANN)))[1].total > 0
    written = len(desk.records)
    desk.do(Reset())
    desk.do(open_account(ANN))
    await stored.fill(desk.records[written:])
    for account in (ANN, BOB):
        assert await stored.history.trades(TradeQuery(account)) == ([], Analytics())


# --- of all accounts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_what_has_closed_of_all_accounts_comes_a_page_at_a_time(stored: Stored, limit: int) -> None:
    desk = random_trading(6)
    await stored.fill(desk.records)
    found, after, pages = list[ClosedTrade](), TradeId(""), 0
    while True:
        page, last = await stored.history.closed_trades(after, limit)
        found += page
        pages += 1
        if last is None:
            break
        assert last > after
        after = last
    opened = [record.event.trade.id for record in desk.records if isinstance(record.event, TradeOpened)]
    closed = [
        ClosedTrade(record.event.account, record.event.realized_before + record.event.pnl, record.at, record.seq)
        for record in desk.records
        if isinstance(record.event, TradeClosed)
    ]
    assert sorted(found, key=lambda each: each.seq) == closed
    assert 0 < len(closed) < len(opened)
    assert pages == len(opened) // limit + 1


async def test_what_was_paid_in_is_told_of_each_account(stored: Stored) -> None:
    desk = random_trading(7)
    await stored.fill(desk.records)
    paid: dict[AccountId, int] = {}
    for record in desk.records:
        match record.event:
            case AccountOpened(account, _, amount) | Deposited(account, amount):
                paid[account] = paid.get(account, 0) + amount
            case _:
                pass
    assert await stored.history.deposited(list(paid)) == paid
    one, *_ = paid
    assert await stored.history.deposited([one, AccountId("nobody")]) == {one: paid[one]}
    assert await stored.history.deposited([]) == {}
