"""core/rates.py: what rates are valid, their tiers, and when funding is settled."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.rates import (
    FREE,
    RATE_UNIT,
    Basis,
    FundingSource,
    Problem,
    Rates,
    Requirement,
    Tier,
    problems,
)
from tests.support.rates import all_rates

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIERS = (Tier(0, 400_000, 12_500), Tier(50_000_000_000, 500_000, 10_000), Tier(500_000_000_000, 1_000_000, 5_000))


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def test_everything_is_free_by_default() -> None:
    assert Rates() == FREE
    assert (FREE.requirements, FREE.dearer, FREE.fixed_funding) == ((), 0, (0, 0))
    assert (FREE.max_leverage(10**30, 1), FREE.next_settlement(0)) == (None, None)
    assert list(problems(FREE)) == []


@given(all_rates())
def test_valid_rates_have_no_problem_and_are_the_same_after_they_were_written(rates: Rates) -> None:
    assert list(problems(rates)) == []
    lines = rates.requirements
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(rates), type=Rates)
    assert (read, read.requirements) == (rates, lines)
    assert rates.requirements is lines


def test_each_tier_is_a_line_that_is_0_where_the_tier_before_leaves_off() -> None:
    assert Rates(maintenance=TIERS).requirements == (
        Requirement(400_000, 0, 0),
        Requirement(500_000, -50_000_000_000 * 100_000, 0),
        Requirement(1_000_000, -50_000_000_000 * 100_000 - 500_000_000_000 * 500_000, 0),
    )


def test_a_held_fee_and_a_least_margin_are_lines_of_their_own() -> None:
    rates = Rates(taker=60_000, maintenance=TIERS[:1], hold_close_fee=True, min_margin=7)
    lines = (Requirement(60_000, 0, 0), Requirement(60_000, 7 * RATE_UNIT, 0), Requirement(460_000, 0, 0))
    assert rates.requirements == lines
    on_entry = msgspec.structs.replace(rates, maintenance_basis=Basis.ENTRY)
    assert on_entry.requirements == tuple(Requirement(0, constant, slope) for slope, constant, _ in lines)


@pytest.mark.parametrize(
    ("notional", "leverage"),
    [(1, 12_500), (50_000_000_000, 12_500), (50_000_000_001, 10_000), (500_000_000_000, 10_000), (10**18, 5_000)],
)
def test_a_tier_begins_above_its_floor(notional: int, leverage: int) -> None:
    rates = Rates(maintenance=TIERS)
    assert rates.max_leverage(notional * 1_000, 1_000) == leverage
    assert rates.max_leverage(notional * 1_000 - 999, 1_000) == leverage  # within a micro-USDC below, exact


def test_a_notional_below_every_tier_has_no_leverage_of_its_own() -> None:
    assert Rates(maintenance=TIERS[1:]).max_leverage(5, 1) is None


@pytest.mark.parametrize(
    ("fields", "key", "must"),
    [
        ({"taker": RATE_UNIT}, "taker", "be a rate from 0 to below 1"),
        ({"maker": -1}, "maker", "be a rate from 0 to below 1"),
        ({"liquidation_fee": RATE_UNIT}, "liquidation_fee", "be a rate from 0 to below 1"),
        ({"maintenance": (Tier(-1, 0),)}, "maintenance", "have no floor and no rate below 0"),
        ({"maintenance": (Tier(0, 1, 99),)}, "maintenance", "have no max_leverage below 1"),
        ({"maintenance": (Tier(0, 1), Tier(0, 2))}, "maintenance", "have tiers whose floors rise"),
        ({"maintenance": (Tier(9, 1), Tier(8, 2))}, "maintenance", "have tiers whose floors rise"),
        ({"maintenance": (Tier(0, 2), Tier(1, 1))}, "maintenance", "have tiers whose rates do not fall"),
        (
            {"maintenance": (Tier(0, RATE_UNIT),)},
            "maintenance",
            "stay below 1 in every tier, the taker fee included where hold_close_fee is on",
        ),
        (
            {"maintenance": (Tier(0, RATE_UNIT - 5),), "taker": 5, "hold_close_fee": True},
            "maintenance",
            "stay below 1 in every tier, the taker fee included where hold_close_fee is on",
        ),
        ({"min_margin": -1}, "min_margin", "not be below 0"),
        ({"funding_interval_s": -1}, "funding_interval_s", "not be below 0"),
        ({"funding_offset_s": -1}, "funding_offset_s", "not be below 0"),
        ({"funding_rate": RATE_UNIT}, "funding_rate", "be a rate between -1 and 1, both excluded"),
        ({"funding_rate_short": -RATE_UNIT}, "funding_rate_short", "be a rate between -1 and 1, both excluded"),
        (
            {"funding_rate": FundingSource.FEED, "funding_rate_short": 1},
            "funding_rate_short",
            "be left out where funding_rate is feed",
        ),
        ({"funding_weekdays": (1,) * 6}, "funding_weekdays", "be seven factors of at least 0, Monday first"),
        ({"funding_weekdays": (1,) * 6 + (-1,)}, "funding_weekdays", "be seven factors of at least 0, Monday first"),
    ],
)
def test_rates_that_cannot_hold_have_the_problem_of_their_key(fields: dict[str, Any], key: str, must: str) -> None:
    assert list(problems(Rates(**fields))) == [Problem(key, must)]


def test_just_below_the_whole_is_allowed() -> None:
    rates = Rates(maintenance=(Tier(0, RATE_UNIT - 6),), taker=5, hold_close_fee=True, funding_rate=1 - RATE_UNIT)
    assert list(problems(rates)) == []


def test_what_shorts_pay_is_the_opposite_of_what_longs_do_unless_it_is_said() -> None:
    assert Rates(funding_rate=125).fixed_funding == (125, -125)
    assert Rates(funding_rate=125, funding_rate_short=30).fixed_funding == (125, 30)
    assert Rates(funding_rate=FundingSource.FEED).fixed_funding is None


@pytest.mark.parametrize(
    ("interval_s", "offset_s", "after", "settled"),
    [
        (28_800, 0, "2026-03-02T07:59:59.999999+00:00", "2026-03-02T08:00:00+00:00"),
        (28_800, 0, "2026-03-02T08:00:00+00:00", "2026-03-02T16:00:00+00:00"),
        (86_400, 79_200, "2026-03-02T00:00:00+00:00", "2026-03-02T22:00:00+00:00"),
        (86_400, 79_200, "2026-03-02T22:00:00+00:00", "2026-03-03T22:00:00+00:00"),
        (3_600, 7_000_000_000, "2026-03-02T00:00:00+00:00", "2026-03-02T00:26:40+00:00"),
    ],
)
def test_a_settlement_is_the_next_time_on_the_grid_and_never_the_one_that_has_come(
    interval_s: int, offset_s: int, after: str, settled: str
) -> None:
    rates = Rates(funding_interval_s=interval_s, funding_offset_s=offset_s)
    assert rates.next_settlement(us(after)) == us(settled)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 4 * 10**15))
def test_the_next_settlement_is_the_first_after_a_time(interval_s: int, offset_s: int, after: int) -> None:
    settled = Rates(funding_interval_s=interval_s, funding_offset_s=offset_s).next_settlement(after)
    assert settled is not None
    assert (settled - offset_s * 10**6) % (interval_s * 10**6) == 0
    assert after < settled <= after + interval_s * 10**6


@given(st.integers(0, 4 * 10**15))
def test_the_weight_is_that_of_the_day_in_utc(at: int) -> None:
    weekdays = (10, 11, 12, 13, 14, 15, 16)
    day = (EPOCH + timedelta(microseconds=at)).weekday()
    assert Rates(funding_weekdays=weekdays).weight(at) == weekdays[day]
