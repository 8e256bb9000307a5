"""Trading at the ends of every range: prices, margins, leverages, deposits. What is asked is whatever can be asked."""

import random
from collections.abc import Sequence

from hypothesis import strategies as st

from exness.core.ceilings import MOST_HELD, MOST_PRICE, MOST_SIZE
from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick, Reset
from exness.core.instruments import AccountId, Asset, Execution, Side, TradeId
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from tests.support.books import BTC, LONG, PRICE_LIFE, SHORT, SOL, Desk, assert_books_balance, make_rules

ASSETS = (SOL, BTC)
TRADERS = tuple(AccountId(f"trader-{number}") for number in range(4))
NO_LIMIT = str(10**11)
WIDE_RULES = Rules(
    instruments=make_rules().instruments,
    execution=Execution.MID,
    max_open_trades_per_account=10**9,
    max_notional_per_account=10**40,
    max_open_interest_per_asset=10**40,
    client_order_ids_per_account=3,
)
"""So that money alone is a limit: the ceilings must not lean on what an operator has configured."""

PRICES = (1, 2, 1_000_000, 200_000_000, 10**15, MOST_PRICE // 2, MOST_PRICE - 1, MOST_PRICE)
ALL_FREE = -1
"""A margin: all there is, or as much of it as one trade may have."""
MOST_TRADES = -(-MOST_HELD * 100 // MOST_SIZE)
"""So many trades at 1x stake all that an account can hold."""
TO_THE_TOP = -1
"""A deposit: as much as still fits."""


def wild_commands(max_size: int) -> st.SearchStrategy[list[Command]]:
    who, asset = st.sampled_from(TRADERS), st.sampled_from(ASSETS)
    prices = st.sampled_from(PRICES) | st.integers(1, MOST_PRICE)
    amounts = st.sampled_from((1, 10**9, 10**15, MOST_HELD, MOST_HELD + 1, 2**70, 0)) | st.integers(1, MOST_HELD)
    return st.lists(
        st.one_of(
            st.builds(lambda account, amount: Deposit(account, amount), who, amounts | st.just(TO_THE_TOP)),
            st.builds(
                lambda account, asset, side, margin, leverage: OpenTrade(
                    account, TradeId(""), asset, side, margin, leverage
                ),
                *(who, asset, st.sampled_from(Side), amounts | st.just(ALL_FREE), st.sampled_from((100, 101, 10_000))),
            ),
            st.builds(lambda bid, ask, asset: _quote(asset, bid, ask), prices, prices, asset),
            st.builds(lambda account: CloseTrade(account, TradeId("")), who),
            st.just(Reset()) if max_size > 30 else st.nothing(),
        ),
        max_size=max_size,
    )


class Wild:
    """A desk that fills in what a command leaves open: which order to close, how much is all."""

    def __init__(self) -> None:
        self.desk = Desk(WIDE_RULES)
        self.refused: list[Reject] = []
        self.asked: list[Command] = []
        self._orders = 0
        self._join(TRADERS)

    @classmethod
    def extreme(cls, rounds: int) -> "Wild":
        """The most of everything, round after round: an account with little wins all it can hold, with a price that
        goes from the lowest to the highest, and loses it with one that goes back. It wins and loses as a short too, is
        paid as much as fits and loses that. Now and then another wins all it can hold, and keeps it."""
        wild = cls()
        one = TRADERS[0]
        for number in range(rounds):
            for deposit, stakes, side, entry, exit_ in (
                (10**15, 1, LONG, 1, MOST_PRICE),
                (10**15, 1, LONG, MOST_PRICE, 1),
                (10**15, 1, LONG, 1, MOST_PRICE),
                (10**15, MOST_TRADES, SHORT, 1, MOST_PRICE),
                (TO_THE_TOP, MOST_TRADES, SHORT, 1, MOST_PRICE),
                (MOST_HELD // 2, 1, SHORT, MOST_PRICE, 1),
            ):
                wild.do(Deposit(one, deposit))
                wild.price(SOL, entry)
                for _ in range(stakes):
                    if wild.desk.state.accounts[one].free:
                        wild.do(OpenTrade(one, TradeId(""), SOL, side, ALL_FREE, 100 if stakes > 1 else 10_000))
                wild.price(SOL, exit_)
                while wild.desk.state.accounts[one].trades:
                    wild.do(CloseTrade(one, TradeId("")))
            if number % 3 == 0:
                wild.win_all(AccountId(f"winner-{number}"))
        for side in Side:
            wild.do(OpenTrade(one, TradeId(""), SOL, side, MOST_HELD // 3, 100))
        return wild

    def win_all(self, who: AccountId) -> None:
        """A new account wins all that one can hold."""
        self._join([who])
        self.price(BTC, 1)
        self.do(OpenTrade(who, TradeId(""), BTC, LONG, ALL_FREE, 10_000))
        self.price(BTC, MOST_PRICE)
        self.do(CloseTrade(who, TradeId("")))

    def run(self, rng: random.Random, steps: int) -> None:
        """So many steps of anything."""
        amounts = (1, 10**9, MOST_HELD // 3, MOST_HELD, MOST_HELD + 1)
        for _ in range(steps):
            who, asset = rng.choice(TRADERS), rng.choice(ASSETS)
            what = rng.random()
            if what < 0.2:
                self.do(Deposit(who, rng.choice((*amounts, TO_THE_TOP))))
            elif what < 0.5:
                self.price(asset, rng.choice(PRICES))
            elif what < 0.8:
                side, leverage = rng.choice(tuple(Side)), rng.choice((100, 10_000))
                self.do(OpenTrade(who, TradeId(""), asset, side, rng.choice((*amounts, ALL_FREE)), leverage))
            elif what < 0.99:
                self.do(CloseTrade(who, TradeId("")))
            else:
                self.do(Reset())

    def price(self, asset: Asset, mid: int) -> None:
        self.do(PriceTick(asset, mid, mid, PRICE_LIFE))

    def do(self, command: Command) -> None:
        """Have a command executed, with all its steps; a refusal changes nothing. Then everything still holds."""
        command = self._filled_in(command)
        self.asked.append(command)
        state = self.desk.state
        self.desk.at += 1
        before = state.seq, state.free, state.locked
        outcome = self.desk.ask(command)
        if isinstance(outcome, Refusal):
            self.refused.append(outcome.reject)
            assert (state.seq, state.free, state.locked) == before
        if isinstance(command, Reset):
            self._join(TRADERS)
        for account in state.account_list:
            assert account.free >= 0
            assert account.locked >= 0
            assert account.free + account.locked <= MOST_HELD, account

    def close_everything(self) -> None:
        """A trader can always close, and the books balance."""
        for account in self.desk.state.account_list:
            for order, trade in list(account.trades.items()):
                if self.desk.state.fresh_price(trade.asset, self.desk.at) is None:
                    self.price(trade.asset, trade.entry)
                if order in account.trades:
                    self.desk.do(CloseTrade(account.id, order))
        assert self.desk.state.open_trades == 0
        assert_books_balance(self.desk.state)

    def _filled_in(self, command: Command) -> Command:
        accounts = self.desk.state.accounts
        match command:
            case Deposit(who, amount) if amount == TO_THE_TOP:
                return Deposit(who, MOST_HELD - accounts[who].free - accounts[who].locked)
            case OpenTrade():
                self._orders += 1
                margin = command.margin
                if margin == ALL_FREE:
                    margin = min(accounts[command.account].free, MOST_SIZE // command.leverage)
                return OpenTrade(
                    command.account,
                    TradeId(f"o-{self._orders}"),
                    command.asset,
                    command.side,
                    margin,
                    command.leverage,
                )
            case CloseTrade(who, "") if accounts[who].trades:
                return CloseTrade(who, next(iter(accounts[who].trades)))
        return command

    def _join(self, traders: Sequence[AccountId]) -> None:
        for trader in traders:
            self.desk.do(OpenAccount(trader, f"{trader}@example.com", 10**9))


def _quote(asset: Asset, one: int, other: int) -> PriceTick:
    return PriceTick(asset, min(one, other), max(one, other), PRICE_LIFE)
