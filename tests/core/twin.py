"""A second exchange, slow and obvious, that predicts what the real one must answer.

It is written from API.md alone: whole USDC and whole prices as fractions, every loss computed exactly, every trade
looked at on every tick. It shares no formula with the core.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from fractions import Fraction

from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick, StartAfresh
from exness.core.decide import Repeated
from exness.core.engine import Done, Outcome
from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    StartedAfresh,
    TradeClosed,
    TradeLiquidated,
    TradeOpened,
)
from exness.core.instruments import Asset
from exness.core.rejects import Refusal
from exness.core.state import Rules
from tests.support.books import DECIMALS

MICRO = Fraction(1, 10**6)
Told = tuple[object, ...]


def unit(asset: Asset) -> Fraction:
    return Fraction(1, 10 ** DECIMALS[asset])


def down(value: Fraction, step: Fraction) -> Fraction:
    return math.floor(value / step) * step


def up(value: Fraction, step: Fraction) -> Fraction:
    return math.ceil(value / step) * step


@dataclass
class TwinTrade:
    number: int
    order: str
    account: str
    asset: Asset
    side: str
    margin: Fraction
    leverage: Fraction
    entry: Fraction

    def gain(self, price: Fraction) -> Fraction:
        sign = 1 if self.side == "long" else -1
        return sign * self.margin * self.leverage * (price - self.entry) / self.entry

    def has_lost_its_margin(self, price: Fraction) -> bool:
        return -self.gain(price) >= self.margin

    @property
    def liquidation(self) -> Fraction:
        """The first price, in units of the asset, at which the margin is lost."""
        if self.side == "long":
            return down(self.entry - self.entry / self.leverage, unit(self.asset))
        return up(self.entry + self.entry / self.leverage, unit(self.asset))

    @property
    def notional(self) -> Fraction:
        return self.margin * self.leverage


@dataclass
class TwinAccount:
    free: Fraction
    seen: OrderedDict[str, tuple[str, Told]] = field(default_factory=OrderedDict)


@dataclass
class TwinPrice:
    bid: Fraction
    ask: Fraction
    mark: Fraction
    until: int


class Twin:
    def __init__(self, rules: Rules) -> None:
        self.touch = rules.execution == "touch"
        self.max_open = rules.max_open_trades_per_account
        self.max_notional = rules.max_notional_per_account * MICRO
        self.max_interest = rules.max_open_interest_per_asset * MICRO
        self.window = rules.client_order_ids_per_account
        self.accounts: dict[str, TwinAccount] = {}
        self.trades: list[TwinTrade] = []
        self.prices: dict[str, TwinPrice] = {}
        self.deposited = self.house = self.shortfall = Fraction(0)
        self.opened = 0
        self.latest = 0

    def execute(self, command: Command, at: int) -> list[Told]:
        """What must come of it, a refusal and a repeat included."""
        at = max(at, self.latest)
        told: list[Told]
        match command:
            case OpenAccount():
                told = self._open_account(command)
            case Deposit():
                told = self._deposit(command)
            case OpenTrade():
                told = self._open(command, at)
            case CloseTrade():
                told = self._close(command, at)
            case PriceTick():
                told = self._tick(command, at)
            case StartAfresh():
                raise AssertionError("no history starts afresh")
        if told and told[0][0] not in ("refused", "repeated"):
            self.latest = at
        return told

    def _open_account(self, command: OpenAccount) -> list[Told]:
        if command.account in self.accounts:
            return [("refused", "account_exists", None)]
        self.accounts[command.account] = TwinAccount(command.deposit * MICRO)
        self.deposited += command.deposit * MICRO
        return [("account opened", command.account, command.deposit * MICRO)]

    def _deposit(self, command: Deposit) -> list[Told]:
        if command.account not in self.accounts:
            return [("refused", "account_not_found", None)]
        account = self.accounts[command.account]
        account.free += command.amount * MICRO
        self.deposited += command.amount * MICRO
        return [("deposited", command.account, command.amount * MICRO, account.free)]

    def _open(self, command: OpenTrade, at: int) -> list[Told]:
        account = self.accounts.get(command.account)
        if account is None:
            return [("refused", "account_not_found", None)]
        if command.client_order is not None and command.client_order in account.seen:
            fingerprint, first = account.seen[command.client_order]
            same = fingerprint == command.fingerprint
            return [("repeated", *first)] if same else [("refused", "client_order_id_conflict", None)]
        price = self.prices.get(command.asset)
        if price is None or at > price.until:
            return [("refused", "price_unavailable", None)]
        entry = price.mark
        if self.touch:
            entry = price.ask if command.side == "long" else price.bid
        trade = TwinTrade(
            self.opened + 1,
            command.order,
            command.account,
            command.asset,
            str(command.side),
            command.margin * MICRO,
            Fraction(command.leverage, 100),
            entry,
        )
        if trade.has_lost_its_margin(price.mark):
            return [("refused", "would_liquidate", None)]
        if command.slippage is not None and command.expected_price is not None:
            expected = command.expected_price * unit(command.asset)
            if abs(entry - expected) / expected > Fraction(command.slippage, 10_000):
                return [("refused", "slippage_exceeded", None)]
        mine = [each for each in self.trades if each.account == command.account]
        here = [each for each in self.trades if each.asset == command.asset]
        if len(mine) + 1 > self.max_open:
            return [("refused", "position_limit", "max_open_trades_per_account")]
        if sum(each.notional for each in [*mine, trade]) > self.max_notional:
            return [("refused", "position_limit", "max_notional_per_account")]
        if sum(each.notional for each in [*here, trade]) > self.max_interest:
            return [("refused", "position_limit", "max_open_interest_per_asset")]
        if trade.margin > account.free:
            return [("refused", "insufficient_margin", None)]
        self.opened += 1
        self.trades.append(trade)
        account.free -= trade.margin
        forgets = []
        if command.client_order is not None:
            while len(account.seen) >= self.window:
                forgets.append(account.seen.popitem(last=False)[0])
            account.seen[command.client_order] = (command.fingerprint, (trade.order, account.free))
        return [
            (
                "opened",
                trade.order,
                trade.account,
                trade.asset,
                trade.side,
                trade.margin,
                trade.leverage,
                trade.entry,
                trade.liquidation,
                account.free,
                tuple(forgets),
            )
        ]

    def _close(self, command: CloseTrade, at: int) -> list[Told]:
        trades = [each for each in self.trades if (each.order, each.account) == (command.order, command.account)]
        if not trades:
            return [("refused", "trade_not_found", None)]
        (trade,) = trades
        price = self.prices.get(trade.asset)
        if price is None or at > price.until:
            return [("refused", "price_unavailable", None)]
        exit_ = price.mark
        if self.touch:
            exit_ = price.bid if trade.side == "long" else price.ask
        pnl = max(-trade.margin, down(trade.gain(exit_), MICRO))
        shortfall = max(Fraction(0), up(-trade.gain(exit_), MICRO) - trade.margin)
        self.shortfall += shortfall
        balance = self._end(trade, pnl)
        money = (trade.margin, pnl, trade.margin + pnl, balance, shortfall)
        return [("closed", trade.order, trade.account, trade.asset, exit_, *money)]

    def _tick(self, tick: PriceTick, at: int) -> list[Told]:
        step = unit(tick.asset)
        bid, ask = tick.bid * step, tick.ask * step
        mark = round((bid + ask) / 2 / step) * step
        self.prices[tick.asset] = TwinPrice(bid, ask, mark, at + 30 * 10**6)
        due = [each for each in self.trades if each.asset == tick.asset and each.has_lost_its_margin(mark)]
        longs = sorted((each for each in due if each.side == "long"), key=lambda each: (-each.liquidation, each.number))
        shorts = sorted(
            (each for each in due if each.side == "short"), key=lambda each: (each.liquidation, each.number)
        )
        return [self._liquidate(trade, bid, ask, mark) for trade in longs + shorts]

    def _liquidate(self, trade: TwinTrade, bid: Fraction, ask: Fraction, mark: Fraction) -> Told:
        shortfall = up(-trade.gain(mark), MICRO) - trade.margin
        self.shortfall += shortfall
        balance = self._end(trade, -trade.margin)
        names = (trade.order, trade.account, trade.asset)
        return ("liquidated", *names, bid, ask, mark, trade.margin, shortfall, balance)

    def _end(self, trade: TwinTrade, pnl: Fraction) -> Fraction:
        self.trades.remove(trade)
        self.house -= pnl
        account = self.accounts[trade.account]
        account.free += trade.margin + pnl
        return account.free


def told(outcome: Outcome) -> list[Told]:
    """What the real engine answered, in the twin's words."""
    match outcome:
        case Refusal(reject, details):
            return [("refused", reject.value, details.get("limit"))]
        case Repeated(seen):
            return [("repeated", seen.trade.order, seen.balance * MICRO)]
        case Done(records):
            return [_told(record.event) for record in records]


def _told(event: Event) -> Told:
    match event:
        case AccountOpened():
            return ("account opened", event.account, event.deposit * MICRO)
        case Deposited():
            return ("deposited", event.account, event.amount * MICRO, event.balance * MICRO)
        case TradeOpened(trade):
            return (
                "opened",
                trade.order,
                trade.account,
                trade.asset,
                str(trade.side),
                trade.margin * MICRO,
                Fraction(trade.leverage, 100),
                trade.entry * unit(trade.asset),
                trade.liquidation * unit(trade.asset),
                event.balance * MICRO,
                event.forgets,
            )
        case TradeClosed():
            price = event.price * unit(event.asset)
            figures = (event.margin, event.pnl, event.returned, event.balance, event.shortfall)
            money = (each * MICRO for each in figures)
            return ("closed", event.order, event.account, event.asset, price, *money)
        case TradeLiquidated():
            prices = (each * unit(event.asset) for each in (event.bid, event.ask, event.mark))
            money = (each * MICRO for each in (event.margin, event.shortfall, event.balance))
            return ("liquidated", event.order, event.account, event.asset, *prices, *money)
        case StartedAfresh():
            raise AssertionError("no history starts afresh")
