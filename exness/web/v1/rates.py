"""What trading costs, and where each figure is from: for anybody."""

from enum import StrEnum
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from exness.core.instruments import Asset
from exness.core.money import format_hundredths, format_scaled, format_usdc
from exness.core.profiles import PROFILES, Path
from exness.core.rates import FREE, RATE_DECIMALS, FundingSource, Rates, Tier
from exness.core.rules import Rules
from exness.core.views import Terms, TermsNow
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import camel

BY_HAND = "dev"
_PLAIN = Rules({})
KEYS = {key: camel(key) for key in Rates.__struct_fields__}
"""Of rates, as JSON has them."""


class Shown(msgspec.Struct, frozen=True, rename="camel"):
    """A value and where it is from: `default`, `configuration`, `dev` (set by hand), or the source that a profile
    names, with its date where it bears one; `unsure` is only there where it is true."""

    value: Any
    source: str
    date: str | UnsetType = UNSET
    unsure: bool | UnsetType = UNSET


class RatesAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """`rates` has each asset's, by key. Rates are decimal fractions: 0.00050000 is 0.05 %."""

    success: bool
    profile: str
    execution: Shown
    trigger: Shown
    limit_fill: Shown
    rates: dict[str, dict[str, Shown]]


async def rates(request: web.Request) -> web.StreamResponse:
    """GET /rates."""
    services = services_of(request)
    return answer(shown_rates(await services.exchange.see(TermsNow()), services.profile))


def shown_rates(terms: Terms, configured: str) -> RatesAnswer:
    """`configured` is the profile that was not set by hand."""
    rules, by_hand = terms.rules, terms.profile is not None
    profile = configured if terms.profile is None else terms.profile

    def trading(key: str, value: StrEnum, default: StrEnum) -> Shown:
        return _from_dev(value.value) if by_hand else _sourced(value.value, value, default, profile, ("trading", key))

    return RatesAnswer(
        success=True,
        profile=profile,
        execution=trading("execution", rules.execution, _PLAIN.execution),
        trigger=trading("trigger", rules.trigger, _PLAIN.trigger),
        limit_fill=trading("limit_fill", rules.limit_fill, _PLAIN.limit_fill),
        rates={
            asset: set_by_hand(rules.rates_of(asset))
            if asset in terms.by_hand
            else _configured(rules.rates_of(asset), asset, profile)
            for asset in rules.instruments
        },
    )


def set_by_hand(rates: Rates) -> dict[str, Shown]:
    """One asset's rates."""
    return {name: _from_dev(_told(key, getattr(rates, key))) for key, name in KEYS.items()}


def _configured(rates: Rates, asset: Asset, profile: str) -> dict[str, Shown]:
    shown = {}
    for key, name in KEYS.items():
        value, default = getattr(rates, key), getattr(FREE, key)
        shown[name] = _sourced(_told(key, value), value, default, profile, ("rates", asset, key), ("rates", key))
    return shown


def _from_dev(told: Any) -> Shown:
    return Shown(told, BY_HAND)


def _sourced(told: Any, value: object, default: object, profile: str, *paths: Path) -> Shown:
    """A profile that says the same is its source: what was given beside it would go over it."""
    of_profile = PROFILES.get(profile, {})
    sourced = next((of_profile[path] for path in paths if path in of_profile), None)
    if sourced is not None and sourced.value == value:
        source = sourced.source
        return Shown(told, source.name, source.date or UNSET, UNSET if source.is_sure else True)
    return Shown(told, "default" if value == default else "configuration")


def _told(key: str, value: Any) -> Any:
    match value:
        case FundingSource():
            return value.value
        case bool() | None:
            return value
        case tuple() if key == "maintenance":
            return [_tier(tier) for tier in value]
        case int() if key.endswith("_s"):
            return value
        case int() if key == "min_margin":
            return format_usdc(value)
        case int():
            return format_scaled(value, RATE_DECIMALS)
        case _:
            return value


def _tier(tier: Tier) -> dict[str, str | None]:
    most = None if tier.max_leverage is None else format_hundredths(tier.max_leverage)
    return {"floor": format_usdc(tier.floor), "rate": format_scaled(tier.rate, RATE_DECIMALS), "maxLeverage": most}
