"""What happens in a simulated world, as a list of actions made from a seed.

Every action stands on its own, so that any of them can be left out: the list that is left is a history too.
"""

from random import Random

import msgspec

from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade
from exness.core.instruments import AccountId, Asset, Execution, Instrument, Side, TradeId
from exness.core.rules import Rules
from tests.simulation.disk import CommitFault, Decay, Outage

DECIMALS = {Asset("SOL"): 6, Asset("ETH"): 6, Asset("BTC"): 4}
ASSETS = tuple(DECIMALS)
NOBODY = AccountId("nobody")
SECOND = 1_000_000
HOUR = 3600 * SECOND
NONSENSE_EVERY = 67
"""Orders after which one comes that nobody has checked, as a script of a replay may have it."""
NONSENSE: tuple[dict[str, int], ...] = ({"margin": 0}, {"expected_price": -5}, {"expected_price": 0})


Quote = tuple[Asset, int, int]
"""asset, bid, ask"""


class Wait(msgspec.Struct, frozen=True):
    """Virtual time passes."""

    us: int


class Turn(msgspec.Struct, frozen=True):
    """The loop runs so many callbacks, or until none is ready."""

    steps: int


class Ask(msgspec.Struct, frozen=True):
    """Someone sends a request. After `patience_us`
    whoever asked goes away."""

    command: Command
    patience_us: int | None = None


class SignIn(msgspec.Struct, frozen=True):
    """Someone signs in, several times at once perhaps."""

    email: str
    times: int


class Look(msgspec.Struct, frozen=True):
    """Someone looks at an account."""

    account: AccountId


class Ticks(msgspec.Struct, frozen=True):
    """Prices that come at once."""

    ticks: tuple[Quote, ...]


class Doubt(msgspec.Struct, frozen=True):
    """The venue shows a price that the feed does not believe yet: the last accepted one comes again, as suspect."""

    asset: Asset


class FailCommit(msgspec.Struct, frozen=True):
    """The next commit fails; the process must stop."""

    fault: CommitFault


class SlowDisk(msgspec.Struct, frozen=True):
    """The next commit takes long."""

    us: int


class FailSnapshot(msgspec.Struct, frozen=True):
    """The next snapshot can't be written."""


class Crash(msgspec.Struct, frozen=True):
    """The power is cut after so many callbacks, whatever happens meanwhile, and again in the recovery from it."""

    steps: int
    outage: Outage
    decay: Decay
    again: int | None
    down_us: int


class Stop(msgspec.Struct, frozen=True):
    """The process is told to stop, and started again."""

    down_us: int


class StepClock(msgspec.Struct, frozen=True):
    """Someone sets the machine's clock."""

    us: int


Action = (
    Wait | Turn | Ask | SignIn | Look | Ticks | Doubt | FailCommit | SlowDisk | FailSnapshot | Crash | Stop | StepClock
)


class Bounds(msgspec.Struct, frozen=True):
    """The limits the exchange runs with: small, so that they are met."""

    rules: Rules
    inbox_size: int
    inbox_wait_s: float
    slice_commands: int
    tick_queue: int
    writer_bound: int
    writer_batch: int
    liquidations_per_step: int
    subscriber_bound: int
    snapshot_interval_s: float
    snapshots_kept: int
    snapshot_step: int


class History(msgspec.Struct, frozen=True):
    """A whole world: the same history always ends the same way."""

    seed: int
    bounds: Bounds
    actions: tuple[Action, ...]


def make_history(seed: int, length: int) -> History:
    """The history of a seed: about `length` actions."""
    random = Random(f"history {seed}")
    bounds = _bounds(random)
    return History(seed, bounds, tuple(_Author(random, bounds).write(length)))


def _bounds(random: Random) -> Bounds:
    return Bounds(
        rules=_rules(random),
        inbox_size=random.choice((1, 5, 20, 100)),
        inbox_wait_s=random.choice((0.001, 0.05, 1.0, 5.0)),
        slice_commands=random.choice((1, 2, 8)),
        tick_queue=random.choice((3, 4, 10)),
        writer_bound=random.choice((1, 3, 20, 100)),
        writer_batch=random.choice((1, 2, 5, 50)),
        liquidations_per_step=random.choice((1, 2, 3, 50)),
        subscriber_bound=random.choice((1, 4, 1000)),
        snapshot_interval_s=random.choice((0.001, 0.05, 20.0)),
        snapshots_kept=random.choice((1, 2, 4)),
        snapshot_step=random.choice((1, 1, 400)),
    )


def _rules(random: Random) -> Rules:
    instruments = {asset: Instrument(asset, decimals, max_leverage=10_000) for asset, decimals in DECIMALS.items()}
    return Rules(
        instruments=instruments,
        execution=random.choice(tuple(Execution)),
        max_open_trades_per_account=random.choice((3, 10, 1000)),
        max_notional_per_account=random.choice((20_000, 100_000, 10_000_000)) * SECOND,
        max_open_interest_per_asset=random.choice((50_000, 200_000, 1_000_000_000)) * SECOND,
        client_order_ids_per_account=random.choice((1, 3, 1000)),
    )


class _Author:
    """Writes a history. What it knows of the world is only what it wrote itself."""

    def __init__(self, random: Random, bounds: Bounds) -> None:
        self._random = random
        self._bounds = bounds
        self._accounts = [AccountId(f"a{number}") for number in range(random.choice((1, 3, 6)))]
        self._scale = {asset: random.choice((97, 10_000, 201_470_000)) for asset in ASSETS}
        self._price = dict(self._scale)
        self._opens: list[OpenTrade] = []
        self._named: list[OpenTrade] = []
        self._seen_at: dict[TradeId, int] = {}
        self._closed: set[TradeId] = set()
        self._orders = 0
        # How troubled this world is: some have no crash at all, some hardly anything else.
        self._trouble = random.choice((0.0, 0.5, 1.0, 3.0))
        self._rush = random.choice((0.3, 0.6, 0.9))

    def write(self, length: int) -> list[Action]:
        actions: list[Action] = []
        for account in self._accounts:
            actions += [self._join(account), Turn(30)]
        actions += [Ticks(tuple(self._quote(asset) for asset in ASSETS)), Wait(1000)]
        while len(actions) < length:
            actions += self._next()
            if self._random.random() > self._rush:
                actions.append(self._pause())
        return actions

    def _next(self) -> list[Action]:
        trouble = self._trouble
        weighted = {
            self._open: 30.0,
            self._close: 14.0,
            self._tick: 12.0,
            self._burst: 3.0,
            self._reach: 3.0,
            self._doubt: 1.0,
            self._repeat: 4.0,
            self._deposit: 2.0,
            self._stranger: 0.5,
            self._join_again: 0.7,
            self._sign_in: 1.0,
            self._look: 3.0,
            self._slow: 1.0,
            self._crash: 1.2 * trouble,
            self._fail_commit: 0.4 * trouble,
            self._fail_snapshot: 0.5 * trouble,
            self._stop: 0.4 * trouble,
            self._step_clock: 0.4 * trouble,
        }
        (make,) = self._random.choices(list(weighted), list(weighted.values()))
        return make()

    def _pause(self) -> Action:
        random = self._random
        match random.randrange(20):
            case 0:
                return self._long_wait(random.choice((31 * SECOND, 30 * SECOND, 29 * SECOND, 2 * HOUR)))
            case 1 | 2:
                return self._long_wait(random.randrange(SECOND, 10 * SECOND))
            case 3 | 4 | 5 | 6 | 7:
                return Wait(int(10 ** random.uniform(1, 5)))
            case _:
                return Turn(int(2 ** random.uniform(0, 6)))

    def _long_wait(self, us: int) -> Wait:
        """Not so long that the simulator spends its days waking a busy snapshotter."""
        return Wait(min(us, int(self._bounds.snapshot_interval_s * 1000 * SECOND)))

    # --- requests ---

    def _join(self, account: AccountId, deposit: int | None = None) -> Ask:
        if deposit is None:
            deposit = self._random.choice((0, 100_000_000, 5_000_000_000, 5_000_000_000, 200_000_000_000))
        return Ask(OpenAccount(account, f"{account}@example.com", deposit))

    def _join_again(self) -> list[Action]:
        return [self._join(self._random.choice(self._accounts))]

    def _sign_in(self) -> list[Action]:
        return [SignIn(f"guest{self._random.randrange(3)}@example.com", self._random.choice((1, 1, 2, 3)))]

    def _look(self) -> list[Action]:
        return [Look(self._random.choice(self._accounts))]

    def _deposit(self) -> list[Action]:
        amount = self._random.choice((1, self._random.randrange(1, 1000 * SECOND), 5000 * SECOND))
        return [self._ask(Deposit(self._random.choice(self._accounts), amount))]

    def _stranger(self) -> list[Action]:
        if self._random.random() < 0.5:
            return [self._ask(Deposit(NOBODY, SECOND))]
        return [self._ask(msgspec.structs.replace(self._new_order(), account=NOBODY))]

    def _open(self) -> list[Action]:
        command = self._new_order()
        self._opens.append(command)
        self._seen_at[command.trade_id] = self._price[command.asset]
        if command.client_order is not None:
            self._named.append(command)
        return [self._ask(command)]

    def _repeat(self) -> list[Action]:
        """The same body again, as after a timeout: the web gives it a new order id."""
        if not self._named:
            return self._open()
        first = self._random.choice(self._named[-6:])
        return [self._ask(msgspec.structs.replace(first, trade_id=self._new_id()))]

    def _close(self) -> list[Action]:
        random = self._random
        if not self._opens or random.random() < 0.03:
            return [self._ask(CloseTrade(random.choice(self._accounts), TradeId("unknown")))]
        fresh = [trade for trade in self._opens[-15:] if trade.trade_id not in self._closed]
        trade = random.choice(fresh if fresh and random.random() < 0.8 else self._opens)
        self._closed.add(trade.trade_id)
        account = random.choice(self._accounts) if random.random() < 0.1 else trade.account
        return [self._ask(CloseTrade(account, trade.trade_id))]

    def _ask(self, command: Command) -> Ask:
        random = self._random
        patience = int(10 ** random.uniform(0, 5)) if random.random() < 0.08 else None
        return Ask(command, patience)

    def _new_order(self) -> OpenTrade:
        random = self._random
        asset = random.choice(ASSETS[: random.choice((1, 3))])
        slippage = random.choice((10, 100, 2500, 10_000)) if random.random() < 0.25 else None
        expected = None
        if random.random() < 0.5:
            expected = max(1, self._price[asset] * random.choice((70, 99, 100, 101, 130)) // 100)
        command = OpenTrade(
            account=random.choice(self._accounts),
            trade_id=self._new_id(),
            asset=asset,
            side=random.choice(tuple(Side)),
            margin=self._margin(),
            leverage=random.choice((100, 101, 333, 1000, 1000, 4099, 10_000, 10_000, random.randint(100, 10_000))),
            slippage=slippage,
            expected_price=expected,
        )
        if self._orders % NONSENSE_EVERY == 0:
            command = msgspec.structs.replace(command, **NONSENSE[self._orders % len(NONSENSE)])
        if random.random() > 0.35:
            return command
        name = random.choice(("c1", "c2", "c3", "c4", f"c-{command.trade_id}"))
        return msgspec.structs.replace(command, client_order=name)

    def _new_id(self) -> TradeId:
        self._orders += 1
        return TradeId(f"o{self._orders}")

    def _margin(self) -> int:
        random = self._random
        return random.choice(
            (
                random.randint(1, 2000),
                random.randint(1, 50 * SECOND),
                random.randint(1, 50 * SECOND),
                random.randint(50 * SECOND, 1000 * SECOND),
                int(10 ** random.uniform(9, 12)),
            )
        )

    # --- prices ---

    def _tick(self) -> list[Action]:
        asset = self._random.choice(ASSETS)
        self._move(asset)
        return [Ticks((self._quote(asset),))]

    def _burst(self) -> list[Action]:
        """Many ticks between two turns of the loop, a wick among them."""
        random, ticks = self._random, []
        wick_at = random.randrange(12)
        for number in range(random.randint(2, 14)):
            asset = random.choice(ASSETS[:2])
            self._move(asset)
            ticks.append(self._quote(asset))
            if number == wick_at:
                far = self._price[asset] * random.choice((30, 80, 95, 105, 120, 250)) // 100
                ticks.append(self._quote(asset, max(1, far)))
        return [Ticks(tuple(ticks))]

    def _reach(self) -> list[Action]:
        """A tick exactly at what may be the liquidation price of a trade, or one unit before or behind it."""
        random = self._random
        if not self._opens:
            return self._tick()
        trade = random.choice(self._opens[-8:])
        entry = self._seen_at[trade.trade_id]
        distance = -(-entry * 100 // trade.leverage)
        if trade.side is Side.LONG:
            distance = -distance
        price = max(1, self._scale[trade.asset] // 20, entry + distance + random.choice((0, 0, 0, 1, -1)))
        return [Ticks(((trade.asset, price, price),))]

    def _doubt(self) -> list[Action]:
        """Alone, or behind so many ticks that the queue is full."""
        asset = self._random.choice(ASSETS[:2])
        burst = self._burst() if self._random.random() < 0.5 else []
        return [*burst, *[Doubt(asset)] * self._random.choice((1, 1, 4))]

    def _move(self, asset: Asset) -> None:
        random, scale = self._random, self._scale[asset]
        percent = random.choice((0.05, 0.05, 0.5, 0.5, 2.0, 10.0))
        price = round(self._price[asset] * (1 + random.uniform(-percent, percent) / 100))
        if random.random() < 0.03:  # a gap
            price = round(scale * random.uniform(0.3, 3.0))
        self._price[asset] = min(max(price, scale // 10, 1), scale * 10)

    def _quote(self, asset: Asset, price: int | None = None) -> tuple[Asset, int, int]:
        price = price or self._price[asset]
        spread = self._random.choice((0, 0, 1, 2, 3, price // 1000, price // 1000, price // 10))
        bid = max(1, price - spread // 2)
        return asset, bid, bid + spread

    # --- trouble ---

    def _slow(self) -> list[Action]:
        slow: Action = SlowDisk(self._random.choice((10_000, SECOND, 10 * SECOND)))
        rush = [action for _ in range(self._random.randrange(25)) for action in self._open()]
        return [slow, *rush]

    def _crash(self) -> list[Action]:
        random = self._random
        crash = Crash(
            steps=int(2 ** random.uniform(0, 7)),
            outage=random.choice(tuple(Outage)),
            decay=random.choice((Decay.NONE, Decay.NONE, *Decay)),
            again=int(2 ** random.uniform(0, 5)) if random.random() < 0.3 else None,
            down_us=random.choice((0, SECOND, 40 * SECOND)),
        )
        return [crash, *self._some_price()]

    def _stop(self) -> list[Action]:
        return [Stop(self._random.choice((0, SECOND, HOUR))), *self._some_price()]

    def _fail_commit(self) -> list[Action]:
        return [FailCommit(self._random.choice(tuple(CommitFault)))]

    def _fail_snapshot(self) -> list[Action]:
        return [FailSnapshot()]

    def _step_clock(self) -> list[Action]:
        return [StepClock(self._random.choice((-HOUR, HOUR, -SECOND, 10 * SECOND)))]

    def _some_price(self) -> list[Action]:
        """After a start the feed brings new prices, soon."""
        if self._random.random() < 0.2:
            return []
        return [Turn(200), Ticks(tuple(self._quote(asset) for asset in ASSETS))]
