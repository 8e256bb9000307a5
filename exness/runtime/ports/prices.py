"""Where prices come from, and who owns the time."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from exness.core.commands import Command, PriceTick
from exness.core.instruments import Asset
from exness.core.outcomes import Outcome
from exness.core.views import Question, View
from exness.runtime.ports.clock import Clock

V = TypeVar("V", bound=View)


class PriceSource(Protocol):
    """Where prices come from, as it is told of."""

    simulated: bool
    """True when the prices are not a real market's of now."""

    @property
    def connected(self) -> bool:
        """False while there is no way to the source. Says nothing of prices: those grow stale by themselves."""
        ...

    counters: Counter[str]
    """Messages by what became of them: `ticks`, and the reason of everything ignored."""

    def describe(self) -> str:
        """One line for the banner."""
        ...


class PriceFeed(PriceSource, Protocol):
    """A source of ticks, on the wall's time."""

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Emit ticks until cancelled, or until a recording ends. Does not raise for what the venue does."""
        ...


class Backpressure(Protocol):
    """Whoever is told of ticks, and can have too many of them."""

    @property
    def is_full(self) -> bool: ...

    async def room(self) -> None:
        """Return when that may have changed."""
        ...


class EngineDriver(Protocol):
    """The engine, for a source that owns the time."""

    def look(self, question: Question[V]) -> V:
        """A view of this moment, whether or not it is durable."""
        ...

    @property
    def next_due(self) -> int | None:
        """When time brings something next (microseconds). It is done by PassTime, and before whatever comes at or after
        that time."""
        ...

    def clock_changed(self) -> None:
        """Tell that the clock was moved, or runs at another rate."""
        ...

    def passed_over(self, tick: PriceTick, at: int) -> None:
        """Tell of a tick that an earlier run has executed and that is not executed now. Never waits."""
        ...

    async def perform(self, command: Command, at: int, cause: str = "", *, again: bool = False) -> Outcome:
        """Have a command executed at `at` (microseconds), before whatever waits. Returns once it is decided, which can
        be before it is durable. `again` marks a tick that an earlier run has executed: it sets nothing off. Raises
        Halted when the exchange has stopped."""
        ...


class LastRecord(msgspec.Struct, frozen=True):
    """The journal's last record: its time and its cause. 0 and "": there is none. `counted`: of marks before
    that time (microseconds, too) no candle needs to hear again."""

    at: int = 0
    cause: str = ""
    counted: int = 0


class Conductor(PriceSource, Protocol):
    """A source of prices that owns the time as well: a recording on its own clock, or a hand that sets both."""

    @property
    def clock(self) -> Clock:
        """The exchange goes by it."""
        ...

    def hold(self, driver: EngineDriver) -> None:
        """The engine whose prices and time these are. Comes once, before everything else."""
        ...

    async def conduct(self, last: LastRecord) -> None:
        """Bring ticks and commands, each at its time, from where an earlier run has ended; until cancelled, or until a
        recording ends. Raises Halted when the exchange has stopped."""
        ...


class PriceMoved(msgspec.Struct, frozen=True):
    """What setting prices or stepping the clock did. `at` is the engine's time then (microseconds), `seq` the last
    record there is then, `liquidated` and `scripted` how many trades and scripted prices it set off."""

    at: int
    seq: int
    liquidated: int
    scripted: int


class ScriptedPrice(msgspec.Struct, frozen=True, gc=False):
    """A price to come: `offset` is microseconds of engine time after the script was given, `mid` is scaled."""

    offset: int
    asset: Asset
    mid: int


class ManualControl(Protocol):
    """Whoever holds price and clock by hand. What is asked is done one after the other.

    Every change is decided when its call returns, which can be before it is durable. They raise Halted.
    """

    watchers: list[Callable[[], None]]
    """Called when the clock was moved or runs at another rate, and when scripted prices have come or gone."""

    def now_us(self) -> int: ...

    @property
    def paused(self) -> bool: ...

    @property
    def speed(self) -> int:
        """Thousandths of real time."""
        ...

    @property
    def script_left(self) -> int:
        """Scripted prices that are still to come."""
        ...

    async def set_price(self, asset: Asset, bid: int, ask: int) -> PriceMoved:
        """A price of now."""
        ...

    async def run_script(self, prices: Sequence[ScriptedPrice]) -> PriceMoved:
        """Set prices as the clock comes to them, in place of an earlier script; those of now at once."""
        ...

    async def set_clock(self, paused: bool | None, speed: int | None, step_us: int) -> PriceMoved:
        """Pause or resume, then another speed, then a step ahead on whose way every scripted price comes at its time.
        Raises OutOfTime when it would lead too far."""
        ...

    async def reset(self) -> None:
        """Forget the script, and let the clock run at real speed."""
        ...


class OutOfTime(ValueError):
    """A step or a script would lead beyond the last time that can be shown."""
