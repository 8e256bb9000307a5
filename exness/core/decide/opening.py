"""Opening a trade of its own: at the market, and by an order that is filled."""

from exness.core import margin
from exness.core.books import NOTIONAL_UNIT
from exness.core.client_orders import fingerprint, forgotten, repeat, wrong_name
from exness.core.commands import NetOrder, OpenTrade, PlaceOrder
from exness.core.decide import guards
from exness.core.decide.funds import Funds, funds_of
from exness.core.events import Event, TradeOpened
from exness.core.instruments import LEVERAGE_UNIT, Asset, Side, TradeId
from exness.core.line import entry_fee, trade_line
from exness.core.outcomes import Repeated
from exness.core.prices import Price
from exness.core.rejects import Figure, Refusal, Reject, Slipped
from exness.core.rules import LEVERAGE, MARGIN, SIZE, SLIPPAGE, Rules
from exness.core.state import Account, State
from exness.core.tick_order import opens_at, stops_at
from exness.core.trades import PLACES, Exit, Kind, Order, Trade, Trailing

SIZE_NOTIONAL = NOTIONAL_UNIT // LEVERAGE_UNIT
"""Of one unit of a trade's size, as `books` keeps notionals."""

Wish = OpenTrade | PlaceOrder | Order
"""What says what is to be opened."""
OwnExits = tuple[Exit | None, Exit | None, Exit | None]
"""Take profit, stop loss, trailing stop."""


def decide_open(state: State, rules: Rules, command: OpenTrade, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    asset = command.asset
    instrument = rules.instruments.get(asset)
    if command.client_order is not None:
        used = repeat(account, command, instrument)
        if used is not None:
            return used
    exits = (command.take_profit, command.stop_loss, command.trailing_stop)
    refusal = None if exits == _NO_EXITS else guards.wrong_exits(command.side, *exits)
    if refusal is not None:
        return refusal
    price = state.fresh_price(asset, at)
    if instrument is None or price is None or price.suspect:
        return guards.no_price(state, asset, at)
    refusal = (
        wrong_amounts(rules, asset, command.margin, command.leverage)
        or wrong_slippage(asset, command)
        or wrong_name(command)
        or (None if exits == _NO_EXITS else guards.exits_out_of_range(asset, *exits))
    )
    if refusal is not None:
        return refusal
    entry, rate = opens_at(rules.execution, price, command.side), rules.rates_of(asset).taker
    opened = open_at(state, rules, account, command, command.trade_id, price, entry, rate, at, funds_of(state, account))
    if not isinstance(opened, TradeOpened) or command.client_order is None:
        return [opened] if isinstance(opened, TradeOpened) else opened
    forgets = forgotten(account, rules.client_order_ids_per_account)
    return [
        TradeOpened(opened.trade, opened.balance, fingerprint(command), forgets, opened.fee),
    ]


def open_at(
    state: State,
    rules: Rules,
    account: Account,
    wish: Wish,
    trade_id: TradeId,
    price: Price,
    entry: int,
    rate: int,
    at: int,
    funds: Funds,
) -> TradeOpened | Refusal:
    """What opening at `entry` comes to, with a commission at `rate`; `price` is what it is judged by."""
    asset, side, margin_, leverage = wish.asset, wish.side, wish.margin, wish.leverage
    line = trade_line(side, margin_, leverage, entry)
    liquidation, due = guards.would_liquidate(asset, line, rules.rates_of(asset), entry, price.mark)
    refusal = due or slipped(wish, entry)
    has_exits = not (wish.stop_loss is None and wish.take_profit is None and wish.trailing_stop is None)
    looked_at = stops_at(rules, price, side, opening=False) if has_exits else 0
    if refusal is None and has_exits:
        refusal = guards.exits_would_trigger(asset, side, wish.take_profit, wish.stop_loss, looked_at)
    notional = line.size * SIZE_NOTIONAL
    fee = entry_fee(line, rate)
    refusal = (
        refusal
        or guards.over_limit(state, rules, account, asset, notional, line, leverage, left_out=funds.left_out)
        or guards.out_of_range(Figure.SIZE, line.size, SIZE)  # after the limits, as it has always been answered
        or guards.too_little(margin_ + fee, funds.free)
    )
    if refusal is not None:
        return refusal
    trade = Trade(
        trade_id,
        account.id,
        asset,
        side,
        margin_,
        leverage,
        entry,
        liquidation,
        at,
        funds.seq,
        line.size,
        wish.client_order,
        0,
        0,
        fee,
        0,
        0,
        *(own_exits(wish, side, looked_at, funds.seq) if has_exits else _NO_EXITS),
    )
    return TradeOpened(trade, funds.free - margin_ - fee, "", (), fee)


def own_exits(wish: Wish, side: Side, looked_at: int, seq: int) -> OwnExits:
    """The exits of a trade that opens by record `seq`. `looked_at` is where a trailing stop begins."""
    first = seq * PLACES
    take_profit = None if wish.take_profit is None else Exit(Kind.TAKE_PROFIT, first, wish.take_profit)
    number = first + (take_profit is not None)
    stop_loss = None if wish.stop_loss is None else Exit(Kind.STOP_LOSS, number, wish.stop_loss)
    number += stop_loss is not None
    trailing = wish.trailing_stop
    return take_profit, stop_loss, None if trailing is None else trailing_exit(trailing, side, looked_at, number)


def trailing_exit(trailing: Trailing, side: Side, price: int, number: int) -> Exit:
    """It trails from `price` on, unless that has not reached its activation."""
    activation = trailing.activation
    waits = activation is not None and (price < activation if side is Side.LONG else price > activation)
    return Exit(Kind.TRAILING_STOP, number, 0 if waits else price, trailing)


def wrong_amounts(rules: Rules, asset: Asset, margin: int, leverage: int) -> Refusal | None:
    most = rules.instruments[asset].max_leverage
    return guards.out_of_range(Figure.MARGIN, margin, MARGIN) or guards.out_of_range(
        Figure.LEVERAGE, leverage, LEVERAGE._replace(most=most)
    )


def wrong_slippage(asset: Asset, command: OpenTrade | NetOrder) -> Refusal | None:
    return guards.out_of_range(Figure.SLIPPAGE, command.slippage, SLIPPAGE) or guards.price_out_of_range(
        asset, (Figure.EXPECTED_PRICE, command.expected_price)
    )


def slipped(wish: Wish | NetOrder, actual: int) -> Refusal | None:
    """The price is further from the expected one than is allowed."""
    if not isinstance(wish, OpenTrade | NetOrder) or wish.slippage is None:
        return None
    expected = wish.seen_price if wish.expected_price is None else wish.expected_price
    if expected is None or not margin.slippage_exceeded(expected, actual, wish.slippage):
        return None
    return Refusal(Reject.SLIPPAGE_EXCEEDED, Slipped(wish.asset, expected, actual, wish.slippage))


_NO_EXITS: tuple[None, None, None] = (None, None, None)
