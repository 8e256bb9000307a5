"""Every storage keeps candles, and answers for any window of them."""

import pytest
from msgspec.structs import replace

from exness.core.ceilings import MOST_PRICE, STORED
from exness.core.commands import PriceTick
from exness.runtime.candles import Candle, CandleBatch, CandleBook, CandleQuery, Counted, Interval
from tests.contracts.backends import Stored
from tests.support.books import ETH, PRICE_LIFE, SOL, START

M1, H1 = Interval.M1, Interval.H1


def candle(start: int, close: int = 5, **changed: object) -> Candle:
    return replace(Candle(SOL, M1, start, 4, 9, 1, close, volume=12, trades=3), **changed)


def batch(*candles: Candle, at: int = 1, marks: int = 1) -> CandleBatch:
    return CandleBatch(list(candles), [Counted(asset, at, marks) for asset in {each.asset for each in candles}])


async def all_of(stored: Stored) -> list[Candle]:
    return await stored.candles.candles(CandleQuery(SOL, M1))


async def test_candles_come_back_as_they_were_written_by_asset_and_interval(stored: Stored) -> None:
    written = [candle(60), candle(0), candle(0, interval=H1), candle(0, asset=ETH), candle(120, backfilled=True)]
    await stored.candles.write(batch(*written), 0)
    assert await all_of(stored) == [candle(0), candle(60), candle(120, backfilled=True)]
    assert await stored.candles.candles(CandleQuery(SOL, H1)) == [candle(0, interval=H1)]
    assert await stored.candles.candles(CandleQuery(ETH, M1)) == [candle(0, asset=ETH)]
    assert await stored.candles.candles(CandleQuery(ETH, H1)) == []


async def test_writing_a_candle_again_changes_nothing_and_a_later_state_replaces_it(stored: Stored) -> None:
    for _ in range(2):
        await stored.candles.write(batch(candle(0)), 0)
        assert await all_of(stored) == [candle(0)]
    grown = Candle(SOL, M1, 0, 4, 10, 0, 8, volume=20, trades=6)
    await stored.candles.write(batch(grown), 0)
    assert await all_of(stored) == [grown]


async def test_a_reset_forgets_all_that_was_there_and_keeps_what_comes_with_it(stored: Stored) -> None:
    await stored.candles.write(batch(candle(0), candle(0, asset=ETH)), 3)
    await stored.candles.write(batch(candle(60)), 5, forget=True)
    assert await all_of(stored) == [candle(60)]
    assert await stored.candles.newest_candles() == batch(candle(60))
    assert await stored.candles.candles(CandleQuery(ETH, M1)) == []
    assert await stored.candles.heard() == 5


@pytest.mark.parametrize(
    ("first", "end", "limit", "starts"),
    [
        (None, None, 500, [0, 60, 120, 180]),
        (None, None, 2, [120, 180]),
        (None, 180, 2, [60, 120]),
        (60, None, 2, [60, 120]),
        (1, 120, 500, [60]),
        (120, 120, 500, []),
        (181, None, 500, []),
    ],
)
async def test_a_window_includes_its_beginning_and_not_its_end(
    stored: Stored, first: int | None, end: int | None, limit: int, starts: list[int]
) -> None:
    await stored.candles.write(batch(*(candle(start) for start in (0, 60, 120, 180)), candle(60, interval=H1)), 0)
    found = await stored.candles.candles(CandleQuery(SOL, M1, first, end, limit))
    assert [each.start for each in found] == starts


async def test_a_backfilled_candle_never_replaces_our_own_and_ours_replaces_it(stored: Stored) -> None:
    theirs, ours = candle(0, close=7, backfilled=True), candle(0)
    await stored.candles.write(CandleBatch([theirs], []), 0)
    assert await all_of(stored) == [theirs]
    newer = candle(0, close=8, backfilled=True)
    await stored.candles.write(CandleBatch([newer], []), 0)
    assert await all_of(stored) == [newer]
    await stored.candles.write(batch(ours), 0)
    await stored.candles.write(CandleBatch([theirs], []), 0)
    assert await all_of(stored) == [ours]


async def test_the_newest_of_our_own_are_found_with_how_far_they_are_counted(stored: Stored) -> None:
    assert await stored.candles.newest_candles() == CandleBatch([], [])
    await stored.candles.write(batch(candle(0), candle(60), candle(0, interval=H1), at=61, marks=1), 0)
    await stored.candles.write(batch(candle(60, close=9), candle(0, asset=ETH), at=62, marks=2), 0)
    await stored.candles.write(CandleBatch([candle(180, backfilled=True)], []), 0)
    newest = await stored.candles.newest_candles()
    assert newest.counted == [Counted(ETH, 62, 2), Counted(SOL, 62, 2)]
    assert newest.candles == [candle(0, asset=ETH), candle(60, close=9), candle(0, interval=H1)]
    assert newest.at == 62


async def test_a_volume_without_measure_stays_at_what_64_bits_hold_and_stops_no_journal(stored: Stored) -> None:
    """A coin far below a cent of which 1e13 are traded a day, and one of which nobody can say how many."""
    a_day = 10**13 * 10**8
    for volume in (a_day // 4, 10**40):
        book = CandleBook(await stored.candles.newest_candles())
        for number in range(1440):
            at = START + number * 60_000_000
            book.watch(PriceTick(SOL, MOST_PRICE, MOST_PRICE, PRICE_LIFE, volume=volume), at)
            if number % 300 == 0:
                batch = book.take_dirty()
                assert batch is not None
                await stored.candles.write(batch, 0)
        batch = book.take_dirty()
        assert batch is not None
        await stored.candles.write(batch, 0)
        for interval in Interval:
            kept = await stored.candles.candles(CandleQuery(SOL, interval, limit=5))
            assert kept
            assert {candle.volume for candle in kept} == {STORED}, interval
            shown = book.current(SOL, interval)
            assert shown == kept[-1], "memory shows what the table holds"
    restarted = CandleBook(await stored.candles.newest_candles())
    restarted.watch(PriceTick(SOL, 1, 1, PRICE_LIFE, volume=1), START + 1440 * 60_000_000)
    batch = restarted.take_dirty()
    assert batch is not None
    await stored.candles.write(batch, 0)
    assert (await stored.candles.candles(CandleQuery(SOL, Interval.D1)))[-1].volume in (1, STORED)
