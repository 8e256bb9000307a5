"""Waiting for what has no event to wait for. Tests wait for conditions, never for time to pass."""

import asyncio
import inspect
import time
from collections.abc import Callable

WAIT_S = 10.0
"""How long a condition may take, unless told otherwise, before the test fails."""


async def until(
    condition: Callable[[], object], what: object = "", *, within_s: float = WAIT_S, pause_s: float = 0.0005
) -> None:
    """Return as soon as the condition holds, a function or a coroutine function. With `pause_s=0` it is asked at every
    turn of the loop."""
    deadline = time.monotonic() + within_s
    while not await _holds(condition):
        assert time.monotonic() < deadline, f"waited {within_s} s in vain {what}"
        await asyncio.sleep(pause_s)


async def _holds(condition: Callable[[], object]) -> bool:
    held = condition()
    return bool(await held if inspect.isawaitable(held) else held)


def until_blocking(condition: Callable[[], object], *, within_s: float = WAIT_S, pause_s: float = 0.002) -> None:
    """The same where no loop runs."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        time.sleep(pause_s)
