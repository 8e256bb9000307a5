"""What every History promises of orders and records, held against the plainest computation from the records."""

from collections import Counter
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from exness.core.events import (
    AccountEvent,
    CloseReason,
    EndStatus,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    OrderTriggered,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    Why,
)
from exness.core.instruments import AccountId, Asset, OrderId
from exness.core.statement import Reason, entries
from exness.core.trades import PLACES, Exit, Kind, Order, Trade
from exness.runtime.ports.tables import (
    NetOrderQuery,
    OrderQuery,
    OrderRow,
    RecordQuery,
    StatementQuery,
    Told,
    TradeQuery,
)
from tests.contracts.backends import Stored
from tests.contracts.stories import of_today, story
from tests.support.books import LISTINGS
from tests.support.memory_storage import MemoryTables

SEEDS = range(9)
Ends = dict[OrderId, tuple[EndStatus, str, Record, int, int]]
ACCOUNTS = [AccountId(name) for name in ("ann", "bob", "cid", "dan", "nobody")]


def orders_and_exits(records: Iterable[Record]) -> dict[OrderId, Order | tuple[Trade, Exit]]:
    """As they were last seen while they waited; a net order filled at once as it was asked."""
    seen: dict[OrderId, Order | tuple[Trade, Exit]] = {}
    for record in records:
        event = record.event
        match event:
            case OrderPlaced(order) | OrderAmended(order):
                seen[order.id] = order
            case TradeOpened() | TradeIncreased() | TradeReduced() | TradeClosed():
                if event.placed is not None:
                    seen[event.placed.id] = event.placed
            case _:
                pass
        if isinstance(event, TradeChanged | TradeReduced | TradeIncreased | TradeOpened):
            for each in event.trade.exits:
                assert each.id is not None
                was = seen.get(each.id)
                if not isinstance(was, tuple) or each.order.fired == 0:  # type: ignore[union-attr]
                    seen[each.id] = event.trade, each
    return seen


def ends(records: list[Record]) -> Ends:
    """How each of them ended: what a fill did is added up over the records of its command."""
    found: Ends = {}
    sizes: dict[str, int] = {}
    for place, record in enumerate(records):
        event = record.event
        if isinstance(event, TradeOpened | TradeIncreased | TradeReduced):
            sizes[event.trade.id] = event.trade.size
        match event:
            case OrderEnded():
                done = _did(records[place + 1 : place + 3], event.order_id, sizes)
                size, price = done if event.status is EndStatus.FILLED else (0, 0)
                found[event.order_id] = event.status, event.reason, record, size, price
            case TradeChanged(exit=order_id, ended=status) if status is not None:
                assert order_id is not None
                reason = {EndStatus.CANCELLED: "user", EndStatus.EXPIRED: "expired"}[status]
                found[order_id] = status, reason, record, 0, 0
            case TradeOpened() | TradeIncreased() | TradeReduced() | TradeClosed():
                if event.placed is not None:
                    did = _did(records[place : place + 2], event.placed.id, sizes)
                    found[event.placed.id] = EndStatus.FILLED, "", record, *did
                elif isinstance(event, TradeReduced | TradeClosed) and event.by and event.reason != CloseReason.ORDER:
                    found[event.by] = EndStatus.FILLED, "", record, *_did([record], event.by, sizes)
                for order_id in event.ended if isinstance(event, TradeClosed) else ():
                    found[order_id] = EndStatus.CANCELLED, "position_closed", record, 0, 0
            case _:
                pass
    return found


def _did(records: Iterable[Record], order_id: OrderId, sizes: dict[str, int]) -> tuple[int, int]:
    size = price = 0
    for record in records:
        event = record.event
        match event:
            case TradeOpened(trade) if str(trade.id) == order_id:
                size, price = size + trade.size, trade.entry
            case TradeIncreased(by=by) | TradeReduced(by=by) if by == order_id:
                size, price = size + event.size, event.price
            case TradeClosed(by=by) if by == order_id:
                size, price = size + sizes[event.trade_id], event.price
            case _:
                pass
    return size, price


def shown(row: OrderRow) -> tuple[object, ...]:
    made = (row.order_id, row.account, row.asset, row.side, row.kind, row.net, row.number, row.created_at)
    prices = (row.limit, row.stop, row.expires_at, row.reserved, row.take_profit, row.stop_loss, row.trailing)
    amounts = (row.margin, row.leverage, row.quantity, row.closes, row.client_order, row.label)
    return made + prices + amounts + (row.status, row.reason, row.ended_at, row.filled, row.price)


def expected(order_id: OrderId, seen: Order | tuple[Trade, Exit], end: Ends) -> tuple[object, ...]:
    status, reason, record, size, price = end[order_id]
    ended = (status, reason, record.at, size, price)
    if isinstance(seen, Order):
        order, market = seen, seen.limit is None and seen.stop is None
        kind = None if market else order.kind
        made = (order.id, order.account, order.asset, order.side, kind, order.net, order.number, order.placed_at)
        prices = (order.limit, order.stop, order.expires_at, order.reserved)
        own = (order.take_profit, order.stop_loss, order.trailing_stop)
        amounts = (order.margin, order.leverage, order.quantity, None, order.client_order, order.label)
        return made + prices + own + amounts + ended
    trade, it = seen
    order_ = it.order
    assert order_ is not None
    limit, stop = {
        Kind.LIMIT: (it.price, None),
        Kind.TRAILING_STOP: (order_.limit, None),
    }.get(it.kind, (order_.limit, it.price))
    made = (order_.id, trade.account, trade.asset, trade.side, it.kind, trade.net, it.number, order_.placed_at)
    return (
        *made,
        *(limit, stop, order_.expires_at, 0, None, None, it.trailing),
        *(0, 0, order_.size, trade.id, order_.client_order, order_.label),
        *ended,
    )


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_order_that_has_ended_is_told_once_newest_first_as_it_was(stored: Stored, seed: int) -> None:
    records, state = story(seed)
    await stored.fill(records)
    records = of_today(records)
    end, seen = ends(records), orders_and_exits(records)
    waiting = {order_id for account in state.account_list for order_id in (*account.orders, *account.exits)}
    assert end.keys() | waiting == seen.keys()
    for account in ACCOUNTS:
        rows, total = await stored.history.orders(OrderQuery(account, limit=500))
        right = [expected(order_id, seen[order_id], end) for order_id in end]
        right = sorted((row for row in right if row[1] == account), key=lambda row: row[6], reverse=True)  # type: ignore[arg-type,return-value]
        assert [shown(row) for row in rows] == right
        assert total == len(rows)
        pages = [await stored.history.orders(OrderQuery(account, limit=3, offset=at)) for at in range(0, total, 3)]
        assert [row for page, _ in pages for row in page] == rows
        assert {of_all for _, of_all in pages} <= {total}
        for asset in {row.asset for row in rows} | {Asset("ETH")}:
            of_asset = [row for row in rows if row.asset == asset]
            assert await stored.history.orders(OrderQuery(account, asset, 500)) == (of_asset, len(of_asset))


def test_the_stories_end_orders_in_every_way() -> None:
    ways: Counter[tuple[EndStatus, str]] = Counter()
    at_once = exits = 0
    for seed in SEEDS:
        records = of_today(story(seed)[0])
        seen = orders_and_exits(records)
        for order_id, (status, reason, *_) in ends(records).items():
            ways[status, reason] += 1
            one = seen[order_id]
            exits += isinstance(one, tuple) and status is EndStatus.FILLED
            at_once += isinstance(one, Order) and one.limit is None and one.stop is None
    for way in (
        (EndStatus.FILLED, ""),
        (EndStatus.CANCELLED, "user"),
        (EndStatus.CANCELLED, "position_closed"),
        (EndStatus.EXPIRED, "expired"),
    ):
        assert ways[way] > 3, ways
    assert sum(count for (status, _), count in ways.items() if status is EndStatus.REFUSED) > 0
    assert min(at_once, exits) > 3


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_fired_has_the_number_of_the_record_in_which_it_first_did(stored: Stored, seed: int) -> None:
    records, _ = story(seed)
    await stored.fill(records)
    records = of_today(records)
    fired: dict[str, int] = {}
    for record in records:
        event = record.event
        match event:
            case OrderTriggered(order_id=order_id) | OrderEnded(order_id=order_id) if event.fired:
                fired.setdefault(order_id, event.fired)
            case TradeReduced(by=by) | TradeClosed(by=by) if by is not None and event.reason != CloseReason.ORDER:
                fired.setdefault(by, record.seq * PLACES)
            case TradeChanged(exit=order_id) if order_id is not None and event.ended is None:
                it = next(each for each in event.trade.exits if each.id == order_id)
                if it.order is not None and it.order.fired:
                    fired[order_id] = it.order.fired
            case TradeOpened() | TradeIncreased() | TradeReduced() | TradeClosed() if event.placed is not None:
                fired[event.placed.id] = event.placed.number
            case _:
                pass
    for account in ACCOUNTS:
        for row in (await stored.history.orders(OrderQuery(account, limit=500)))[0]:
            assert row.fired == fired.get(row.order_id, 0), row


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_order_is_found_by_its_owner_while_it_waits_and_when_it_has_ended(stored: Stored, seed: int) -> None:
    records, state = story(seed)
    await stored.fill(records)
    records = of_today(records)
    for account in state.account_list:
        for order_id in (*account.orders, *account.exits):
            row = await stored.history.order(account.id, order_id)
            assert row is not None
            assert (row.status, row.reason, row.ended_at) == (None, None, None)
            for other in ACCOUNTS:
                assert other == account.id or await stored.history.order(other, order_id) is None
    for order_id, (status, *_) in ends(records).items():
        rows = [await stored.history.order(account, order_id) for account in ACCOUNTS]
        assert [row.status for row in rows if row is not None] == [status]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_trades_sums_are_those_of_all_its_parts(stored: Stored, seed: int) -> None:
    records, _ = story(seed)
    await stored.fill(records)
    records = of_today(records)
    realized: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    closed = set()
    for record in records:
        match record.event:
            case TradeOpened(trade) | TradeIncreased(trade):
                paid[trade.id] += record.event.fee
            case TradeReduced(trade):
                realized[trade.id] += record.event.pnl
                paid[trade.id] += record.event.fee
            case TradeClosed(trade_id=trade_id) as end:
                closed.add(trade_id)
                realized[trade_id] += end.pnl
                paid[trade_id] += 0 if end.liquidated else end.fee
            case _:
                pass
    for account in ACCOUNTS:
        rows, sums = await stored.history.trades(TradeQuery(account, limit=500))
        for row in rows:
            assert (row.realized, row.commission) == (realized[row.id], paid[row.id])
        ended = [row for row in rows if row.id in closed]
        assert sums.total_pnl == sum(row.realized for row in ended)
        assert sums.profitable == sum(row.realized > 0 for row in ended)
        sums_of_filter = (await stored.history.trades(TradeQuery(account, asset=Asset("BTC"), limit=500)))[1]
        assert sums_of_filter.total_pnl == sum(row.realized for row in ended if row.asset == "BTC")


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_records_of_a_page_of_the_statement_are_those_that_move_money(stored: Stored, seed: int) -> None:
    records, _ = story(seed)
    await stored.fill(records)
    records = of_today(records)
    for account in ACCOUNTS:
        own = [
            record for record in records if isinstance(record.event, AccountEvent) and record.event.account == account
        ]
        for reason in (None, *Reason):
            for asset in (None, Asset("BTC"), Asset("SOL")):
                moves = [
                    (record.seq, len([each for each in entries(record.event) if reason in (None, each[0])]))
                    for record in reversed(own)
                    if asset is None or _asset(record) == asset
                ]
                moves = [(seq, rows) for seq, rows in moves if rows]
                found: list[int] = []
                before = None
                while page := await stored.history.moves(StatementQuery(account, reason, asset, before, 4)):
                    rows = [dict(moves)[seq] for seq in page]
                    assert sum(rows[:-1]) < 4, "no record too many"
                    found, before = found + page, page[-1]
                assert found == [seq for seq, _ in moves]


def _asset(record: Record) -> Asset | None:
    event = record.event
    for of in (event, getattr(event, "trade", None), getattr(event, "order", None)):
        if hasattr(of, "asset"):
            return of.asset  # type: ignore[union-attr]
    return None


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_span_tells_what_was_held_at_its_start_by_the_newest_record_of_each(stored: Stored, seed: int) -> None:
    records, _ = story(seed)
    await stored.fill(records)
    records = of_today(records)
    for start in {record.at for record in records[:: len(records) // 15 or 1]}:
        for account in ACCOUNTS:
            own = [r for r in records if isinstance(r.event, AccountEvent) and r.event.account == account]
            held: dict[str, int] = {}
            for record in own:
                if record.at > start:
                    break
                match record.event:
                    case TradeOpened(it) | TradeIncreased(it) | TradeReduced(it) | TradeChanged(it):
                        held[it.id] = record.seq
                    case OrderPlaced(it) | OrderAmended(it):
                        held[it.id] = record.seq
                    case TradeClosed(trade_id=gone) | OrderEnded(order_id=gone):
                        del held[gone]
                    case _:
                        pass
            span = await stored.history.span(account, start, start + 1_000_000)
            assert span.first == max((r.seq for r in own if r.at <= start), default=0)
            assert span.last == max((r.seq for r in own if r.at <= start + 1_000_000), default=0)
            assert span.held == sorted(held.values())


# --- orders of net positions by their numbers, records by what they tell ----------------------------------------------


def net_queries(account: AccountId, rows: list[OrderRow], times: list[int]) -> list[NetOrderQuery]:
    """Of every kind."""
    queries = [NetOrderQuery(account, fires) for fires in (False, True)]
    for row in rows:
        queries += [NetOrderQuery(account, False, number=each, limit=1) for each in (row.number, row.fired or 7)]
        queries.append(NetOrderQuery(account, True, number=row.number, limit=1))
        queries.append(NetOrderQuery(account, False, label=row.order_id, limit=1))
        queries += [NetOrderQuery(account, True, row.asset, limit=2, newest=newest) for newest in (False, True)]
        queries.append(NetOrderQuery(account, False, first=row.number, limit=3, newest=False))
    queries += [NetOrderQuery(account, False, start=at, limit=5, newest=False) for at in times[::7]]
    queries += [NetOrderQuery(account, False, end=at, limit=5) for at in times[::7]]
    return queries


@pytest.mark.parametrize("seed", SEEDS)
async def test_orders_of_net_positions_are_found_by_number_label_and_time(stored: Stored, seed: int) -> None:
    records = story(seed)[0]
    await stored.fill(records)
    plain = MemoryTables(LISTINGS)
    plain.take(records)
    times = [record.at for record in records]
    for account in ACCOUNTS:
        rows = await plain.net_orders(NetOrderQuery(account, False)) + await plain.net_orders(
            NetOrderQuery(account, True)
        )
        for query in net_queries(account, rows, times):
            assert await stored.history.net_orders(query) == await plain.net_orders(query), query
        ids = [row.order_id for row in rows] + [OrderId("nothing")]
        found = {row.order_id: row for row in await stored.history.orders_named(account, ids)}
        assert found == {row.order_id: row for row in rows}
        assert await stored.history.orders_named(AccountId("nobody"), ids) == []


def tells(record: Record) -> set[Told]:
    """What a record tells of, worked out from the record alone."""
    event = record.event
    match event:
        case TradeOpened() | TradeIncreased() | TradeReduced() if event.trade.net:
            return {Told.NET, Told.FILL}
        case TradeClosed(net=net) if net is not None:
            return {Told.NET, Told.FILL} | ({Told.LIQUIDATION} if event.liquidated else set())
        case TradeChanged() if event.trade.net:
            return {Told.NET} | ({Told.MARGIN_MOVED} if event.why is Why.MARGIN else set())
        case OrderPlaced(order) | OrderAmended(order) if order.net:
            return {Told.NET}
        case OrderEnded(net=True):
            return {Told.NET}
        case _:
            return set()


@pytest.mark.parametrize("seed", SEEDS)
async def test_records_are_picked_by_what_they_tell_by_asset_and_by_time(stored: Stored, seed: int) -> None:
    records = of_today(story(seed)[0])
    await stored.fill(story(seed)[0])
    for account in ACCOUNTS:
        own = [record for record in records if getattr(record.event, "account", None) == account]
        for told in ((), (Told.NET,), (Told.NET, Told.FILL), (Told.LIQUIDATION,), (Told.MARGIN_MOVED,)):
            for reasons in ((), (Reason.FUNDING,), (Reason.PNL, Reason.COMMISSION)):
                expected = [
                    record.seq
                    for record in own
                    if set(told) <= tells(record)
                    and (not reasons or any(reason in reasons for reason, _ in entries(record.event)))
                ]
                whole = RecordQuery(account, reasons, told, limit=1000)
                assert await stored.history.picked(whole) == expected
                assert await stored.history.picked(replace(whole, limit=2)) == expected[-2:]
                assert await stored.history.picked(replace(whole, limit=2, newest=False)) == expected[:2]
        mine = RecordQuery(account, is_net=False, limit=1000)
        assert await stored.history.picked(mine) == [each.seq for each in own if Told.NET not in tells(each)]
        for middle in own[:: max(1, len(own) // 5)]:
            later = RecordQuery(account, start=middle.at, limit=1000)
            assert await stored.history.picked(later) == [each.seq for each in own if each.at >= middle.at]
            earlier = RecordQuery(account, end=middle.at, first=middle.seq, limit=1000)
            kept = [each.seq for each in own if each.at <= middle.at and each.seq >= middle.seq]
            assert await stored.history.picked(earlier) == kept
