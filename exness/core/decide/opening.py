"""Opening a trade of its own: at the market, and by an order that is filled."""

from msgspec.structs import replace

from exness.core import margin
from exness.core.books import NOTIONAL_UNIT
from exness.core.ceilings import MOST_HELD, MOST_SIZE
from exness.core.client_orders import fingerprint, forgotten, repeat
from exness.core.commands import NetOrder, OpenTrade, PlaceOrder
from exness.core.decide import guards
from exness.core.events import Event, TradeOpened
from exness.core.instruments import LEVERAGE_UNIT, Asset, Instrument, Side, TradeId
from exness.core.line import entry_fee, liquidation_price, trade_line
from exness.core.outcomes import Repeated
from exness.core.prices import Price
from exness.core.rates import FREE, Rates
from exness.core.rejects import Figure, Refusal, Reject, Slipped
from exness.core.rules import LEVERAGE, MARGIN, SLIPPAGE, Bounds, Rules, out_of_range
from exness.core.state import Account, State
from exness.core.tick_order import opens_at, stops_at
from exness.core.trades import PLACES, Exit, Kind, Order, Trade, Trailing

SIZE_NOTIONAL = NOTIONAL_UNIT // LEVERAGE_UNIT
"""Of one unit of a trade's size, as `books` keeps notionals."""

_LONG = Side.LONG  # to look it up for every trade would take 80 ns each
Wish = OpenTrade | PlaceOrder | Order
"""What says what is to be opened."""


def decide_open(state: State, rules: Rules, command: OpenTrade, at: int) -> list[Event] | Refusal | Repeated:
    account = state.accounts.get(command.account)
    if account is None:
        return Refusal(Reject.ACCOUNT_NOT_FOUND)
    asset = command.asset
    instrument = rules.instruments.get(asset)
    used = None
    if command.client_order is not None:
        used = repeat(account, command, instrument)
        if isinstance(used, Repeated):
            return used
    has_exits = _has_exits(command)
    if has_exits:
        refusal = guards.wrong_exits(command.side, command.take_profit, command.stop_loss, command.trailing_stop)
        if refusal is not None:
            return refusal
    if used is not None:
        return used
    price = state.fresh_price(asset, at)
    if instrument is None or price is None or price.suspect:
        return guards.no_price(state, asset, at)
    refusal = _wrong_figures(instrument, command)
    if refusal is None and has_exits:
        exits = command.take_profit, command.stop_loss, command.trailing_stop
        refusal = guards.exits_out_of_range(asset, *exits)
    if refusal is not None:
        return refusal
    rates = rules.rates.get(asset, FREE)
    entry = opens_at(rules.execution, price, command.side)
    opened = open_at(
        state,
        rules,
        account,
        command,
        command.trade_id,
        price,
        entry,
        rates,
        rates.taker,
        at,
        state.seq + 1,
        account.free,
    )
    if isinstance(opened, Refusal):
        return opened
    if command.client_order is None:
        return [opened]
    forgets = forgotten(account, rules.client_order_ids_per_account)
    return [TradeOpened(opened.trade, opened.balance, fingerprint(command), forgets, opened.fee)]


def open_at(
    state: State,
    rules: Rules,
    account: Account,
    wish: Wish,
    trade_id: TradeId,
    price: Price,
    entry: int,
    rates: Rates,
    rate: int,
    at: int,
    seq: int,
    free: int,
    left_out: int = 0,
) -> TradeOpened | Refusal:
    """What opening at `entry` comes to, with a commission at `rate`, by record `seq`. `price` is what it is judged by,
    `free` the balance it is paid from, and `left_out` the notional of an order that it comes from."""
    asset, side, margin_, leverage = wish.asset, wish.side, wish.margin, wish.leverage
    line = trade_line(side, margin_, leverage, entry)
    liquidation = liquidation_price(line, rates)
    if price.mark <= liquidation if side is _LONG else price.mark >= liquidation:
        return guards.due_at_once(asset, entry, price.mark, liquidation)
    if type(wish) is OpenTrade and wish.slippage is not None:
        refusal = slipped(wish, entry)
        if refusal is not None:
            return refusal
    has_exits = _has_exits(wish)
    if has_exits:
        refusal = _exits_would_trigger(rules, wish, price)
        if refusal is not None:
            return refusal
    refusal = guards.over_limit(
        state, rules, rates, account, asset, line.size * SIZE_NOTIONAL, line, leverage, 1, left_out
    )
    if refusal is not None:
        return refusal
    if line.size > MOST_SIZE:  # after the limits, as it has always been answered
        return guards.too_large(line.size)
    fee = entry_fee(line, rate) if rate else 0
    balance = free - margin_ - fee
    if balance < 0:
        return guards.too_little(free - balance, free)
    size, name = line.size, wish.client_order
    if not has_exits:
        trade = Trade(trade_id, account.id, asset, side, margin_, leverage, entry, liquidation, at, seq, size, name)
        return TradeOpened(replace(trade, commission=fee) if fee else trade, balance, "", (), fee)
    take_profit, stop_loss, trailing_stop = _exits(rules, wish, price, seq * PLACES)
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
        seq,
        size,
        name,
        commission=fee,
        take_profit=take_profit,
        stop_loss=stop_loss,
        trailing_stop=trailing_stop,
    )
    return TradeOpened(trade, balance, "", (), fee)


def _has_exits(wish: Wish) -> bool:
    return not (wish.take_profit is None and wish.stop_loss is None and wish.trailing_stop is None)


def _exits_would_trigger(rules: Rules, wish: Wish, price: Price) -> Refusal | None:
    looked_at = stops_at(rules, price, wish.side, opening=False)
    return guards.exits_would_trigger(wish.asset, wish.side, wish.take_profit, wish.stop_loss, looked_at)


def _exits(rules: Rules, wish: Wish, price: Price, number: int) -> tuple[Exit | None, Exit | None, Exit | None]:
    """Take profit, stop loss, trailing stop. Their numbers are counted in their order, from `number`. A trailing stop
    begins at what it looks at."""
    take_profit = None if wish.take_profit is None else Exit(Kind.TAKE_PROFIT, number, wish.take_profit)
    number += take_profit is not None
    stop_loss = None if wish.stop_loss is None else Exit(Kind.STOP_LOSS, number, wish.stop_loss)
    number += stop_loss is not None
    trailing_stop = None
    if wish.trailing_stop is not None:
        looked_at = stops_at(rules, price, wish.side, opening=False)
        trailing_stop = trailing_exit(wish.trailing_stop, wish.side, looked_at, number)
    return take_profit, stop_loss, trailing_stop


def trailing_exit(trailing: Trailing, side: Side, price: int, number: int) -> Exit:
    """It trails from `price` on, unless that has not reached its activation."""
    activation = trailing.activation
    waits = activation is not None and (price < activation if side is Side.LONG else price > activation)
    return Exit(Kind.TRAILING_STOP, number, 0 if waits else price, trailing)


def _wrong_figures(instrument: Instrument, command: OpenTrade) -> Refusal | None:
    """The first figure that no order can have."""
    c = command
    is_plain = c.slippage is None and c.expected_price is None and c.client_order is None
    if is_plain and 0 < c.margin <= MOST_HELD and LEVERAGE_UNIT <= c.leverage <= instrument.max_leverage:
        return None
    found = out_of_range(instrument, c.margin, c.leverage, c.slippage, c.expected_price, c.client_order)
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, found[0]) if found else None


def wrong_amounts(rules: Rules, asset: Asset, margin: int, leverage: int) -> Refusal | None:
    most = rules.instruments[asset].max_leverage
    return guards.out_of_range(Figure.MARGIN, margin, MARGIN) or guards.out_of_range(
        Figure.LEVERAGE, leverage, Bounds(LEVERAGE.least, most)
    )


def wrong_slippage(asset: Asset, command: OpenTrade | NetOrder) -> Refusal | None:
    return guards.out_of_range(Figure.SLIPPAGE, command.slippage, SLIPPAGE) or guards.price_out_of_range(
        asset, (Figure.EXPECTED_PRICE, command.expected_price)
    )


def slipped(wish: OpenTrade | NetOrder, actual: int) -> Refusal | None:
    """The price is further from the expected one than is allowed."""
    if wish.slippage is None:
        return None
    expected = wish.seen_price if wish.expected_price is None else wish.expected_price
    if expected is None or not margin.slippage_exceeded(expected, actual, wish.slippage):
        return None
    return Refusal(Reject.SLIPPAGE_EXCEEDED, Slipped(wish.asset, expected, actual, wish.slippage))
