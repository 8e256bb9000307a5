"""Fields of bodies of orders and trades, read and checked: what is wrong with one is reported under its name."""

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import UNSET, Raw, UnsetType

from exness.core.commands import TimeInForce
from exness.core.instruments import Instrument, Side
from exness.core.money import MAX_SCALED, USDC_DECIMALS
from exness.core.trades import Kind, Trailing
from exness.runtime.moments import parse_rfc3339
from exness.web.http.errors import InvalidRequest
from exness.web.v1.bodies import Problems, given, read_body, scaled
from exness.web.v1.order_models import AddExitBody, AmendOrderBody
from exness.web.v1.trade_models import CloseTradeBody, ExitsBody, TrailingBody

_WHOLE = "{} must be a whole number of hundredths of a percent"
BEYOND = MAX_SCALED + 1
"""Stands for a number too large to be held, which is told the bounds like any other beyond them."""
SIDES = {side.value: side for side in Side}
BUY_OR_SELL = {"buy": Side.LONG, "sell": Side.SHORT}
EXIT_KINDS = {kind.value: kind for kind in (Kind.TAKE_PROFIT, Kind.STOP_LOSS, Kind.LIMIT)}
NET_KINDS = {kind.value: kind for kind in (Kind.TAKE_PROFIT, Kind.STOP_LOSS)}
TIMES = {each.value: each for each in TimeInForce}

Choice = TypeVar("Choice")
Changed = Raw | UnsetType
Text = str | UnsetType | None


def decimals_of(instrument: Instrument | None) -> int:
    """Of prices. Where the asset is none, or none is known, what is wrong beside that is still told."""
    return USDC_DECIMALS if instrument is None else instrument.decimals


def places_of(instrument: Instrument | None) -> int:
    return USDC_DECIMALS if instrument is None else instrument.quantity_places


def text_of(text: Text) -> str | None:
    return None if isinstance(text, UnsetType) else text


def choice(
    name: str | None, field: str, choices: Mapping[str, Choice], problems: Problems, whole: str = ""
) -> Choice | None:
    if name is None:
        return None
    choice = choices.get(name)
    if choice is None:
        problems.not_allowed(field, whole or f"{field} must be one of {', '.join(choices)}")
    return choice


def price_of(raw: Changed | None, field: str, decimals: int, problems: Problems) -> int | None:
    """What must be above 0; null is the field left out."""
    return above_0(scaled(given(raw), field, decimals, problems), field, problems)


def above_0(price: int | None, field: str, problems: Problems) -> int | None:
    if price is not None and price <= 0:
        problems.not_allowed(field, f"{field} must be greater than zero")
    return price


def changed(raw: Changed, field: str, decimals: int, problems: Problems) -> int | UnsetType | None:
    """The same of what null removes."""
    return UNSET if isinstance(raw, UnsetType) else price_of(raw, field, decimals, problems)


def figure(raw: Changed, field: str, decimals: int, problems: Problems) -> int | UnsetType:
    """The same of what can't be removed: null is the field left out."""
    figure = price_of(raw, field, decimals, problems)
    return UNSET if figure is None else figure


def slippage_of(raw: Changed, problems: Problems) -> int | None:
    return scaled(given(raw), "slippage", 0, problems, beyond=BEYOND, whole=_WHOLE.format("slippage"))


def time_of(text: str | None, field: str, problems: Problems) -> int | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        problems.not_allowed(field, f"{field} {error}")
        return None


def part_of(
    fields: CloseTradeBody | AddExitBody, instrument: Instrument | None, problems: Problems, *, least: int
) -> tuple[int | None, int | None, int | None]:
    """How much of a trade: percent, margin, quantity, of which one is given, or (`least` 0) none."""
    if not least and fields.percent is UNSET and fields.margin is UNSET and fields.quantity is UNSET:
        return None, None, None  # most close the whole: what follows takes 2 us
    named = sum(given(each) is not None for each in (fields.percent, fields.margin, fields.quantity))
    if not least <= named <= 1:
        what = "Give one of percent, margin and quantity" if least else "Give at most one of percent, margin, quantity"
        problems.not_allowed("percent", what)
    return (
        percent_of(fields.percent, "percent", problems),
        price_of(fields.margin, "margin", USDC_DECIMALS, problems),
        price_of(fields.quantity, "quantity", places_of(instrument), problems),
    )


def percent_of(raw: Changed, field: str, problems: Problems) -> int | None:
    return scaled(given(raw), field, 0, problems, beyond=BEYOND, whole=_WHOLE.format(field))


def changed_exits(fields: ExitsBody | AmendOrderBody, decimals: int, problems: Problems) -> dict[str, Any]:
    trailing = fields.trailing_stop
    return {
        "take_profit": changed(fields.take_profit, "takeProfit", decimals, problems),
        "stop_loss": changed(fields.stop_loss, "stopLoss", decimals, problems),
        "trailing_stop": UNSET
        if isinstance(trailing, UnsetType)
        else trailing_of(given(trailing), "trailingStop", decimals, problems),
    }


def trailing_of(raw: Raw | None, field: str, decimals: int, problems: Problems) -> Trailing | None:
    if raw is None:
        return None
    inner = Problems()
    try:
        fields = read_body(bytes(raw), TrailingBody, inner)
        distance = price_of(fields.distance, "distance", decimals, inner)
        percent = percent_of(fields.percent, "percent", inner)
        activation = price_of(fields.activation, "activation", decimals, inner)
        if not inner.all and (distance is None) is (percent is None):
            inner.malformed("distance", f"Give one of {field}.distance and {field}.percent")
        inner.raise_if_any()
    except InvalidRequest as bad:
        if bad.errors[0].field == "body":
            problems.malformed(field, f"{field} must be an object with distance or percent")
        else:
            problems.adopt(field, bad.errors, bad.more_details)
        return None
    return Trailing(distance, percent, activation)
