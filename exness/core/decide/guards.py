"""What a command is held against, in the order in which API.md lists the errors. Each guard refuses, or gives None."""

from exness.core.books import NOTIONAL_UNIT
from exness.core.commands import TimeInForce
from exness.core.instruments import Asset, Instrument, Side
from exness.core.line import Line, is_reached, liquidation_price, net_unit
from exness.core.rates import Rates
from exness.core.rejects import (
    DueAtOnce,
    Figure,
    Limit,
    NoPrice,
    OutOfRange,
    OverLimit,
    Reached,
    Refusal,
    Reject,
    TooLittle,
    Wrong,
)
from exness.core.rules import PRICE, SIZE, TRAILING_PERCENT, Bounds, Rules
from exness.core.state import Account, State
from exness.core.tick_order import exit_is_reached
from exness.core.trades import Kind, Trade, Trailing

_LONG = Side.LONG


# --- 400 ------------------------------------------------------------------------------------------------------------


def wrong(field: str, must: str) -> Refusal:
    return Refusal(Reject.INVALID_REQUEST, Wrong(field, must))


def wrong_price(**prices: int | None) -> Refusal | None:
    for field, price in prices.items():
        if price is not None and price <= 0:
            return wrong(field, "be above 0")
    return None


def wrong_part(*given: int | None, least: int) -> Refusal | None:
    """How much of a trade is said in one way: `percent`, `margin` or `size`."""
    named = sum(each is not None for each in given)
    return None if least <= named <= 1 else wrong("percent", "be the only one of percent, margin and quantity")


def wrong_exits(
    side: Side, take_profit: int | None, stop_loss: int | None, trailing: Trailing | None
) -> Refusal | None:
    refusal = wrong_price(take_profit=take_profit, stop_loss=stop_loss)
    if refusal is not None:
        return refusal
    if trailing is not None:
        if (trailing.distance is None) is (trailing.percent is None):
            return wrong("trailing_stop", "have one of distance and percent")
        refusal = wrong_price(distance=trailing.distance, activation=trailing.activation)
        if refusal is not None:
            return refusal
    if take_profit is None or stop_loss is None:
        return None
    if take_profit <= stop_loss if side is _LONG else take_profit >= stop_loss:
        return wrong("stop_loss", "be below take_profit of a long, above that of a short")
    return None


def wrong_expiry(time_in_force: TimeInForce | None, expires_at: int | None, at: int) -> Refusal | None:
    if time_in_force is not None and (time_in_force is TimeInForce.GTT) is not (expires_at is not None):
        return wrong("expires_at", "be given with gtt, and with nothing else")
    if expires_at is not None and expires_at <= at:
        return wrong("expires_at", "be ahead")
    return None


# --- 503 ------------------------------------------------------------------------------------------------------------


def no_price(state: State, asset: Asset, at: int) -> Refusal:
    """Why this asset can't be traded now."""
    price = state.price(asset)
    age_us = None if price is None else at - price.at
    return Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(asset, state.price_state(asset, at), age_us))


# --- 422 ------------------------------------------------------------------------------------------------------------


def out_of_range(figure: Figure, given: int | None, allowed: Bounds, asset: Asset | None = None) -> Refusal | None:
    if given is None or allowed.least <= given <= allowed.most:
        return None
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(figure, given, *allowed, asset))


def price_out_of_range(asset: Asset, *prices: tuple[Figure, int | None]) -> Refusal | None:
    for figure, price in prices:
        refusal = out_of_range(figure, price, PRICE, asset)
        if refusal is not None:
            return refusal
    return None


def exits_out_of_range(
    asset: Asset, take_profit: int | None, stop_loss: int | None, trailing: Trailing | None
) -> Refusal | None:
    refusal = price_out_of_range(asset, (Figure.TAKE_PROFIT, take_profit), (Figure.STOP_LOSS, stop_loss))
    if refusal is not None or trailing is None:
        return refusal
    return (
        out_of_range(Figure.DISTANCE, trailing.distance, PRICE, asset)
        or out_of_range(Figure.TRAILING_PERCENT, trailing.percent, TRAILING_PERCENT)
        or out_of_range(Figure.ACTIVATION, trailing.activation, PRICE, asset)
    )


def due_at_once(asset: Asset, price: int, mark: int, liquidation: int) -> Refusal:
    """The mark is at its liquidation price: at the touch, a very wide book is enough. `price` is what it would come
    about at."""
    return Refusal(Reject.WOULD_LIQUIDATE, DueAtOnce(asset, price, mark, liquidation))


def would_liquidate(asset: Asset, line: Line, rates: Rates, price: int, mark: int) -> Refusal | None:
    """It is due at this mark, under the rates of now."""
    liquidation = liquidation_price(line, rates)
    return due_at_once(asset, price, mark, liquidation) if is_reached(line.side, liquidation, mark) else None


def would_trigger(asset: Asset, kind: Kind, side: Side, level: int | None, price: int) -> Refusal | None:
    """An exit of a trade of this side that is due at the price it looks at."""
    if level is None or not exit_is_reached(kind, side, level, price):
        return None
    return Refusal(Reject.WOULD_TRIGGER, Reached(asset, price, level, kind))


def exits_would_trigger(
    asset: Asset, side: Side, take_profit: int | None, stop_loss: int | None, price: int
) -> Refusal | None:
    return would_trigger(asset, Kind.STOP_LOSS, side, stop_loss, price) or would_trigger(
        asset, Kind.TAKE_PROFIT, side, take_profit, price
    )


def over_limit(
    state: State,
    rules: Rules,
    rates: Rates,
    account: Account,
    asset: Asset,
    added: int,
    whole: Line,
    leverage: int,
    new_trades: int = 1,
    left_out: int = 0,
    freed: int = 0,
) -> Refusal | None:
    """The first limit that would be broken. `added` and `freed` are notionals that come and go, `left_out` that of an
    order which this comes from, all as `books` keeps them; `whole` is the position that there would be."""
    if new_trades:
        trades = len(account.trades) + new_trades
        if trades > rules.max_open_trades_per_account:
            return over(Limit.OPEN_TRADES_PER_ACCOUNT, rules.max_open_trades_per_account, trades)
    market = state.markets.get(asset)
    mine = account.notional - left_out - freed + added
    here = (0 if market is None else market.open_interest) - freed + added
    if mine > rules.max_notional_per_account * NOTIONAL_UNIT:
        return over(Limit.NOTIONAL_PER_ACCOUNT, rules.max_notional_per_account, -(-mine // NOTIONAL_UNIT))
    if here > rules.max_open_interest_per_asset * NOTIONAL_UNIT:
        return over(Limit.OPEN_INTEREST_PER_ASSET, rules.max_open_interest_per_asset, -(-here // NOTIONAL_UNIT))
    return over_tier(rates, whole, leverage) if rates.maintenance else None


def over_tier(rates: Rates, whole: Line, leverage: int) -> Refusal | None:
    """More leverage than the tier of its entry notional allows."""
    most = rates.max_leverage(whole.cost, whole.unit) if rates.maintenance else None
    return None if most is None or leverage <= most else over(Limit.TIER_LEVERAGE, most, leverage)


def over(limit: Limit, allowed: int, would_be: int) -> Refusal:
    return Refusal(Reject.POSITION_LIMIT, OverLimit(limit, allowed, would_be))


def too_little(required: int, available: int) -> Refusal:
    return Refusal(Reject.INSUFFICIENT_MARGIN, TooLittle(required, available))


def not_enough(required: int, available: int) -> Refusal | None:
    return None if required <= available else too_little(required, available)


def unchangeable(trade: Trade) -> Refusal | None:
    """It is of a release that knew no ceiling of sizes: it can only be closed whole."""
    return None if trade.size <= SIZE.most else too_large(trade.size)


def too_large(size: int) -> Refusal:
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.SIZE, size, *SIZE))


# --- what decisions are made on -------------------------------------------------------------------------------------


def unit_of(instrument: Instrument) -> int | None:
    """Of net positions in it. None: there can be none."""
    return net_unit(instrument.decimals, instrument.quantity_places)
