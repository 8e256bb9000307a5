"""What can be asked of the engine. A command asks; an event tells.

Money is micro-USDC, prices are scaled by their asset's decimals, leverage and slippage are hundredths
(see `instruments`), times are microseconds since the epoch. Ids are made by the caller.
"""

import msgspec

from exness.core.instruments import AccountId, Asset, Side, TradeId


class OpenAccount(msgspec.Struct, frozen=True, gc=False):
    """Make an account and pay its first deposit in. Refused: ACCOUNT_EXISTS, AMOUNT_OUT_OF_RANGE."""

    account: AccountId
    email: str
    deposit: int


class Deposit(msgspec.Struct, frozen=True, gc=False):
    """Pay money into an account. Refused: ACCOUNT_NOT_FOUND, AMOUNT_OUT_OF_RANGE."""

    account: AccountId
    amount: int


class OpenTrade(msgspec.Struct, frozen=True, gc=False):
    """Open a trade at the current price. Every figure is checked by the engine.

    `slippage` bounds how far the price may be from `expected_price`, which the trader saw, or without one from
    `seen_price`: that of when the command came in, which `Engine.seen` notes where it has to wait.
    """

    account: AccountId
    trade_id: TradeId
    asset: Asset
    side: Side
    margin: int
    leverage: int
    slippage: int | None = None
    expected_price: int | None = None
    client_order: str | None = None
    seen_price: int | None = None


class CloseTrade(msgspec.Struct, frozen=True, gc=False):
    """Close an open trade of this account at the current price. Refused: TRADE_NOT_FOUND, PRICE_UNAVAILABLE."""

    account: AccountId
    trade_id: TradeId


class Reset(msgspec.Struct, frozen=True, gc=False):
    """Forget every account, trade and price, as if nothing had happened. Never refused."""


class PriceTick(msgspec.Struct, frozen=True, gc=False):
    """A new best bid and ask of one asset.

    `life_us` is how long, from the moment the engine takes it, this price may be traded on.

    `suspect` says that the venue shows a price too far away to be believed yet. Such a tick repeats the last accepted
    bid and ask: it sets nothing off and gives the price no new life, but until a tick without it nothing is opened.

    `volume` is what was traded since the asset's tick before, in hundred-millionths of the asset; 0 where unknown.
    `marks` is how many marks it stands for: itself, and those that were thinned out right before it.
    """

    asset: Asset
    bid: int
    ask: int
    life_us: int
    suspect: bool = False
    volume: int = 0
    marks: int = 1


Command = OpenAccount | Deposit | OpenTrade | CloseTrade | Reset | PriceTick
