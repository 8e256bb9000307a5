"""Exits: setting the trade's own, adding those with an id, amending and cancelling these, and firing."""

from dataclasses import replace
from typing import Any

from tests.reference.rulebook import checks, parts
from tests.reference.rulebook.book import Book, Exit, Price, Trade
from tests.reference.rulebook.commands import AddExit, AmendOrder, Refused, SetExits, Trailing


def set_exits(book: Book, c: SetExits) -> None:
    trade = book.trade(c.account, c.order)
    checks.known(c.changes, "take_profit", "stop_loss", "trailing")
    given = {name: c.changes.get(name) for name in ("take_profit", "stop_loss", "trailing")}
    checks.exit_fields(trade.side, given["take_profit"], given["stop_loss"], given["trailing"])
    price = book.fresh_price(trade.asset)
    checks.prices_in_range(given["trailing"], take_profit=given["take_profit"], stop_loss=given["stop_loss"])
    looked_at = book.stops_at(price, trade.side, opening=False)
    levels = [(kind, given[kind]) for kind in ("stop_loss", "take_profit")]
    checks.exits_not_due(trade.side, looked_at, levels)
    new = own_exits(trade.side, looked_at, **given)
    renamed = {"trailing_stop" if name == "trailing" else name for name in c.changes}
    trade.exits = [each for each in trade.exits if each.id is not None or each.kind not in renamed] + new
    number_exits(new, parts.tell_changed(book, trade, "exits"))


def own_exits(
    side: str, looked_at: int, take_profit: int | None, stop_loss: int | None, trailing: Trailing | None
) -> list[Exit]:
    """Those that are given, in the order of their numbers."""
    exits = []
    if take_profit is not None:
        exits.append(Exit("take_profit", take_profit))
    if stop_loss is not None:
        exits.append(Exit("stop_loss", stop_loss))
    if trailing is not None:
        exits.append(Exit("trailing_stop", trailing=trailing))
        follow(exits[-1], side, looked_at)
    return exits


def number_exits(exits: list[Exit], seq: int) -> None:
    for place, each in enumerate(exits):
        each.number = 16 * seq + place


def follow(trailing: Exit, side: str, price: int) -> bool:
    """Whether this price moved its watermark."""
    assert trailing.trailing is not None
    mark, activation = trailing.watermark, trailing.trailing.activation
    if mark is None:
        waits = activation is not None and (price < activation if side == "long" else price > activation)
        if waits:
            return False
    elif price <= mark if side == "long" else price >= mark:
        return False
    before = trailing.level(side)
    trailing.watermark = price
    after = trailing.level(side)
    assert after is not None
    assert before is None or (after >= before if side == "long" else after <= before)
    return True


def add_exit(book: Book, c: AddExit) -> None:
    trade = book.trade(c.account, c.order)
    checks.alternatives(c.percent, c.margin, c.size)
    checks.bad_request("kind", wrong=c.kind not in ("take_profit", "stop_loss", "limit"))
    checks.price_fields(price=c.price)
    price = book.fresh_price(trade.asset)
    checks.prices_in_range(price=c.price)
    size = parts.part_of(trade.position, c.percent, c.margin, c.size)
    new = Exit(c.kind, c.price, c.size if c.size is not None else size, c.exit)
    not_reached(book, trade, new, price)
    parts.checks_part(trade.position, size)
    add(book, trade, new)


def not_reached(book: Book, trade: Trade, new: Exit, price: Price) -> None:
    if new.trailing is None and new.price is not None:
        checks.exits_not_due(trade.side, looks_at(book, trade, new, price), [(new.kind, new.price)])


def looks_at(book: Book, trade: Trade, each: Exit, price: Price) -> int:
    if each.kind == "limit":
        return book.closes_at(price, trade.side)
    return book.stops_at(price, trade.side, opening=False)


def add(book: Book, trade: Trade, new: Exit) -> None:
    """One with an id."""
    checks.more_exits(book, sum(each.id is not None for each in trade.exits))
    trade.exits.append(new)
    number_exits([new], parts.tell_changed(book, trade, "exits", exit=new.id, ended=None))


def amend_exit(book: Book, c: AmendOrder, trade: Trade, old: Exit) -> None:
    checks.known(c.changes, "price", "limit", "size", "expires_at")
    changed: dict[str, Any] = dict(c.changes)
    if old.kind == "limit":
        checks.bad_request("limit", wrong="limit" in changed)
    checks.bad_request("price", wrong=old.trailing is not None and {"price", "limit"} & set(changed) != set())
    checks.bad_request("price", wrong=changed.get("price", 1) is None or changed.get("size", 1) is None)
    new = replace(old, **changed)
    checks.price_fields(price=new.price, limit=new.limit)
    price = book.fresh_price(trade.asset)
    checks.prices_in_range(price=new.price, limit=new.limit)
    checks.amount("size", new.size, 1, checks.MOST_SIZE)
    if "size" in changed:
        assert new.size is not None
        not_reached(book, trade, new, price)
        parts.checks_part(trade.position, min(new.size, trade.position.size))
    not_reached(book, trade, new, price)
    trade.exits[trade.exits.index(old)] = new
    parts.tell_changed(book, trade, "exits", exit=new.id, ended=None)


def end_exit(book: Book, trade: Trade, each: Exit, status: str) -> None:
    """One with an id, cancelled or expired while its trade lives."""
    trade.exits.remove(each)
    parts.tell_changed(book, trade, "exits", exit=each.id, ended=status)


def is_due(book: Book, trade: Trade, each: Exit, price: Price) -> bool:
    level = each.level(trade.side)
    return level is not None and checks.is_reached(each.kind, trade.side, level, looks_at(book, trade, each, price))


def fire(book: Book, trade: Trade, each: Exit, price: Price) -> None:
    at, rates = book.closes_at(price, trade.side), book.rates(trade.asset)
    if each.limit is not None and _is_past(trade.side, at, each.limit):
        each.kind, each.price, each.limit = "limit", each.limit, None
        each.fired = 16 * parts.tell_changed(book, trade, "triggered", exit=each.id, ended=None)
        return
    rate, reason = rates.taker, each.kind
    if each.kind == "limit":
        rate, reason = rates.maker, "exit"
        if book.rules.limit_fill == "limit":
            assert each.price is not None
            at = each.price
    trade.exits.remove(each)
    size = trade.position.size if each.size is None else min(each.size, trade.position.size)
    seq = parts.close_part(book, trade, size, at, rate, price, reason, each.id)
    each.fired = each.fired or 16 * seq


def _is_past(side: str, at: int, limit: int) -> bool:
    return at < limit if side == "long" else at > limit


def find(book: Book, account: str, name: str) -> tuple[Trade, Exit]:
    for trade, each in book.exits_of(account):
        if each.id == name:
            return trade, each
    raise Refused("order_not_found")
