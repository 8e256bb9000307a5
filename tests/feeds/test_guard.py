"""feeds/guard.py: which quotes become prices, and the reason of each that does not."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.ceilings import MOST_PRICE
from exness.core.commands import PriceTick
from exness.core.evolve import quote
from exness.core.instruments import Asset
from exness.core.margin import mark_price
from exness.core.state import State
from exness.feeds.decode import Quote, Reason
from exness.feeds.guard import Guard, GuardSettings, JumpRule, Verdict, pass_on
from tests.feeds.helpers import ETH, INSTRUMENTS, LIFE_US, SOL

TEN_PERCENT = 1_000
JUMPS = {SOL.asset: JumpRule(2_000, 3)}


class Judged:
    """A guard with a hand that counts the updates."""

    def __init__(self, max_spread: int = 0, jumps: dict[Asset, JumpRule] | None = None) -> None:
        self.guard = Guard(INSTRUMENTS, GuardSettings(max_spread, jumps or {}))
        self.update = 0

    def __call__(
        self, bid: int, ask: int | None = None, symbol: str = "SOL_USDC", update: int | None = None
    ) -> Verdict:
        self.update = self.update + 1 if update is None else update
        return self.guard.take(Quote(symbol, bid, bid if ask is None else ask, self.update, 0), LIFE_US)

    def reasons(self, *prices: int) -> list[str]:
        return [self(price).reason or "accepted" for price in prices]


def accepted(bid: int, ask: int | None = None) -> Verdict:
    return Verdict(PriceTick(SOL.asset, bid, bid if ask is None else ask, LIFE_US))


def test_a_sound_quote_becomes_a_tick_as_it_is() -> None:
    guard = Guard(INSTRUMENTS)
    verdict = guard.take(Quote("SOL_USDC", 100, 102, 7, 0), LIFE_US, volume=5)
    assert verdict == Verdict(PriceTick(SOL.asset, 100, 102, LIFE_US, volume=5))


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [
        (0, 100, Reason.NOT_POSITIVE),
        (-1, 100, Reason.NOT_POSITIVE),
        (100, 0, Reason.NOT_POSITIVE),
        (101, 100, Reason.CROSSED),
        (9_500, 10_501, Reason.SPREAD_TOO_WIDE),
        (1, 1_000_000, Reason.SPREAD_TOO_WIDE),
        (MOST_PRICE, MOST_PRICE + 1, Reason.OUT_OF_RANGE),
        (10_000, MOST_PRICE + 1, Reason.OUT_OF_RANGE),
        (10**40, 10**41, Reason.OUT_OF_RANGE),
    ],
)
def test_an_unsound_quote_is_refused_for_its_reason_and_leaves_no_trace(bid: int, ask: int, reason: Reason) -> None:
    judge = Judged(TEN_PERCENT, JUMPS)
    assert judge(10_000) == accepted(10_000)
    assert judge(bid, ask, update=50) == Verdict(None, reason)
    assert judge(10_001, update=2) == accepted(10_001)


def test_a_spread_of_exactly_the_share_is_taken_and_without_a_share_any_is() -> None:
    assert Judged(TEN_PERCENT)(9_500, 10_500) == accepted(9_500, 10_500)
    assert Judged()(1, 10**12) == accepted(1, 10**12)


def test_the_largest_price_there_is_is_one() -> None:
    assert Judged(TEN_PERCENT)(MOST_PRICE) == accepted(MOST_PRICE)


@given(prices=st.lists(st.tuples(st.integers(-10, 10**40), st.integers(-10, 10**40)), max_size=20))
def test_no_quote_becomes_a_price_that_the_engine_would_take_for_a_bug(prices: list[tuple[int, int]]) -> None:
    judge, state = Judged(), State()
    for bid, ask in [*prices, (MOST_PRICE, MOST_PRICE + 1), (1, MOST_PRICE)]:
        tick = judge(bid, ask).tick
        if tick is not None:
            quote(state, tick, at=0)


def test_an_unknown_symbol_is_no_price() -> None:
    assert Judged()(100, symbol="DOGE_USDC") == Verdict(None, Reason.UNKNOWN_SYMBOL)


def test_old_and_repeated_updates_are_refused_for_each_symbol_by_itself() -> None:
    judge = Judged()
    assert judge(100, update=10).reason is None
    assert judge(101, update=9) == Verdict(None, Reason.OUT_OF_ORDER)
    assert judge(101, update=10) == Verdict(None, Reason.DUPLICATE)
    assert judge(101, symbol="ETH_USDC", update=1).reason is None
    assert judge(101, update=11).reason is None


def test_order_can_begin_again_for_one_symbol_or_all_and_the_last_mark_stays() -> None:
    judge = Judged(jumps=JUMPS)
    judge(100, update=10)
    judge(100, symbol="ETH_USDC", update=10)
    judge.guard.forget_order("SOL_USDC")
    assert judge(101, update=1).reason is None
    assert judge(101, symbol="ETH_USDC", update=1).reason is Reason.OUT_OF_ORDER
    judge.guard.forget_order()
    assert judge(101, symbol="ETH_USDC", update=1).reason is None
    assert judge(300, update=1).reason is Reason.JUMP


# --- jumps --------------------------------------------------------------------------------------------------------

JUMP_ROWS: list[tuple[str, list[int], str]] = [
    ("a move of exactly the share is no jump", [1000, 1200, 960], "+++"),
    ("a jump up is believed with its third confirmation", [1000, 1300, 1310, 1290, 1305], "+---+"),
    ("a jump down likewise", [1000, 700, 700, 701, 699], "+---+"),
    ("a wick and back moves nothing", [1000, 500, 1001], "+-+"),
    ("after a wick the count begins anew", [1000, 500, 500, 1000, 500, 500, 500, 500], "+--+---+"),
    ("what is far from the first suspect is a suspicion of its own", [1000, 500, 2000, 500, 2000, 500], "+-----"),
    ("confirmations may drift within the share of the first", [1000, 500, 600, 401, 599], "+---+"),
    ("once believed, the new mark is what counts", [1000, 500, 500, 500, 500, 1000], "+---+-"),
    ("a slow slide is no jump", [1000, 850, 700, 570, 460], "+++++"),
]
"""Marks, and what becomes of each: + accepted, - a jump that is not confirmed."""


@pytest.mark.parametrize(("prices", "expected"), [row[1:] for row in JUMP_ROWS], ids=[row[0] for row in JUMP_ROWS])
def test_a_jump_waits_for_its_confirmations(prices: list[int], expected: str) -> None:
    reasons = Judged(jumps=JUMPS).reasons(*prices)
    assert reasons == ["accepted" if sign == "+" else "jump" for sign in expected]


def test_the_engine_is_told_of_a_suspicion_with_the_accepted_price_and_no_new_life() -> None:
    judge = Judged(jumps=JUMPS)
    judge(1000, 1002)
    assert judge(500) == Verdict(PriceTick(SOL.asset, 1000, 1002, 0, suspect=True), Reason.JUMP)
    assert judge.guard.suspects("SOL_USDC")
    judge(1001)
    assert not judge.guard.suspects("SOL_USDC")


def test_a_repeated_update_confirms_nothing() -> None:
    judge = Judged(jumps=JUMPS)
    judge(1000)
    judge(500, update=2)
    assert [judge(500, update=2).reason for _ in range(10)] == [Reason.DUPLICATE] * 10


def test_each_asset_has_its_own_rule_and_an_asset_without_one_may_leap() -> None:
    judge = Judged(jumps={SOL.asset: JumpRule(2_000, 3), ETH.asset: JumpRule(5_000, 1)})
    for symbol in ("SOL_USDC", "ETH_USDC", "BTC_USDC"):
        judge(1000, symbol=symbol)
    assert judge(1400, symbol="SOL_USDC").reason is Reason.JUMP
    assert judge(1400, symbol="ETH_USDC").reason is None
    assert judge(3000, symbol="ETH_USDC").reason is Reason.JUMP
    assert judge(3000, symbol="ETH_USDC").reason is None
    assert judge(3000, symbol="BTC_USDC").reason is None


@pytest.mark.parametrize("rule", [JumpRule(0, 3), JumpRule(2_000, 0)])
def test_zero_switches_the_guard_off(rule: JumpRule) -> None:
    assert Judged(jumps={SOL.asset: rule}).reasons(1000, 1, 10**9) == ["accepted"] * 3


def test_the_first_price_of_a_process_has_nothing_to_be_far_from() -> None:
    assert Judged(jumps=JUMPS).reasons(5) == ["accepted"]


def test_a_verdict_is_counted_and_what_it_holds_is_emitted() -> None:
    judge, counters, heard = Judged(jumps=JUMPS), Counter[str](), list[PriceTick]()
    for price in (1000, 500, 1000, 0):
        pass_on(judge(price), counters, heard.append)
    assert counters == Counter(ticks=2, jump=1, not_positive=1)
    assert [tick.suspect for tick in heard] == [False, True, False]


@given(st.lists(st.tuples(st.integers(-5, 3_000), st.integers(-5, 3_000), st.integers(0, 40)), max_size=60))
def test_whatever_comes_the_accepted_mark_leaps_only_when_confirmed(quotes: list[tuple[int, int, int]]) -> None:
    guard = Guard(INSTRUMENTS, GuardSettings(TEN_PERCENT, JUMPS))
    mark, suspects, last = 0, list[int](), -1
    for bid, ask, update in quotes:
        verdict = guard.take(Quote("SOL_USDC", bid, ask, update, 0), LIFE_US)
        assert (verdict.reason is None) == (verdict.tick is not None and not verdict.tick.suspect)
        if verdict.reason not in (None, Reason.JUMP):
            continue
        assert update > last
        assert 0 < bid <= ask
        new, last = mark_price(bid, ask), update
        if verdict.reason is Reason.JUMP:
            suspects.append(new)
            continue
        if mark and abs(new - mark) * 10 > 2 * mark:
            first = suspects[-3]
            assert all(abs(each - first) * 10 <= 2 * first for each in (*suspects[-3:], new))
        mark, suspects = new, []
