"""Dev control of rates: changed by hand, through the engine and the journal, until the next time or a reset."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Raw, UnsetType

from exness.core.commands import Command, SetProfile, SetRates
from exness.core.events import ProfileSet, RatesSet
from exness.core.instruments import LEVERAGE_DECIMALS, Asset
from exness.core.money import USDC_DECIMALS, format_usdc
from exness.core.outcomes import Done
from exness.core.profiles import PROFILES, Path, Sourced
from exness.core.rates import RATE_DECIMALS, Basis, FundingSource, Rates, Residual, Tier
from exness.core.rejects import Refusal
from exness.core.rules import Rules
from exness.core.sums import AllBooks
from exness.core.views import TermsNow
from exness.web.dev.access import let_in
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.bodies import Problems, given, present, read_body, scaled
from exness.web.v1.models import OptionalAmount
from exness.web.v1.rates import Shown, set_by_hand, shown_rates
from exness.web.v1.refusals import refused
from exness.web.v1.requests import instrument_in_path, json_body

_Text = str | UnsetType | None


class RatesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """PUT /dev/rates/{asset}: those that change. Rates are decimal fractions: 0.0005 is 0.05 %. `maintenance` is a rate
    or a list of `{floor, rate, maxLeverage?}`, `fundingRate` a rate, "feed" or "schedule"."""

    taker: OptionalAmount = UNSET
    maker: OptionalAmount = UNSET
    maintenance: Annotated[Raw, Meta(extra_json_schema={"type": ["number", "string", "array", "null"]})] | UnsetType = (
        UNSET
    )
    maintenance_basis: _Text = UNSET
    hold_close_fee: bool | UnsetType | None = UNSET
    min_margin: OptionalAmount = UNSET
    liquidation_fee: OptionalAmount = UNSET
    residual: _Text = UNSET
    funding_interval_s: OptionalAmount = UNSET
    funding_offset_s: OptionalAmount = UNSET
    funding_rate: OptionalAmount = UNSET
    funding_rate_short: OptionalAmount = UNSET
    funding_weekdays: Annotated[Raw, Meta(extra_json_schema={"type": ["array", "null"]})] | UnsetType = UNSET


class ProfileBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PUT /dev/profile. "" is none: everything is free."""

    profile: str


class AssetRatesAnswer(msgspec.Struct, frozen=True):
    success: bool
    asset: str
    rates: dict[str, Shown]


class HouseAnswer(msgspec.Struct, frozen=True):
    """The accounts of the house, in USDC, and the shortfall that the insurance has not covered."""

    success: bool
    pnl: str
    commission: str
    funding: str
    insurance: str
    shortfall: str


class _TierBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    floor: Raw
    rate: Raw
    max_leverage: Raw | UnsetType = UNSET


async def set_rates(request: web.Request) -> web.StreamResponse:
    """PUT /dev/rates/{asset}."""
    let_in(request)
    asset = instrument_in_path(request).asset
    event = await _set(request, SetRates(asset, changes_of(await json_body(request))))
    assert isinstance(event, RatesSet)
    return answer(AssetRatesAnswer(True, asset, set_by_hand(event.rates)))


async def set_profile(request: web.Request) -> web.StreamResponse:
    """PUT /dev/profile."""
    let_in(request)
    services = services_of(request)
    event = await _set(request, profile_of(await json_body(request), services.exchange.rules))
    assert isinstance(event, ProfileSet)
    return answer(shown_rates(await services.exchange.see(TermsNow()), services.profile))


async def house(request: web.Request) -> web.StreamResponse:
    """GET /dev/house."""
    let_in(request)
    books = await services_of(request).exchange.see(AllBooks())
    sums = (books.house_pnl, books.commission, books.funding, books.insurance, books.shortfall)
    return answer(HouseAnswer(True, *map(format_usdc, sums)))


async def _set(request: web.Request, command: Command) -> object:
    exchange = services_of(request).exchange
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    match outcome:
        case Done([record, *_]):  # what follows: stops that look at another price from now on
            return record.event
        case Refusal():
            raise refused(outcome, exchange.rules)
        case _:
            raise AssertionError(f"rates set by hand can't have {outcome!r}")


# --- bodies ---------------------------------------------------------------------------------------------------------


def profile_of(body: bytes, rules: Rules) -> SetProfile:
    """What the profile sets, over what everything is by default. Raises InvalidRequest."""
    problems = Problems()
    name: str | None = read_body(body, ProfileBody, problems).profile
    if name is not None and name and name not in PROFILES:
        problems.not_allowed("profile", f'profile must be one of {", ".join(PROFILES)}, or ""')
    problems.raise_if_any()
    profile = PROFILES.get(present(name), {})
    trading: dict[str, Any] = {path[1]: each.value for path, each in profile.items() if path[0] == "trading"}
    plain = Rules({})
    return SetProfile(
        present(name),
        trading.get("execution", plain.execution),
        trading.get("trigger", plain.trigger),
        trading.get("limit_fill", plain.limit_fill),
        {asset: _rates_of(profile, asset) for asset in rules.instruments},
    )


def _rates_of(profile: Mapping[Path, Sourced], asset: Asset) -> Rates:
    """What it says of all, and over it what of this asset."""
    said: dict[str, Any] = {}
    for length in (2, 3):
        for path, each in profile.items():
            if path[0] == "rates" and len(path) == length and path[1:-1] in ((), (asset,)):
                said[path[-1]] = each.value
    return Rates(**said)


def changes_of(body: bytes) -> Mapping[str, Any]:
    """The fields of `Rates` that a RatesBody changes. Raises InvalidRequest."""
    problems = Problems()
    fields = read_body(body, RatesBody, problems)
    changes: dict[str, Any] = {}
    decimals = {"min_margin": USDC_DECIMALS, "funding_interval_s": 0, "funding_offset_s": 0}
    names = {field.name: field.encode_name for field in msgspec.structs.fields(RatesBody)}
    for key in ("taker", "maker", "liquidation_fee", *decimals, "funding_rate_short"):
        changes[key] = scaled(given(getattr(fields, key)), names[key], decimals.get(key, RATE_DECIMALS), problems)
    changes["funding_rate"] = _funding(given(fields.funding_rate), problems)
    changes["maintenance"] = _maintenance(given(fields.maintenance), problems)
    changes["funding_weekdays"] = _weekdays(given(fields.funding_weekdays), problems)
    for key, choices in (("maintenance_basis", Basis), ("residual", Residual)):
        text = getattr(fields, key)
        changes[key] = None
        if isinstance(text, str):
            values = [each.value for each in choices]
            if text in values:
                changes[key] = choices(text)
            else:
                problems.not_allowed(names[key], f"{names[key]} must be one of {', '.join(values)}")
    changes["hold_close_fee"] = None if isinstance(fields.hold_close_fee, UnsetType) else fields.hold_close_fee
    changes = {key: value for key, value in changes.items() if value is not None}
    if not problems.all and not changes:
        problems.malformed("body", "Give what changes")
    problems.raise_if_any()
    if isinstance(changes.get("funding_rate"), FundingSource):
        changes.setdefault("funding_rate_short", None)  # what was set of it before does not go with a source
    return changes


def _funding(raw: Raw | None, problems: Problems) -> int | FundingSource | None:
    for source in FundingSource:
        if raw is not None and bytes(raw) == f'"{source.value}"'.encode():
            return source
    return scaled(raw, "fundingRate", RATE_DECIMALS, problems, whole='fundingRate must be a rate, "feed" or "schedule"')


def _maintenance(raw: Raw | None, problems: Problems) -> tuple[Tier, ...] | None:
    if raw is None:
        return None
    if bytes(raw)[:1] != b"[":
        rate = scaled(raw, "maintenance", RATE_DECIMALS, problems)
        return None if rate is None else (Tier(0, rate),)
    try:
        bodies = msgspec.json.decode(raw, type=list[_TierBody])
    except msgspec.DecodeError:
        problems.malformed("maintenance", "maintenance must be a rate, or a list of {floor, rate, maxLeverage}")
        return None
    tiers = []
    for number, each in enumerate(bodies[:100]):
        where = f"maintenance[{number}]"
        floor = scaled(each.floor, f"{where}.floor", USDC_DECIMALS, problems)
        rate = scaled(each.rate, f"{where}.rate", RATE_DECIMALS, problems)
        most = scaled(given(each.max_leverage), f"{where}.maxLeverage", LEVERAGE_DECIMALS, problems)
        tiers.append(Tier(floor or 0, rate or 0, most))
    return tuple(tiers)


def _weekdays(raw: Raw | None, problems: Problems) -> tuple[int, ...] | None:
    if raw is None:
        return None
    try:
        return tuple(msgspec.json.decode(raw, type=list[Annotated[int, Meta(ge=0, le=1000)]]))
    except msgspec.DecodeError:
        problems.malformed("fundingWeekdays", "fundingWeekdays must be seven factors from 0 to 1000, Monday first")
        return None
