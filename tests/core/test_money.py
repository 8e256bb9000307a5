"""core/money.py: decimal text to scaled integers and back, exactly or not at all."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.money import (
    MAX_SCALED,
    USDC_UNIT,
    AmountError,
    Rounding,
    format_hundredths,
    format_scaled,
    format_usdc,
    parse_rounded,
    parse_scaled,
)

NO_NUMBER = "must be a number or a decimal string"
OUT_OF_RANGE = "is out of range"

scaled_values = st.integers(-MAX_SCALED, MAX_SCALED)
ASCII = st.characters(codec="ascii")
decimals_of_a_unit = st.integers(0, 18)


@pytest.mark.parametrize(
    ("text", "decimals", "value"),
    [
        ("0", 6, 0),
        ("-0", 6, 0),
        ("-0.000000", 6, 0),
        ("12", 6, 12_000_000),
        ("12.5", 6, 12_500_000),
        ("12.50", 6, 12_500_000),
        ("0.000001", 6, 1),
        ("-0.5", 6, -500_000),
        ("-12.345678", 6, -12_345_678),
        ("201.4700", 4, 2_014_700),
        ("40.99", 2, 4_099),
        ("7", 0, 7),
        # Trailing zeros beyond the unit lose nothing.
        ("0.0000010", 6, 1),
        ("1.000000000000000000000", 6, 1_000_000),
        ("0.0000000", 6, 0),
        ("7.00", 0, 7),
        ("0." + "0" * 62, 6, 0),
        # Exponents, as JSON writes them.
        ("1e3", 6, 1_000_000_000),
        ("1E3", 6, 1_000_000_000),
        ("1e+3", 6, 1_000_000_000),
        ("1.25e3", 6, 1_250_000_000),
        ("-1.25e-3", 6, -1_250),
        ("1e-6", 6, 1),
        ("1.0e-6", 6, 1),
        ("10e-7", 6, 1),
        ("5000000000e-6", 6, 5_000_000_000),
        ("1e0", 6, 1_000_000),
        ("1e-00", 6, 1_000_000),
        ("0e64", 6, 0),
        ("0e-64", 6, 0),
        ("100e-2", 0, 1),
        # The largest either way.
        ("999999999999.999999", 6, MAX_SCALED),
        ("-999999999999.999999", 6, -MAX_SCALED),
        ("999999999999999999", 0, MAX_SCALED),
    ],
)
def test_a_number_is_read_exactly_from_its_text(text: str, decimals: int, value: int) -> None:
    assert parse_scaled(text, decimals) == value
    assert parse_rounded(text, decimals, Rounding.FLOOR) == value
    assert parse_rounded(text, decimals, Rounding.CEILING) == value


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", " 1", "1 ", "1\n", "\t1", "1\u00a0", "1 000", "1\x00"],  # whitespace
        *["+1", "-", "+", "--1", "-+1", "\u22121", "1-"],  # signs; U+2212 is the typographic minus
        *[".5", "-.5", "5.", "-5.", ".", "1.2.3", "1..2", "1,5", "1.000,00", "1_000", "1._5"],  # points and separators
        *["e", "e5", "1e", "1e+", "1e-", "1e5.0", "1e 5", "1ee5", "1e_5", "1d5"],  # exponents
        *["NaN", "nan", "-NaN", "sNaN", "Infinity", "-Infinity", "inf", "1e9999999999"],
        *["null", "true", "True", "None", "0x10", "0b1", "1j", "1/2", "1%", "$1", "one", "[1]", '"1"'],
        *["\u0663", "\uff11\uff12", "1\u00b2", "\u00bd", "\u096a\u0968", "1\u0660"],  # digits of other scripts
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    for decimals in (0, 4, 6):
        with pytest.raises(AmountError) as refused:
            parse_scaled(text, decimals)
        assert str(refused.value) == NO_NUMBER
        with pytest.raises(AmountError) as refused:
            parse_rounded(text, decimals, Rounding.FLOOR)
        assert str(refused.value) == NO_NUMBER


@pytest.mark.parametrize(
    ("text", "decimals"),
    [
        ("0.0000001", 6),
        ("-0.0000001", 6),
        ("12.3456789", 6),
        ("1.00000000000000001", 6),
        ("1e-7", 6),
        ("1.5e-6", 6),
        ("1e-64", 6),
        ("201.47001", 4),
        ("40.999", 2),
        ("12.5", 0),
    ],
)
def test_more_decimals_than_the_unit_has_is_an_error_and_no_rounding(text: str, decimals: int) -> None:
    with pytest.raises(AmountError) as refused:
        parse_scaled(text, decimals)
    assert str(refused.value) == f"can have at most {decimals} decimals"


@pytest.mark.parametrize(
    ("text", "decimals"),
    [
        ("1000000000000", 6),
        ("-1000000000000", 6),
        ("1000000000000000000", 0),
        ("1e12", 6),
        ("1e64", 6),
        ("-1e64", 6),
        ("1e65", 6),
        ("0e65", 6),
        ("1e-65", 6),
        ("1e400", 6),
        ("1e-9999", 6),
        ("9" * 64, 6),
    ],
)
def test_what_is_too_large_either_way_is_refused(text: str, decimals: int) -> None:
    with pytest.raises(AmountError) as refused:
        parse_scaled(text, decimals)
    assert str(refused.value) == OUT_OF_RANGE
    with pytest.raises(AmountError) as refused:
        parse_rounded(text, decimals, Rounding.CEILING)
    assert str(refused.value) == OUT_OF_RANGE


@pytest.mark.parametrize("text", ["0" * 65, "1." + "0" * 63, " " * 65, "9" * 1_000_000])
def test_a_text_of_more_than_64_characters_is_refused_unread(text: str) -> None:
    with pytest.raises(AmountError) as refused:
        parse_scaled(text, 6)
    assert str(refused.value) == "is too long"


@pytest.mark.parametrize(
    ("text", "decimals", "floor", "ceiling"),
    [
        ("0.0000001", 6, 0, 1),
        ("-0.0000001", 6, -1, 0),
        ("12.3456789", 6, 12_345_678, 12_345_679),
        ("-12.3456789", 6, -12_345_679, -12_345_678),
        ("0.5", 0, 0, 1),
        ("-0.5", 0, -1, 0),
        ("1e-64", 6, 0, 1),
        ("-1e-64", 6, -1, 0),
        ("201.47005", 4, 2_014_700, 2_014_701),
        ("999999999999.9999989", 6, MAX_SCALED - 1, MAX_SCALED),
    ],
)
def test_digits_beyond_the_unit_are_rounded_the_way_the_caller_names(
    text: str, decimals: int, floor: int, ceiling: int
) -> None:
    assert parse_rounded(text, decimals, Rounding.FLOOR) == floor
    assert parse_rounded(text, decimals, Rounding.CEILING) == ceiling


def test_rounding_up_over_the_largest_amount_is_refused() -> None:
    assert parse_rounded("999999999999.9999999", 6, Rounding.FLOOR) == MAX_SCALED
    with pytest.raises(AmountError) as refused:
        parse_rounded("999999999999.9999999", 6, Rounding.CEILING)
    assert str(refused.value) == OUT_OF_RANGE


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (5_000_000_000, 6, "5000.000000"),
        (0, 6, "0.000000"),
        (1, 6, "0.000001"),
        (-1, 6, "-0.000001"),
        (-1_500_000, 6, "-1.500000"),
        (999_999, 6, "0.999999"),
        (1_000_000, 6, "1.000000"),
        (2_014_700, 4, "201.4700"),
        (7, 0, "7"),
        (-7, 0, "-7"),
        (0, 0, "0"),
        (-5, 1, "-0.5"),
        (MAX_SCALED, 6, "999999999999.999999"),
        (10**30, 6, "1000000000000000000000000.000000"),
    ],
)
def test_a_value_is_shown_with_all_decimals_of_its_unit(value: int, decimals: int, text: str) -> None:
    assert format_scaled(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4_099, "40.99"),
        (1_000, "10"),
        (1_050, "10.5"),
        (100, "1"),
        (10_000, "100"),
        (101, "1.01"),
        (5, "0.05"),
        (0, "0"),
    ],
)
def test_leverage_is_shown_without_trailing_zeros(value: int, text: str) -> None:
    assert format_hundredths(value) == text
    assert parse_scaled(text, 2) == value


def test_usdc_has_six_decimals() -> None:
    assert USDC_UNIT == 1_000_000
    assert format_usdc(USDC_UNIT) == "1.000000"


@given(scaled_values, decimals_of_a_unit)
def test_what_is_shown_is_read_back_as_it_was(value: int, decimals: int) -> None:
    text = format_scaled(value, decimals)
    assert Fraction(text) == Fraction(value, 10**decimals)
    assert len(text.partition(".")[2]) == decimals
    assert parse_scaled(text, decimals) == value


@given(st.from_regex(r"-?\d{1,14}(\.\d{1,14})?([eE][+-]?\d{1,2})?", fullmatch=True, alphabet=ASCII))
def test_a_number_is_read_as_the_fraction_it_is_or_refused(text: str) -> None:
    exact = Fraction(text) * USDC_UNIT
    if exact.denominator == 1 and abs(exact) <= MAX_SCALED and abs(_exponent(text)) <= 64:
        assert parse_scaled(text, 6) == exact
    else:
        with pytest.raises(AmountError):
            parse_scaled(text, 6)


@given(st.text(alphabet="0123456789.-+eE_ \n\u0663NaInfty", max_size=12) | st.text(max_size=8))
def test_no_text_is_read_as_anything_but_its_exact_value(text: str) -> None:
    try:
        value = parse_scaled(text, 6)
    except AmountError:
        return
    assert text.isascii()
    assert set(text) <= set("0123456789.-+eE")
    assert Fraction(value, USDC_UNIT) == Fraction(text)


@given(scaled_values, st.integers(0, 12), st.integers(0, 12))
def test_rounding_goes_down_or_up_to_the_next_unit(value: int, places: int, decimals: int) -> None:
    text = format_scaled(value, places)
    exact = Fraction(value, 10**places) * 10**decimals
    for rounding, rounded in ((Rounding.FLOOR, math.floor(exact)), (Rounding.CEILING, math.ceil(exact))):
        if abs(rounded) <= MAX_SCALED:
            assert parse_rounded(text, decimals, rounding) == rounded
        else:
            with pytest.raises(AmountError):
                parse_rounded(text, decimals, rounding)


def _exponent(text: str) -> int:
    return int(text.lower().partition("e")[2] or 0)
