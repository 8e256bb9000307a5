"""process/stopping.py: a signal wakes the loop, whichever loop it is."""

import asyncio
import os
import selectors
import signal
from collections.abc import Callable, Iterator

import pytest
import uvloop

from exness.process.signals import NUMBERS, Interrupted, Stop
from exness.process.stopping import stop_event


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    stop = Stop()
    stop.take()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda each: each.name)
def test_a_signal_sets_the_event_and_the_loop_is_left_as_it_was(loop: str, number: signal.Signals, stop: Stop) -> None:
    async def waits() -> None:
        with stop_event(stop) as event:
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                await event.wait()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        before = signal.set_wakeup_fd(-1)
        runner.run(waits())
    assert (stop.number, before) == (number, -1)
    assert signal.set_wakeup_fd(-1) == -1
    assert signal.getsignal(number) == stop._on_signal, "the end of the loop gives no signal back to its default"


class Watched(selectors.DefaultSelector):
    """Notes whether each wait of the loop ended by something that came."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[bool] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(timeout)
        self.woken.append(bool(events))
        return events


def test_asyncios_loop_is_woken_by_a_signal_that_comes_just_before_it_waits(stop: Stop) -> None:
    """The handler's turn is then only after the wait. It has a byte to read, which ends that at once."""
    selector = Watched()

    async def waits() -> None:
        with stop_event(stop):
            fd = signal.set_wakeup_fd(-1)
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
            selector.woken.clear()
            os.write(fd, b"x")  # what the system's handler does
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(waits())
        assert any(selector.woken)
        assert fd_is_free()


def fd_is_free() -> bool:
    return signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("loop", LOOPS)
def test_a_signal_that_came_before_is_heard(loop: str, stop: Stop) -> None:
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)

    async def looks() -> bool:
        with stop_event(stop) as event:
            return event.is_set()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(looks())


def test_what_is_done_is_not_interrupted_any_more(stop: Stop) -> None:
    stop.no_longer()
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.number == signal.SIGTERM
