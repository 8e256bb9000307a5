"""Work in threads that the end of the process does not wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_thread_of_its_own(function: Callable[[], T]) -> T:
    """What `function` returns or raises. When the caller is cancelled the thread is left to itself, so `function` only
    reads."""
    loop, result = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(value: T | None, error: Exception | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)

    def run() -> None:
        value: T | None = None
        failure: Exception | None = None
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            failure = error
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:  # the loop has ended meanwhile
            return

    Thread(target=run, name=function.__qualname__, daemon=True).start()
    returned: T = await result
    return returned


class Threads(ThreadPoolExecutor):
    """The loop's default executor (name look-ups, /metrics). The end of the loop does not wait for what hangs in it."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)
