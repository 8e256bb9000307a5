"""What time brings, and the order of one tick. Everything that waits is looked at, every time."""

from collections.abc import Callable
from dataclasses import replace

from tests.reference.rulebook import checks, exits, formulas, orders, parts
from tests.reference.rulebook.book import Book, Exit, Order, Price, Trade
from tests.reference.rulebook.commands import PriceTick

EXIT_ROWS = (("stop_loss",), ("trailing_stop",), ("take_profit",), ("limit",))
SIDES = ("long", "short")


def pass_time(book: Book, to: int) -> None:
    """What is due up to and including this time, each with its own time; of one time expiries, then settlements."""
    due: list[tuple[int, int, int, str, Callable[[str], None]]] = []
    for order in book.orders.values():
        if order.expires_at is not None and order.expires_at <= to:
            due.append((order.expires_at, 0, order.number, order.id, lambda name: _expire(book, name)))
    for trade in book.trades.values():
        for each in trade.exits:
            if each.expires_at is not None and each.expires_at <= to:
                assert each.id is not None
                due.append((each.expires_at, 0, each.number, each.id, lambda name: _expire(book, name)))
    for asset in book.prices:
        for at in _settlements(book, asset, to):
            due.append((at, 1, 0, asset, lambda name: _settle(book, name)))
    for at, _, _, name, do in sorted(due, key=lambda each: each[:4]):
        book.at = at
        do(name)
    book.at = to


def _expire(book: Book, name: str) -> None:
    if name in book.orders:
        orders.end(book, book.orders[name], "expired", "expired")
        return
    for account in book.accounts:
        for trade, each in list(book.exits_of(account)):
            if each.id == name:
                exits.end_exit(book, trade, each, "expired")


def _settlements(book: Book, asset: str, to: int) -> range:
    rates = book.rates(asset)
    if rates.funding_interval == 0:
        return range(0)
    passed = (book.at - rates.funding_offset) // rates.funding_interval
    return range(rates.funding_offset + (passed + 1) * rates.funding_interval, to + 1, rates.funding_interval)


def _settle(book: Book, asset: str) -> None:
    price = book.prices[asset]
    long, short = book.rates(asset).funding_at(book.at, book.venue_funding.get(asset, 0))
    for trade in sorted(book.trades.values(), key=lambda each: each.number):
        rate = long if trade.side == "long" else short
        if trade.asset == asset and trade.opened_at < book.at and rate:
            _pay(book, trade, price.mark, rate)
    if price.state(book.at) == "live":
        _liquidate_all(book, asset, price)


def _pay(book: Book, trade: Trade, mark: int, rate: int) -> None:
    paid, unpaid = formulas.funding(trade.position, mark, rate, book.room(trade.account))
    if paid == 0 and unpaid == 0:
        return
    trade.position = replace(trade.position, margin=trade.position.margin - paid)
    trade.funding += paid
    book.house.funding += paid
    parts.reprice(book, trade)
    covered = book.house.cover(unpaid)
    parts.tell_changed(book, trade, "funding", paid=paid, price=mark, shortfall=unpaid, covered=covered)


def tick(book: Book, c: PriceTick) -> None:
    if c.suspect:
        if c.asset in book.prices:
            book.prices[c.asset].is_suspect = True
        return
    if c.funding is not None:
        book.venue_funding[c.asset] = c.funding
    price = book.prices[c.asset] = Price(c.bid, c.ask, book.at, book.at + c.life_us)
    move_watermarks(book, c.asset, price)
    _liquidate_all(book, c.asset, price)
    for kinds in EXIT_ROWS:
        for side in SIDES:
            _fire_all(book, c.asset, price, kinds, side)
    for side in SIDES:
        _fill_limits(book, c.asset, price, side)
    for side in SIDES:
        _fill_stops(book, c.asset, price, side)


def move_watermarks(book: Book, asset: str, price: Price) -> None:
    moved = False
    for trade in book.trades.values():
        for each in trade.exits:
            if trade.asset == asset and each.trailing is not None:
                moved |= exits.follow(each, trade.side, book.stops_at(price, trade.side, opening=False))
    if moved:
        book.tell("trail_moved", asset=asset, bid=price.bid, ask=price.ask, mark=price.mark)


def _liquidate_all(book: Book, asset: str, price: Price) -> None:
    for side in SIDES:
        due = [
            each
            for each in book.trades.values()
            if each.asset == asset and each.side == side and each.is_due(price.mark)
        ]
        for trade in sorted(due, key=lambda each: (_nearest(side == "short", each.liquidation), each.number)):
            _liquidate(book, trade, price)


def _nearest(rising: bool, level: int) -> int:
    """What a rising price meets first is the lowest."""
    return level if rising else -level


def _liquidate(book: Book, trade: Trade, price: Price) -> None:
    settled = formulas.liquidate(trade.position, price.mark, book.rates(trade.asset), book.room(trade.account))
    account, house = book.account(trade.account), book.house
    account.free += settled.returned
    house.pnl -= settled.pnl
    covered = house.cover(settled.shortfall)
    house.insurance += settled.fee + settled.forfeited
    del book.trades[trade.id]
    book.tell(
        "trade_liquidated",
        order=trade.id,
        account=trade.account,
        asset=trade.asset,
        mark=price.mark,
        bid=price.bid,
        ask=price.ask,
        size=trade.position.size,
        margin=trade.position.margin,
        pnl=settled.pnl,
        fee=settled.fee,
        returned=settled.returned,
        forfeited=settled.forfeited,
        shortfall=settled.shortfall,
        covered=covered,
        reason="liquidation",
        **{name: value for name, value in parts.shown_exits(trade).items() if name == "stop_loss"},
        balance=account.free,
    )


def due_exits(book: Book, asset: str, price: Price, kinds: tuple[str, ...], side: str) -> list[tuple[Trade, Exit]]:
    """Nearest first, then in the order in which they were set."""
    due = [
        (trade, each)
        for trade in book.trades.values()
        if trade.asset == asset and trade.side == side
        for each in trade.exits
        if each.kind in kinds and exits.is_due(book, trade, each, price)
    ]
    rises = (kinds[0] in ("take_profit", "limit")) is (side == "long")
    return sorted(due, key=lambda each: (_nearest(rises, each[1].level(side) or 0), each[1].number))


def _fire_all(book: Book, asset: str, price: Price, kinds: tuple[str, ...], side: str) -> None:
    while due := due_exits(book, asset, price, kinds, side):
        exits.fire(book, *due[0], price)


def due_limits(book: Book, asset: str, price: Price, side: str) -> list[Order]:
    due = [
        each
        for each in book.orders.values()
        if each.asset == asset and each.side == side and checks.crosses(book, price, each)
    ]
    return sorted(due, key=lambda each: (_nearest(side == "short", each.limit or 0), each.number))


def _fill_limits(book: Book, asset: str, price: Price, side: str) -> None:
    while due := due_limits(book, asset, price, side):
        order, at = due[0], book.opens_at(price, side)
        assert order.limit is not None
        if book.rules.limit_fill == "limit":
            at = order.limit
        orders.fill(book, order, price, at, book.rates(asset).maker)


def due_stops(book: Book, asset: str, price: Price, side: str) -> list[Order]:
    due = [
        each
        for each in book.orders.values()
        if each.asset == asset and each.side == side and checks.is_stopped(book, price, each)
    ]
    return sorted(due, key=lambda each: (_nearest(side == "long", each.stop or 0), each.number))


def _fill_stops(book: Book, asset: str, price: Price, side: str) -> None:
    while due := due_stops(book, asset, price, side):
        order, at = due[0], book.opens_at(price, side)
        is_past = order.limit is not None and (at > order.limit if side == "long" else at < order.limit)
        if not is_past:
            orders.fill(book, order, price, at, book.rates(asset).taker)
            continue
        order.stop = None
        seq = book.tell("order_triggered", order=order.id, account=order.account, asset=asset)
        order.fired = order.fired or 16 * seq


def nothing_is_due(book: Book, asset: str) -> None:
    """After a tick of this asset a full scan finds nothing."""
    price = book.prices[asset]
    assert not [each.id for each in book.trades.values() if each.asset == asset and each.is_due(price.mark)]
    for side in SIDES:
        for kinds in EXIT_ROWS:
            assert not due_exits(book, asset, price, kinds, side)
        assert not due_limits(book, asset, price, side)
        assert not due_stops(book, asset, price, side)
