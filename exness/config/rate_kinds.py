"""What a rate may be in the settings: decimal fractions, tiers of maintenance, funding. See `core.rates`."""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exness.config.kinds import (
    FloatText,
    Kind,
    ListOf,
    Refused,
    decimal,
    integer,
    list_of,
    literal,
    optional,
    scaled,
    usdc,
)
from exness.core.rates import RATE_DECIMALS, RATE_UNIT, FundingSource, Tier

MOST_TIERS = 100
_TIER_KEYS = {"floor", "rate", "max_leverage"}
_TIER_LEVERAGE = decimal("a leverage", 2, 1, 1000)
_AMOUNT = usdc(zero=True)
_as_decimal = decimal("a rate", RATE_DECIMALS, 0, 1).write


def _rate(at_least: int) -> Kind:
    """Above -1 and below 1, whole units of RATE_UNIT apart."""

    def parse(text: str) -> int:
        value = scaled(text.strip(), RATE_DECIMALS)
        if not at_least <= value < RATE_UNIT:
            raise Refused
        return value

    bounds = "from 0 to below 1" if at_least == 0 else "between -1 and 1, both excluded,"
    allowed = f"a rate {bounds} with at most {RATE_DECIMALS} decimals (0.0005 is 0.05 %)"
    return Kind(allowed, parse, (int, str, FloatText), _as_decimal)


FEE = _rate(0)
_PAYMENT = _rate(1 - RATE_UNIT)


def _funding(text: str) -> int | FundingSource:
    word = text.strip()
    return FundingSource(word) if word in ("feed", "schedule") else _PAYMENT.parse(text)


FUNDING = replace(
    _PAYMENT,
    allowed=f'{_PAYMENT.allowed}, "feed" or "schedule"',
    parse=_funding,
    write=lambda value: literal(value) if isinstance(value, str) else _as_decimal(value),
)
FUNDING_SHORT = optional(_PAYMENT, "the opposite of funding_rate")


class _Weekdays(ListOf):
    def read(self, value: object, *, is_text: bool = False) -> tuple[Any, ...]:
        factors = super().read(value, is_text=is_text)
        if len(factors) != 7:
            raise Refused
        return factors


_factors = list_of(integer(0, 100))
WEEKDAYS = _Weekdays(
    "a list of seven integers from 0 to 100, Monday first", _factors.parse, _factors.taken, _factors.write
)


class _Maintenance(Kind):
    """A rate, or a list of tables; as text, the same as in the file."""

    def read(self, value: object, *, is_text: bool = False) -> tuple[Tier, ...]:
        if is_text and str(value).lstrip()[:1] in ("", "["):
            return self.read(_value_of(str(value) or "[]"))
        if isinstance(value, list):
            if len(value) > MOST_TIERS:
                raise Refused
            return tuple(_tier(each) for each in value)
        rate = FEE.read(value, is_text=is_text)
        return (Tier(0, rate),) if rate else ()


def _value_of(text: str) -> object:
    try:
        document = tomllib.loads(f"value = {text}", parse_float=FloatText)
    except RecursionError:
        raise Refused from None
    if set(document) != {"value"}:
        raise Refused
    return document["value"]


def _tier(given: object) -> Tier:
    if not isinstance(given, dict) or not {"floor", "rate"} <= set(given) <= _TIER_KEYS:
        raise Refused
    leverage = given.get("max_leverage")
    most = None if leverage is None else _TIER_LEVERAGE.read(leverage)
    return Tier(_AMOUNT.read(given["floor"]), FEE.read(given["rate"]), most)


def _written(tiers: Sequence[Tier]) -> str:
    if len(tiers) == 1 and tiers[0] == Tier(0, tiers[0].rate):
        return _as_decimal(tiers[0].rate)
    return f"[{', '.join(_written_tier(tier) for tier in tiers)}]"


def _written_tier(tier: Tier) -> str:
    leverage = "" if tier.max_leverage is None else f", max_leverage = {_TIER_LEVERAGE.write(tier.max_leverage)}"
    return f"{{ floor = {_AMOUNT.write(tier.floor)}, rate = {_as_decimal(tier.rate)}{leverage} }}"


MAINTENANCE = _Maintenance(
    "a rate from 0 to below 1, or a list of tiers like { floor = 50000, rate = 0.005, max_leverage = 100 } "
    "(max_leverage may be left out)",
    FEE.parse,
    write=_written,
)
