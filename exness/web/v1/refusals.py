"""The core's refusals as v1 tells them: figures under their JSON names, money and prices as decimal strings.

Which status and message a code has stands in `errors`.
"""

from typing import Any, assert_never

from exness.core.instruments import LEVERAGE_DECIMALS, Asset
from exness.core.money import USDC_DECIMALS, format_hundredths, format_scaled, format_usdc
from exness.core.rejects import (
    DueAtOnce,
    Figure,
    Figures,
    Limit,
    NoPrice,
    OutOfRange,
    OverLimit,
    Reached,
    Refusal,
    Slipped,
    TooLittle,
    TooMuch,
    UsedBefore,
    Wrong,
)
from exness.core.rules import CLIENT_ORDER, Rules
from exness.web.http.errors import ApiError, FieldError, InvalidRequest
from exness.web.v1.format import camel

FIELDS: dict[Figure, str] = {
    Figure.DEPOSIT: "deposit",
    Figure.AMOUNT: "amount",
    Figure.BALANCE: "balance",
    Figure.MARGIN: "margin",
    Figure.LEVERAGE: "leverage",
    Figure.SLIPPAGE: "slippage",
    Figure.EXPECTED_PRICE: "expectedPrice",
    Figure.CLIENT_ORDER: "clientOrderId",
    Figure.SIZE: "size",
    Figure.QUANTITY: "quantity",
    Figure.COST: "cost",
    Figure.PERCENT: "percent",
    Figure.LIMIT: "limitPrice",
    Figure.STOP: "stopPrice",
    Figure.PRICE: "price",
    Figure.TAKE_PROFIT: "takeProfit",
    Figure.STOP_LOSS: "stopLoss",
    Figure.DISTANCE: "distance",
    Figure.TRAILING_PERCENT: "percent",
    Figure.ACTIVATION: "activation",
}
"""What a figure is called in bodies and in details."""

_FIGURES = {figure.value for figure in Figure}
_COUNTED = {Limit.OPEN_TRADES_PER_ACCOUNT, Limit.OPEN_ORDERS_PER_ACCOUNT, Limit.EXITS_PER_TRADE}
_PRICES = {
    Figure.EXPECTED_PRICE,
    Figure.LIMIT,
    Figure.STOP,
    Figure.PRICE,
    Figure.TAKE_PROFIT,
    Figure.STOP_LOSS,
    Figure.DISTANCE,
    Figure.ACTIVATION,
}


def refused(refusal: Refusal, rules: Rules) -> ApiError:
    """The engine's refusal as an answer."""
    if isinstance(refusal.figures, Wrong):
        field = FIELDS.get(Figure(refusal.figures.field), "") if refusal.figures.field in _FIGURES else ""
        field = field or camel(refusal.figures.field)
        must = refusal.figures.must if field == "kind" else camel(refusal.figures.must)
        return InvalidRequest([FieldError(field, f"{field} must {must}")])
    return ApiError(refusal.reject, details=None if refusal.figures is None else _details(refusal.figures, rules))


def sentence(wrong: OutOfRange) -> str:
    """What is told of a field of /trade/create that is out of range."""
    match wrong.figure:
        case Figure.MARGIN:
            return "Margin must be greater than zero"
        case Figure.LEVERAGE:
            return f"Leverage must be between {format_hundredths(wrong.least)} and {format_hundredths(wrong.most)}"
        case Figure.SLIPPAGE:
            allowed = f"{format_hundredths(wrong.least)} to {format_hundredths(wrong.most)}"
            return f"Slippage value should be between {allowed} %"
        case Figure.CLIENT_ORDER:
            return f"clientOrderId must have {CLIENT_ORDER.least} to {CLIENT_ORDER.most} printable ASCII characters"
        case figure:
            return f"{FIELDS[figure]} must be greater than zero"


def _details(figures: Figures, rules: Rules) -> dict[str, Any]:
    match figures:
        case UsedBefore(order):
            return {"orderId": order}
        case NoPrice(asset, state, None):
            return {"asset": asset, "reason": state.value}
        case NoPrice(asset, state, age_us):
            return {"asset": asset, "reason": state.value, "age_us": age_us}
        case OutOfRange(figure, given, least, most):
            decimals = _decimals_of(figures, rules)
            allowed = f"{format_scaled(least, decimals)} to {format_scaled(most, decimals)}"
            return {"figure": FIELDS[figure], "allowed": allowed, "given": format_scaled(given, decimals)}
        case DueAtOnce(asset, price, mark, liquidation):
            decimals = _decimals(asset, rules)
            return {
                "asset": asset,
                "price": format_scaled(price, decimals),
                "mark": format_scaled(mark, decimals),
                "liquidationPrice": format_scaled(liquidation, decimals),
            }
        case Slipped(asset, expected, actual, allowed_share):
            decimals = _decimals(asset, rules)
            return {
                "expected": format_scaled(expected, decimals),
                "actual": format_scaled(actual, decimals),
                "allowed": allowed_share,
            }
        case Reached(asset, price, level):
            decimals = _decimals(asset, rules)
            return {"price": format_scaled(price, decimals), "level": format_scaled(level, decimals)}
        case TooMuch(removable):
            return {"removable": format_usdc(removable)}
        case OverLimit(Limit.TIER_LEVERAGE as limit, most, would_be):
            return {"limit": limit.value, "allowed": format_hundredths(most), "wouldBe": format_hundredths(would_be)}
        case OverLimit(limit, most, would_be) if limit in _COUNTED:
            return {"limit": limit.value, "allowed": most, "wouldBe": would_be}
        case OverLimit(limit, most, would_be):
            return {"limit": limit.value, "allowed": format_usdc(most), "wouldBe": format_usdc(would_be)}
        case TooLittle(required, available):
            return {"required": format_usdc(required), "available": format_usdc(available)}
        case Wrong():
            raise AssertionError("what is wrong with a request is told as its reader tells it")
        case _:
            assert_never(figures)


def _decimals_of(wrong: OutOfRange, rules: Rules) -> int:
    match wrong.figure:
        case Figure.LEVERAGE:
            return LEVERAGE_DECIMALS
        case (
            Figure.SLIPPAGE | Figure.CLIENT_ORDER | Figure.SIZE | Figure.COST | Figure.PERCENT | Figure.TRAILING_PERCENT
        ):
            return 0
        case figure if figure in _PRICES and wrong.asset is not None:
            return _decimals(wrong.asset, rules)
        case _:
            return USDC_DECIMALS


def _decimals(asset: Asset, rules: Rules) -> int:
    return rules.instruments[asset].decimals
