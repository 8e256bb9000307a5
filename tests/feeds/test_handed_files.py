"""Files as people's tools write them: every quirk of text in every kind of file, every unit in every column of times,
and the column's name in every complaint."""

import gzip
import math
import os
import zipfile
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exness.config import ConfigError, load
from exness.feeds.orders import ORDERS_COLUMNS, ScriptedOrder, read_orders
from exness.feeds.recording import CANDLE_COLUMNS, QUOTE_COLUMNS, RecordedTick, ReplayError
from exness.feeds.replay import ReplayFeed, ReplayOptions
from exness.runtime.moments import EARLIEST_US, LATEST_US, show_moment
from tests.feeds.helpers import INSTRUMENTS, LIFE_US, SOL, T0_US, HeldPacer
from tests.feeds.ticks import read_ticks
from tests.support.lanes import examples

T0_S = T0_US // 1_000_000

CANDLES = [
    list(CANDLE_COLUMNS),
    [str(T0_S), "100", "120", "80", "110", "5.5"],
    [str(T0_S + 60), "110", "120", "80", "100", "5"],
]
QUOTES = [list(QUOTE_COLUMNS), [str(T0_US), "SOL_USDC", "1", "2"], [str(T0_US + 10), "ETH_USDC", "2", "3"]]
ORDERS = [
    list(ORDERS_COLUMNS),
    ["2024-08-05T00:00:00Z", "ann@example.com", "open", "a1", "SOL", "long", "100", "10", "", ""],
    [str(T0_US + 10), "jörg@münchen.de", "open", "b", "ETH", "short", "1.5", "2.5", "100", "2000.5"],
    ["2024-08-05T01:30:00Z", "ann@example.com", "close", "a1", "", "", "", "", "", ""],
]


def read_recording(path: Path) -> list[RecordedTick]:
    return list(read_ticks(path, INSTRUMENTS))


def read_script(path: Path) -> list[ScriptedOrder]:
    return list(read_orders(path, INSTRUMENTS))


TABLES: dict[str, tuple[str, list[list[str]], Callable[[Path], list[RecordedTick] | list[ScriptedOrder]]]] = {
    "candles": ("candles1m_SOL_x.csv", CANDLES, read_recording),
    "quotes": ("quotes.csv", QUOTES, read_recording),
    "orders": ("orders.csv", ORDERS, read_script),
}


def plain(rows: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


def quoted(rows: list[list[str]]) -> str:
    return "".join(",".join(f'"{field}"' for field in row) + "\r\n" for row in rows)


def bom(text: str, encoding: str) -> bytes:
    return ("\ufeff" + text).encode(encoding)


QUIRKS: dict[str, Callable[[list[list[str]]], bytes]] = {
    "none": lambda rows: plain(rows).encode(),
    "a byte order mark, CRLF and quotes, as Excel writes": lambda rows: bom(quoted(rows), "utf-8"),
    "CRLF": lambda rows: plain(rows, end="\r\n").encode(),
    "CR": lambda rows: plain(rows, end="\r").encode(),
    "mixed ends of lines": lambda rows: plain(rows[:1], end="\r\n").encode() + plain(rows[1:]).encode(),
    "no end of the last line": lambda rows: plain(rows).rstrip("\n").encode(),
    "spaces after the commas": lambda rows: plain(rows, ", ").encode(),
    "spaces around the fields": lambda rows: plain(rows, " , ", " \n").encode(),
    "tabs after the fields": lambda rows: plain(rows, "\t,", "\t\n").encode(),
    "quotes": lambda rows: quoted(rows).encode(),
    "spaces before quotes": lambda rows: quoted(rows).replace(",", ", ").encode(),
    "blank lines": lambda rows: ("\n\n" + plain(rows, end="\n\n  \n") + "\n").encode(),
    "rows of commas, as spreadsheets leave": lambda rows: plain([*rows, [""] * len(rows[0])]).encode(),
    "gzip": lambda rows: gzip.compress(plain(rows).encode(), mtime=0),
    "gzip in two members": lambda rows: (
        gzip.compress(plain(rows[:2]).encode(), mtime=0) + gzip.compress(plain(rows[2:]).encode(), mtime=0)
    ),
    "gzip of a byte order mark and CRLF": lambda rows: gzip.compress(bom(quoted(rows), "utf-8")),
    "UTF-16 of little end": lambda rows: bom(plain(rows, end="\r\n"), "utf-16-le"),
    "UTF-16 of big end": lambda rows: bom(plain(rows), "utf-16-be"),
    "gzip of UTF-16": lambda rows: gzip.compress(bom(quoted(rows), "utf-16-le")),
    "UTF-32": lambda rows: bom(plain(rows), "utf-32-le"),
}


@pytest.mark.parametrize("ending", ["", ".gz", ".csv.GZ", ".txt"])
@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_read_whatever_tool_wrote_it_and_whatever_its_name_ends_in(
    tmp_path: Path, kind: str, quirk: str, ending: str
) -> None:
    name, rows, read = TABLES[kind]
    straight, odd = tmp_path / name, tmp_path / f"{name}{ending}.odd"
    straight.write_bytes(plain(rows).encode())
    odd = odd.with_name(f"{name.removesuffix('.csv')}.odd{ending}")
    odd.write_bytes(QUIRKS[quirk](rows))
    expected = read(straight)
    assert len(expected) >= 2
    # A blank line moves the lines after it, and nothing else.
    assert [_without_line(each) for each in read(odd)] == [_without_line(each) for each in expected]


def _without_line(order: RecordedTick | ScriptedOrder) -> object:
    if not isinstance(order, ScriptedOrder):
        return order
    return order.row, order.time_us, order.email, order.do, order.name, order.asked


def zipped(rows: list[list[str]]) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("candles.csv", plain(rows))
    return target.getvalue()


WHOLE = plain(QUOTES)
NO_TABLES: dict[str, tuple[Callable[[list[list[str]]], bytes], str]] = {
    "a zip archive": (zipped, " is not text: it is a zip archive or an Excel workbook"),
    "gzip twice": (lambda rows: gzip.compress(gzip.compress(plain(rows).encode())), " is not text: it is a gzip file"),
    "a workbook of old": (
        lambda rows: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99,
        " is not text: it is an Excel",
    ),
    "bzip2": (lambda rows: b"BZh91AY&SY", " is not text: it is a bzip2 file"),
    "xz": (lambda rows: b"\xfd7zXZ\x00\x00", " is not text: it is an xz file"),
    "zstd": (lambda rows: b"\x28\xb5\x2f\xfd\x04\x00", " is not text: it is a zstd file"),
    "Parquet": (lambda rows: b"PAR1\x15\x04", " is not text: it is a Parquet file"),
    "UTF-16 without a mark": (lambda rows: plain(rows).encode("utf-16-le"), "it is UTF-16 without a byte order mark"),
    "half a character of UTF-16": (lambda rows: bom(plain(rows), "utf-16-le")[:-1], "that its byte order mark says"),
    "half a gzip": (lambda rows: gzip.compress(plain(rows).encode(), mtime=0)[:-9], " is not a complete gzip file"),
    "latin-1": (
        lambda rows: plain([rows[0], ["é", *rows[1][1:]]]).encode("latin-1"),
        ", line 2: is not UTF-8 text (byte 0xe9 as character 1)",
    ),
    "semicolons": (lambda rows: plain(rows, ";").encode(), ", line 1: the header must be "),
    "tabs": (lambda rows: plain(rows, "\t").encode(), ", line 1: the header must be "),
    "nothing": (lambda rows: b"", ", line 1: the header must be "),
    "a mark and nothing": (lambda rows: b"\xef\xbb\xbf", ", line 1: the header must be "),
    "blank lines only": (lambda rows: b"\n\n\n", ", line 3: the header must be "),
    "a quote that is not closed": (
        lambda rows: (plain(rows[:2]) + '"' + plain(rows[2:])).encode(),
        ", line 3: is no row of CSV: ",
    ),
    "a quote that is closed a line later": (
        lambda rows: (plain(rows[:1]) + '"1\n2",' + plain(rows[2:])).encode(),
        ", line 2: is no row of CSV: a quote is opened and not closed",
    ),
    "text after a quote": (lambda rows: (plain(rows[:1]) + '"1"2,3\n').encode(), ", line 2: is no row of CSV: "),
    "a field too many": (lambda rows: plain([rows[0], [*rows[1], ""]]).encode(), ", line 2: has "),
    "a line without an end": (lambda rows: (plain(rows[:1]) + "1" * 10_000).encode(), ", line 2: is longer than 1000"),
    "no end of any line": (lambda rows: b"1" * 10_000_000, ", line 1: is longer than 1000"),
    "a zero byte": (lambda rows: plain([rows[0], ["\0", *rows[1][1:]]]).encode(), ", line 2: time"),
}


@pytest.mark.parametrize("trouble", NO_TABLES)
@pytest.mark.parametrize("kind", TABLES)
def test_what_is_no_table_is_refused_in_one_sentence_with_file_and_line(
    tmp_path: Path, kind: str, trouble: str
) -> None:
    name, rows, read = TABLES[kind]
    path = tmp_path / name
    make, says = NO_TABLES[trouble]
    path.write_bytes(make(rows))
    with pytest.raises(ReplayError) as error:
        read(path)
    said = str(error.value)
    assert said.startswith(f"{'orders' if kind == 'orders' else 'replay'} file {path}")
    assert says in said
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize("kind", TABLES)
def test_a_pipe_is_refused_since_it_can_be_read_once_only(tmp_path: Path, kind: str) -> None:
    name, _, read = TABLES[kind]
    os.mkfifo(tmp_path / name)
    with pytest.raises(ReplayError, match="it is a pipe or a device"):
        read(tmp_path / name)


CONFIG = '[server]\nport = 9000\n\n[feed]\nscenario = "crash"\n'


@pytest.mark.parametrize(
    "content",
    [
        CONFIG.encode(),
        bom(CONFIG, "utf-8"),
        CONFIG.replace("\n", "\r\n").encode(),
        bom(CONFIG.replace("\n", "\r\n"), "utf-8"),
        CONFIG.replace("\n", "\r").encode(),
        ("\n\n" + CONFIG.rstrip()).encode(),
    ],
)
def test_settings_are_read_whatever_editor_wrote_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    config = load(tmp_path / "config.toml", {}, {})
    assert (config.server.port, config.feed.scenario) == (9000, "crash")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (bom(CONFIG, "utf-16-le"), "UTF-16"),
        (bom(CONFIG, "utf-16-be"), "UTF-16"),
        (CONFIG.encode("utf-16-le"), "UTF-16 without a byte order mark, or no text at all"),
        (bom(CONFIG, "utf-32-le"), "UTF-32"),
        (gzip.compress(CONFIG.encode(), mtime=0), "a gzip file"),
        (zipped([["a"]]), "a zip archive or an Excel workbook"),
    ],
)
def test_settings_that_are_not_utf_8_as_toml_must_be_are_refused_with_what_they_are(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load(path, {}, {})
    assert str(error.value) == f"{path}: the config file is not UTF-8 text: it is {what}"


# --- units --------------------------------------------------------------------------------------------------------


NS_PER_UNIT = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3, "nanoseconds": 1, "minutes": 60 * 10**9}
TIME_COLUMNS = [("candles", "timestamp_s", "seconds"), ("quotes", "timestamp_us", "microseconds")]
TIME_COLUMNS += [("orders", "time", "microseconds")]


def refusal_of(folder: Path, kind: str, column: str, value: str, row: int = 1) -> str:
    """What is said when a field of a good file is replaced."""
    name, rows, read = TABLES[kind]
    changed = [list(each) for each in rows]
    changed[row][changed[0].index(column)] = f'"{value}"'
    path = folder / name
    path.write_bytes(plain(changed).encode())
    with pytest.raises(ReplayError) as error:
        read(path)
    said = str(error.value)
    assert said.startswith(f"{'orders' if kind == 'orders' else 'replay'} file {path}, line {row + 1}: {column}")
    assert "\n" not in said
    return said


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("written", NS_PER_UNIT)
@pytest.mark.parametrize(("kind", "column", "unit"), TIME_COLUMNS)
def test_a_time_of_another_unit_is_refused_with_both_units_on_whatever_line(
    tmp_path: Path, kind: str, column: str, unit: str, written: str, row: int
) -> None:
    value = (T0_US + 60_000_000) * 1_000 // NS_PER_UNIT[written]
    if written == unit:
        return
    said = refusal_of(tmp_path, kind, column, str(value), row)
    assert said.endswith(
        f"{column} must be a time from 2005-01-01 to 2100-01-01 in {unit} since the epoch, not '{value}', "
        f"which looks like {written}"
    )


@pytest.mark.parametrize(
    "value",
    [
        *["0", "1", "-1", "172281612", "20240805", "1e9", "1.7e15", "1722816000.5", "+1722816000", "0x66b01480"],
        *["9" * 15, "9" * 17, "9" * 20, "9" * 300, "１７２２８１６０００", "1 722 816 000", "2024-W32-1"],
        *["now", "", "NaN", "None"],
    ],
)
@pytest.mark.parametrize(("kind", "column", "unit"), TIME_COLUMNS)
def test_a_number_that_is_no_time_of_ours_is_refused_with_the_unit(
    tmp_path: Path, kind: str, column: str, unit: str, value: str
) -> None:
    assert unit in refusal_of(tmp_path, kind, column, value)


@pytest.mark.parametrize(
    "text", ["1970-01-01", "2004-12-31T23:59:59.999999Z", "2100-01-01T00:00:00.000001Z", "2200-01-01"]
)
def test_a_date_of_another_century_is_refused_in_an_orders_file(tmp_path: Path, text: str) -> None:
    assert refusal_of(tmp_path, "orders", "time", text).endswith(f"a time from 2005-01-01 to 2100-01-01, not '{text}'")


@pytest.mark.parametrize("time_us", [EARLIEST_US, LATEST_US])
def test_the_first_and_the_last_moment_of_ours_are_played(tmp_path: Path, time_us: int) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(plain([QUOTES[0], [str(time_us), "SOL_USDC", "1", "2"]]))
    assert [tick.time_us for tick in read_ticks(path, INSTRUMENTS)] == [time_us]


def test_milliseconds_after_microseconds_are_refused_at_their_line(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    rows = [
        QUOTES[0],
        *([str(T0_US + n), "SOL_USDC", "1", "2"] for n in range(98)),
        [str(T0_US // 1_000), "SOL_USDC", "1", "2"],
    ]
    path.write_text(plain(rows))
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US)
    with pytest.raises(
        ReplayError, match=r"quotes\.csv, line 100: timestamp_us must be .* which looks like milliseconds"
    ):
        feed.check()


# --- every complaint names its column -----------------------------------------------------------------------------


BAD_FIELDS: dict[str, dict[str, list[str]]] = {
    "candles": {
        column: ["", "nan", "1e-7", "1,000", "-1", "0", "10x", "9" * 30, "1" * 65, "."]
        for column in CANDLE_COLUMNS[1:5]
    },
    "quotes": {
        "symbol": ["", "SOL", "sol_usdc", "SOL-USDC", "X" * 100],
        "bid": ["", "nan", "1e-7", "1,000", "-1", "0", "3", "9" * 30, "1" * 65],
        "ask": ["", "nan", "1e-7", "1,000", "-1", "0", "9" * 30, "1" * 65],
    },
    "orders": {
        "account": [
            "",
            "ann",
            "a@b",
            "ann@localhost",
            "ann@example.com.",
            "x y@example.com",
            "=?utf-8?q?a?=@example.com",
        ],
        "do": ["", "buy", "OPEN"],
        "order": ["", "a b", "ö", "x" * 65],
        "asset": ["", "sol", "DOGE"],
        "type": ["", "buy", "LONG"],
        "margin": ["", "1e-7", "1,000", "ten", "0", "-1", "0.0000001", "1" * 65, "1e30", "nan"],
        "leverage": ["", "10x", "0", "0.5", "101", "1.001", "-1", "1e30"],
        "slippage": ["5", "10001", "1.5", "1%", "-10", "１００"],
        "expectedPrice": ["0", "-1", "x", "1,5", "0.0000001", "1e30"],
    },
}
BAD = [
    (kind, column, value)
    for kind, columns in BAD_FIELDS.items()
    for column, values in columns.items()
    for value in values
]


@pytest.mark.parametrize(("kind", "column", "value"), BAD)
def test_every_complaint_begins_with_file_line_and_column(tmp_path: Path, kind: str, column: str, value: str) -> None:
    name, rows, read = TABLES[kind]
    changed = [list(each) for each in rows]
    changed[1][changed[0].index(column)] = f'"{value}"'
    path = tmp_path / name
    path.write_bytes(plain(changed).encode())
    with pytest.raises(ReplayError) as error:
        read(path)
    said = str(error.value)
    where = f"{'orders' if kind == 'orders' else 'replay'} file {path}, line 2: "
    assert said.startswith(where)
    assert column in said.removeprefix(where).split("line")[0]
    assert said.removeprefix(where).split(" ")[0].rstrip(":") in CANDLE_COLUMNS + QUOTE_COLUMNS + ORDERS_COLUMNS
    assert "\n" not in said
    assert len(said) < len(str(path)) + 300


# --- more digits than the asset has -------------------------------------------------------------------------------


def candle_of(folder: Path, *prices: str) -> list[RecordedTick]:
    path = folder / "candles1m_SOL_x.csv"
    path.write_text(plain([CANDLES[0], [str(T0_S), *prices, "10"]]))
    return read_recording(path)


def quote_of(folder: Path, bid: str, ask: str) -> tuple[int, int]:
    path = folder / "quotes.csv"
    path.write_text(plain([QUOTES[0], [str(T0_US), "SOL_USDC", bid, ask]]))
    (tick,) = read_recording(path)
    return tick.bid, tick.ask


@pytest.mark.parametrize(
    "prices",
    [
        ("150", "151.99999999999997", "149", "152.0"),
        ("152", "151.99999999999997", "149", "150"),
        ("150", "152", "150.00000000000003", "151"),
        ("150.1234567890123456",) * 4,
        ("150.12345678901234567890123456789012345678901234567890123456789",) * 4,
        ("0.1" + "0" * 50, "0.3", "0.1" + "0" * 49 + "1", "0.30000000000000004"),
    ],
)
def test_a_candle_with_the_noise_of_floats_is_played(tmp_path: Path, prices: tuple[str, ...]) -> None:
    assert len(candle_of(tmp_path, *prices)) == 4


def test_a_quote_with_the_noise_of_floats_is_played(tmp_path: Path) -> None:
    assert quote_of(tmp_path, "150.10000000000001", "150.1") == (150_100_000, 150_100_000)
    assert quote_of(tmp_path, "150.1000009", "150.1000001") == (150_100_000, 150_100_001)
    with pytest.raises(ReplayError, match=r"line 2: bid 150\.100001 is above ask 150\.1$"):
        quote_of(tmp_path, "150.100001", "150.1")


STEP = Decimal(1).scaleb(-SOL.decimals)
PRICES = st.decimals("0.001", "1000", places=6)
NOISE = st.decimals("-0.00000099", "0.00000099", places=14)


@settings(examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PRICES, min_size=4, max_size=4), st.lists(NOISE, min_size=4, max_size=4), st.booleans())
def test_less_than_a_step_never_decides_whether_a_candle_is_sound(
    tmp_path: Path, four: list[Decimal], noise: list[Decimal], sound: bool
) -> None:
    low, *between, high = sorted(four)
    if not sound:
        high, between[1] = between[1], high + STEP * 2  # the close above the high by more than noise can take away
    prices = [between[0], high, low, between[1]]
    exact = [f"{price:f}" for price in prices]
    noisy = [f"{price + each / 2:f}" for price, each in zip(prices, noise, strict=True)]
    if not sound:
        for texts in (exact, noisy):
            with pytest.raises(ReplayError, match=r"line 2: high .* is below close"):
                candle_of(tmp_path, *texts)
        return
    ticks = zip(candle_of(tmp_path, *noisy), candle_of(tmp_path, *exact), strict=True)
    if (prices[3] >= prices[0]) == (Decimal(noisy[3]) >= Decimal(noisy[0])):
        assert all(abs(one.bid - other.bid) <= 1 and abs(one.ask - other.ask) <= 1 for one, other in ticks)


@settings(examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PRICES, NOISE)
def test_less_than_a_step_never_crosses_a_quote(tmp_path: Path, price: Decimal, noise: Decimal) -> None:
    bid, ask = quote_of(tmp_path, f"{price + noise:f}", f"{price:f}")
    assert bid <= ask <= int(price / STEP)
    assert int(price / STEP) - bid <= 1


# --- holes --------------------------------------------------------------------------------------------------------


DAY_US = 86_400_000_000


def quotes_at(folder: Path, *times_us: int) -> Path:
    path = folder / "quotes.csv"
    path.write_text(plain([QUOTES[0], *([str(time_us), "SOL_USDC", "1", "2"] for time_us in times_us)]))
    return path


@pytest.mark.parametrize(
    ("gap_us", "speed", "is_refused"),
    [
        (DAY_US, 1, False),
        (DAY_US + 1, 1, True),
        (30 * DAY_US, 1, True),
        (30 * DAY_US, 30, False),
        (30 * DAY_US + 30, 30, True),
        (DAY_US // 2, 0.5, False),
        (DAY_US // 2 + 1, 0.5, True),
        (30 * 365 * DAY_US, 60, True),
        (30 * 365 * DAY_US, math.inf, False),
    ],
)
def test_a_wait_of_more_than_a_day_of_real_time_has_to_be_allowed(
    tmp_path: Path, gap_us: int, speed: float, is_refused: bool
) -> None:
    path = quotes_at(tmp_path, T0_US, T0_US + 1, T0_US + 1 + gap_us)
    ReplayFeed([path], INSTRUMENTS, LIFE_US, speed, ReplayOptions(allow_gaps=True)).check()
    ReplayFeed([path], INSTRUMENTS, LIFE_US, speed, ReplayOptions(end_us=T0_US + 2)).check()
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, speed)
    if not is_refused:
        feed.check()
        return
    with pytest.raises(ReplayError) as error:
        feed.check()
    days = gap_us / DAY_US
    assert str(error.value) == (
        f"replay file {path}, line 4: before {show_moment(T0_US + 1 + gap_us)} nothing happens for {days:.1f} days, "
        f"since 2024-08-05T00:00:00.000001Z: at speed {speed:g} that is a wait of {days / speed:.1f} days; choose "
        "another --speed, a part with --from and --to, or allow it with --allow-gaps (feed.allow_gaps)"
    )


def test_a_hole_in_one_file_that_another_fills_is_no_wait(tmp_path: Path) -> None:
    path = quotes_at(tmp_path, T0_US, T0_US + 2 * DAY_US)
    other = tmp_path / "candles1d_ETH_x.csv"
    other.write_text(plain([CANDLES[0], [str(T0_S + 60), "1", "1", "1", "1", "1"]]))
    ReplayFeed([path, other], INSTRUMENTS, LIFE_US).check()
    with pytest.raises(ReplayError, match=r"quotes\.csv, line 3: before 2024-08-07T00:00:00Z"):
        ReplayFeed([path], INSTRUMENTS, LIFE_US).check()


@pytest.mark.parametrize(
    ("order_us", "is_refused"), [(T0_US - 2 * DAY_US, True), (T0_US + 2 * DAY_US, True), (T0_US, False)]
)
def test_a_wait_for_an_order_counts_too(tmp_path: Path, order_us: int, is_refused: bool) -> None:
    script = tmp_path / "orders.csv"
    script.write_text(plain([ORDERS[0], [str(order_us), *ORDERS[1][1:]]]))
    path = quotes_at(tmp_path, T0_US, T0_US + 1)
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, 1, ReplayOptions(orders=script))
    if is_refused:
        with pytest.raises(ReplayError, match=r"line 2: before .* nothing happens for 2\.0 days"):
            feed.check()
    else:
        feed.check()


async def test_a_hole_that_is_allowed_is_waited_for(tmp_path: Path) -> None:
    pacer = HeldPacer()
    path = quotes_at(tmp_path, T0_US, T0_US + 2 * DAY_US)
    feed = ReplayFeed([path], INSTRUMENTS, LIFE_US, 1, ReplayOptions(allow_gaps=True), pacer=pacer)
    feed.check()
    await feed.run(lambda tick: None)
    assert sum(pacer.naps) == pytest.approx(2 * 86_400)
