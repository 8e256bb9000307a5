"""runtime/reads.py: a bound on reads that wait."""

import asyncio

import pytest

from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.reads import Reads
from tests.support.waiting import until


class Read:
    """One that answers when the test lets it, or fails."""

    def __init__(self, reads: Reads) -> None:
        self.reads = reads
        self.answering = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        with self.reads:
            await self.answering.wait()
            if self.failure is not None:
                raise self.failure
            return 7


async def test_a_read_beyond_the_bound_is_refused_at_once() -> None:
    reads = Reads(2)
    read = Read(reads)
    waiting = [asyncio.create_task(read()) for _ in range(2)]
    await until(lambda: reads.waiting == 2)
    with pytest.raises(NotTaken) as refusal:
        await read()
    assert refusal.value.why is Busy.OVERLOADED
    assert reads.waiting == 2
    read.answering.set()
    assert await asyncio.gather(*waiting) == [7, 7]
    assert reads.waiting == 0
    assert await read() == 7


async def test_a_read_that_fails_or_is_given_up_makes_room_again() -> None:
    reads = Reads(1)
    read = Read(reads)
    given_up = asyncio.create_task(read())
    await until(lambda: reads.waiting == 1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert reads.waiting == 0
    read.failure = RuntimeError("broken")
    read.answering.set()
    with pytest.raises(RuntimeError, match="broken"):
        await read()
    assert reads.waiting == 0
