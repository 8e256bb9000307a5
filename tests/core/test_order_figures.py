"""The worked examples of tests/vectors/orders.json that ask for figures alone, by the formulas of core/line.py.

The form of the file stands in its head. `ORDER_VECTORS` names a folder with further ones.
"""

import json
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from exness.core import line as lines_of
from exness.core.instruments import Side
from exness.core.line import Line, trade_line, with_margin
from exness.core.rates import RATE_UNIT, Basis, Rates, Residual, Tier
from tests.support.books import LONG, SHORT

SHIPPED = Path(__file__).parents[1] / "vectors" / "orders.json"
Fields = dict[str, Any]


def line_of(position: Fields) -> Line:
    side = Side(position["side"])
    if "size" in position and "cost" in position:
        return Line(side, position["size"], position["cost"], position["unit"], position["margin"])
    line = trade_line(side, position["margin"], position["leverage"], position["entry"])
    if "size" in position:
        size = position["size"]
        line = Line(side, size, size * position["entry"], line.unit, line.margin)
    return with_margin(line, position.get("held_margin", line.margin))


def rates_of(terms: Fields) -> Rates:
    return Rates(
        taker=terms.get("taker", 0),
        maker=terms.get("maker", 0),
        maintenance=tuple(Tier(*tier) for tier in terms.get("tiers", ())),
        maintenance_basis=Basis(terms.get("basis", "mark")),
        hold_close_fee=terms.get("hold_close_fee", False),
        min_margin=terms.get("min_margin", 0),
        liquidation_fee=terms.get("liquidation_fee", 0),
        residual=Residual(terms.get("residual", "forfeit")),
    )


def liquidation(given: Fields) -> Fields:
    line = line_of(given["position"])
    return {
        "liquidation": lines_of.liquidation_price(line, rates_of(given.get("terms", {}))),
        "bankruptcy": lines_of.bankruptcy_price(line),
        "size": line.size,
        "cost": line.cost,
        "unit": line.unit,
    }


def requirement(given: Fields) -> Fields:
    line, rates, mark = line_of(given["position"]), rates_of(given["terms"]), given["mark"]
    rounded_up = lines_of.requirement(line, rates, mark)
    exact = max(
        Fraction(slope * line.size * mark + per_unit * line.unit + per_cost * line.cost, line.unit * RATE_UNIT)
        for slope, per_unit, per_cost in rates.requirements
    )
    assert rounded_up == math.ceil(exact)
    return {
        "requirement_floor": math.floor(exact),
        "requirement_ceil": rounded_up,
        "due": lines_of.is_due(line, rates, mark),
    }


def opening(given: Fields) -> Fields:
    line = trade_line(LONG, given["margin"], given["leverage"], 1)
    fee = lines_of.entry_fee(line, given["rate"])
    return {"size": line.size, "fee": fee, "required": given["margin"] + fee}


def end_of(settled: lines_of.Settlement) -> Fields:
    return {"pnl": settled.pnl, "fee": settled.fee, "returned": settled.returned, "shortfall": settled.shortfall}


def close(given: Fields) -> Fields:
    return end_of(lines_of.settle(line_of(given["position"]), given["price"], given.get("rate", 0)))


def liquidate(given: Fields) -> Fields:
    insurance = given.get("insurance", 0)
    line, rates = line_of(given["position"]), rates_of(given.get("terms", {}))
    end = lines_of.settle_liquidation(line, given["mark"], rates, insurance)
    return end_of(end) | {
        "forfeited": end.forfeited,
        "covered": end.covered,
        "insurance": insurance + end.fee + end.forfeited - end.covered,
        "bad_debt": end.shortfall - end.covered,
    }


def reduce(given: Fields) -> Fields:
    line, rates = line_of(given["position"]), rates_of(given.get("terms", {}))
    if "percent" in given:
        size = lines_of.size_of_percent(line, given["percent"])
    else:
        size = given["size"] if "size" in given else lines_of.size_of_margin(line, given["margin"])
    if size == 0:
        return {"refused": "amount_too_small"}
    part, left = lines_of.split(line, size)
    end = lines_of.settle(part, given["price"], given.get("rate", 0))
    return {
        "closed": {"size": part.size, "cost": part.cost, "margin": part.margin} | end_of(end),
        "left": {"size": left.size, "cost": left.cost, "margin": left.margin}
        | {"liquidation": lines_of.liquidation_price(left, rates)},
        "liquidation_before": lines_of.liquidation_price(line, rates),
    }


def margin(given: Fields) -> Fields:
    line, rates = line_of(given["position"]), rates_of(given.get("terms", {}))
    leverage, amount = given["position"]["leverage"], given.get("amount")
    removable = lines_of.removable(line, leverage, given["mark"])
    if amount is None:
        return {"initial_margin": lines_of.initial_margin(line, leverage), "removable": removable}
    if -amount > removable:
        return {"refused": "margin_too_low", "removable": removable}
    after = with_margin(line, line.margin + amount)
    assert not lines_of.is_due(after, rates, given["mark"])
    return {
        "margin": after.margin,
        "liquidation_before": lines_of.liquidation_price(line, rates),
        "liquidation": lines_of.liquidation_price(after, rates),
    }


def leverage(given: Fields) -> Fields:
    line, rates = line_of(given["position"]), rates_of(given["terms"])
    added = max(0, lines_of.initial_margin(line, given["leverage"]) - line.margin)
    after = with_margin(line, line.margin + added)
    return {
        "added": added,
        "margin": after.margin,
        "liquidation": lines_of.liquidation_price(after, rates),
        "removable": lines_of.removable(after, given["leverage"], given["mark"]),
    }


def funding(given: Fields) -> Fields:
    line, rates, mark = line_of(given["position"]), rates_of(given.get("terms", {})), given["mark"]
    payment = lines_of.funding_payment(line, mark, given["rate"], given.get("weight", 1))
    after = with_margin(line, line.margin - payment.paid)
    return {
        "paid": payment.paid,
        "unpaid": payment.unpaid,
        "margin": after.margin,
        "liquidation_before": lines_of.liquidation_price(line, rates),
        "liquidation": lines_of.liquidation_price(after, rates),
        "due": lines_of.is_due(after, rates, mark),
    }


def net(given: Fields) -> Fields:
    unit = lines_of.net_unit(given["decimals"], given["quantity_decimals"])
    assert unit is not None
    rates, position, after = rates_of(given["terms"]), None, []
    for does, quantity, price in given["fills"]:
        side, left = LONG if does == "buy" else SHORT, quantity
        step: Fields = {"realized": [], "fees": [], "position": None}
        if position is not None and position.side is not side:
            left = max(0, quantity - position.size)
            part, position = lines_of.split(position, quantity) if quantity < position.size else (position, None)
            end = lines_of.settle(part, price, rates.taker)
            step["realized"].append(end.pnl)
            step["fees"].append(end.fee)
        if left:
            fill = lines_of.net_line(side, left, price, unit, given["leverage"])
            step["fees"].append(lines_of.fee(fill, price, rates.taker))
            if position is not None:
                fill = lines_of.increased(position, left, price, given["leverage"])
            position = fill
        if position is not None:
            step["position"] = {
                "side": str(position.side),
                "size": position.size,
                "cost": position.cost,
                "unit": position.unit,
                "margin": position.margin,
                "entry": lines_of.average_entry(position),
                "liquidation": lines_of.liquidation_price(position, rates),
            }
        after.append(step)
    return {"after": after}


def quote(given: Fields) -> Fields:
    line, rates = line_of(given), rates_of(given.get("terms", {}))
    entry, fee = given["entry"], lines_of.entry_fee(line, rates.taker)
    return {
        "fee": fee,
        "required": line.margin + fee,
        "liquidation": lines_of.liquidation_price(line, rates),
        "bankruptcy": lines_of.bankruptcy_price(line),
        "break_even": lines_of.break_even_price(line, rates.taker, fee),
        "max_margin": lines_of.max_margin(given["free"], given["leverage"], rates.taker),
        "requirement": lines_of.requirement(line, rates, entry),
        "due": lines_of.is_due(line, rates, entry),
        "close_fee_at_entry": lines_of.fee(line, entry, rates.taker),
    }


OPERATIONS = {
    "liquidation": liquidation,
    "requirement": requirement,
    "open": opening,
    "close": close,
    "liquidate": liquidate,
    "reduce": reduce,
    "margin": margin,
    "leverage": leverage,
    "funding": funding,
    "net": net,
    "quote": quote,
}


def worked_examples() -> list[Any]:
    further = sorted(Path(os.environ["ORDER_VECTORS"]).glob("*.json")) if os.environ.get("ORDER_VECTORS") else []
    every = [each for path in (SHIPPED, *further) for each in json.loads(path.read_text())["vectors"]]
    return [pytest.param(each, id=each["name"]) for each in every if each["op"] in OPERATIONS]


@pytest.mark.parametrize("example", worked_examples())
def test_a_worked_example_comes_to_its_figures_and_to_what_a_venue_published(example: Fields) -> None:
    figures = OPERATIONS[example["op"]](example["given"])
    assert figures == example["expect"]
    published = dict(example.get("published", {}))
    if "liquidation" in published:
        exact = Fraction(published["liquidation"])
        within = max(Fraction(published["within"]), exact * Fraction(published.get("relative", 0)))
        within += Fraction(1, 10 ** published["decimals"])  # ours is the first whole price
        assert abs(Fraction(figures["liquidation"], 10 ** published["decimals"]) - exact) <= within


def test_every_kind_of_figure_has_an_example() -> None:
    assert {each.values[0]["op"] for each in worked_examples()} == set(OPERATIONS)
