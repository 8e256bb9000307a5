"""What recorded files mean as ticks, and what is wrong with those that mean nothing."""

import csv
import gzip
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import islice, pairwise
from pathlib import Path

import pytest

from exness.feeds.recording import CANDLE_HEADER, QUOTE_HEADER, RecordedTick, ReplayError
from exness.feeds.union import Union
from exness.runtime.listings import Listing
from tests.feeds.helpers import BTC, ETH, INSTRUMENTS, SOL, T0_US, instrument, since_t0
from tests.feeds.ticks import read_ticks
from tests.support.recorded import recorded

CANDLES = "candles1m_SOL_test.csv"
MINUTE_US = 60_000_000
START_S = 1_746_372_780


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    text = "".join(f"{since_t0(line)}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def plain(tick: RecordedTick) -> tuple[int, str, int, int]:
    return tick.time_us, tick.asset, tick.bid, tick.ask


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_quotes_are_ticks_of_their_symbols_asset(tmp_path: Path, ending: str) -> None:
    path = write(
        tmp_path, "quotes.csv" + ending, QUOTE_HEADER, "10,SOL_USDC,188.4,188.42", "10,BTC_USDC,61800.12345,61800.12345"
    )
    assert list(read_ticks(path, INSTRUMENTS)) == [
        RecordedTick(T0_US + 10, SOL.asset, "SOL_USDC", 188_400_000, 188_420_000, None),
        RecordedTick(T0_US + 10, BTC.asset, "BTC_USDC", 618_001_234, 618_001_235, None),
    ]


def test_a_rising_candle_passes_its_low_before_its_high(tmp_path: Path) -> None:
    path = write(tmp_path, CANDLES, CANDLE_HEADER, f"{START_S},100,120,80,110,5.5")
    start_us = START_S * 1_000_000
    assert [plain(tick) for tick in read_ticks(path, INSTRUMENTS)] == [
        (start_us, "SOL", 99_995_000, 100_005_000),
        (start_us + 20_000_000, "SOL", 79_996_000, 80_004_000),
        (start_us + 40_000_000, "SOL", 119_994_000, 120_006_000),
        (start_us + 59_999_999, "SOL", 109_994_500, 110_005_500),
    ]


@pytest.mark.parametrize(
    ("volume", "quarter"),
    [
        ("5.5", 137_500_000),
        ("0", 0),
        ("0.00000039", 9),
        ("0.000000399", 9),
        ("1.2e3", 30_000_000_000),
        ("9999999999.99999999", 249_999_999_999_999_999),
        ("10000000000", 250_000_000_000_000_000),
        ("1e14", 2_305_843_009_213_693_951),  # a quarter of what 64 bits hold: more is as much
        ("92233720368.54775808", 2_305_843_009_213_693_951),
        ("1e99", 0),
        ("-1e14", 0),
        ("-1", 0),
        ("", 0),
        ("lots", 0),
    ],
)
def test_each_of_a_candles_ticks_has_a_quarter_of_its_volume(tmp_path: Path, volume: str, quarter: int) -> None:
    path = write(tmp_path, CANDLES, CANDLE_HEADER, f"{START_S},100,120,80,110,{volume}")
    assert [tick.volume for tick in read_ticks(path, INSTRUMENTS)] == [quarter] * 4


def test_a_falling_candle_passes_its_high_before_its_low(tmp_path: Path) -> None:
    path = write(tmp_path, CANDLES, CANDLE_HEADER, f"{START_S},110,120,80,100,5")
    assert [tick.bid for tick in read_ticks(path, INSTRUMENTS)] == [109_994_500, 119_994_000, 79_996_000, 99_995_000]


def test_a_candle_that_closes_where_it_opened_counts_as_rising(tmp_path: Path) -> None:
    path = write(tmp_path, CANDLES, CANDLE_HEADER, f"{START_S},100,120,80,100.0,5")
    assert [tick.bid for tick in read_ticks(path, INSTRUMENTS)] == [99_995_000, 79_996_000, 119_994_000, 99_995_000]


def test_the_spread_is_rounded_outward_once_even_if_the_file_is_finer_than_the_asset(tmp_path: Path) -> None:
    path = write(tmp_path, "candles1m_CENTS_x.csv", CANDLE_HEADER, "0,3.33,3.338,3.33,3.3333333,1")
    ticks = list(read_ticks(path, [instrument("CENTS", 2)]))
    assert [(tick.bid, tick.ask) for tick in ticks] == [(332, 334), (332, 334), (333, 334), (333, 334)]


@pytest.mark.parametrize(
    ("name", "gap_us"),
    [("candles1s_SOL_x.csv", 333_334), ("candles5m_SOL_x.csv", 100_000_000), ("candles1h_SOL_x.csv", 1_200_000_000)],
)
def test_the_regular_gap_is_a_third_of_the_candle_rounded_up(tmp_path: Path, name: str, gap_us: int) -> None:
    ticks = list(read_ticks(write(tmp_path, name, CANDLE_HEADER, "0,1,1,1,1,1"), INSTRUMENTS))
    assert {tick.gap_us for tick in ticks} == {gap_us}
    assert max(after.time_us - before.time_us for before, after in pairwise(ticks)) <= gap_us


def test_blank_lines_line_ends_of_windows_and_a_missing_last_one_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_bytes(f"{QUOTE_HEADER}\r\n\r\n{T0_US},SOL_USDC,1,2\r\n\r\n{T0_US + 1},SOL_USDC,1,2".encode())
    assert [tick.time_us for tick in read_ticks(path, INSTRUMENTS)] == [T0_US, T0_US + 1]


def test_a_hole_between_candles_is_no_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, CANDLES, CANDLE_HEADER, "0,1,1,1,1,1", "600,1,1,1,1,1")
    assert [tick.time_us for tick in read_ticks(path, INSTRUMENTS)][4] == T0_US + 600_000_000


def test_files_are_merged_by_time_then_symbol_then_as_they_come(tmp_path: Path) -> None:
    first = write(
        tmp_path, "a.csv", QUOTE_HEADER, "5,SOL_USDC,1,1", "5,BTC_USDC,2,2", "5,SOL_USDC,3,3", "9,BTC_USDC,4,4"
    )
    second = write(tmp_path, "b.csv", QUOTE_HEADER, "4,XRP_USDC,5,5", "5,DOGE_USDC,6,6", "5,XRP_USDC,7,7")
    candles = write(tmp_path, "candles1s_ETH_c.csv", CANDLE_HEADER, "0,8,8,8,8,1")
    instruments = [*INSTRUMENTS, instrument("XRP", 6), instrument("DOGE", 6)]
    order = [
        (tick.time_us - T0_US, tick.asset, round(tick.bid / 10 ** (4 if tick.asset == "BTC" else 6)))
        for tick in Union([first, second, candles], instruments).ticks()
    ]
    assert order == [
        (0, "ETH", 8),
        (4, "XRP", 5),
        (5, "BTC", 2),
        (5, "DOGE", 6),
        (5, "SOL", 1),
        (5, "SOL", 3),
        (5, "XRP", 7),
        (9, "BTC", 4),
        (333_333, "ETH", 8),
        (666_666, "ETH", 8),
        (999_999, "ETH", 8),
    ]


QUOTE = "10,SOL_USDC,1,2"
CANDLE = "60,1,1,1,1,1"
BROKEN: list[tuple[str, str, list[str], str]] = [
    ("no line", CANDLES, [], "line 1: the header must be"),
    ("another header", CANDLES, ["time,price", "1,2"], "line 1: the header must be"),
    ("no row", CANDLES, [CANDLE_HEADER], "line 1: there is no row"),
    ("a field too few", CANDLES, [CANDLE_HEADER, CANDLE, "120,1,1,1,1"], "line 3: has 5 fields instead of 6"),
    ("a field too many", "q.csv", [QUOTE_HEADER, QUOTE + ",3"], "line 2: has 5 fields instead of 4"),
    (
        "words for a time",
        CANDLES,
        [CANDLE_HEADER, "now,1,1,1,1,1"],
        "line 2: timestamp_s must be a whole number of seconds since the epoch, not 'now'",
    ),
    (
        "a negative time",
        "q.csv",
        [QUOTE_HEADER, "-10,SOL_USDC,1,2"],
        "line 2: timestamp_us must be a whole number of microseconds since the epoch, not '-10'",
    ),
    (
        "a fraction for a time",
        CANDLES,
        [CANDLE_HEADER, "1746372780.5,1,1,1,1,1"],
        "line 2: timestamp_s must be a whole number of seconds since the epoch, not '1746372780.5', which looks like s",
    ),
    (
        "a time of too many digits",
        "q.csv",
        [QUOTE_HEADER, "9" * 17 + ",SOL_USDC,1,2"],
        "line 2: timestamp_us must be a time from 2005-01-01 to 2100-01-01 in microseconds since the epoch",
    ),
    (
        "a candle that ends too late",
        CANDLES,
        [CANDLE_HEADER, "4102444800,1,1,1,1,1"],
        "line 2: timestamp_s 4102444800: the candle ends after 2100-01-01",
    ),
    (
        "candles out of order",
        CANDLES,
        [CANDLE_HEADER, "120,1,1,1,1,1", CANDLE],
        "the candle begins before the one on the line above",
    ),
    ("a candle twice", CANDLES, [CANDLE_HEADER, CANDLE, CANDLE], "line 3: timestamp_s 1722816060: the candle begins"),
    ("candles that overlap", CANDLES, [CANDLE_HEADER, CANDLE, "119,1,1,1,1,1"], "119: the candle begins before"),
    ("quotes out of order", "q.csv", [QUOTE_HEADER, QUOTE, "9,SOL_USDC,1,2"], "009: the time is before"),
    ("an unknown symbol", "q.csv", [QUOTE_HEADER, "10,DOGE_USDC,1,2"], "line 2: symbol 'DOGE_USDC' is not that of"),
    (
        "no price",
        "q.csv",
        [QUOTE_HEADER, "10,SOL_USDC,,2"],
        "line 2: bid must be a plain decimal number like 188.42, not ''",
    ),
    ("NaN", CANDLES, [CANDLE_HEADER, "60,1,nan,1,1,1"], "line 2: high must be a plain decimal number"),
    ("an exponent", CANDLES, [CANDLE_HEADER, "60,1,1e2,1,1,1"], "line 2: high must be a plain decimal number"),
    (
        "a negative price",
        "q.csv",
        [QUOTE_HEADER, "10,SOL_USDC,-1,2"],
        "bid must be a plain decimal number like 188.42, not '-1'",
    ),
    ("a huge price", "q.csv", [QUOTE_HEADER, f"10,SOL_USDC,1,{'9' * 30}"], f"line 2: ask {'9' * 30} is out of range"),
    ("a price of 0", "q.csv", [QUOTE_HEADER, "10,SOL_USDC,0,2"], "line 2: bid 0 is not above 0"),
    (
        "a price below our decimals",
        "q.csv",
        [QUOTE_HEADER, "10,SOL_USDC,0.0000001,2"],
        "is not above 0 at the 6 decimals",
    ),
    ("crossed", "q.csv", [QUOTE_HEADER, "10,SOL_USDC,3,2"], "line 2: bid 3 is above ask 2"),
    ("crossed by one step", "q.csv", [QUOTE_HEADER, "10,SOL_USDC,1.0000019,1"], "line 2: bid 1.0000019 is above ask 1"),
    ("low above open", CANDLES, [CANDLE_HEADER, "60,1,3,2,2,1"], "line 2: low 2 is above open 1"),
    ("low above close", CANDLES, [CANDLE_HEADER, "60,2,3,2,1,1"], "line 2: low 2 is above close 1"),
    ("high below open", CANDLES, [CANDLE_HEADER, "60,3,2,1,2,1"], "line 2: high 2 is below open 3"),
    ("high below close", CANDLES, [CANDLE_HEADER, "60,2,2,1,3,1"], "line 2: high 2 is below close 3"),
    ("low of 0", CANDLES, [CANDLE_HEADER, "60,2,2,0,2,1"], "line 2: low 0 is not above 0"),
    (
        "low below our decimals",
        CANDLES,
        [CANDLE_HEADER, "60,2,2,0.0000001,2,1"],
        "line 2: low 0.0000001 is too small for",
    ),
    ("a line without an end", "q.csv", [QUOTE_HEADER, QUOTE, "1" * 5_000], "line 3: is longer than 1000"),
    ("an asset not configured", "candles1m_DOGE_x.csv", [CANDLE_HEADER, CANDLE], "DOGE is not a configured asset"),
    ("no asset in the name", "candles.csv", [CANDLE_HEADER, CANDLE], "is named like candles1m_SOL_2025.csv.gz"),
    (
        "no length in the name",
        "candles0m_SOL_x.csv",
        [CANDLE_HEADER, CANDLE],
        "is named like candles1m_SOL_2025.csv.gz",
    ),
]


@pytest.mark.parametrize(("name", "lines", "message"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_broken_file_is_one_sentence_with_its_name_and_line(
    tmp_path: Path, name: str, lines: list[str], message: str, ending: str
) -> None:
    path = write(tmp_path, name + ending, *lines)
    with pytest.raises(ReplayError) as refused:
        list(read_ticks(path, INSTRUMENTS))
    said = str(refused.value)
    assert message in said
    assert str(path) in said
    assert "\n" not in said


def test_the_ticks_before_a_broken_line_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "q.csv", QUOTE_HEADER, QUOTE, "broken")
    ticks = read_ticks(path, INSTRUMENTS)
    assert next(ticks).time_us == T0_US + 10
    with pytest.raises(ReplayError, match="line 3"):
        next(ticks)


def test_a_file_that_is_missing_or_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path / "none.csv.gz", tmp_path):
        with pytest.raises(ReplayError, match="cannot be read"):
            list(read_ticks(path, INSTRUMENTS))


def test_a_file_that_is_no_gzip_or_cut_off_or_damaged_is_said_so(tmp_path: Path) -> None:
    rows = [f"{T0_US + number},SOL_USDC,{number % 977 + 1}.{number % 89},9999" for number in range(5_000)]
    whole = write(tmp_path, "q.csv.gz", QUOTE_HEADER, *rows).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 20] = b"\xff" * 20
    for content in (b"\x1f\x8b no gzip", whole[: len(whole) // 2], bytes(damaged), b"\x1f\x8b"):
        path = tmp_path / "bad.csv.gz"
        path.write_bytes(content)
        with pytest.raises(ReplayError, match=r"bad\.csv\.gz"):
            list(read_ticks(path, INSTRUMENTS))


def test_a_file_that_is_not_text_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(f"{QUOTE_HEADER}\n{since_t0(QUOTE)}\n".encode() + b"\xff\xfe,\n")
    with pytest.raises(ReplayError, match=r"q\.csv, line 3: is not UTF-8 text \(byte 0xff as character 1\)"):
        list(read_ticks(path, INSTRUMENTS))


def test_reading_does_not_hold_the_file_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    with path.open("w") as file:
        file.write(f"{QUOTE_HEADER}\n{since_t0(QUOTE)}\n")
        file.writelines([f"{since_t0(QUOTE)}\n"] * 10_000)
        file.write("broken at the end\n")
    assert len(list(islice(read_ticks(path, INSTRUMENTS), 100))) == 100


# An independent reading of the recorded files: csv, gzip, Decimal, whole in memory.

SIDES = ((Decimal("0.99995"), ROUND_FLOOR), (Decimal("1.00005"), ROUND_CEILING))


def scaled(price: Decimal, decimals: int, rounding: str) -> int:
    return int((price * 10**decimals).to_integral_value(rounding))


def candles_by_decimal(path: Path, each: Listing, length_s: int) -> list[tuple[int, str, int, int]]:
    expected = []
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            o, h, low, c = (Decimal(row[key]) for key in ("open", "high", "low", "close"))
            start = int(row["timestamp_s"]) * 1_000_000
            mids = [o, low, h, c] if c >= o else [o, h, low, c]
            times = [start, start + length_s * 1_000_000 // 3, start + length_s * 2_000_000 // 3]
            times.append(start + length_s * 1_000_000 - 1)
            for time_us, mid in zip(times, mids, strict=True):
                bid, ask = (scaled(mid * factor, each.decimals, rounding) for factor, rounding in SIDES)
                expected.append((time_us, str(each.asset), bid, ask))
    return expected


@pytest.mark.parametrize("each", INSTRUMENTS, ids=lambda i: i.asset)
@pytest.mark.parametrize(
    ("name", "length_s"),
    [("5m_{}_2024-08-crash", 300), pytest.param("1m_{}_2025-05-04_2025-06-03", 60, marks=pytest.mark.slow)],
)
def test_recorded_candles_are_the_ticks_that_decimals_say(each: Listing, name: str, length_s: int) -> None:
    path = recorded(f"candles{name.format(each.asset)}.csv.gz")
    assert [plain(tick) for tick in read_ticks(path, INSTRUMENTS)] == candles_by_decimal(path, each, length_s)


@pytest.mark.parametrize("each", [BTC, ETH], ids=lambda i: i.asset)
def test_recorded_quotes_are_the_ticks_that_decimals_say(each: Listing) -> None:
    path = recorded(f"quotes_{each.asset}_binance-usdm_2024-08-08.csv.gz")
    with gzip.open(path, "rt") as file:
        expected = [
            (
                int(row["timestamp_us"]),
                each.asset,
                scaled(Decimal(row["bid"]), each.decimals, ROUND_FLOOR),
                scaled(Decimal(row["ask"]), each.decimals, ROUND_CEILING),
            )
            for row in csv.DictReader(file)
        ]
    assert [plain(tick) for tick in read_ticks(path, INSTRUMENTS)] == expected


def test_recorded_files_of_one_period_come_in_time_and_symbol_order() -> None:
    paths = [recorded(f"candles5m_{asset}_2024-08-crash.csv.gz") for asset in ("SOL", "BTC", "ETH")]
    ticks = list(Union(paths, INSTRUMENTS).ticks())
    assert len(ticks) == 3 * 4 * 3_168
    keys = [(tick.time_us, tick.symbol) for tick in ticks]
    assert keys == sorted(keys)
