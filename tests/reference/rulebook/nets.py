"""Net positions: one for each account and asset, which orders change."""

from dataclasses import dataclass
from fractions import Fraction

from tests.reference.rulebook import checks, exits, formulas, orders, parts
from tests.reference.rulebook.book import Book, Exit, Order, Price, Trade
from tests.reference.rulebook.commands import NetOrder, Refused
from tests.reference.rulebook.formulas import Position


@dataclass(frozen=True)
class Plan:
    """What a fill of so much at this price does: `reduces` of the opposite position, then `new` is what there is."""

    held: Trade | None
    reduces: int
    opens: int
    new: Position | None
    fee: int
    proceeds: int


def plan(
    book: Book, account: str, asset: str, side: str, quantity: int, at: int, rate: int, mark: int, *, only: bool = False
) -> Plan:
    held = book.net_trade(account, asset)
    reduces = proceeds = 0
    position = Position(side, 0, 0, book.asset(asset).net_unit, 0, book.net_leverage(account, asset), is_net=True)
    if held is not None and held.side == side:
        position = held.position
    elif held is not None:
        reduces = min(quantity, held.position.size)
        part, _ = parts.what_closes(book, held, reduces, mark)
        proceeds = formulas.close(part, at, rate, book.room(account)).returned
    opens = 0 if only else quantity - reduces
    if opens == 0:
        return Plan(held, reduces, 0, None, 0, proceeds)
    new = formulas.increased(position, opens, at)
    added = Position(side, opens, opens * at, new.unit, new.margin - position.margin, new.leverage, is_net=True)
    return Plan(held, reduces, opens, new, formulas.fee(added.entry_notional, rate), proceeds)


def quantity_amounts(quantity: int | None, at: int) -> None:
    checks.amount("quantity", quantity, 1, checks.MOST_SIZE)
    if quantity is not None:
        checks.amount("cost", quantity * at, 1, checks.MOST_SIZE)


def may_open(book: Book, account: str, asset: str, todo: Plan, at: int, mark: int, old: Order | None) -> None:
    """The rules of opening, for the part that opens. `old` is the order that it is filled from."""
    if todo.new is None:
        return
    _fits(todo.new)
    checks.not_due(book, asset, todo.new, at, mark)
    _limits(book, account, asset, todo, at, old)
    _money(book, account, todo, old)


def _fits(new: Position) -> None:
    checks.amount("size", new.size, 1, checks.MOST_SIZE)
    checks.amount("cost", new.cost, 1, checks.MOST_SIZE)


def _limits(book: Book, account: str, asset: str, todo: Plan, at: int, old: Order | None) -> None:
    assert todo.new is not None
    added = Fraction(todo.opens * at, todo.new.unit)
    flips = todo.held is not None and todo.held.side != todo.new.side
    checks.limits(
        book,
        account,
        asset,
        added=added,
        whole=todo.new.entry_notional,
        leverage=todo.new.leverage,
        new_trades=1 if todo.held is None else 0,
        without=old,
        freed=todo.held.position.entry_notional if flips and todo.held is not None else Fraction(0),
    )


def _money(book: Book, account: str, todo: Plan, old: Order | None) -> None:
    assert todo.new is not None
    same = todo.held is not None and todo.held.side == todo.new.side
    before = todo.held.position.margin if same and todo.held is not None else 0
    available = book.account(account).free + todo.proceeds + (0 if old is None else old.reserved)
    checks.enough(todo.new.margin - before + todo.fee, available)


def would_open(book: Book, order: Order, old: Order | None) -> int:
    """What of it would open, if all of this side before it were filled."""
    assert order.quantity is not None
    beside = sum(
        each.quantity or 0
        for each in book.orders_of(order.account)
        if each.is_net and each.asset == order.asset and each.side == order.side and each is not old
    )
    held = book.net_trade(order.account, order.asset)
    opposite = held.position.size if held is not None and held.side != order.side else 0
    return min(order.quantity, max(0, beside + order.quantity - opposite))


def net_order(book: Book, c: NetOrder) -> None:
    book.account(c.account)
    _fields(book, c)
    only = c.reduce_only or c.close_position
    price = book.fresh_price(c.asset) if only else book.live_price(c.asset)
    side = "long" if c.side == "buy" else "short"
    at = book.opens_at(price, side)
    quantity_amounts(c.quantity, max(at, c.limit or 0, c.stop or 0))
    checks.prices_in_range(c.trailing, limit=c.limit, stop=c.stop)
    checks.slippage_amounts(c.slippage, c.expected_price)
    order = Order(
        id=c.order,
        account=c.account,
        asset=c.asset,
        side=side,
        leverage=book.net_leverage(c.account, c.asset),
        quantity=c.quantity,
        limit=c.limit,
        stop=c.stop,
        expires_at=c.expires_at,
        post_only=c.post_only,
        client_order=c.client_order,
    )
    waits = (c.limit is not None or c.stop is not None) and not checks.crosses(book, price, order)
    if only and (waits or c.trailing is not None):
        _add_exit(book, c, side, price)
    elif only:
        _close_at_once(book, c, side, price, at)
    elif waits:
        orders.rest(book, order, orders.may_wait(book, order, price, ioc=c.tif == "ioc"))
    else:
        _slipping = (c.slippage, c.expected_price, c.seen_price)
        take_checked(book, order, price, slipping=_slipping)
        _do(book, order, price, at, book.rates(c.asset).taker)


def _fields(book: Book, c: NetOrder) -> None:
    only = c.reduce_only or c.close_position
    checks.bad_request("quantity", wrong=(c.quantity is not None) is c.close_position)
    checks.price_fields(limit=c.limit, stop=c.stop)
    checks.expiry(c.tif, c.expires_at, book.at)
    checks.bad_request("kind", wrong=c.kind is not None and (not only or c.stop is None))
    if c.trailing is not None:
        checks.bad_request("trailing", wrong=not only or c.limit is not None or c.stop is not None)
        checks.exit_fields("long", None, None, c.trailing)


def take_checked(
    book: Book,
    order: Order,
    price: Price,
    old: Order | None = None,
    slipping: tuple[int | None, int | None, int | None] = (None, None, None),
) -> None:
    """Whether all of it may be done at once."""
    assert order.quantity is not None
    at, rate = book.opens_at(price, order.side), book.rates(order.asset).taker
    todo = plan(book, order.account, order.asset, order.side, order.quantity, at, rate, price.mark)
    if todo.new is not None:
        _fits(todo.new)
        checks.not_due(book, order.asset, todo.new, at, price.mark)
    checks.slippage(at, *slipping)
    if order.post_only:
        raise Refused("would_take")
    if todo.held is not None and todo.reduces:
        parts.checks_part(todo.held.position, todo.reduces)
    if todo.new is not None:
        _limits(book, order.account, order.asset, todo, at, old)
        _money(book, order.account, todo, old)


def _close_at_once(book: Book, c: NetOrder, side: str, price: Price, at: int) -> None:
    checks.slippage(at, c.slippage, c.expected_price, c.seen_price)
    if c.post_only and c.limit is not None:
        raise Refused("would_take")
    held = _opposite_position(book, c, side)
    size = held.position.size if c.quantity is None else min(c.quantity, held.position.size)
    parts.checks_part(held.position, size)
    parts.close_part(book, held, size, at, book.rates(c.asset).taker, price, "order", c.order)


def _add_exit(book: Book, c: NetOrder, side: str, price: Price) -> None:
    if c.tif == "ioc":
        raise Refused("would_rest")
    held = _opposite_position(book, c, side)
    if c.trailing is not None:
        new = Exit("trailing_stop", trailing=c.trailing)
        exits.follow(new, held.side, book.stops_at(price, held.side, opening=False))
    elif c.stop is not None:
        new = Exit(c.kind or "stop_loss", c.stop, limit=c.limit)
    else:
        new = Exit("limit", c.limit)
    new.id, new.size, new.expires_at, new.post_only = c.order, c.quantity, c.expires_at, c.post_only
    exits.not_reached(book, held, new, price)
    exits.add(book, held, new)


def _opposite_position(book: Book, c: NetOrder, side: str) -> Trade:
    held = book.net_trade(c.account, c.asset)
    if held is None or held.side == side:
        raise Refused("reduce_only_rejected")
    return held


def fill(book: Book, order: Order, price: Price, at: int, rate: int) -> None:
    """One that waited: its reducing part is always done; an opening part that can't be is dropped."""
    assert order.quantity is not None
    reason = None
    todo = plan(book, order.account, order.asset, order.side, order.quantity, at, rate, price.mark)
    try:
        may_open(book, order.account, order.asset, todo, at, price.mark, order)
    except Refused as refused:
        reason = refused.code
    status = "refused" if reason is not None and todo.reduces == 0 else "filled"
    seq = orders.end(book, order, status, reason)
    order.fired = order.fired or 16 * seq
    if status == "filled":
        _do(book, order, price, at, rate, only=reason is not None)


def _do(book: Book, order: Order, price: Price, at: int, rate: int, *, only: bool = False) -> None:
    assert order.quantity is not None
    todo = plan(book, order.account, order.asset, order.side, order.quantity, at, rate, price.mark, only=only)
    if todo.held is not None and todo.reduces:
        parts.close_part(book, todo.held, todo.reduces, at, rate, price, "order", order.id)
    if todo.new is None:
        return
    if todo.held is None or todo.held.side != order.side:
        orders.opened(book, order.account, order.id, order.asset, todo.new, at, rate, [], order.client_order)
        return
    _increase(book, todo.held, todo, order.id, at)


def _increase(book: Book, held: Trade, todo: Plan, by: str, at: int) -> None:
    assert todo.new is not None
    account, margin = book.account(held.account), todo.new.margin - held.position.margin
    account.free -= margin + todo.fee
    book.house.commission += todo.fee
    held.commission += todo.fee
    held.position = todo.new
    parts.reprice(book, held)
    book.tell(
        "trade_increased",
        order=held.id,
        account=held.account,
        asset=held.asset,
        by=by,
        price=at,
        size=todo.opens,
        margin=margin,
        fee=todo.fee,
        now_size=todo.new.size,
        now_margin=todo.new.margin,
        entry=todo.new.shown_entry,
        liquidation=held.liquidation,
        balance=account.free,
    )
