"""The stories are worth telling, and what differs from the reckoning is found."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from tests.reference import lockstep
from tests.reference.rulebook import checks, exits, formulas, orders, parts, ticks
from tests.reference.rulebook.commands import Command, Outcome
from tests.reference.rulebook.rules import Rules
from tests.reference.stories import KINDS, Writer, seeded

LENGTH = 60

EVENTS = {
    "account_opened",
    "deposited",
    "house_deposited",
    "net_leverage_set",
    "order_amended",
    "order_ended cancelled",
    "order_ended expired",
    "order_ended filled",
    "order_ended refused",
    "order_placed",
    "order_triggered",
    "profile_set",
    "rates_set",
    "started_afresh",
    "trade_changed exits",
    "trade_changed funding",
    "trade_changed leverage",
    "trade_changed margin",
    "trade_changed triggered",
    "trade_closed exit",
    "trade_closed order",
    "trade_closed stop_loss",
    "trade_closed take_profit",
    "trade_closed trailing_stop",
    "trade_closed user",
    "trade_increased",
    "trade_liquidated liquidation",
    "trade_opened",
    "trade_reduced exit",
    "trade_reduced order",
    "trade_reduced stop_loss",
    "trade_reduced take_profit",
    "trade_reduced user",
    "trail_moved",
}
REFUSALS = {
    "account_exists",
    "amount_out_of_range",
    "amount_too_small",
    "bad_request",
    "client_order_id_conflict",
    "insufficient_margin",
    "margin_too_low",
    "order_not_found",
    "position_limit",
    "price_unavailable",
    "reduce_only_rejected",
    "slippage_exceeded",
    "trade_not_found",
    "would_liquidate",
    "would_rest",
    "would_take",
    "would_trigger",
}


def test_the_stories_reach_every_event_reason_and_refusal() -> None:
    events: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    commands: Counter[type[Command]] = Counter()
    repeated = 0
    for seed in range(150):
        if set(events) >= EVENTS and set(refusals) >= REFUSALS and len(commands) >= len(KINDS) - 1 and repeated:
            break
        for command, _, outcome in Writer(Random(seed)).write(LENGTH):
            commands[type(command)] += outcome.refusal is None
            repeated += outcome.repeated is not None
            refusals.update([] if outcome.refusal is None else [outcome.refusal.code])
            for event in outcome.events:
                detail = event.get("status") or event.get("why") or event.get("reason") or ""
                events[f"{event['event']} {detail}".strip()] += 1
    assert EVENTS - set(events) == set()
    assert REFUSALS - set(refusals) == set()
    assert len(commands) >= len(KINDS) - 1
    assert repeated > 0
    assert sum(refusals.values()) < sum(commands.values())


def test_one_seed_is_one_story() -> None:
    assert seeded(7, LENGTH) == seeded(7, LENGTH)
    assert seeded(7, LENGTH) != seeded(8, LENGTH)


def test_a_twin_tells_the_same() -> None:
    for seed in range(3):
        lockstep.run(seed, LENGTH, lockstep.Twin)


def _down(position: Any, price: int, rate: int, room: int) -> Any:
    settled = CLOSE(position, price, rate, room)
    if settled.fee == 0:
        return settled
    return formulas.Settled(settled.pnl, settled.fee - 1, settled.returned + 1, settled.shortfall)


def _moves_back(it: Any, side: str, price: int) -> bool:
    moved = FOLLOW(it, side, price)
    if not moved and it.watermark is not None:
        it.watermark = price
    return moved


def _pays_twice(book: Any, trade: Any, mark: int, rate: int) -> None:
    PAY(book, trade, mark, rate)
    PAY(book, trade, mark, rate)


CLOSE, FOLLOW, PAY = formulas.close, exits.follow, ticks._pay
NEAREST, REACHED = ticks._nearest, checks.is_reached
DEFECTS: list[tuple[Any, str, Any]] = [
    (formulas, "close", _down),
    (exits, "follow", _moves_back),
    (ticks, "_pay", _pays_twice),
    (ticks, "_nearest", lambda rising, level: -NEAREST(rising, level)),
    (ticks, "SIDES", ("short", "long")),
    (checks, "is_reached", lambda kind, side, level, price: level != price and REACHED(kind, side, level, price)),
    (parts, "reprice", lambda book, trade: None),
    (formulas, "removable", lambda position, mark: position.margin - 1),
    (orders, "_exits_beyond", lambda order: None),
]


class Flawed(lockstep.Twin):
    """A twin with one of its parts replaced whenever it does something."""

    def __init__(self, defect: tuple[Any, str, Any], rules: Rules, start: int) -> None:
        super().__init__(rules, start)
        self.defect = defect

    def execute(self, command: Command, at: int) -> Outcome:
        module, name, flawed = self.defect
        sound = getattr(module, name)
        setattr(module, name, flawed)
        try:
            return super().execute(command, at)
        finally:
            setattr(module, name, sound)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect[1])
def test_a_defect_is_found_within_a_hundred_stories(defect: tuple[Any, str, Any]) -> None:
    def tell_all() -> None:
        for seed in range(100):
            lockstep.run(seed, LENGTH, lambda rules, start: Flawed(defect, rules, start))

    with pytest.raises(AssertionError):
        tell_all()
