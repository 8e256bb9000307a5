"""Several recordings as one: of an asset and a time there is one source, and what repeats exactly is played once."""

import gzip
import random
import shutil
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exness.feeds import union
from exness.feeds.recording import CANDLE_HEADER, QUOTE_HEADER, RecordedTick, ReplayError
from exness.feeds.replay import ReplayFeed
from exness.feeds.union import Union
from tests.feeds.helpers import INSTRUMENTS, LIFE_US, T0_US, since_t0
from tests.feeds.ticks import all_ticks
from tests.support.recorded import recorded

ONE_RECORDING = "an asset's prices of one time must come from one recording"


def write(folder: Path, name: str, header: str, *rows: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in (header, *map(since_t0, rows))))
    return path


def candles(folder: Path, name: str, *rows: str) -> Path:
    return write(folder, name, CANDLE_HEADER, *rows)


def quotes(folder: Path, name: str, *rows: str) -> Path:
    return write(folder, name, QUOTE_HEADER, *rows)


def played(*files: Path) -> list[RecordedTick]:
    return list(Union(files, INSTRUMENTS).ticks())


def repeated(*files: Path) -> dict[Path, int]:
    both = Union(files, INSTRUMENTS)
    assert list(both.ticks())
    return dict(both.repeated)


def refused(*files: Path) -> str:
    """The sentence with which the files are refused, whichever comes first. It is always the same two rows."""
    with pytest.raises(ReplayError) as error:
        played(*files)
    with pytest.raises(ReplayError):
        played(*reversed(files))
    return str(error.value)


MINUTES = ("0,1,2,1,2,4", "60,2,3,2,3,8", "120,3,3,1,1,4")
TICKS = ("0,SOL_USDC,1,2", "5,SOL_USDC,2,3", "5,SOL_USDC,3,4", "9,SOL_USDC,4,5")


# --- what repeats exactly -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "rows"), [("candles1m_SOL_a.csv", MINUTES), ("q.csv", TICKS)])
def test_a_file_given_twice_and_a_copy_of_it_are_played_once(tmp_path: Path, name: str, rows: Sequence[str]) -> None:
    path = write(tmp_path, name, CANDLE_HEADER if "candles" in name else QUOTE_HEADER, *rows)
    (tmp_path / "copy").mkdir()
    copy = Path(shutil.copy(path, tmp_path / "copy" / name))
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    link = tmp_path / f"{name[:-4]}_link.csv"
    link.symlink_to(path)
    assert played(path, path) == played(path, copy, packed, link) == played(path)
    assert repeated(path, copy, packed) == {copy: len(rows), packed: len(rows)}
    assert repeated(path, path) == {path: len(rows)}
    assert repeated(path) == {}


def test_a_candle_that_ends_one_month_and_begins_the_next_is_played_once(tmp_path: Path) -> None:
    may = candles(tmp_path, "candles1m_SOL_may.csv", "0,1,2,1,2,4", "60,2,3,2,3,8")
    june = candles(tmp_path, "candles1m_SOL_june.csv", "60,2.00,3.0,2,3,8.0", "120,3,3,1,1,4")
    assert played(may, june) == played(june, may) == played(candles(tmp_path, "candles1m_SOL_all.csv", *MINUTES))
    assert repeated(may, june) == {june: 1}


def test_a_replay_says_how_many_rows_it_plays_once_only(tmp_path: Path) -> None:
    path = quotes(tmp_path, "q.csv", *TICKS)
    feed = ReplayFeed([path, path], INSTRUMENTS, LIFE_US)
    feed.check()
    assert feed.describe() == "REPLAYED prices at 1x from q.csv, q.csv (4 rows that two files have are played once)"
    assert len(list(all_ticks(feed))) == 4
    feed.check()
    assert "(4 rows" in feed.describe()


# --- one source ---------------------------------------------------------------------------------------------------


def test_candles_that_fill_each_others_holes_are_one_recording(tmp_path: Path) -> None:
    first = candles(tmp_path, "candles1m_SOL_a.csv", MINUTES[0], MINUTES[2])
    second = candles(tmp_path, "candles1m_SOL_b.csv", MINUTES[1])
    assert played(first, second) == played(candles(tmp_path, "candles1m_SOL_all.csv", *MINUTES))


def test_quotes_of_an_hour_after_candles_of_the_hour_before_are_one_recording(tmp_path: Path) -> None:
    before = candles(tmp_path, "candles1m_SOL_a.csv", *MINUTES)
    after = quotes(tmp_path, "q.csv", f"{T0_US + 180_000_000},SOL_USDC,1,2", f"{T0_US + 180_000_001},SOL_USDC,1,2")
    much_later = candles(tmp_path, "candles1h_SOL_b.csv", "7200,1,1,1,1,1")
    assert [tick.time_us - T0_US for tick in played(much_later, after, before)][12:15] == [
        180_000_000,
        180_000_001,
        7_200_000_000,
    ]


def test_two_assets_have_two_sources(tmp_path: Path) -> None:
    sol = candles(tmp_path, "candles1m_SOL_a.csv", *MINUTES)
    both = quotes(tmp_path, "q.csv", "0,ETH_USDC,1,2", "5,BTC_USDC,1,2", f"{T0_US + 90_000_000},ETH_USDC,1,2")
    assert len(played(sol, both)) == 12 + 3


def at(second: float) -> int:
    return T0_US + round(second * 1_000_000)


SECOND_SOURCES: list[tuple[str, tuple[str, Sequence[str]], tuple[str, Sequence[str]], str]] = [
    (
        "a candle with another price",
        ("candles1m_SOL_a.csv", MINUTES),
        ("candles1m_SOL_b.csv", ["60,2,3,2,2.9,8"]),
        "line 2: the candle of SOL at 2024-08-05T00:01:00Z is not the same as of {a}, line 3",
    ),
    (
        "a candle with another volume, as one that had not ended yet",
        ("candles1m_SOL_a.csv", MINUTES),
        ("candles1m_SOL_b.csv", ["120,3,3,1,1,2"]),
        "line 2: the candle of SOL at 2024-08-05T00:02:00Z is not the same as of {a}, line 4",
    ),
    (
        "candles of another length that begin at once",
        ("candles1m_SOL_a.csv", MINUTES),
        ("candles5m_SOL_b.csv", ["0,1,3,1,1,16"]),
        "line 2: the candle of SOL at 2024-08-05T00:00:00Z overlaps the one of {a}, line 2",
    ),
    (
        "candles that begin half a minute later",
        ("candles1m_SOL_a.csv", MINUTES),
        ("candles1m_SOL_b.csv", ["30,1,1,1,1,1"]),
        "line 2: the candle of SOL at 2024-08-05T00:00:30Z overlaps the one of {a}, line 2",
    ),
    (
        "a quote at a candle's start",
        ("candles1m_SOL_a.csv", MINUTES),
        ("b.csv", [f"{at(60)},SOL_USDC,1,2"]),
        "line 2: the quote of SOL at 2024-08-05T00:01:00Z lies within the candle of {a}, line 3",
    ),
    (
        "a quote in a candle's last microsecond",
        ("candles1m_SOL_a.csv", MINUTES),
        ("b.csv", [f"{at(179.999999)},SOL_USDC,1,2"]),
        "line 2: the quote of SOL at 2024-08-05T00:02:59.999999Z lies within the candle of {a}, line 4",
    ),
    (
        "candles amid quotes",
        ("a.csv", [f"{at(0)},SOL_USDC,1,2", f"{at(600)},SOL_USDC,1,2"]),
        ("candles1m_SOL_b.csv", ["60,1,1,1,1,1"]),
        "line 2: the candle of SOL at 2024-08-05T00:01:00Z lies amid those of {a}, line 3",
    ),
    (
        "quotes amid quotes",
        ("a.csv", [f"{at(0)},SOL_USDC,1,2", f"{at(2)},SOL_USDC,1,2"]),
        ("b.csv", [f"{at(1)},SOL_USDC,1,2"]),
        "line 2: the quote of SOL at 2024-08-05T00:00:01Z lies amid those of {a}, line 3",
    ),
    (
        "quotes that overlap",
        ("a.csv", [f"{at(0)},SOL_USDC,1,2", f"{at(2)},SOL_USDC,1,2"]),
        ("b.csv", [f"{at(1)},SOL_USDC,1,2", f"{at(3)},SOL_USDC,1,2"]),
        "line 2: the quote of SOL at 2024-08-05T00:00:01Z lies amid those of {a}, line 3",
    ),
    (
        "another quote at the moment that both have",
        ("a.csv", [f"{at(0)},SOL_USDC,1,2", f"{at(1)},SOL_USDC,1,2"]),
        ("b.csv", [f"{at(1)},SOL_USDC,1.5,2", f"{at(2)},SOL_USDC,1,2"]),
        "line 2: the quote of SOL at 2024-08-05T00:00:01Z is not the same as of {a}, line 3",
    ),
    (
        "a copy in which a quote is missing",
        ("a.csv", [f"{at(second)},SOL_USDC,1,2" for second in range(4)]),
        ("b.csv", [f"{at(second)},SOL_USDC,1,2" for second in (0, 1, 3)]),
        "line 4: the quote of SOL at 2024-08-05T00:00:02Z lies amid those of {b}, line 4",
    ),
]


@pytest.mark.parametrize(
    ("first", "second", "says"), [row[1:] for row in SECOND_SOURCES], ids=[r[0] for r in SECOND_SOURCES]
)
def test_a_second_source_is_refused_with_both_files_and_lines(
    tmp_path: Path, first: tuple[str, Sequence[str]], second: tuple[str, Sequence[str]], says: str
) -> None:
    a, b = (
        write(tmp_path, name, CANDLE_HEADER if name.startswith("candles") else QUOTE_HEADER, *rows)
        for name, rows in (first, second)
    )
    said = refused(a, b)
    assert str(a) in said
    assert str(b) in said
    assert says.format(a=a, b=b) in said
    assert said.endswith(ONE_RECORDING)


# --- any split of a recording -------------------------------------------------------------------------------------


def some_candles(dice: random.Random) -> list[list[str]]:
    """Minutes with holes between them."""
    minutes = sorted(dice.sample(range(60), dice.randint(2, 30)))
    return [[f"{minute * 60},2,{dice.randint(3, 9)},1,2,{dice.randint(0, 9)}"] for minute in minutes]


def some_quotes(dice: random.Random, at_once: int = 4) -> list[list[str]]:
    """Of two assets, up to `at_once` at one moment."""
    moments, micro, price = [], 0, 1
    for _ in range(dice.randint(2, 20)):
        micro += dice.choice((1, 500))
        rows = []
        for _ in range(dice.randint(1, at_once)):
            price += dice.randint(1, 3)
            rows.append(f"{micro},{dice.choice(('SOL', 'ETH'))}_USDC,{price},{price + 1}")
        moments.append(rows)
    return moments


def some_quotes_cut_within_moments(dice: random.Random) -> list[list[str]]:
    """Of one asset. Where a file begins within a moment, the one before it has to reach into that, or nobody could tell
    it from another source."""
    return [[row.replace("ETH", "SOL")] for rows in some_quotes(dice, 2) for row in rows]


def pieces(dice: random.Random, moments: list[list[str]], overlap: int) -> list[list[str]]:
    """Parts that follow on one another and share at least `overlap`, with all rows in some, in any order."""
    cuts: list[list[str]] = []
    end = overlap
    while end < len(moments):
        start = dice.randint(max(0, end - 5), end - overlap)
        end = dice.randint(max(start, end) + 1, len(moments))
        cuts.append([row for rows in moments[start:end] for row in rows])
    cuts[0] = [row for rows in moments[:overlap] for row in rows if row not in cuts[0]] + cuts[0]
    cuts += [cuts[0]] * dice.randint(0, 2)
    dice.shuffle(cuts)
    return cuts


KINDS = [
    (CANDLE_HEADER, some_candles, "candles1m_SOL_", 0),
    (QUOTE_HEADER, some_quotes, "q", 0),
    (QUOTE_HEADER, some_quotes_cut_within_moments, "q", 1),
]
KIND_NAMES = ["candles", "quotes", "quotes cut within moments"]
Some = Callable[[random.Random], list[list[str]]]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(("header", "some", "name", "overlap"), KINDS, ids=KIND_NAMES)
def test_a_recording_cut_into_parts_that_overlap_is_played_as_the_whole(
    tmp_path: Path, header: str, some: Some, name: str, overlap: int, seed: int
) -> None:
    dice = random.Random(seed)
    moments = some(dice)
    rows = [row for rows in moments for row in rows]
    whole = write(tmp_path, f"{name}_whole.csv", header, *rows)
    parts = [write(tmp_path, f"{name}_{n}.csv", header, *part) for n, part in enumerate(pieces(dice, moments, overlap))]
    assert played(*parts) == played(whole), f"seed {seed}"
    assert sum(repeated(*parts).values()) == sum(len(part.read_text().splitlines()) - 1 for part in parts) - len(rows)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(("header", "some", "name", "overlap"), KINDS[:2], ids=KIND_NAMES[:2])
def test_a_part_that_says_something_else_of_any_time_of_the_whole_is_refused_with_both_names(
    tmp_path: Path, header: str, some: Some, name: str, overlap: int, seed: int
) -> None:
    dice = random.Random(seed)
    moments = some(dice)
    rows = [row for rows in moments for row in rows]
    whole = write(tmp_path, f"{name}_whole.csv", header, *rows)
    start = dice.randrange(len(moments))
    part = [row for rows in moments[start : start + dice.randint(1, 10)] for row in rows]
    changed = dice.randrange(len(part))
    fields = part[changed].split(",")
    higher = 2 if header == CANDLE_HEADER else 3  # the candle's high, the quote's ask
    fields[higher] = str(int(fields[higher]) + 100)
    part[changed] = ",".join(fields)
    other = write(tmp_path, f"{name}_other.csv", header, *part)
    said = refused(whole, other)
    assert str(whole) in said, f"seed {seed}"
    assert str(other) in said, f"seed {seed}"


@pytest.mark.parametrize("seed", range(10))
def test_the_recorded_quotes_cut_into_parts_are_played_as_the_whole(tmp_path: Path, seed: int) -> None:
    whole = recorded("quotes_BTC_binance-usdm_2024-08-08.csv.gz")
    header, *rows = gzip.decompress(whole.read_bytes()).decode().splitlines()
    dice = random.Random(seed)
    cuts = pieces(dice, [[row] for row in rows[:300]], overlap=1)
    parts = [write(tmp_path, f"{n}.csv", header, *part) for n, part in enumerate(cuts)]
    assert played(*parts) == played(whole)[:300], f"seed {seed}"


# --- bounds -------------------------------------------------------------------------------------------------------


def test_a_clock_that_stands_still_is_refused_before_its_rows_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(union, "MOST_AT_ONCE", 10)
    path = quotes(tmp_path, "q.csv", *["5,SOL_USDC,1,2"] * 10)
    assert len(played(path)) == 10
    path = quotes(tmp_path, "q.csv", *["5,SOL_USDC,1,2"] * 11)
    with pytest.raises(ReplayError, match=r"q\.csv, line 12: more than 10 rows are of 2024-08-05T00:00:00.000005Z"):
        played(path)


@pytest.mark.slow
def test_few_ticks_wait_for_their_time_however_long_the_files_are(tmp_path: Path) -> None:
    rows = [f"{minute * 60},1,1,1,1,1" for minute in range(1_440)]
    files = [candles(tmp_path, f"candles1m_{asset}_x.csv", *rows) for asset in ("SOL", "ETH", "BTC")]
    ticks = Union([*files, *files], INSTRUMENTS).ticks()
    tracemalloc.start()
    try:
        for _ in range(1_000):
            next(ticks)
        early, _ = tracemalloc.get_traced_memory()
        assert sum(1 for _ in ticks) == 1_440 * 4 * 3 - 1_000
        late, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert late - early < 20_000
    assert peak < 1_000_000
