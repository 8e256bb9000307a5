"""The reference model: the exchange once more, slow and obvious.

It predicts every answer, every event and every balance.

Written from the formulas of API.md: whole USDC and whole prices as fractions, exact losses, every trade looked at on
every tick. It shares the words of the core (commands, events, refusals) and none of its arithmetic, index or limits.
Its content can be held against a State at any moment.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.events import (
    AccountOpened,
    CloseReason,
    Deposited,
    Event,
    Record,
    TradeClosed,
    TradeOpened,
)
from exness.core.instruments import Asset
from exness.core.outcomes import Done, Repeated
from exness.core.prices import PriceState
from exness.core.rejects import (
    DueAtOnce,
    Figure,
    Limit,
    NoPrice,
    OutOfRange,
    OverLimit,
    Refusal,
    Reject,
    Slipped,
    TooLittle,
    UsedBefore,
)
from exness.core.rules import Rules
from exness.core.state import SeenOrder, State
from exness.core.trades import Trade

PRICE_LIFE_US = 30_000_000
MICRO = 10**6


def gain(side: str, notional: Fraction, entry: Fraction | int, price: Fraction | int) -> Fraction:
    """What a trade has gained at this price, exactly; negative when it has lost."""
    return notional * (price - entry if side == "long" else entry - price) / entry


def liquidation_price(side: str, entry: int, leverage: Fraction) -> int:
    """The first price, going against the trade, at which its loss reaches its margin. Prices are scaled."""
    distance = math.ceil(entry / leverage)
    price, one = (entry - distance, 1) if side == "long" else (entry + distance, -1)
    assert -gain(side, leverage, entry, price) >= 1 > -gain(side, leverage, entry, price + one)
    return price


@dataclass(frozen=True)
class Lot:
    """An open trade: `trade` is what is shown of it, the rest is what it is, in whole units."""

    trade: Trade
    margin: Fraction
    leverage: Fraction
    entry: Fraction

    @property
    def notional(self) -> Fraction:
        return self.margin * self.leverage

    def gain(self, price: Fraction) -> Fraction:
        return gain(self.trade.side, self.notional, self.entry, price)

    def is_lost(self, mark: int) -> bool:
        """Whether a scaled mark has taken the whole margin: the loss is a straight line, so beyond the first price that
        does every price does."""
        first = self.trade.liquidation
        return mark <= first if self.trade.side == "long" else mark >= first


@dataclass
class Wallet:
    number: int
    email: str
    opened_at: int
    free: Fraction
    seq: int
    seen: dict[str, SeenOrder] = field(default_factory=dict)


@dataclass(frozen=True)
class Quote:
    bid: Fraction
    ask: Fraction
    mark: Fraction
    at: int
    is_doubted: bool = False


@dataclass
class Prediction:
    """What must come of a command: the events, or the refusal or first answer instead of them."""

    answer: list[Event] | Refusal | Repeated
    more: bool = False


class Twin:
    """`liquidations_per_step` is after how many liquidations a tick takes a breath."""

    def __init__(self, rules: Rules, liquidations_per_step: int) -> None:
        self.rules = rules
        self.step = liquidations_per_step
        self.seq = 0
        self.at = 0
        self.wallets: dict[str, Wallet] = {}
        self.lots: dict[str, Lot] = {}
        self.quotes: dict[str, Quote] = {}
        self.house = self.deposits = self.shortfall = Fraction(0)

    @classmethod
    def after(cls, records: list[Record], rules: Rules, liquidations_per_step: int) -> "Twin":
        """One that has followed these records. It knows no price, as prices are not journaled."""
        twin = cls(rules, liquidations_per_step)
        for record in records:
            twin.apply(record.event, record.at)
        return twin

    # --- predicting -----------------------------------------------------------------------------------------------

    def predict(self, command: Command, at: int) -> Prediction:
        """What must come of it. Prices change here; everything else only by `apply`."""
        at = max(at, self.at)
        match command:
            case OpenAccount():
                return Prediction(self._join(command))
            case Deposit():
                return Prediction(self._deposit(command))
            case OpenTrade():
                return Prediction(self._open(command, at))
            case CloseTrade():
                return Prediction(self._close(command, at))
            case PriceTick():
                return self._tick(command, at)
            case _:
                raise AssertionError(f"no world is asked for {command}")

    def _join(self, command: OpenAccount) -> list[Event] | Refusal:
        if command.account in self.wallets or any(command.email == each.email for each in self.wallets.values()):
            return Refusal(Reject.ACCOUNT_EXISTS)
        return [AccountOpened(command.account, command.email, command.deposit)]

    def _deposit(self, command: Deposit) -> list[Event] | Refusal:
        if command.account not in self.wallets:
            return Refusal(Reject.ACCOUNT_NOT_FOUND)
        return [Deposited(command.account, command.amount, self._balance(command.account, command.amount))]

    def _open(self, command: OpenTrade, at: int) -> list[Event] | Refusal | Repeated:
        if command.account not in self.wallets:
            return Refusal(Reject.ACCOUNT_NOT_FOUND)
        wallet = self.wallets[command.account]
        if command.client_order in wallet.seen:
            first = wallet.seen[command.client_order]
            if first.fingerprint == _asked(command):
                return Repeated(first)
            return Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(first.trade_id))
        refusal = self._no_price(command.asset, at) or self._doubted_price(command.asset, at)
        if refusal:
            return refusal
        refusal = self._nonsense(command)
        if refusal:
            return refusal
        quote = self.quotes[command.asset]
        entry = quote.mark
        if self.rules.execution == "touch":
            entry = quote.ask if command.side == "long" else quote.bid
        lot = self._lot(command, entry, at)
        refusal = self._too_wide(lot, quote) or self._slipped(command, entry) or self._over_limit(lot)
        if refusal:
            return refusal
        if lot.margin > wallet.free:
            return Refusal(Reject.INSUFFICIENT_MARGIN, TooLittle(command.margin, int(wallet.free * MICRO)))
        balance = self._balance(command.account, -command.margin)
        if command.client_order is None:
            return [TradeOpened(lot.trade, balance)]
        oldest_first = list(wallet.seen)
        kept = self.rules.client_order_ids_per_account - 1
        forgets = oldest_first[: max(0, len(oldest_first) - kept)]
        return [TradeOpened(lot.trade, balance, _asked(command), tuple(forgets))]

    def _lot(self, command: OpenTrade, entry: Fraction, at: int) -> Lot:
        leverage = Fraction(command.leverage, 100)
        entry_scaled = int(entry * self._units(command.asset))
        trade = Trade(
            id=command.trade_id,
            account=command.account,
            asset=command.asset,
            side=command.side,
            margin=command.margin,
            leverage=command.leverage,
            entry=entry_scaled,
            liquidation=liquidation_price(command.side, entry_scaled, leverage),
            opened_at=at,
            seq=self.seq + 1,
            size=command.margin * command.leverage,
            client_order=command.client_order,
        )
        return Lot(trade, Fraction(command.margin, MICRO), leverage, entry)

    def _no_price(self, asset: str, at: int) -> Refusal | None:
        if asset not in self.quotes:
            return Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(Asset(asset), PriceState.DOWN))
        age = at - self.quotes[asset].at
        if age > PRICE_LIFE_US:
            return Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(Asset(asset), PriceState.STALE, age))
        return None

    def _doubted_price(self, asset: str, at: int) -> Refusal | None:
        quote = self.quotes[asset]
        if not quote.is_doubted:
            return None
        return Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(Asset(asset), PriceState.SUSPECT, at - quote.at))

    def _nonsense(self, command: OpenTrade) -> Refusal | None:
        """What the actions ask for now and then: see NONSENSE there."""
        if command.margin == 0:
            wrong = OutOfRange(Figure.MARGIN, 0, 1, 2**63 - 1)
        elif command.expected_price is not None and command.expected_price <= 0:
            wrong = OutOfRange(Figure.EXPECTED_PRICE, command.expected_price, 1, 10**18 - 1, command.asset)
        else:
            return None
        return Refusal(Reject.AMOUNT_OUT_OF_RANGE, wrong)

    def _too_wide(self, lot: Lot, quote: Quote) -> Refusal | None:
        trade, units = lot.trade, self._units(lot.trade.asset)
        mark = int(quote.mark * units)
        if not lot.is_lost(mark):
            return None
        return Refusal(Reject.WOULD_LIQUIDATE, DueAtOnce(trade.asset, int(lot.entry * units), mark, trade.liquidation))

    def _slipped(self, command: OpenTrade, entry: Fraction) -> Refusal | None:
        seen = command.seen_price if command.expected_price is None else command.expected_price
        if command.slippage is None or seen is None:
            return None
        expected = Fraction(seen, self._units(command.asset))
        if abs(entry - expected) / expected <= Fraction(command.slippage, 10_000):
            return None
        slipped = Slipped(command.asset, seen, int(entry * self._units(command.asset)), command.slippage)
        return Refusal(Reject.SLIPPAGE_EXCEEDED, slipped)

    def _over_limit(self, lot: Lot) -> Refusal | None:
        mine = [each for each in self.lots.values() if each.trade.account == lot.trade.account]
        here = [each for each in self.lots.values() if each.trade.asset == lot.trade.asset]
        if len(mine) + 1 > self.rules.max_open_trades_per_account:
            return _over(Limit.OPEN_TRADES_PER_ACCOUNT, self.rules.max_open_trades_per_account, len(mine) + 1)
        for limit, allowed, lots in (
            (Limit.NOTIONAL_PER_ACCOUNT, self.rules.max_notional_per_account, mine),
            (Limit.OPEN_INTEREST_PER_ASSET, self.rules.max_open_interest_per_asset, here),
        ):
            hundredths = sum(each.trade.margin * each.trade.leverage for each in [*lots, lot])
            would_be = Fraction(hundredths, 100 * MICRO)
            if would_be > Fraction(allowed, MICRO):
                return _over(limit, allowed, math.ceil(would_be * MICRO))
        return None

    def _close(self, command: CloseTrade, at: int) -> list[Event] | Refusal:
        lot = self.lots.get(command.trade_id)
        if lot is None or lot.trade.account != command.account:
            return Refusal(Reject.TRADE_NOT_FOUND)
        trade = lot.trade
        refusal = self._no_price(trade.asset, at)
        if refusal:
            return refusal
        quote = self.quotes[trade.asset]
        price = quote.mark
        if self.rules.execution == "touch":
            price = quote.bid if trade.side == "long" else quote.ask
        gain = math.floor(lot.gain(price) * MICRO)
        pnl = max(-trade.margin, gain)
        returned = trade.margin + pnl
        return [
            TradeClosed(
                trade_id=trade.id,
                account=trade.account,
                asset=trade.asset,
                reason=CloseReason.USER,
                price=int(price * self._units(trade.asset)),
                margin=trade.margin,
                pnl=pnl,
                returned=returned,
                balance=self._balance(trade.account, returned),
                shortfall=max(0, -trade.margin - gain),
            )
        ]

    def _tick(self, tick: PriceTick, at: int) -> Prediction:
        if tick.suspect:
            if tick.asset in self.quotes:
                self.quotes[tick.asset] = replace(self.quotes[tick.asset], is_doubted=True)
            return Prediction([])
        units = self._units(tick.asset)
        mark = self._mark(tick)
        self.quotes[tick.asset] = Quote(Fraction(tick.bid, units), Fraction(tick.ask, units), mark, at)
        due = self.due(tick)[: self.step]
        return Prediction([self._liquidation(lot, tick, mark) for lot in due], more=len(due) == self.step)

    def due(self, tick: PriceTick) -> list[Lot]:
        """Everything that this tick's mark has taken the whole margin of, in the order it is to be closed."""
        if tick.suspect:
            return []
        mark = int(self._mark(tick) * self._units(tick.asset))
        due = [each for each in self.lots.values() if each.trade.asset == tick.asset and each.is_lost(mark)]
        longs = [each for each in due if each.trade.side == "long"]
        shorts = [each for each in due if each.trade.side == "short"]
        longs.sort(key=lambda each: (-each.trade.liquidation, each.trade.seq))
        shorts.sort(key=lambda each: (each.trade.liquidation, each.trade.seq))
        return longs + shorts

    def _liquidation(self, lot: Lot, tick: PriceTick, mark: Fraction) -> TradeClosed:
        return TradeClosed(
            trade_id=lot.trade.id,
            account=lot.trade.account,
            asset=tick.asset,
            reason=CloseReason.LIQUIDATION,
            price=int(mark * self._units(tick.asset)),
            margin=lot.trade.margin,
            pnl=-lot.trade.margin,
            returned=0,
            shortfall=math.ceil(-lot.gain(mark) * MICRO) - lot.trade.margin,
            balance=self._balance(lot.trade.account, 0),
            bid=tick.bid,
            ask=tick.ask,
        )

    def _mark(self, tick: PriceTick) -> Fraction:
        units = self._units(tick.asset)
        return Fraction(round(Fraction(tick.bid + tick.ask, 2)), units)  # `round` is half-even

    def _units(self, asset: str) -> int:
        units: int = 10 ** next(each.decimals for each in self.rules.instruments.values() if each.asset == asset)
        return units

    def _balance(self, account: str, change: int) -> int:
        """The free balance in micro-USDC, after a change of so many."""
        return int(self.wallets[account].free * MICRO) + change

    # --- following ------------------------------------------------------------------------------------------------

    def execute(self, command: Command, at: int) -> Prediction:
        """Predict one step, and follow it."""
        prediction = self.predict(command, at)
        if isinstance(prediction.answer, list):
            for event in prediction.answer:
                self.apply(event, at)
        return prediction

    def apply(self, event: Event, at: int) -> None:
        """What a predicted event does."""
        self.seq += 1
        self.at = max(at, self.at)
        match event:
            case AccountOpened():
                deposit = Fraction(event.deposit, MICRO)
                self.wallets[event.account] = Wallet(len(self.wallets), event.email, self.at, deposit, self.seq)
                self.deposits += deposit
            case Deposited():
                self._pay(event.account, Fraction(event.amount, MICRO))
                self.deposits += Fraction(event.amount, MICRO)
            case TradeOpened():
                self._opened(event)
            case TradeClosed():
                self._ended(event.trade_id, Fraction(event.pnl, MICRO))
                self.shortfall += Fraction(event.shortfall, MICRO)
            case _:
                raise AssertionError(f"no world has {event}")
        assert self._balances(), "the twin's own books do not balance"

    def _opened(self, event: TradeOpened) -> None:
        trade = event.trade
        entry = Fraction(trade.entry, self._units(trade.asset))
        lot = Lot(trade, Fraction(trade.margin, MICRO), Fraction(trade.leverage, 100), entry)
        self.lots[trade.id] = lot
        self._pay(trade.account, -lot.margin)
        if trade.client_order is not None:
            seen = self.wallets[trade.account].seen
            for forgotten in event.forgets:
                del seen[forgotten]
            seen[trade.client_order] = SeenOrder(event.fingerprint, trade.id, trade.seq, trade.seq)

    def _ended(self, order: str, pnl: Fraction) -> None:
        lot = self.lots.pop(order)
        self.house -= pnl
        self._pay(lot.trade.account, lot.margin + pnl)

    def _pay(self, account: str, amount: Fraction) -> None:
        wallet = self.wallets[account]
        wallet.free += amount
        wallet.seq = self.seq

    def _balances(self) -> bool:
        free = [wallet.free for wallet in self.wallets.values()]
        locked = Fraction(sum(lot.trade.margin for lot in self.lots.values()), MICRO)
        return min(free, default=0) >= 0 and sum(free) + locked + self.house == self.deposits

    # --- comparing ------------------------------------------------------------------------------------------------

    def difference(self, state: State) -> str | None:
        """The first thing in which a State is not what it must be. Prices are left out."""
        lots = list(self.lots.values())
        kept = {
            "seq": (state.seq, self.seq),
            "at": (state.at, self.at),
            "house": (state.house.pnl, self.house * MICRO),
            "deposits": (state.deposits, self.deposits * MICRO),
            "shortfall": (state.shortfall, self.shortfall * MICRO),
            "free": (state.free, sum(each.free for each in self.wallets.values()) * MICRO),
            "locked": (state.locked, sum(lot.margin for lot in lots) * MICRO),
            "open trades": (state.open_trades, len(lots)),
            "accounts": ([each.id for each in state.account_list], list(self.wallets)),
        }
        for name, wallet in self.wallets.items():
            if name in state.accounts:
                kept |= self._wallet_difference(state, name, wallet)
        for what, (real, expected) in kept.items():
            if real != expected:
                return f"{what} is {real}, it must be {expected}"
        return None

    def _wallet_difference(self, state: State, name: str, wallet: Wallet) -> dict[str, tuple[object, object]]:
        account = next(each for each in state.account_list if each.id == name)
        mine = [lot for lot in self.lots.values() if lot.trade.account == name]
        return {
            f"{name}'s email": (account.email, wallet.email),
            f"{name}'s number": (account.number, wallet.number),
            f"{name}'s opening": (account.opened_at, wallet.opened_at),
            f"{name}'s free balance": (account.free, wallet.free * MICRO),
            f"{name}'s locked margin": (account.locked, sum(lot.margin for lot in mine) * MICRO),
            f"{name}'s notional": (account.notional, sum(lot.notional for lot in mine) * MICRO * 100_000),
            f"{name}'s last record": (account.seq, wallet.seq),
            f"{name}'s trades": (list(account.trades.values()), [lot.trade for lot in mine]),
            f"{name}'s client orders": (list(account.seen.items()), list(wallet.seen.items())),
        }


def _asked(command: OpenTrade) -> str:
    """What journals say of what was asked for."""
    figures = (command.margin, command.leverage, command.slippage, command.expected_price)
    return "|".join([command.asset, command.side, *map(str, figures)])


def _over(limit: Limit, allowed: int, would_be: int) -> Refusal:
    return Refusal(Reject.POSITION_LIMIT, OverLimit(limit, allowed, would_be))


def execute_both(engine: Engine, twin: Twin, command: Command, at: int) -> Iterator[list[Record]]:
    """A command in both, step by step; each must come to the same. The records of each step."""
    done: list[Record] = []
    for step in engine.steps(command, at):
        first = twin.seq + 1
        prediction = twin.execute(command, at)
        if not isinstance(prediction.answer, list):
            assert step == prediction.answer
            return
        cause = "feed" if isinstance(command, PriceTick) else ""
        records = [Record(seq, twin.at, event, "", cause) for seq, event in enumerate(prediction.answer, first)]
        done += records
        assert step == (done if prediction.more else Done(done))
        yield records
