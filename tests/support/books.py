"""What the tests of the engine speak with: rules, commands in decimal text, a desk with a clock, and the check that
the books balance, which every test with a state ends with.
"""

from typing import TypeGuard, TypeVar

from exness.core import money
from exness.core.audit import audit
from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.events import Event, Record, TradeClosed, TradeOpened
from exness.core.instruments import AccountId, Asset, Execution, Side, TradeId
from exness.core.outcomes import Done, Outcome, Repeated
from exness.core.rejects import Refusal
from exness.core.rules import Rules
from exness.core.state import State
from exness.core.trades import Trade
from exness.runtime.listings import Listing

SOL, ETH, BTC = Asset("SOL"), Asset("ETH"), Asset("BTC")
LONG, SHORT = Side.LONG, Side.SHORT
ANN, BOB = AccountId("ann"), AccountId("bob")

DECIMALS = {SOL: 6, ETH: 6, BTC: 4}
SECOND = 1_000_000
"""Microseconds."""
PRICE_LIFE = 30 * SECOND
START = 1_769_850_902_123_456
"""2026-01-31T09:15:02.123456Z"""

_NO_PRICE = 10**40
"""Further away than any price."""


def usdc(text: str) -> int:
    """Decimal USDC as micro-USDC."""
    return money.parse_scaled(text, money.USDC_DECIMALS)


def price_of(asset: Asset, text: str) -> int:
    """A decimal price, scaled by its asset's decimals."""
    return money.parse_scaled(text, DECIMALS[asset])


def hundredths(text: str) -> int:
    """Decimal leverage as hundredths."""
    return money.parse_scaled(text, 2)


LISTINGS = {
    asset: Listing(asset, decimals, 10_000, name=str(asset), symbol=f"{asset}_USDC", image_url="")
    for asset, decimals in DECIMALS.items()
}


def make_rules(
    *,
    execution: Execution = Execution.MID,
    max_open_trades: int = 1000,
    max_notional: str = "10000000",
    max_open_interest: str = "1000000000",
    client_order_ids: int = 1000,
) -> Rules:
    """The rules of an exchange for SOL, ETH and BTC; without arguments those of the shipped configuration."""
    return Rules(
        instruments=LISTINGS,
        execution=execution,
        max_open_trades_per_account=max_open_trades,
        max_notional_per_account=usdc(max_notional),
        max_open_interest_per_asset=usdc(max_open_interest),
        client_order_ids_per_account=client_order_ids,
    )


def make_engine(rules: Rules | None = None, *, liquidations_per_step: int = 500) -> Engine:
    """An engine on an empty state."""
    return Engine(rules or make_rules(), State(), liquidations_per_step)


def open_account(account: AccountId = ANN, deposit: str = "5000") -> OpenAccount:
    return OpenAccount(account, f"{account}@example.com", usdc(deposit))


def deposit(account: AccountId, amount: str) -> Deposit:
    return Deposit(account, usdc(amount))


def tick(asset: Asset, bid: str, ask: str | None = None) -> PriceTick:
    """A price that lives 30 s; without `ask` the book has no spread."""
    return PriceTick(asset, price_of(asset, bid), price_of(asset, ask or bid), PRICE_LIFE)


def open_trade(
    order: str,
    asset: Asset = SOL,
    side: Side = LONG,
    *,
    account: AccountId = ANN,
    margin: str = "10",
    leverage: str = "10",
    slippage: int | None = None,
    expected: str | None = None,
    client_order: str | None = None,
) -> OpenTrade:
    return OpenTrade(
        account=account,
        trade_id=TradeId(order),
        asset=asset,
        side=side,
        margin=usdc(margin),
        leverage=hundredths(leverage),
        slippage=slippage,
        expected_price=None if expected is None else price_of(asset, expected),
        client_order=client_order,
    )


def close_trade(order: str, account: AccountId = ANN) -> CloseTrade:
    return CloseTrade(account, TradeId(order))


_Kind = TypeVar("_Kind", bound=Event)


def is_liquidation(event: object) -> TypeGuard[TradeClosed]:
    return isinstance(event, TradeClosed) and event.liquidated


def is_close(event: object) -> TypeGuard[TradeClosed]:
    """By its owner."""
    return isinstance(event, TradeClosed) and not event.liquidated


def events_of(kind: type[_Kind], records: list[Record]) -> list[_Kind]:
    """The events of these records, which must all be of this kind."""
    events = [record.event for record in records]
    assert all(isinstance(event, kind) for event in events), events
    return [event for event in events if isinstance(event, kind)]


class Desk:
    """An engine with a clock that the test sets. It keeps every record the engine makes, in order."""

    def __init__(self, rules: Rules | None = None, *, liquidations_per_step: int = 500) -> None:
        self.engine = make_engine(rules, liquidations_per_step=liquidations_per_step)
        self.at = START
        self.records: list[Record] = []

    @property
    def state(self) -> State:
        return self.engine.state

    def ask(self, command: Command) -> Outcome:
        """Execute one command now, whatever comes of it."""
        outcome = self.engine.execute(command, self.at)
        if isinstance(outcome, Done):
            self.records += outcome.records
        return outcome

    def do(self, command: Command) -> list[Record]:
        """Execute one command. It must not be refused."""
        outcome = self.ask(command)
        assert isinstance(outcome, Done), outcome
        return outcome.records

    def open(self, command: OpenTrade) -> Trade:
        """Open a trade. It must not be refused."""
        return self.opened(command).trade

    def opened(self, command: OpenTrade) -> TradeOpened:
        """The same, with all that its event says."""
        (event,) = events_of(TradeOpened, self.do(command))
        return event

    def closed(self, command: CloseTrade) -> TradeClosed:
        """Close a trade. It must not be refused."""
        (event,) = events_of(TradeClosed, self.do(command))
        return event

    def refused(self, command: Command) -> Refusal:
        """A command that must be refused and must change nothing."""
        before = digest_and_interest(self.state)
        outcome = self.ask(command)
        assert isinstance(outcome, Refusal), outcome
        assert digest_and_interest(self.state) == before, "a refusal changed the state"
        return outcome

    def repeated(self, command: OpenTrade) -> Repeated:
        """A command that must be answered with its first answer and must change nothing."""
        before = digest_and_interest(self.state)
        outcome = self.ask(command)
        assert isinstance(outcome, Repeated), outcome
        assert digest_and_interest(self.state) == before, "a repeated command changed the state"
        return outcome


def desk_with(*accounts: AccountId, rules: Rules | None = None, liquidations_per_step: int = 500) -> Desk:
    """A desk where these accounts (ann, if none is named) have 5000 USDC and SOL is 200, ETH 3000, BTC 100000."""
    desk = Desk(rules, liquidations_per_step=liquidations_per_step)
    for account in accounts or (ANN,):
        desk.do(open_account(account))
    for asset, price in ((SOL, "200"), (ETH, "3000"), (BTC, "100000")):
        desk.do(tick(asset, price))
    return desk


def known_history() -> Desk:
    """A small history with every kind of event in it. Digests of it are written down in tests: keep it as it is."""
    desk = desk_with(ANN, BOB)
    desk.do(deposit(BOB, "250.5"))
    desk.open(open_trade("o-1", SOL, LONG, margin="11.5", leverage="40.99", client_order="mine"))
    desk.at += SECOND
    desk.open(open_trade("o-2", BTC, SHORT, account=BOB, margin="100", leverage="3"))
    desk.open(open_trade("o-3", ETH, LONG, account=BOB, margin="33.333333", leverage="100"))
    desk.do(tick(BTC, "98765.4321", "98765.4322"))
    desk.do(close_trade("o-2", BOB))
    desk.do(tick(ETH, "2950"))
    desk.open(open_trade("o-4", ETH, SHORT, account=BOB, margin="7", leverage="1"))
    return desk


def digest_and_interest(state: State) -> tuple[str, dict[Asset, tuple[int, int]]]:
    """All of the state that a command may change, prices aside: the digest, and what each market holds open."""
    # Imported here: most tests need no digest, and a broken picture must not break them all.
    from exness.core.capture import digest_of

    return digest_of(state), {a: (m.open_interest, m.open_trades) for a, m in state.markets.items() if m.open_trades}


def assert_books_balance(state: State) -> None:
    """The core's own audit, and the same sums once more without it."""
    audit(state)
    trades = [trade for account in state.accounts.values() for trade in account.trades.values()]
    orders = [order for account in state.accounts.values() for order in account.orders.values()]
    free = sum(account.free for account in state.accounts.values())
    margins, reserves = sum(trade.margin for trade in trades), sum(order.reserved for order in orders)
    house = state.house
    held = house.pnl + house.commission + house.funding + house.insurance
    assert free + margins + reserves + held == state.deposits, "accounts and house are not sum(deposits)"
    assert all(account.free >= 0 for account in state.accounts.values()), "a balance is below 0"
    assert state.shortfall >= 0
    assert house.insurance >= 0
    assert list(state.accounts.values()) == state.account_list
    assert [account.number for account in state.account_list] == list(range(len(state.account_list)))
    assert state.by_email == {account.email: account.id for account in state.account_list}
    assert len({trade.id for trade in trades}) == len(trades)
    for account in state.account_list:
        assert account.locked == sum(trade.margin for trade in account.trades.values()), account.id
        assert account.reserved == sum(order.reserved for order in account.orders.values()), account.id
        if not account.orders:
            assert account.notional == sum(map(worth, account.trades.values())), account.id
        assert account.seq <= state.seq
        for order, trade in account.trades.items():
            assert (trade.id, trade.account) == (order, account.id)
            assert trade.margin > 0
    for asset, market in state.markets.items():
        here = [trade for trade in trades if trade.asset == asset]
        assert market.open_interest == sum(map(worth, here)), asset
        longs = sorted((-trade.liquidation, trade.seq) for trade in here if trade.side is LONG)
        shorts = sorted((trade.liquidation, trade.seq) for trade in here if trade.side is SHORT)
        assert (len(market.rows[0]), len(market.rows[1])) == (len(longs), len(shorts)), asset
        for index, nearest, beyond in zip(market.rows, (longs, shorts), (-_NO_PRICE, _NO_PRICE), strict=False):
            assert index.first_due(beyond) == (nearest[0][1] if nearest else None), f"first trigger of {asset}"


def worth(trade: Trade) -> int:
    """The entry notional in 1e-5 of a micro-USDC."""
    return trade.cost * 100_000 // trade.unit if trade.net else trade.size * 1_000
