"""The reckoning finds what is wrong with the engine: each defect here is planted into it, and one of the first MOST
stories must come to something else. Without a defect they come to the same."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from exness.core import line, trailing
from exness.core.decide import exits, guards, net, opening, orders, parts, ticks
from exness.core.engine import Engine
from exness.core.events import Event
from exness.core.instruments import Side
from exness.core.line import Line, Settlement
from exness.core.market import Market
from exness.core.price_index import _NUMBER_BITS, PriceIndex
from exness.core.rates import DAY_US, RATE_UNIT, Rates, Requirement
from exness.core.trades import Exit
from tests.reference import lockstep
from tests.reference.engine_peer import EnginePeer

MOST, LENGTH = 200, 60
Patch = pytest.MonkeyPatch
DEFECTS: dict[str, Callable[[Patch], None]] = {}


def defect(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
    DEFECTS[plant.__name__] = plant
    return plant


# --- the order of a tick --------------------------------------------------------------------------------------------


def _in_order(patch: Patch, *order: int) -> None:
    sound = ticks._rows

    def rows(state: Any, rules: Any, market: Any, price: Any, prices: Any, at: int, rows: Any) -> Any:
        return sound(state, rules, market, price, prices, at, order if len(rows) > 2 else rows)  # type: ignore[arg-type]

    patch.setattr(ticks, "_rows", rows)


@defect
def profit_before_protection(patch: Patch) -> None:
    _in_order(patch, 0, 1, 6, 7, 8, 9, 2, 3, 4, 5, 10, 11, 12, 13)


@defect
def new_risk_before_what_closes(patch: Patch) -> None:
    _in_order(patch, 0, 1, 10, 11, 12, 13, 2, 3, 4, 5, 6, 7, 8, 9)


@defect
def a_stop_before_the_liquidation(patch: Patch) -> None:
    _in_order(patch, 2, 3, 4, 5, 0, 1, 6, 7, 8, 9, 10, 11, 12, 13)


@defect
def shorts_before_longs(patch: Patch) -> None:
    _in_order(patch, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12)


@defect
def to_touch_a_price_is_not_to_reach_it(patch: Patch) -> None:
    sound = PriceIndex.first_due

    def first_due(self: PriceIndex[Any], price: int) -> Any:
        first = self._chunks[0][0] if self._chunks else None
        if first is not None and first >> _NUMBER_BITS == self._direction * price:
            return None
        return sound(self, price)

    patch.setattr(PriceIndex, "first_due", first_due)


@defect
def expiry_after_the_tick_of_its_time(patch: Patch) -> None:
    def is_due(self: Engine, at: int) -> bool:
        due = self.state.due.next_due
        return due is not None and due < at

    patch.setattr(Engine, "is_due", is_due)


# --- roundings ------------------------------------------------------------------------------------------------------


@defect
def a_closing_fee_rounded_down(patch: Patch) -> None:
    patch.setattr(line, "fee", lambda it, price, rate: it.size * price * rate // (it.unit * RATE_UNIT))


@defect
def an_opening_fee_rounded_down(patch: Patch) -> None:
    for module in (opening, orders, net):
        patch.setattr(module, "entry_fee", lambda it, rate: it.cost * rate // (it.unit * RATE_UNIT))


@defect
def the_margin_of_a_part_rounded_up(patch: Patch) -> None:
    def split(it: Line, size: int) -> tuple[Line, Line]:
        part, left = line.split(it, size)
        odd = int(it.margin * size % it.size != 0)
        return replace(part, margin=part.margin + odd), replace(left, margin=left.margin - odd)

    patch.setattr(parts, "split", split)


@defect
def the_cost_of_a_part_rounded_for_the_trader(patch: Patch) -> None:
    def split(it: Line, size: int) -> tuple[Line, Line]:
        part, left = line.split(it, size)
        odd = int(it.cost * size % it.size != 0) * (1 if it.side is Side.LONG else -1)
        return replace(part, cost=part.cost - odd), replace(left, cost=left.cost + odd)

    patch.setattr(parts, "split", split)


@defect
def a_part_by_its_margin_rounded_down(patch: Patch) -> None:
    patch.setattr(parts, "size_of_margin", lambda it, margin: it.size * margin // it.margin)


@defect
def a_receipt_of_funding_rounded_up(patch: Patch) -> None:
    def payment(it: Line, mark: int, rate: int, weight: int, most: int) -> Any:
        paid = line.funding_payment(it, mark, rate, weight, most)
        return replace(paid, paid=paid.paid - 1) if paid.paid < 0 else paid

    patch.setattr(ticks, "funding_payment", payment)


@defect
def a_liquidation_price_one_unit_late(patch: Patch) -> None:
    def price(it: Line, rates: Rates) -> int:
        sound = line.liquidation_price(it, rates)
        return sound - 1 if it.side is Side.LONG else sound + 1

    for module in (opening, parts, net, ticks):
        patch.setattr(module, "liquidation_price", price, raising=False)


@defect
def a_trailing_level_rounded_the_other_way(patch: Patch) -> None:
    sound = trailing.level_at

    def level(side: Side, watermark: int, width: int, *, is_percent: bool) -> int:
        odd = is_percent and watermark * width % line.PERCENT_UNIT != 0
        return sound(side, watermark, width, is_percent=is_percent) + odd * (1 if side is Side.LONG else -1)

    patch.setattr(trailing, "level_at", level)


@defect
def a_cost_that_follows_from_the_average(patch: Patch) -> None:
    def increased(it: Line, size: int, price: int, leverage: int) -> Line:
        grown = line.increased(it, size, price, leverage)
        return replace(grown, cost=line.average_entry(grown) * grown.size)

    patch.setattr(net, "increased", increased)


# --- trailing stops and exits ---------------------------------------------------------------------------------------


@defect
def a_trailing_level_that_moves_back(patch: Patch) -> None:
    def betters(self: Any, price: int) -> bool:
        return self._newest is not None and self._newest.watermark != price

    patch.setattr(trailing._Stack, "betters", betters)


@defect
def an_activation_that_nobody_waits_for(patch: Patch) -> None:
    sound = opening.trailing_exit

    def at_once(it: Any, side: Side, looked_at: int, number: int) -> Exit:
        return replace(sound(it, side, looked_at, number), price=looked_at)

    patch.setattr(opening, "trailing_exit", at_once)
    patch.setattr(exits, "trailing_exit", at_once)


@defect
def an_exit_that_outlives_its_trade(patch: Patch) -> None:
    sound = Market._unlist_exit
    ends: list[bool] = []

    def unlist_trade(self: Market, trade: Any) -> None:
        ends.append(True)
        try:
            unlist(self, trade)
        finally:
            ends.pop()

    unlist = Market.unlist_trade
    patch.setattr(Market, "unlist_trade", unlist_trade)
    patch.setattr(Market, "_unlist_exit", lambda self, trade, it: None if ends else sound(self, trade, it))


@defect
def an_exit_over_a_part_that_closes_the_whole(patch: Patch) -> None:
    sound: Any = parts.close_part
    patch.setattr(exits, "close_part", lambda trade, size, *more: sound(trade, trade.size, *more))


@defect
def a_fired_exit_that_stays(patch: Patch) -> None:
    sound: Any = parts.close_part
    patch.setattr(exits, "close_part", lambda *given: sound(*given[:-1], None))


@defect
def exits_that_are_due_at_once_are_taken(patch: Patch) -> None:
    patch.setattr(guards, "exits_would_trigger", lambda *given: None)


# --- orders ---------------------------------------------------------------------------------------------------------


@defect
def a_reserve_that_is_not_given_back(patch: Patch) -> None:
    sound = orders.end

    def end(order: Any, status: Any, reason: str, balance: int) -> Any:
        return replace(sound(order, status, reason, balance - order.reserved), released=0)

    patch.setattr(orders, "end", end)


@defect
def a_reserve_at_the_cheaper_rate(patch: Patch) -> None:
    patch.setattr(Rates, "dearer", property(lambda self: min(self.taker, self.maker)))


@defect
def a_stop_filled_at_its_own_price_across_a_gap(patch: Patch) -> None:
    sound: Any = orders.fill

    def fill(state: Any, rules: Any, account: Any, order: Any, price: Any, entry: int, *more: Any) -> list[Event]:
        at = entry if order.stop is None or order.limit is not None else order.stop
        return sound(state, rules, account, order, price, at, *more)

    patch.setattr(orders, "fill", fill)


@defect
def an_amended_order_that_loses_its_place(patch: Patch) -> None:
    sound = orders._amended

    def amended(old: Any, command: Any) -> Any:
        new = sound(old, command)
        return replace(new, number=new.number + 1) if hasattr(new, "number") else new

    patch.setattr(orders, "_amended", amended)


@defect
def a_resting_limit_that_pays_as_a_taker(patch: Patch) -> None:
    sound: Any = orders.fill

    def fill(state: Any, rules: Any, *more: Any) -> list[Event]:
        *given, rate, at, funds = more
        taker = rules.rates_of(given[1].asset).taker
        return sound(state, rules, *given, max(rate, taker), at, funds)

    patch.setattr(orders, "fill", fill)


@defect
def a_net_order_that_reserves_for_what_only_reduces(patch: Patch) -> None:
    sound: Any = net.if_it_opens

    def if_it_opens(rules: Any, account: Any, order: Any) -> Any:
        class Alone:
            orders, nets = account.orders, account.nets

            @staticmethod
            def net(asset: Any) -> Any:
                held = account.net(asset)
                return held if held is not None and held.side is order.side else None

        return sound(rules, Alone, order)

    patch.setattr(net, "if_it_opens", if_it_opens)


@defect
def a_leverage_of_net_positions_that_nobody_keeps(patch: Patch) -> None:
    patch.setattr(net, "leverage_of", lambda rules, account, asset: rules.net_leverage)


# --- parts, margin, insurance ---------------------------------------------------------------------------------------


@defect
def a_rest_that_is_due_and_stays(patch: Patch) -> None:
    def what_closes(it: Line, size: int, rates: Rates, mark: int) -> tuple[Line, Line | None]:
        return (it, None) if size >= it.size else line.split(it, size)

    patch.setattr(parts, "what_closes", what_closes)
    patch.setattr(net, "what_closes", what_closes)


@defect
def a_trade_that_is_not_repriced(patch: Patch) -> None:
    sound = parts.with_line

    def with_line(trade: Any, *more: Any) -> Any:
        return replace(sound(trade, *more), liquidation=trade.liquidation)

    patch.setattr(parts, "with_line", with_line)
    patch.setattr(net, "with_line", with_line)


@defect
def a_loss_that_is_taken_out(patch: Patch) -> None:
    def removable(it: Line, leverage: int, mark: int) -> int:
        return max(0, it.margin - line.initial_margin(it, leverage))

    patch.setattr(parts, "removable", removable)


@defect
def an_insurance_that_covers_nothing(patch: Patch) -> None:
    def uncovered(end: Settlement) -> Settlement:
        return replace(end, covered=0)

    patch.setattr(parts, "settle", lambda *given: uncovered(line.settle(*given)))
    patch.setattr(ticks, "settle_liquidation", lambda *given: uncovered(line.settle_liquidation(*given)))


@defect
def what_a_liquidation_leaves_goes_to_the_wrong_hand(patch: Patch) -> None:
    def swapped(*given: Any) -> Settlement:
        end = line.settle_liquidation(*given)
        return replace(end, returned=end.forfeited, forfeited=end.returned)

    patch.setattr(ticks, "settle_liquidation", swapped)


# --- maintenance ----------------------------------------------------------------------------------------------------


def _lines(patch: Patch, change: Callable[[Rates, tuple[Requirement, ...]], tuple[Requirement, ...]]) -> None:
    sound = Rates.__dict__["requirements"].func
    patch.setattr(Rates, "requirements", property(lambda self: change(self, sound(self))))


@defect
def tiers_whose_rate_is_that_of_the_whole(patch: Patch) -> None:
    _lines(patch, lambda rates, lines: tuple(each._replace(per_unit=max(0, each.per_unit)) for each in lines))


@defect
def a_least_margin_that_nobody_asks_for(patch: Patch) -> None:
    _lines(patch, lambda rates, lines: tuple(each for each in lines if each.per_unit <= 0))


@defect
def a_closing_fee_that_is_not_held(patch: Patch) -> None:
    def unheld(rates: Rates, lines: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
        return replace(rates, hold_close_fee=False).requirements if rates.hold_close_fee else lines

    _lines(patch, unheld)


# --- funding --------------------------------------------------------------------------------------------------------


@defect
def funding_that_is_paid_twice(patch: Patch) -> None:
    sound = ticks._settle

    def twice(*given: Any) -> Iterator[list[Event]]:
        yield from sound(*given)
        yield from sound(*given)

    patch.setattr(ticks, "_settle", twice)


@defect
def the_weekday_of_another_day(patch: Patch) -> None:
    patch.setattr(Rates, "weight", lambda self, at: self.funding_weekdays[(at // DAY_US + 4) % 7])


@defect
def settlements_that_pass_over_their_offset(patch: Patch) -> None:
    sound = Rates.next_settlement
    patch.setattr(Rates, "next_settlement", lambda self, after: sound(replace(self, funding_offset_s=0), after))


@defect
def what_funding_makes_due_waits_for_the_next_tick(patch: Patch) -> None:
    patch.setattr(ticks, "LIQUIDATIONS", range(0))


@defect
def shorts_that_pay_what_longs_do(patch: Patch) -> None:
    sound = Rates.fixed_funding.fget  # type: ignore[attr-defined]

    def fixed_funding(self: Rates) -> tuple[int, int] | None:
        fixed = sound(self)
        return fixed and (fixed[0], fixed[0])

    patch.setattr(Rates, "fixed_funding", property(fixed_funding))


def test_without_a_defect_every_story_comes_to_the_same() -> None:
    for seed in range(MOST // 5):
        lockstep.run(seed, LENGTH, EnginePeer)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_of_the_engine_is_found(name: str, monkeypatch: Patch) -> None:
    DEFECTS[name](monkeypatch)

    def tell_all() -> None:
        for seed in range(MOST):
            lockstep.run(seed, LENGTH, EnginePeer)

    with pytest.raises((AssertionError, LookupError, AttributeError)):
        tell_all()
