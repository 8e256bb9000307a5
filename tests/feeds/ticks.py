"""All ticks at once, of a file and of a replay."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from exness.core.instruments import Asset
from exness.feeds.recording import RecordedTick, read_rows
from exness.feeds.replay import ReplayFeed
from exness.runtime.listings import Listing


def read_ticks(path: Path, instruments: Sequence[Listing]) -> Iterator[RecordedTick]:
    """The ticks of one file in its order. Raises ReplayError at the first line that is not sound."""
    for row in read_rows(path, instruments):
        yield from row.ticks


def all_ticks(feed: ReplayFeed) -> Iterator[tuple[int, Asset, int, int]]:
    """(microseconds since the epoch, asset, bid, ask) of every tick in order; bid and ask scaled."""
    for tick in feed._once():
        yield tick.time_us, tick.asset, tick.bid, tick.ask
