"""The properties of the rule book, on the reckoning: what must hold of any story, and of parts, margins, net positions
and quotes by themselves.
"""

import copy
import math
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.reference.choices import LIFE, RATES, SECOND, START
from tests.reference.lockstep import picture_of
from tests.reference.rulebook import commands as c
from tests.reference.rulebook import formulas, quotes, statement
from tests.reference.rulebook.commands import Command, Outcome, Trailing
from tests.reference.rulebook.exchange import Exchange
from tests.reference.rulebook.formulas import Position
from tests.reference.rulebook.rules import AssetRules, Rates, Rules, Tier
from tests.reference.stories import Writer, seeded, writers
from tests.reference.watching import Watch
from tests.support.lanes import examples, mostly_slow

RICH = 10**15
SIDES = st.sampled_from(("long", "short"))
MARGINS = st.integers(1, 3_000) | st.integers(1_000_000, 300_000_000)
LEVERAGES = st.sampled_from((100, 101, 1_733, 4_099, 10_000)) | st.integers(100, 10_000)
ENTRIES = st.sampled_from((97, 10_007, 187_654_321, 1_000_000_000)) | st.integers(1, 10**9)
PERCENTS = st.integers(97, 103) | st.integers(60, 160)
SOME_RATES = st.sampled_from(RATES)


def watch(writer: Writer, length: int) -> None:
    watching = Watch(writer.exchange.book)
    for command, _, outcome in writer.write(length):
        watching.after(command, outcome)


@examples(60)
@given(writers())
def test_every_story_keeps_the_books_and_the_rules(writer: Writer) -> None:
    watch(writer, 40)


@pytest.mark.parametrize("seed", mostly_slow(range(60), 10))
def test_every_long_story_keeps_the_books_and_the_rules(seed: int) -> None:
    watch(Writer(Random(seed), checked=True), 200)


def exchange_with(
    price: int, rates: Rates = RATES[0], *, deposit: int = RICH, asset: AssetRules | None = None, **modes: Any
) -> Exchange:
    """ann is rich, and BTC has a price without a spread."""
    rules = Rules(
        {"BTC": asset or AssetRules(4, 5, rates=rates)}, max_notional=10**18, max_open_interest=10**18, **modes
    )
    exchange = Exchange(rules, START)
    done(exchange, c.OpenAccount("ann", "ann@example.com", deposit))
    done(exchange, c.PriceTick("BTC", price, price, 10**6 * LIFE))
    return exchange


def done(exchange: Exchange, command: Command, at: int = START) -> Outcome:
    outcome = exchange.execute(command, at)
    exchange.book.check()
    assert outcome.refusal is None, (command, outcome.refusal)
    return outcome


@given(SIDES, MARGINS, LEVERAGES, ENTRIES, SOME_RATES, st.integers(0, 10**9))
def test_a_liquidation_price_is_the_first_one_that_is_due(
    side: str, margin: int, leverage: int, entry: int, rates: Rates, added: int
) -> None:
    """The rule itself, in fractions; `liquidation_price` solves lines."""
    opened = formulas.trade_position(side, margin, leverage, entry)
    position = Position(side, opened.size, opened.cost, opened.unit, margin + added, leverage)
    first = formulas.liquidation_price(position, rates)
    step = 1 if side == "long" else -1
    for further in (1, 2, 7, 10**6):
        assert first + step * further < 1 or not formulas.is_due(position, rates, first + step * further)
        beyond = first - step * (further - 1)
        assert beyond < 1 or formulas.is_due(position, rates, beyond)
    lost = position.margin + position.gain(first) - formulas.held(position, rates, first)
    assert first == 0 or lost <= formulas.requirement(position, rates, first)


@given(MARGINS, st.lists(st.integers(1, 10**9), max_size=5, unique=True), st.integers(1, 10**12))
def test_maintenance_is_the_largest_of_the_lines_of_its_tiers(margin: int, floors: list[int], notional: int) -> None:
    tiers = [Tier(0, 400_000), *(Tier(floor, 500_000 * n) for n, floor in enumerate(sorted(floors), 1))]
    rates, n = Rates(maintenance=tuple(tiers)), Fraction(notional, 7)
    lines, less = [], Fraction(0)
    for before, tier in zip([None, *tiers], tiers, strict=False):
        less += tier.floor * Fraction(tier.rate - (before.rate if before else 0), 10**8)
        lines.append(n * Fraction(tier.rate, 10**8) - less)
    assert formulas.maintenance(rates, n) == max(lines)


@given(SIDES, MARGINS, LEVERAGES, ENTRIES, PERCENTS, SOME_RATES, st.lists(st.integers(1, 9_999), max_size=5))
def test_parts_at_one_price_pay_what_the_whole_pays(
    side: str, margin: int, leverage: int, entry: int, percent: int, rates: Rates, parts: list[int]
) -> None:
    """Within two micro-USDC a part."""
    exchange = exchange_with(entry, Rates(taker=rates.taker))
    done(exchange, c.OpenTrade("ann", "t", "BTC", side, margin, leverage))
    price = max(1, entry * percent // 100)
    exchange.book.prices["BTC"].bid = exchange.book.prices["BTC"].ask = price
    whole = copy.deepcopy(exchange)
    done(whole, c.CloseTrade("ann", "t"))
    closed = 0
    for part in parts:
        outcome = exchange.execute(c.CloseTrade("ann", "t", percent=part), START)
        assert outcome.refusal is None or outcome.refusal.code in ("amount_too_small", "trade_not_found")
        closed += outcome.refusal is None
    if exchange.book.trades:
        done(exchange, c.CloseTrade("ann", "t"))
        closed += 1
    difference = exchange.book.accounts["ann"].free - whole.book.accounts["ann"].free
    assert abs(difference) <= 2 * closed


@given(SIDES, MARGINS, LEVERAGES, ENTRIES, SOME_RATES, st.integers(1, 10**9))
def test_added_and_taken_margin_leaves_the_trade_as_it_was(
    side: str, margin: int, leverage: int, entry: int, rates: Rates, amount: int
) -> None:
    exchange = exchange_with(entry, rates)
    assume(exchange.execute(c.OpenTrade("ann", "t", "BTC", side, margin, leverage), START).refusal is None)
    before = picture_of(exchange.book)
    done(exchange, c.ChangeMargin("ann", "t", amount))
    done(exchange, c.ChangeMargin("ann", "t", -amount))
    after = picture_of(exchange.book)
    assert after["seq"] == before["seq"] + 2
    assert {**after, "seq": 0, "at": 0} == {**before, "seq": 0, "at": 0}


@given(writers())
@examples(30)
def test_placed_and_cancelled_leaves_the_account_as_it_was(writer: Writer) -> None:
    for _ in writer.write(20):
        pass
    exchange, at = writer.exchange, max(writer.at, writer.exchange.book.at)
    exchange.execute(c.PassTime(), at)
    before = picture_of(exchange.book)
    command = c.PlaceOrder("ann", "new", "BTC", "long", 1_000_000, 100, stop=10**15)
    net = c.NetOrder("ann", "new", "BTC", "buy", 5, stop=10**12)
    for each in (command, net):
        if exchange.execute(each, at).refusal is None:
            done(exchange, c.CancelOrder("ann", "new"), at)
            after = picture_of(exchange.book)
            assert {**after, "seq": 0, "at": 0} == {**before, "seq": 0, "at": 0}


FILLS = st.lists(st.tuples(st.sampled_from(("buy", "sell")), st.integers(1, 400), st.integers(-25, 25)), max_size=12)


@given(FILLS, st.sampled_from((97, 10_007, 1_000_000_000)))
def test_a_net_position_is_its_fills(fills: list[tuple[str, int, int]], base: int) -> None:
    """Its cost is the sum of them while it only grows; what was realised and what is not come to what the fills gained,
    within one micro-USDC a fill, as no loss is capped here."""
    exchange = exchange_with(base, asset=AssetRules(4, 5), net_leverage=100)
    unit, cash, held, price = 10**3, 0, 0, base
    for number, (side, quantity, move) in enumerate(fills):
        price = max(1, base * (100 + move) // 100)
        exchange.book.prices["BTC"].bid = exchange.book.prices["BTC"].ask = price
        outcome = exchange.execute(c.NetOrder("ann", f"o{number}", "BTC", side, quantity), START)
        assume(outcome.refusal is None or outcome.refusal.code != "amount_too_small")
        assert outcome.refusal is None
        sign = 1 if side == "buy" else -1
        cash, held = cash - sign * quantity * price, held + sign * quantity
        trade = exchange.book.net_trade("ann", "BTC")
        assert (0 if trade is None else trade.position.sign * trade.position.size) == held
        if trade is not None and all(each == side for each, _, _ in fills[: number + 1]):
            assert trade.position.cost == abs(cash)
        realised = -exchange.book.house.pnl
        unrealised = 0 if trade is None else math.floor(trade.position.gain(price))
        assert abs(realised + unrealised - Fraction(cash + held * price, unit)) <= number + 2


@pytest.mark.parametrize("seed", range(8))
def test_a_quote_says_what_the_command_then_does(seed: int) -> None:
    story = seeded(seed, 60)
    exchange, held = Exchange(story.rules, START), 0
    for command, at in story.steps:
        quoted = None
        if isinstance(command, c.OpenTrade | c.PlaceOrder | c.NetOrder):
            quoted = quotes.quote(exchange, command, at)
        outcome = exchange.execute(command, at)
        if quoted is None:
            continue
        assert quoted["refusal"] == outcome.refusal
        kinds = [each["event"] for each in outcome.events]
        if outcome.events and kinds[-1] == "trade_opened" and "trade_closed" not in kinds:
            opened = outcome.events[-1]
            for name, told in (("price", "price"), ("margin", "margin"), ("commission", "fee"), ("liquidation",) * 2):
                assert quoted[name] == opened[told], name
            held += 1
        if outcome.events and kinds[-1] == "order_placed" and isinstance(command, c.PlaceOrder):
            assert quoted["required"] == outcome.events[-1]["reserved"]
    assert held > 0


@given(SIDES, MARGINS, LEVERAGES, st.integers(1_000, 10**9), SOME_RATES, st.integers(0, 10**10))
def test_what_a_quote_adds_is_the_first_and_the_most(
    side: str, margin: int, leverage: int, entry: int, rates: Rates, free: int
) -> None:
    position = formulas.trade_position(side, margin, leverage, entry)
    told = quotes.figures(position, rates, entry, entry, free, rates.taker)
    most = told["max_margin"]
    assert most + formulas.fee(Fraction(most * leverage, 100), rates.taker) <= free
    assert most + 1 + formulas.fee(Fraction((most + 1) * leverage, 100), rates.taker) > free
    even = told["break_even"]
    if even is not None:
        one_less = even - position.sign

        def gained(price: int) -> Fraction:
            return position.gain(price) - position.notional(price) * rates.taker / 10**8

        assert gained(even) >= told["commission"] > gained(one_less)


WAITING: list[Command] = [
    c.PlaceOrder("ann", "buy1", "BTC", "long", 10**6, 300, limit=990_000),
    c.PlaceOrder("ann", "buy2", "BTC", "long", 10**6, 310, limit=985_000, take_profit=10**7),
    c.PlaceOrder("ann", "sell1", "BTC", "short", 10**6, 320, limit=1_010_000),
    c.PlaceOrder("ann", "stop1", "BTC", "short", 10**6, 330, stop=989_000),
    c.PlaceOrder("ann", "stop2", "BTC", "long", 10**6, 340, stop=1_011_000, limit=1_012_000),
    c.PlaceOrder("bob", "stop3", "BTC", "long", 10**6, 340, stop=1_013_000),
    c.NetOrder("bob", "net1", "BTC", "buy", 700, limit=988_000),
    c.NetOrder("bob", "net2", "BTC", "sell", 900, stop=986_500),
    c.OpenTrade("ann", "long1", "BTC", "long", 10**6, 9_000),
    c.OpenTrade("bob", "long2", "BTC", "long", 10**6, 350, stop_loss=987_000, take_profit=1_010_500),
    c.OpenTrade("bob", "long3", "BTC", "long", 10**6, 360, trailing=Trailing(distance=12_345)),
    c.OpenTrade("ann", "short1", "BTC", "short", 10**6, 370, stop_loss=1_010_700, take_profit=986_000),
    c.OpenTrade("ann", "short2", "BTC", "short", 10**6, 8_000),
    c.OpenTrade("ann", "short3", "BTC", "short", 10**6, 380, trailing=Trailing(percent=100)),
]


@given(st.permutations(WAITING), st.sampled_from((980_000, 987_500, 1_010_600, 1_020_000, 1_000_500)))
def test_placing_in_another_order_changes_nothing_among_unequal_ones(order: list[Command], price: int) -> None:
    def told(commands: list[Command]) -> list[dict[str, Any]]:
        exchange = exchange_with(1_000_000, Rates(50_000, 20_000, liquidation_fee=10_000))
        done(exchange, c.OpenAccount("bob", "bob@example.com", RICH))
        for command in commands:
            done(exchange, command)
        outcome = done(exchange, c.PriceTick("BTC", price - 50, price + 50, LIFE), START + SECOND)
        return [{**each, "seq": 0} for each in outcome.events]

    assert told(order) == told(WAITING)


@given(SIDES, MARGINS, LEVERAGES, ENTRIES, st.integers(-(10**8) + 1, 10**8), PERCENTS)
def test_funding_leaves_something_and_loses_nothing(
    side: str, margin: int, leverage: int, entry: int, rate: int, percent: int
) -> None:
    position, mark = formulas.trade_position(side, margin, leverage, entry), max(1, entry * percent // 100)
    paid, unpaid = formulas.funding(position, mark, rate)
    assert position.margin - paid >= 1
    assert unpaid >= 0
    assert unpaid == 0 or position.margin - paid == 1
    assert 0 <= paid + unpaid - position.notional(mark) * rate / 10**8 < 1


def test_what_a_weekday_weighs() -> None:
    rates = Rates(funding_rate=7, funding_weekdays=(1, 2, 3, 4, 5, 6, 0))
    saturday = START // 86_400_000_000 * 86_400_000_000
    days = [rates.funding_at(saturday + day * 86_400_000_000)[0] for day in range(7)]
    assert days == [42, 0, 7, 14, 21, 28, 35]


def test_the_rows_of_a_story_add_up() -> None:
    story = seeded(5, 150)
    exchange = Exchange(story.rules, START)
    for command, at in story.steps:
        exchange.execute(command, at)
    for account in exchange.book.accounts.values():
        sums = statement.sums(account.rows)
        assert sum(sums.values()) == account.free == (account.rows[-1].balance if account.rows else 0)
        assert [each.seq for each in account.rows] == sorted(each.seq for each in account.rows)
