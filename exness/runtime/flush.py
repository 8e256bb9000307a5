"""When the candles that have grown are written.

They ride on the commits of the journal, so that no commit is added while there are some. Never missing from a commit:
when it holds liquidations, so that each lies within a stored candle. And when ticks come again after a crash (a replay
on its own time), in every commit, since the replay goes on from the journal's last record.
"""

import asyncio
from collections.abc import Collection

from exness.core.events import Event, StartedAfresh, TradeLiquidated
from exness.runtime.candles import CandleBatch, CandleBook

FLUSH_S = 1.0
"""Without a commit, candles are written this often: what a live feed brought since is lost from them at a `kill -9`."""

RIDE_S = 0.25
"""Commits that follow each other faster do not all carry candles."""


class CandleFlush:
    """Hands the dirty candles of a book to the writer when they are due. Each batch must be written before the next."""

    def __init__(self, book: CandleBook, *, with_every_commit: bool = False) -> None:
        self._book = book
        self._with_every_commit = with_every_commit
        self._taken_s = -FLUSH_S

    @property
    def is_full(self) -> bool:
        return self._book.full

    def riding(self, kinds: Collection[type[Event]]) -> CandleBatch | None:
        """What goes into the transaction of events of these kinds. A reset among them forgets the candles as well."""
        if StartedAfresh in kinds:
            self._book.forget()
            return None
        if self._with_every_commit or self._age_s() >= RIDE_S or TradeLiquidated in kinds:
            return self.take()
        return None

    def overdue(self) -> CandleBatch | None:
        """What has waited long enough to be written without records."""
        return self.take() if self._book.full or self._age_s() >= FLUSH_S else None

    def take(self) -> CandleBatch | None:
        """All that is dirty."""
        self._taken_s = asyncio.get_running_loop().time()
        return self._book.take_dirty()

    def pause_s(self) -> float:
        """Until something may be overdue."""
        return max(0.0, FLUSH_S - self._age_s())

    def _age_s(self) -> float:
        return asyncio.get_running_loop().time() - self._taken_s
