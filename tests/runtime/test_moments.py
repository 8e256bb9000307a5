"""Which texts are points in time, and what is said of those that are not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.runtime.moments import (
    EARLIEST_US,
    LATEST_US,
    is_date,
    parse_epoch,
    parse_rfc3339,
    parse_time,
    show_moment,
    unit_of,
)

NS_PER_UNIT = {
    "nanoseconds": 1,
    "microseconds": 1_000,
    "milliseconds": 10**6,
    "seconds": 10**9,
    "minutes": 60 * 10**9,
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2024-08-05T06:00:00Z", "2024-08-05T06:00:00Z"),
        ("2024-08-05T06:00:00", "2024-08-05T06:00:00Z"),
        ("2024-08-05t06:00:00z", "2024-08-05T06:00:00Z"),
        ("2024-08-05 08:00:00.25+02:00", "2024-08-05T06:00:00.250000Z"),
        ("2024-08-05", "2024-08-05T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2024-08-05T06:00:00.1", "2024-08-05T06:00:00.100000Z"),
        ("2024-08-05T06:00:00.123456999Z", "2024-08-05T06:00:00.123456Z"),
        ("2024-08-05T06:00:00-00:00", "2024-08-05T06:00:00Z"),
        ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870000Z"),  # these five: RFC 3339, section 5.8
        ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520000Z"),
        ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"),
        ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00Z"),
        ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_of_rfc_3339_of_any_year_is_read(text: str, shown: str) -> None:
    assert show_moment(parse_rfc3339(text)) == shown


NO_TIMES = [
    "",
    " ",
    "noon",
    "2024",
    "2024-08",
    "20240805",
    "20240805T060000Z",
    "2024-W32-1",
    "2024W321",
    "2024-W32",
    "2024-218",
    "2024-08-05T06",
    "2024-08-05T06:00",
    "2024-08-05T06:00Z",
    "2024-08-05T0600",
    "2024-08-05T06:00:00,5Z",
    "2024-08-05T06:00:00.",
    "2024-08-05T06:00:00.Z",
    "2024-08-05T06:00:00+02",
    "2024-08-05T06:00:00+0200",
    "2024-08-05T06:00:00+02:00:30",
    "2024-08-05T06:00:00+24:00",
    "2024-08-05T06:00:00+02:60",
    "2024-08-05T06:00:00 02:00",
    "2024-08-05T06:00:00 Z",
    "2024-08-05Z",
    "2024-08-05+02:00",
    "2024-08-05x06:00:00",
    "2024-08-05  06:00:00",
    " 2024-08-05",
    "2024-08-05\n",
    "+2024-08-05",
    "-2024-08-05",
    "12024-08-05",
    "2024/08/05",
    "05.08.2024",
    "٢٠٢٤-٠٨-٠٥",
    "1799020800000",  # fromisoformat takes it for a day of 1799
    "1769850902",
]
NO_DAYS = [
    "2023-02-29",
    "2024-00-05",
    "2024-13-05",
    "2024-08-32",
    "0000-01-01",
    "2024-08-05T24:00:00Z",
    "2024-08-05T06:60:00Z",
    "2024-08-05T06:00:61Z",
    "2024-08-05T06:00:60Z",
    "2024-08-31T22:59:60Z",
    "2024-08-30T23:59:60Z",
]


@pytest.mark.parametrize("text", NO_TIMES)
def test_no_other_form_of_iso_8601_is_taken(text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_rfc3339(text)
    assert str(error.value) == "must be a date like 2024-08-05 or a time like 2024-08-05T06:00:00Z"


@pytest.mark.parametrize("text", NO_DAYS)
def test_a_day_or_time_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_rfc3339(text)
    assert str(error.value) == "is no day and time of the calendar"


ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timedelta(minutes=minutes))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), ZONES)  # noqa: DTZ001
def test_what_python_writes_is_read_as_the_same_moment(local: datetime, offset: timedelta) -> None:
    sign, minutes = "-" if offset < timedelta() else "+", abs(offset) // timedelta(minutes=1)
    text = f"{local.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert parse_rfc3339(text) == microseconds(local.replace(tzinfo=UTC)) - offset // timedelta(microseconds=1)


@given(st.text(alphabet="0123456789-:.,TtZzWw+ ", max_size=30))
def test_what_is_read_has_the_form_of_the_contract(text: str) -> None:
    try:
        parse_rfc3339(text)
    except ValueError:
        return
    assert text[4] == text[7] == "-"
    assert len(text) == 10 or (len(text) >= 19 and text[13] == text[16] == ":" and text[10] in "Tt ")


@pytest.mark.parametrize(
    ("text", "expected"), [("2024-08-05", True), ("2024-08-05T00:00:00Z", False), ("2024-8-5", False), ("", False)]
)
def test_a_date_alone_is_known_by_its_form(text: str, expected: bool) -> None:
    assert is_date(text) is expected


# --- units --------------------------------------------------------------------------------------------------------


INSTANTS_US = [EARLIEST_US, 1_230_768_000_000_000, 1_722_816_120_000_000, 2_524_608_000_000_000, LATEST_US]


@pytest.mark.parametrize("written", NS_PER_UNIT)
@pytest.mark.parametrize("expected", ["seconds", "microseconds"])
@pytest.mark.parametrize("instant_us", INSTANTS_US)
def test_a_number_of_another_unit_is_refused_with_both_units(instant_us: int, expected: str, written: str) -> None:
    text = str(instant_us * 1_000 // NS_PER_UNIT[written])
    if written == expected:
        assert parse_epoch(text, expected) == instant_us
        return
    with pytest.raises(ValueError) as error:
        parse_epoch(text, expected)
    assert str(error.value) == (
        f"must be a time from 2005-01-01 to 2100-01-01 in {expected} since the epoch, not '{text}', "
        f"which looks like {written}"
    )


@given(st.integers(EARLIEST_US, LATEST_US))
def test_a_moment_of_ours_is_in_our_years_in_one_unit_only(instant_us: int) -> None:
    for unit, scale in NS_PER_UNIT.items():
        value = instant_us * 1_000 // scale
        if value * scale // 1_000 >= EARLIEST_US:  # the division may have cut it to before the first moment
            assert unit_of(value) == unit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "1722816120.0",
            "must be a whole number of seconds since the epoch, not '1722816120.0', which looks like seconds",
        ),
        ("1722816120000.5", "which looks like milliseconds"),
        ("1e9", "must be a whole number of seconds since the epoch, not '1e9'"),
        ("1.722816e9", "must be a whole number of seconds since the epoch, not '1.722816e9'"),
        ("-1722816120", "must be a whole number of seconds since the epoch, not '-1722816120'"),
        ("+1722816120", "which looks like seconds"),
        ("", "must be a whole number of seconds since the epoch, not ''"),
        ("1" * 21, "must be a whole number of seconds since the epoch, not '111111111111111111111'"),
        ("１７２２８１６１２０", "must be a whole number of seconds since the epoch, not '１７２２８１６１２０'"),
        ("2024-08-05T00:00:00Z", "not '2024-08-05T00:00:00Z', which looks like a date or time of RFC 3339"),
        ("20240805", "in seconds since the epoch, not '20240805', which looks like a date without dashes"),
        ("20240805060000", "which looks like a date without dashes"),
        ("172281612", "in seconds since the epoch, not '172281612'"),
        ("0", "in seconds since the epoch, not '0'"),
        ("1104537599", "in seconds since the epoch, not '1104537599'"),
        ("4102444801", "in seconds since the epoch, not '4102444801'"),
        ("x" * 100, f"not '{'x' * 40}...'"),
    ],
)
def test_what_is_no_number_of_seconds_is_refused_with_what_it_looks_like(text: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_epoch(text, "seconds")
    assert str(error.value).endswith(says)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1722837600000000", 1_722_837_600_000_000),
        ("2024-08-05T06:00:00Z", 1_722_837_600_000_000),
        ("2005-01-01", EARLIEST_US),
        ("2100-01-01", LATEST_US),
    ],
)
def test_a_time_is_read_from_microseconds_or_from_text(text: str, time_us: int) -> None:
    assert parse_time(text) == time_us


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1722816120000", "in microseconds since the epoch, not '1722816120000', which looks like milliseconds"),
        ("1722816120", "in microseconds since the epoch, not '1722816120', which looks like seconds"),
        ("1722816120000000000", "not '1722816120000000000', which looks like nanoseconds"),
        ("1722816120.5", "or microseconds since the epoch, not '1722816120.5', which looks like seconds"),
        ("noon", "or a time like 2024-08-05T06:00:00Z, or microseconds since the epoch, not 'noon'"),
        ("2024-W32-1", "or microseconds since the epoch, not '2024-W32-1'"),
        ("2024-02-30", "is no day and time of the calendar"),
        (
            "2004-12-31T23:59:59.999999Z",
            "must be a time from 2005-01-01 to 2100-01-01, not '2004-12-31T23:59:59.999999Z'",
        ),
        (
            "2100-01-01T00:00:00.000001Z",
            "must be a time from 2005-01-01 to 2100-01-01, not '2100-01-01T00:00:00.000001Z'",
        ),
        ("1970-01-20T22:33:36Z", "must be a time from 2005-01-01 to 2100-01-01, not '1970-01-20T22:33:36Z'"),
        ("2200-01-01", "must be a time from 2005-01-01 to 2100-01-01, not '2200-01-01'"),
    ],
)
def test_a_time_outside_our_years_or_of_no_form_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_time(text)
    assert str(error.value).endswith(says)
