"""Answers for runtime/meters.py."""

import asyncio
import time

import pytest

from exness.runtime.meters import LATENCIES_S, Histogram, LoopWatch
from tests.support.waiting import until


def test_a_figure_counts_at_the_first_bound_that_holds_it() -> None:
    spread = Histogram((1, 2, 5))
    for figure in (0.5, 1, 1.5, 5, 6):
        spread.note(figure)
    assert (spread.counts, spread.count, spread.total) == ([2, 1, 1, 1], 5, 14.0)


def test_the_bounds_of_latencies_rise() -> None:
    assert list(LATENCIES_S) == sorted(set(LATENCIES_S))


async def test_the_watch_sees_that_the_loop_was_held() -> None:
    watch = LoopWatch(every_s=0.001)
    watching = asyncio.create_task(watch.run())
    await until(lambda: watch.lags.count > 0)
    watch.take_longest()
    time.sleep(0.05)  # noqa: ASYNC251 - holding the loop is what is tested
    seen = watch.lags.count
    await until(lambda: watch.lags.count > seen)
    assert watch.take_longest() > 0.04
    assert watch.take_longest() < 0.04, "the longest since it was last asked"
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
