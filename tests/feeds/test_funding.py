"""feeds/funding.py: the file of scheduled funding rates."""

from pathlib import Path

import pytest

from exness.core.rates import FundingSource, Rates
from exness.core.rules import Rules
from exness.feeds.funding import FundingError, read_funding
from tests.support.books import ETH, LISTINGS, SECOND, SOL

AT = 1_722_816_000 * SECOND


def test_a_row_holds_from_its_time_until_the_next_and_what_shorts_pay_is_the_opposite_unless_it_says_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(
        "rate_short,asset,time,rate\n,SOL,2024-08-05T00:00:00Z,0.0001\n0.5,ETH,1722816000000000,-0.00000001\n"
        "-0.0003,SOL,2024-08-05T08:00:00Z,2e-4\n"
    )
    found = read_funding(path, LISTINGS)
    assert found == {SOL: [(AT, 10_000, -10_000), (AT + 28_800 * SECOND, 20_000, -30_000)], ETH: [(AT, -1, 50_000_000)]}
    scheduled = Rates(funding_interval_s=3_600, funding_rate=FundingSource.SCHEDULE)
    rules = Rules(LISTINGS, rates=dict.fromkeys(LISTINGS, scheduled), funding_rows=found)
    times = (AT - 1, AT, AT + 28_800 * SECOND - 1, AT + 28_800 * SECOND)
    assert [rules.funding_of(SOL, at, 0) for at in times] == [
        (0, 0),
        (10_000, -10_000),
        (10_000, -10_000),
        (20_000, -30_000),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the header must be time,asset,rate,rate_short, not ''; the last one may be missing"),
        ("time,asset\n", "line 1: the header must be time,asset,rate,rate_short, not 'time,asset'"),
        ("time,asset,rate,rate\n", "line 1: the header must be"),
        ("time,asset,rate,price\n", "line 1: the header must be"),
        ("time,asset,rate\n2024-08-05,SOL\n", "line 2: has 2 fields instead of 3"),
        ("time,asset,rate\nsoon,SOL,0\n", "line 2: time "),
        (
            "time,asset,rate\n2024-08-05T00:00:00Z,DOGE,0\n",
            "line 2: asset 'DOGE' is not a configured asset,",
        ),
        ("time,asset,rate\n2024-08-05T00:00:00Z,SOL,much\n", "line 2: rate must be a number"),
        (
            "time,asset,rate\n2024-08-05T00:00:00Z,SOL,1\n",
            "line 2: rate must be between -1 and 1, both excluded, not '1'",
        ),
        ("time,asset,rate\n2024-08-05T00:00:00Z,SOL,0.000000001\n", "line 2: rate can have at most 8 decimals"),
        (
            "time,asset,rate,rate_short\n2024-08-05T00:00:00Z,SOL,0,-1\n",
            "line 2: rate_short must be between -1 and 1, both excluded, not '-1'",
        ),
        (
            "time,asset,rate\n2024-08-05T00:00:00Z,SOL,0\n2024-08-05T00:00:00Z,ETH,0\n2024-08-05T00:00:00Z,SOL,0\n",
            "line 4: time 2024-08-05T00:00:00Z is not after that of the row of SOL before it",
        ),
    ],
)
def test_what_is_wrong_with_a_file_names_the_line_and_the_column(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(FundingError) as refused:
        read_funding(path, LISTINGS)
    assert str(refused.value).startswith(f"funding file {path}, {problem}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FundingError, match=r"none\.csv cannot be read: No such file"):
        read_funding(tmp_path / "none.csv", LISTINGS)
