"""Closing, whole or in parts, and what changes the margin of an open trade."""

from dataclasses import replace

from tests.reference.rulebook import checks, formulas
from tests.reference.rulebook.book import Book, Price, Trade
from tests.reference.rulebook.commands import ChangeLeverage, ChangeMargin, CloseTrade, Refused, SetNetLeverage
from tests.reference.rulebook.formulas import Position


def close_trade(book: Book, c: CloseTrade) -> None:
    trade = book.trade(c.account, c.order)
    checks.alternatives(c.percent, c.margin, c.size, least=0)
    price = book.fresh_price(trade.asset)
    size = part_of(trade.position, c.percent, c.margin, c.size)
    checks_part(trade.position, size)
    close_part(book, trade, size, book.closes_at(price, trade.side), book.rates(trade.asset).taker, price, "user")


def part_of(position: Position, percent: int | None, margin: int | None, size: int | None) -> int:
    """The size that is meant: all of it where none is named, and never more."""
    checks.amount("percent", percent, 1, 10_000)
    checks.amount("margin", margin, 1, checks.MOST_HELD)
    checks.amount("size", size, 1, checks.MOST_SIZE)
    if percent is not None:
        return position.size * percent // 10_000
    if margin is not None:
        return min(position.size, -(-position.size * margin // position.margin))
    return position.size if size is None else min(size, position.size)


def checks_part(position: Position, size: int) -> None:
    """A part of nothing, or of no margin."""
    if size == 0 or position.margin * size // position.size == 0:
        raise Refused("amount_too_small")


def what_closes(book: Book, trade: Trade, size: int, mark: int) -> tuple[Position, Position | None]:
    """What closes and what stays: nothing, where what stays would be due at the mark."""
    if size >= trade.position.size:
        return trade.position, None
    part, left = formulas.split(trade.position, size)
    if formulas.is_due(left, book.rates(trade.asset), mark):
        return trade.position, None
    return part, left


def close_part(
    book: Book, trade: Trade, size: int, at: int, rate: int, price: Price, reason: str, by: str | None = None
) -> int:
    """Its record's number."""
    part, left = what_closes(book, trade, size, price.mark)
    settled = formulas.close(part, at, rate, book.room(trade.account))
    account = book.account(trade.account)
    account.free += settled.returned
    book.house.pnl -= settled.pnl
    book.house.commission += settled.fee
    trade.realized += settled.pnl
    trade.commission += settled.fee
    told = {
        "order": trade.id,
        "account": trade.account,
        "asset": trade.asset,
        "size": part.size,
        "margin": part.margin,
        "price": at,
        "pnl": settled.pnl,
        "fee": settled.fee,
        "returned": settled.returned,
        "shortfall": settled.shortfall,
        "covered": book.house.cover(settled.shortfall),
        "reason": reason,
        "by": by,
        "balance": account.free,
    }
    if left is None:
        del book.trades[trade.id]
        return book.tell("trade_closed", **told)
    trade.position = left
    reprice(book, trade)
    return book.tell(
        "trade_reduced", left_size=left.size, left_margin=left.margin, liquidation=trade.liquidation, **told
    )


def reprice(book: Book, trade: Trade) -> None:
    """With the rates of now: when its size or its margin changes, and only then."""
    trade.priced = book.rates(trade.asset)
    trade.liquidation = formulas.liquidation_price(trade.position, trade.priced)


def change_margin(book: Book, c: ChangeMargin) -> None:
    trade = book.trade(c.account, c.order)
    account = book.account(c.account)
    mark = book.fresh_price(trade.asset).mark
    checks.amount("amount", c.amount if c.amount > 0 else -c.amount, 1, checks.MOST_HELD)
    if c.amount < 0 and -c.amount > formulas.removable(trade.position, mark):
        raise Refused("margin_too_low", removable=formulas.removable(trade.position, mark))
    changed = replace(trade.position, margin=trade.position.margin + c.amount)
    checks.not_due(book, trade.asset, changed, mark, mark)
    checks.enough(c.amount, account.free)
    _moved(book, trade, changed, "margin")


def change_leverage(book: Book, c: ChangeLeverage) -> None:
    """Of a net position it is that of the account and asset."""
    trade = book.trade(c.account, c.order)
    mark = book.fresh_price(trade.asset).mark
    changed = _checked_leverage(book, trade, c.leverage, mark)
    if trade.is_net:
        book.account(c.account).net_leverage[trade.asset] = c.leverage
        book.tell("net_leverage_set", account=c.account, asset=trade.asset, leverage=c.leverage)
    _moved(book, trade, changed, "leverage")


def set_net_leverage(book: Book, c: SetNetLeverage) -> None:
    account = book.account(c.account)
    trade = book.net_trade(c.account, c.asset)
    changed = None
    if trade is None:
        checks.amount("leverage", c.leverage, 100, book.asset(c.asset).max_leverage)
    else:
        changed = _checked_leverage(book, trade, c.leverage, book.fresh_price(c.asset).mark)
    account.net_leverage[c.asset] = c.leverage
    book.tell("net_leverage_set", account=c.account, asset=c.asset, leverage=c.leverage)
    if trade is not None and changed is not None:
        _moved(book, trade, changed, "leverage")


def _checked_leverage(book: Book, trade: Trade, leverage: int, mark: int) -> Position:
    position = trade.position
    checks.amount("leverage", leverage, 100, book.asset(trade.asset).max_leverage)
    added = formulas.added_by_leverage(position, leverage)
    changed = replace(position, margin=position.margin + added, leverage=leverage)
    if added:
        checks.not_due(book, trade.asset, changed, mark, mark)
    checks.tier_leverage(book, trade.asset, position.entry_notional, leverage)
    checks.enough(added, book.account(trade.account).free)
    return changed


def _moved(book: Book, trade: Trade, changed: Position, why: str) -> None:
    account = book.account(trade.account)
    added = changed.margin - trade.position.margin
    account.free -= added
    trade.position = changed
    if added:
        reprice(book, trade)
    tell_changed(book, trade, why, added=added)


def tell_changed(book: Book, trade: Trade, why: str, *, added: int = 0, **more: object) -> int:
    position = trade.position
    return book.tell(
        "trade_changed",
        order=trade.id,
        account=trade.account,
        asset=trade.asset,
        why=why,
        size=position.size,
        margin=position.margin,
        leverage=position.leverage,
        liquidation=trade.liquidation,
        added=added,
        balance=book.account(trade.account).free,
        **shown_exits(trade),
        **more,
    )


def shown_exits(trade: Trade) -> dict[str, object]:
    """The trade's own."""
    take_profit, stop_loss, trailing = (trade.own(kind) for kind in ("take_profit", "stop_loss", "trailing_stop"))
    return {
        "take_profit": None if take_profit is None else take_profit.price,
        "stop_loss": None if stop_loss is None else stop_loss.price,
        "trailing": None if trailing is None else trailing.trailing,
        "level": None if trailing is None else trailing.level(trade.side),
    }
