"""Records as they are told, for who only follows the journal."""

from collections.abc import Callable, Sequence

from exness.core.events import Record
from exness.spread.keys import Keys
from exness.spread.link import Link
from exness.spread.streams import START, Streams, Wire
from exness.spread.wire import garbled_is_passed_over, read_news, records_of

WAIT_S = 1.0
READ_AT_ONCE = 100


class RecordReader:
    """Hands records on, in order but for holes, which are to be read from the journal: `heard` is told how far that
    is."""

    def __init__(
        self, wire: Wire, keys: Keys, take: Callable[[Sequence[Record]], None], heard: Callable[[int], None]
    ) -> None:
        self._stream = keys.events
        self._take = take
        self._heard = heard
        self.link = Link(wire, "records")

    async def run(self) -> None:
        """Until cancelled. Raises WireRefused."""
        await self.link.run(self._read)

    async def _read(self, streams: Streams) -> None:
        newest = await streams.newest(self._stream, 1)
        after = newest[-1][0] if newest else START
        for _, payload in newest:
            self._hear(payload, with_records=False)
        while True:
            found = await streams.read({self._stream: after}, WAIT_S, READ_AT_ONCE)
            for entry, payload in found.get(self._stream, ()):
                after = entry
                self._hear(payload)

    def _hear(self, payload: bytes, *, with_records: bool = True) -> None:
        with garbled_is_passed_over("records"):
            news = read_news(payload)
            if with_records and news.records:
                self._take(records_of(news))
            self._heard(news.last)
