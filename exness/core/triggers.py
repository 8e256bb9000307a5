"""Finds what a price sets off, at a cost that follows what is due, not what is open.

One index holds one side of one asset, nearest price first, trades of one price in the order they were opened.
"Is anything due?" is one comparison with the first entry.

The entries lie sorted in chunks of bounded length. A heap with lazy deletion is as fast, but has to be swept
of dead entries now and then, which would hold the loop for a long time when very many trades are open;
here every call is short, always.

Liquidation is the only trigger today; stops and limits will be further indexes of this kind.
"""

from bisect import bisect_left, insort

from exness.core.events import Trade
from exness.core.instruments import Side

_SEQ_BITS = 48
_SEQ_MASK = (1 << _SEQ_BITS) - 1
_CHUNK = 512


class TriggerIndex:
    """Open trades of one side by liquidation price.

    An entry is one integer, `key << 48 | seq`: integers compare faster and take less room than tuples. The key is
    the price for shorts (a rising mark reaches the lowest first), the negated price for longs.
    """

    __slots__ = ("_chunks", "_lasts", "_sign", "_trades", "_unsorted")

    def __init__(self, side: Side) -> None:
        self._sign = -1 if side is Side.LONG else 1
        self._chunks: list[list[int]] = []
        self._lasts: list[int] = []
        """The last entry of each chunk."""
        self._trades: dict[int, Trade] = {}
        self._unsorted: list[int] = []

    def __len__(self) -> int:
        return len(self._trades)

    def add(self, trade: Trade) -> None:
        """List a trade. O(log n)."""
        self._trades[trade.seq] = trade
        entry = self._entry(trade)
        if not self._chunks:
            self._chunks.append([entry])
            self._lasts.append(entry)
            return
        at = min(bisect_left(self._lasts, entry), len(self._lasts) - 1)
        chunk = self._chunks[at]
        insort(chunk, entry)
        self._lasts[at] = chunk[-1]
        if len(chunk) > 2 * _CHUNK:
            self._split(at)

    def add_unsorted(self, trade: Trade) -> None:
        """List a trade; the index must not be asked for any before `sort`. For very many at once, in recovery. O(1)."""
        seq = trade.seq
        self._trades[seq] = trade
        self._unsorted.append((self._sign * trade.liquidation) << _SEQ_BITS | seq)

    def sort(self) -> None:
        """Put what `add_unsorted` listed, and nothing else, in its order. O(n log n)."""
        entries, self._unsorted = sorted(self._unsorted), []
        assert len(entries) == len(self._trades), "sort is for an index that was filled by add_unsorted alone"
        self._chunks = [entries[start : start + _CHUNK] for start in range(0, len(entries), _CHUNK)]
        self._lasts = [chunk[-1] for chunk in self._chunks]

    def remove(self, trade: Trade) -> None:
        """Unlist a trade, which must be as it was listed. O(log n)."""
        entry = self._entry(trade)
        at = bisect_left(self._lasts, entry)
        chunk = self._chunks[at] if at < len(self._chunks) else []
        place = bisect_left(chunk, entry)
        if place == len(chunk) or chunk[place] != entry:
            raise AssertionError(f"trade {trade.id} is not listed at {trade.liquidation}")
        del self._trades[trade.seq]
        del chunk[place]
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._lasts[at]

    def first_due(self, mark: int) -> Trade | None:
        """The trade that this mark reaches first, or None. Changes nothing. O(1)."""
        if not self._chunks:
            return None
        first = self._chunks[0][0]
        if first >> _SEQ_BITS > self._sign * mark:
            return None
        return self._trades[first & _SEQ_MASK]

    def _entry(self, trade: Trade) -> int:
        return (self._sign * trade.liquidation) << _SEQ_BITS | trade.seq

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        self._chunks[at : at + 1] = [chunk[:_CHUNK], chunk[_CHUNK:]]
        self._lasts[at : at + 1] = [chunk[_CHUNK - 1], chunk[-1]]
