"""Decimal text to scaled integers and back, exactly.

An amount or a price is an `int` in the smallest unit: USDC has 6 decimals, an asset's price its own.
Nothing here or anywhere in the core is a float. Every conversion that could lose something either
refuses (`parse_scaled`) or names its rounding (`parse_rounded`).
"""

import re
from enum import Enum

USDC_DECIMALS = 6
USDC_UNIT = 10**USDC_DECIMALS
"""Micro-USDC in one USDC."""
_ZERO_USDC = "0.000000"

MAX_SCALED = 10**18 - 1
"""Largest amount or price that is read from text, in its smallest unit. What may be done with it is for `ceilings`."""

_MAX_TEXT = 64
_MAX_EXPONENT = 64
_SHORT = 20
_DECIMAL = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?", re.ASCII)


class AmountError(ValueError):
    """The text is no amount in this unit. The message completes the sentence "<field> ..."."""


class TooLarge(AmountError):
    """A number, but larger than anything taken in."""

    def __init__(self) -> None:
        super().__init__("is out of range")


class Rounding(Enum):
    """Which way a division that does not come out goes."""

    FLOOR = "floor"
    CEILING = "ceiling"


def parse_scaled(text: str, decimals: int) -> int:
    """The decimal `text` as an integer of `10**-decimals` units, exactly.

    Takes what JSON calls a number: `12`, `-0.5`, `1.25e3`. Raises AmountError for anything else, for more
    decimals than the unit has (trailing zeros are fine) and for more than MAX_SCALED either way.
    """
    if len(text) < _SHORT and text.isascii() and text.isdecimal():  # most are whole: twice as fast
        return _bounded(int(text) * 10**decimals)
    digits, places = _split(text)
    if places <= decimals:
        return _bounded(digits * 10 ** (decimals - places))
    whole, rest = _divide(digits, places - decimals)
    if rest:
        raise AmountError(f"can have at most {decimals} decimals")
    return _bounded(whole)


def parse_rounded(text: str, decimals: int, rounding: Rounding) -> int:
    """Like `parse_scaled`, but digits beyond the unit are rounded the way the caller names."""
    digits, places = _split(text)
    if places <= decimals:
        return _bounded(digits * 10 ** (decimals - places))
    whole, rest = _divide(digits, places - decimals)
    if rest and rounding is Rounding.CEILING:
        whole += 1
    return _bounded(whole)


def parse_saturated(text: str, decimals: int, most: int) -> int:
    """Like `parse_rounded` downwards, for figures that are shown and not counted with: more than `most` units are
    `most`."""
    digits, places = _split(text)
    whole, _ = _divide(digits * 10**decimals * 10**_MAX_EXPONENT, places + _MAX_EXPONENT)
    return min(whole, most)


def format_scaled(value: int, decimals: int) -> str:
    """`value` as a decimal string with all its decimals: 5000000000 at 6 is `"5000.000000"`."""
    if value < 0:
        return f"-{format_scaled(-value, decimals)}"
    digits = str(value)
    if decimals == 0:
        return digits
    if len(digits) <= decimals:
        digits = digits.zfill(decimals + 1)
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def format_usdc(micro: int) -> str:
    """Micro-USDC as a decimal string with six decimals."""
    return format_scaled(micro, USDC_DECIMALS) if micro else _ZERO_USDC  # many sums are 0 in any answer


def format_hundredths(value: int) -> str:
    """Leverage or percent kept in hundredths, without trailing zeros: 4099 is `"40.99"`, 1000 is `"10"`."""
    whole, rest = divmod(value, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)


def _split(text: str) -> tuple[int, int]:
    """`text` as (digits, places): the number is digits / 10**places, places may be negative."""
    if len(text) > _MAX_TEXT:
        raise AmountError("is too long")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise AmountError("must be a number or a decimal string")
    sign, whole, fraction, exponent = match.groups()
    fraction = fraction or ""
    power = int(exponent) if exponent else 0
    if abs(power) > _MAX_EXPONENT:
        raise TooLarge
    digits = int(whole + fraction)
    return (-digits if sign else digits), len(fraction) - power


def _divide(digits: int, places: int) -> tuple[int, int]:
    """Floor division by 10**places, with what is left over."""
    unit: int = 10**places
    return divmod(digits, unit)


def _bounded(value: int) -> int:
    if not -MAX_SCALED <= value <= MAX_SCALED:
        raise TooLarge
    return value
