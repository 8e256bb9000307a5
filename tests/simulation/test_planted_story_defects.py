"""Stories with crashes in them find what is wrong with how the exchange runs: time, prices that come again after a
start, and what a picture has to hold. Without a defect the same stories are as they must be (see test_simulation)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exness.core import engine
from exness.core.capture import Restorer
from exness.core.commands import PassTime
from exness.core.engine import Engine
from exness.core.market import Market
from exness.core.outcomes import Done
from exness.core.rates import Rates
from exness.core.state import State
from exness.runtime.sequencer import Sequencer
from exness.runtime.writer import Writer
from tests.simulation.stories import tell_seed
from tests.simulation.watch import Broken

MOST = 200
Patch = pytest.MonkeyPatch
DEFECTS: dict[str, Callable[[Patch], None]] = {}


def defect(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
    DEFECTS[plant.__name__] = plant
    return plant


@defect
def time_that_does_not_come_first(patch: Patch) -> None:
    def only(self: Sequencer, command: Any, at: int, request: str, cause: str) -> Iterator[Any]:
        yield from self._engine.steps(command, at, request, cause)

    patch.setattr(Sequencer, "_after_time", only)


@defect
def a_timer_that_never_rings(patch: Patch) -> None:
    patch.setattr(Sequencer, "_until_due", property(lambda self: None))


@defect
def only_the_first_of_what_has_become_due(patch: Patch) -> None:
    def once(self: Sequencer, command: Any, at: int, request: str, cause: str) -> Iterator[Any]:
        for step in self._engine.steps(PassTime(), at):
            if isinstance(step, list):
                yield step
            else:
                self._decided(PassTime(), at, step, again=False)
        yield from self._engine.steps(command, at, request, cause)

    patch.setattr(Sequencer, "_after_time", once)


@defect
def what_time_brings_is_not_journaled(patch: Patch) -> None:
    sound = Writer.put

    def put(self: Writer, records: Any) -> None:
        if records[-1].cause != engine.TIME:
            sound(self, records)

    patch.setattr(Writer, "put", put)


@defect
def funding_that_is_paid_again_after_a_start(patch: Patch) -> None:
    sound = Rates.next_settlement

    def next_settlement(self: Rates, after: int) -> int | None:
        found = sound(self, after)
        is_due_at = bool(self.funding_interval_s) and sound(self, after - 1) == after
        return after if is_due_at and starting else found

    starting: list[bool] = []
    real = Engine.__init__

    def start(self: Engine, *given: Any) -> None:
        starting.append(True)
        try:
            real(self, *given)
        finally:
            starting.pop()

    patch.setattr(Rates, "next_settlement", next_settlement)
    patch.setattr(Engine, "__init__", start)


@defect
def a_price_that_does_not_come_again_after_a_start(patch: Patch) -> None:
    def recall(self: Engine, tick: Any, at: int) -> Iterator[Any]:
        yield Done([])

    patch.setattr(Engine, "recall", recall)


@defect
def a_picture_with_other_watermarks(patch: Patch) -> None:
    sound = Market.loaded

    def loaded(self: Market, trails: Any) -> None:
        if trails is not None:
            others = [tuple(_others(groups) for groups in side) for side in (trails.long, trails.short)]
            trails = type(trails)(*others, trails.activated)
        sound(self, trails)

    patch.setattr(Market, "loaded", loaded)


def _others(groups: Any) -> list[tuple[int, int]]:
    return [(start, watermark + 1) for start, watermark in groups]


@defect
def a_picture_without_the_rates_set_by_hand(patch: Patch) -> None:
    _forgets(patch, lambda state: state.rates.clear())


@defect
def a_picture_without_the_profile_set_by_hand(patch: Patch) -> None:
    _forgets(patch, lambda state: setattr(state, "profile", None))


@defect
def a_picture_without_the_leverage_of_net_positions(patch: Patch) -> None:
    def forget(state: State) -> None:
        for account in state.account_list:
            if account.extras is not None:
                account.extras.nets = {asset: type(net)(0, net.trade_id) for asset, net in account.nets.items()}

    _forgets(patch, forget)


@defect
def a_picture_whose_orders_never_expire(patch: Patch) -> None:
    _forgets(patch, lambda state: setattr(state, "due", type(state.due)()))


def _forgets(patch: Patch, forget: Callable[[State], object]) -> None:
    sound = Restorer.finish

    def finish(self: Restorer) -> State:
        state = sound(self)
        forget(state)
        return state

    patch.setattr(Restorer, "finish", finish)


@pytest.mark.parametrize("name", DEFECTS)
def test_stories_with_crashes_find(name: str, monkeypatch: Patch) -> None:
    DEFECTS[name](monkeypatch)

    def tell_all() -> None:
        for seed in range(MOST):
            print(f"seed {seed}")
            tell_seed(seed)

    with pytest.raises(Broken) as broken:
        tell_all()
    print(str(broken.value)[:300])
