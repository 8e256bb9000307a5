"""How far something has come, and who waits for it to come further."""

import asyncio
import heapq
from collections.abc import Callable


class Watermark:
    """A `seq` that only rises. Whoever waits for one is woken in the step that reaches it."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = 0
        self._ended: Callable[[], Exception] | None = None

    @property
    def waiting(self) -> int:
        """Who waits, those who have gone meanwhile included."""
        return len(self._waiters)

    def when(self, seq: int) -> asyncio.Future[None] | None:
        """A future for the moment `seq` is reached; None when it is. It raises what `end` was given."""
        if seq <= self.seq:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._ended is not None:
            future.set_exception(self._ended())
            return future
        self._number += 1
        heapq.heappush(self._waiters, (seq, self._number, future))
        return future

    def move(self, seq: int) -> None:
        self.seq = seq
        waiters = self._waiters
        while waiters and waiters[0][0] <= seq:
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)

    def end(self, error: Callable[[], Exception]) -> None:
        """It rises no more: whoever waits, now or later, hears such an error."""
        self._ended = error
        for _, _, future in self._waiters:
            if not future.done():
                future.set_exception(error())
                future.exception()  # whoever asked may have gone; that is no error of its own
        self._waiters.clear()
