"""Hypothesis drives engine and twin side by side, with restarts from snapshots and lost tails in between."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exness.core.audit import audit
from exness.core.capture import Capture, Header, Restorer, digest_of
from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.events import Record, TradeOpened
from exness.core.evolve import evolve
from exness.core.instruments import AccountId, Asset, Execution, Side, TradeId
from exness.core.state import State
from exness.storage.codec import decode, encode
from tests.reference.twin import PRICE_LIFE_US, Twin, execute_both
from tests.simulation.actions import SECOND
from tests.support.books import make_rules
from tests.support.journal_rows import as_read

ACCOUNTS = tuple(map(AccountId, ("ann", "bob")))
ASSETS = (Asset("SOL"), Asset("BTC"))
START = 1_769_850_902_123_456


class Exchange(RuleBasedStateMachine):
    """`durable` is what a crash leaves of the journal; nothing before it is ever lost."""

    def __init__(self) -> None:
        super().__init__()
        self.at = START
        self.journal: list[Record] = []
        self.snapshots: list[tuple[Header, list[bytes]]] = []
        self.durable = 0
        self.orders = 0

    @initialize(
        execution=st.sampled_from(Execution),
        step=st.sampled_from((1, 2, 500)),
        window=st.sampled_from((1, 2, 1000)),
        max_open=st.sampled_from((3, 1000)),
        price=st.sampled_from((97, 10_000, 201_470_000)),
    )
    def begin(self, execution: Execution, step: int, window: int, max_open: int, price: int) -> None:
        rules = make_rules(execution=execution, client_order_ids=window, max_open_trades=max_open)
        self.scale = price
        self.engine = Engine(rules, State(), step)
        self.twin = Twin(rules, step)
        for account in ACCOUNTS:
            self.ask(OpenAccount(account, f"{account}@example.com", 5000 * SECOND))
        for asset in ASSETS:
            self.ask(PriceTick(asset, price, price, PRICE_LIFE_US))

    def ask(self, command: Command) -> None:
        """Execute a command with all its steps; it comes to what the twin says."""
        for records in execute_both(self.engine, self.twin, command, self.at):
            self.journal += records

    @rule(
        account=st.sampled_from(ACCOUNTS),
        asset=st.sampled_from(ASSETS),
        side=st.sampled_from(Side),
        margin=st.integers(1, 2000) | st.integers(1, 2000 * SECOND),
        leverage=st.sampled_from((100, 1000, 4099, 10_000)) | st.integers(100, 10_000),
        name=st.sampled_from((None, None, "c1", "c2")),
        slippage=st.sampled_from((None, None, 10_000)),
    )
    def open(
        self,
        account: AccountId,
        asset: Asset,
        side: Side,
        margin: int,
        leverage: int,
        name: str | None,
        slippage: int | None,
    ) -> None:
        self.orders += 1
        order = TradeId(f"o{self.orders}")
        self.ask(OpenTrade(account, order, asset, side, margin, leverage, slippage, None, name))

    @rule(account=st.sampled_from(ACCOUNTS), back=st.integers(0, 5))
    def close(self, account: AccountId, back: int) -> None:
        self.ask(CloseTrade(account, TradeId(f"o{self.orders - back}")))

    @rule(account=st.sampled_from(ACCOUNTS), amount=st.integers(1, 1000 * SECOND))
    def deposit(self, account: AccountId, amount: int) -> None:
        self.ask(Deposit(account, amount))

    @rule(
        asset=st.sampled_from(ASSETS),
        percent=st.integers(95, 105) | st.integers(50, 200),
        spread=st.sampled_from((0, 1, 2, 3)),
    )
    def price(self, asset: Asset, percent: int, spread: int) -> None:
        bid = self.scale * percent // 100
        tick = PriceTick(asset, bid, bid + spread, PRICE_LIFE_US)
        self.ask(tick)
        assert not self.twin.due(tick)

    @rule(us=st.sampled_from((1, SECOND, PRICE_LIFE_US, PRICE_LIFE_US + 1, -3600 * SECOND)))
    def wait(self, us: int) -> None:
        self.at += us

    @rule()
    def commit(self) -> None:
        self.durable = len(self.journal)

    @rule(budget=st.integers(1, 20))
    def snapshot(self, budget: int) -> None:
        self.durable = len(self.journal)
        accounts: list[bytes] = []
        with Capture(self.engine.state) as capture:
            while taken := capture.take(budget):
                accounts += taken
        self.snapshots.append((capture.header, accounts))

    @precondition(lambda self: self.journal)
    @rule(data=st.data(), lost_snapshots=st.integers(0, 2))
    def crash(self, data: st.DataObject, lost_snapshots: int) -> None:
        """Some of what was not durable is gone, and the newest snapshots perhaps."""
        kept = data.draw(st.integers(self.durable, len(self.journal)))
        del self.snapshots[len(self.snapshots) - lost_snapshots :]
        rows = [encode(record) for record in self.journal[:kept]]
        del self.journal[kept:]
        state = self._restored()
        for row in rows[state.seq :]:
            evolve(state, decode(as_read(row)))
        self.durable = kept
        self.twin = Twin.after(self.journal, self.engine.rules, self.twin.step)
        self.engine = Engine(self.engine.rules, state, self.twin.step)
        full = State()
        for record in self.journal:
            evolve(full, record)
        assert digest_of(full) == digest_of(state)

    def _restored(self) -> State:
        if not self.snapshots:
            return State()
        header, accounts = self.snapshots[-1]
        restorer = Restorer(header)
        for account in accounts:
            restorer.add(account)
        return restorer.finish()

    @invariant()
    def the_twin_agrees_and_the_books_balance(self) -> None:
        if self.journal:
            audit(self.engine.state)
            assert self.twin.difference(self.engine.state) is None

    @invariant()
    def every_order_is_opened_once(self) -> None:
        opened = [record.event.trade.id for record in self.journal if isinstance(record.event, TradeOpened)]
        assert len(opened) == len(set(opened))


TestExchange = Exchange.TestCase
TestExchange.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, print_blob=True)
