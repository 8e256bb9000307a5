"""Answers for runtime/candles.py: against a second computation from the ticks, which shares no code with it."""

from collections.abc import Iterable, Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.runtime.candles import MOST_UNWRITTEN, Candle, CandleBatch, CandleBook, CandleQuery, Counted, Interval
from tests.support.books import BTC, ETH, SECOND, SOL, START, tick
from tests.support.candles import LENGTHS, Written, straight

Moment = tuple[PriceTick, int]


def test_a_minute_holds_its_first_highest_lowest_and_last_mark() -> None:
    book = CandleBook()
    for second, price in enumerate(("200", "203", "198", "201")):
        book.watch(tick(SOL, price), START + second * SECOND)
    assert book.current(SOL, Interval.M1) == Candle(
        SOL, Interval.M1, 1_769_850_900, 200_000_000, 203_000_000, 198_000_000, 201_000_000, 0, 4
    )


def test_the_next_minute_begins_a_new_one_while_longer_ones_go_on() -> None:
    book = CandleBook()
    book.watch(tick(SOL, "200"), START)
    book.watch(tick(SOL, "300"), START + 60 * SECOND)
    minute, hour = book.current(SOL, Interval.M1), book.current(SOL, Interval.H1)
    assert minute is not None
    assert hour is not None
    assert (minute.open, minute.low, minute.trades) == (300_000_000, 300_000_000, 1)
    assert (hour.open, hour.high, hour.trades) == (200_000_000, 300_000_000, 2)


def test_a_suspect_tick_is_no_mark() -> None:
    book = CandleBook()
    book.watch(msgspec.structs.replace(tick(SOL, "200"), suspect=True), START)
    assert book.current(SOL, Interval.M1) is None
    assert book.take_dirty() is None


def test_each_interval_knows_its_seconds() -> None:
    assert {interval.value: interval.seconds for interval in Interval} == LENGTHS


# --- against a straight computation -------------------------------------------------------------------------------

MARKS = st.integers(1, 5)
DAY = 86_400 * SECOND
STEPS_US = st.sampled_from(
    [-90 * SECOND, -1, 0, 0, 1, SECOND, 29 * SECOND, 60 * SECOND - 1, 60 * SECOND, 300 * SECOND, DAY - 1, DAY]
)
TICKS = st.lists(
    st.tuples(st.sampled_from([SOL, ETH]), MARKS, st.integers(0, 2), st.booleans() | st.just(False), STEPS_US),
    max_size=40,
)


def moments(drawn: Iterable[tuple[Asset, int, int, bool, int]], start_us: int) -> list[Moment]:
    at, made = start_us, []
    for asset, bid, volume, suspect, step in drawn:
        at = max(0, at + step)
        made.append((PriceTick(asset, bid, bid + 1, 1, suspect, volume), at))
    return made


@given(TICKS, st.sampled_from([0, START, 1_769_817_600 * SECOND, 1_769_817_600 * SECOND - 1]), st.data())
def test_what_is_written_is_what_the_ticks_say_however_often_it_is_taken(
    drawn: list[tuple[Asset, int, int, bool, int]], start_us: int, data: st.DataObject
) -> None:
    """Also with times on the very border, late ones, suspect ticks, and when it is written after any of them."""
    book, written, ticks = CandleBook(), Written(), moments(drawn, start_us)
    takes = data.draw(st.sets(st.integers(0, len(ticks))))
    for number, (each, at) in enumerate(ticks):
        book.watch(each, at)
        if number in takes:
            written.write(book.take_dirty())
        assert_shown(book, written, ticks[: number + 1])
    written.write(book.take_dirty())
    assert written.candles == straight(ticks)
    assert book.take_dirty() is None


def assert_shown(book: CandleBook, written: Written, ticks: Sequence[Moment]) -> None:
    """What is on disk and what the book has beside it are all candles, as they are now; the newest is `current`."""
    expected = straight(ticks)
    for asset in (SOL, ETH):
        for interval in Interval:
            query = CandleQuery(asset, interval)
            stored = [candle for key, candle in sorted(written.candles.items()) if key[:2] == (asset, interval)]
            shown = query.choose(stored, book.unwritten(asset, interval))
            assert shown == [candle for key, candle in sorted(expected.items()) if key[:2] == (asset, interval)]
            assert book.current(asset, interval) == (shown[-1] if shown else None)


@given(TICKS, st.data())
def test_a_replay_that_is_cut_anywhere_and_played_again_counts_every_tick_once(
    drawn: list[tuple[Asset, int, int, bool, int]], data: st.DataObject
) -> None:
    """The next run begins anew at any moment that what is on disk reaches at least."""
    ticks = sorted(moments(drawn, START), key=lambda moment: moment[1])
    written, begin = Written(), 0
    for _ in range(3):
        book = CandleBook(written.left(), is_replayed=True)
        end = data.draw(st.integers(begin, len(ticks)))
        flushed = data.draw(st.integers(begin, end))
        for each, at in ticks[begin:end]:
            book.watch(each, at)
            if flushed == 0:
                break
            flushed -= 1
        written.write(book.take_dirty())
        begin = data.draw(st.sampled_from(beginnings(ticks, written)))
    book = CandleBook(written.left(), is_replayed=True)
    for each, at in ticks[begin:]:
        book.watch(each, at)
    written.write(book.take_dirty())
    assert written.candles == straight(ticks)


def beginnings(ticks: Sequence[Moment], written: Written) -> list[int]:
    """The ticks that may be the first to come again: each is the first of its moment, and all before it are counted."""
    found, last = [0], -1
    for number, (each, at) in enumerate(ticks):
        if at != last:
            found.append(number)
        counted, last = written.counted.get(each.asset), at
        if not each.suspect and (counted is None or at >= counted.at):
            return found
    return [*found, len(ticks)]


# --- what an earlier run left -------------------------------------------------------------------------------------


def left_after(*prices: str, at: int = START) -> CandleBatch:
    book, written = CandleBook(), Written()
    for price in prices:
        book.watch(tick(SOL, price), at)
    written.write(book.take_dirty())
    return written.left()


def test_a_running_minute_goes_on_after_a_restart() -> None:
    book = CandleBook(left_after("200", "210"))
    book.watch(tick(SOL, "190"), START + SECOND)
    minute = book.current(SOL, Interval.M1)
    assert minute is not None
    assert (minute.open, minute.high, minute.low, minute.close, minute.trades) == (
        200_000_000,
        210_000_000,
        190_000_000,
        190_000_000,
        3,
    )


def test_a_live_feed_is_never_taken_for_one_that_comes_again() -> None:
    """Also when two ticks have the time of the last one, or the clock stands before it: those count at the last."""
    book = CandleBook(left_after("200"))
    book.watch(tick(SOL, "201"), START)
    book.watch(tick(SOL, "202"), START - 3600 * SECOND)
    minute, batch = book.current(SOL, Interval.M1), book.take_dirty()
    assert minute is not None
    assert batch is not None
    assert (minute.trades, minute.close) == (3, 202_000_000)
    assert batch.counted == [Counted(SOL, START, 3)]


def test_of_several_marks_at_one_moment_only_those_not_counted_yet_are_counted_again() -> None:
    book = CandleBook(left_after("200", "201"), is_replayed=True)
    for price in ("200", "201", "202"):
        book.watch(tick(SOL, price), START)
    minute = book.current(SOL, Interval.M1)
    assert minute is not None
    assert (minute.trades, minute.close) == (3, 202_000_000)


def test_each_asset_goes_on_where_it_was() -> None:
    book = CandleBook(left_after("200"), is_replayed=True)
    book.watch(tick(BTC, "100000"), START - SECOND)
    assert book.current(BTC, Interval.M1) is not None


def test_nothing_is_written_that_did_not_grow() -> None:
    book = CandleBook(left_after("200"))
    assert book.take_dirty() is None
    book.watch(tick(ETH, "3000"), START)
    batch = book.take_dirty()
    assert batch is not None
    assert {candle.asset for candle in batch.candles} == {ETH}


def test_what_was_taken_does_not_grow_on_with_the_book() -> None:
    book = CandleBook()
    book.watch(tick(SOL, "200"), START)
    batch = book.take_dirty()
    book.watch(tick(SOL, "300"), START)
    assert batch is not None
    assert {candle.high for candle in batch.candles} == {200_000_000}


def test_a_book_says_when_too_much_waits_for_the_disk_and_is_relieved() -> None:
    book = CandleBook()
    minutes = 0
    while not book.full:
        minutes += 1
        book.watch(tick(SOL, "200"), START + minutes * 60 * SECOND)
        assert minutes <= MOST_UNWRITTEN
    assert book.take_dirty() is not None
    assert not book.full


# --- which candles are asked for ----------------------------------------------------------------------------------


def minutes(*starts: int) -> list[Candle]:
    return [Candle(SOL, Interval.M1, start, 1, 1, 1, 1) for start in starts]


@pytest.mark.parametrize(
    ("first", "end", "limit", "expected"),
    [
        (None, None, 500, [0, 60, 120, 180]),
        (None, None, 2, [120, 180]),
        (60, None, 2, [60, 120]),
        (None, 180, 2, [60, 120]),
        (1, 120, 500, [60]),
        (120, 120, 500, []),
        (180, None, 1, [180]),
        (181, None, 1, []),
    ],
)
def test_a_window_includes_its_beginning_and_not_its_end(
    first: int | None, end: int | None, limit: int, expected: list[int]
) -> None:
    """However many of them are in memory only."""
    every = minutes(0, 60, 120, 180)
    query = CandleQuery(SOL, Interval.M1, first, end, limit)
    for split in range(len(every) + 1):
        stored = query.choose([], every[:split])
        assert [each.start for each in query.choose(stored, every[split:])] == expected


def test_what_is_in_memory_replaces_what_is_stored() -> None:
    stored, (growing,) = minutes(0, 60), minutes(60)
    growing.close = 7
    assert [each.close for each in CandleQuery(SOL, Interval.M1).choose(stored, [growing])] == [1, 7]


def test_random_walks_with_many_takes_are_written_as_they_are() -> None:
    """Longer than hypothesis draws: a day of one tick every ten seconds or so."""
    for seed in range(3):
        chance, book, written, ticks, at = Random(seed), CandleBook(), Written(), list[Moment](), START
        for _ in range(5_000):
            at += chance.choice((0, 1, 10 * SECOND, 25 * SECOND))
            ticks.append((PriceTick(SOL, chance.randint(1, 99), 100, 1, chance.random() < 0.1, 3), at))
            book.watch(*ticks[-1])
            if chance.random() < 0.05:
                written.write(book.take_dirty())
        written.write(book.take_dirty())
        assert written.candles == straight(ticks), f"seed {seed}"
