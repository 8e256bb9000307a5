"""Where candles are kept."""

from typing import Protocol

from exness.runtime.candles import Candle, CandleBatch, CandleQuery


class CandleStore(Protocol):
    """Candles, which no journal holds."""

    async def write(self, batch: CandleBatch, seq: int, *, forget: bool = False) -> None:
        """Put candles in the place of their earlier states, in one transaction; with `forget` all that are there go
        first. `seq`: every record up to it has been heard. Raises StorageError."""
        ...

    async def candles(self, query: CandleQuery) -> list[Candle]:
        """See CandleQuery. An asset that is not known has none."""
        ...

    async def newest_candles(self) -> CandleBatch:
        """The newest candle of our own of each asset and interval, and how far each asset is counted."""
        ...

    async def heard(self) -> int:
        """The `seq` that was written last, 0 at first."""
        ...
