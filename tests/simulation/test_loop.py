"""loop.py: virtual time, a fixed order, and the end of the world between any two callbacks."""

import asyncio
import time

import pytest

from tests.simulation.loop import PowerCut, SimLoop, Stuck, run_alone


def test_an_hour_passes_at_once() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    assert 3600 <= run_alone(sleep()) < 3600.001
    assert time.monotonic() - started < 1


def test_first_come_first_served_and_timers_in_their_order() -> None:
    order: list[str] = []

    async def work(name: str, delay_s: float) -> None:
        order.append(f"{name} starts")
        await asyncio.sleep(delay_s)
        order.append(f"{name} ends")

    async def all_of_it() -> None:
        await asyncio.gather(work("a", 2.0), work("b", 1.0), work("c", 1.0))

    run_alone(all_of_it())
    assert order == ["a starts", "b starts", "c starts", "b ends", "c ends", "a ends"]


def test_a_busy_loop_does_not_stop_time() -> None:
    async def spin_until_timer() -> int:
        timer, turns = asyncio.ensure_future(asyncio.sleep(0.001)), 0
        while not timer.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert 100 < run_alone(spin_until_timer()) < 1000


@pytest.mark.parametrize("fuse", range(8))
def test_the_power_can_be_cut_before_any_callback(fuse: int) -> None:
    done: list[int] = []

    async def count() -> None:
        try:
            for number in range(100):
                done.append(number)
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(1)  # cleanup that waits is not waited for
            done.append(-1)

    loop = SimLoop()
    task = loop.spawn(count())
    loop.fuse = fuse
    with pytest.raises(PowerCut):
        loop.run_until(task.done, limit_s=10)
    loop.drop()
    assert done == list(range(fuse))


def test_what_never_comes_is_noticed() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run_alone(wait())
