"""What a price or a time sets off, found at a cost that follows what is due, not what waits.

One index holds the things that wait for one direction: nearest price first, those of one price by their number. "Is
anything due?" is one comparison with the first entry.

The entries lie sorted in chunks of bounded length. A heap with lazy deletion is as fast, but has to be swept of dead
entries now and then, which would hold the loop for a long time when very many wait; here every call is short, always.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Direction = Literal[-1, 1]
FALLING: Direction = -1
"""A falling price sets it off: the highest is nearest."""
RISING: Direction = 1
"""A rising price, or time going on, sets it off: the lowest is nearest."""

_NUMBER_BITS = 52
"""Numbers are below 2**52: 16 x the seq of a record."""
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1
_CHUNK = 256
"""Chunks have at most twice as many entries. 128 to 512 are within a fifth of one another."""


class PriceIndex(Generic[T]):
    """Things by price (or time) and number. No two have both alike.

    An entry is one integer, `signed price << 52 | number`: integers compare faster and take less room than tuples. The
    thing of each lies at the same place of a second list.
    """

    __slots__ = ("_chunks", "_direction", "_lasts", "_size", "_things", "_unsorted")

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._chunks: list[list[int]] = []
        self._things: list[list[T]] = []
        self._lasts: list[int] = []
        """The last entry of each chunk."""
        self._size = 0
        self._unsorted: list[tuple[int, T]] = []

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[tuple[int, int, T]]:
        """Price, number and thing, nearest first. O(n)."""
        for chunk, things in zip(self._chunks, self._things, strict=True):
            for entry, thing in zip(chunk, things, strict=True):
                yield self._direction * (entry >> _NUMBER_BITS), entry & _NUMBER_MASK, thing

    def add(self, price: int, number: int, thing: T) -> None:
        """List a thing. O(log n)."""
        entry = (self._direction * price) << _NUMBER_BITS | number
        lasts = self._lasts
        if not lasts:
            self._chunks.append([entry])
            self._things.append([thing])
            lasts.append(entry)
            self._size += 1
            return
        at = bisect_left(lasts, entry)
        if at == len(lasts):
            at -= 1
        chunk = self._chunks[at]
        place = bisect_left(chunk, entry)
        if place == len(chunk):
            lasts[at] = entry
        elif chunk[place] == entry:
            raise AssertionError(f"number {number} is listed at {price} already")
        chunk.insert(place, entry)
        self._things[at].insert(place, thing)
        self._size += 1
        if len(chunk) > 2 * _CHUNK:
            self._split(at)

    def remove(self, price: int, number: int) -> T:
        """Unlist the thing that was listed so, and give it back. O(log n)."""
        entry = (self._direction * price) << _NUMBER_BITS | number
        at = bisect_left(self._lasts, entry)
        chunk = self._chunks[at] if at < len(self._lasts) else []
        place = bisect_left(chunk, entry)
        if place == len(chunk) or chunk[place] != entry:
            raise AssertionError(f"number {number} is not listed at {price}")
        things = self._things[at]
        thing = things[place]
        del chunk[place], things[place]
        self._size -= 1
        if not chunk:
            del self._chunks[at], self._things[at], self._lasts[at]
        elif place == len(chunk):
            self._lasts[at] = chunk[-1]
        return thing

    def replace(self, price: int, number: int, thing: T) -> None:
        """Put another thing in the place of the one that was listed so. O(log n)."""
        at, place = self._find(price, number)
        self._things[at][place] = thing

    def add_unsorted(self, price: int, number: int, thing: T) -> None:
        """List a thing; the index must not be asked for any before `sort`. For very many at once, in recovery. O(1)."""
        self._unsorted.append(((self._direction * price) << _NUMBER_BITS | number, thing))

    def sort(self) -> None:
        """Put what `add_unsorted` listed, and nothing else, in its order. O(n log n)."""
        assert not self._size, "sort is for an index that was filled by add_unsorted alone"
        pairs, self._unsorted = sorted(self._unsorted, key=itemgetter(0)), []
        parts = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
        self._chunks = [[entry for entry, _ in part] for part in parts]
        self._things = [[thing for _, thing in part] for part in parts]
        self._lasts = [chunk[-1] for chunk in self._chunks]
        self._size = len(pairs)

    def first_due(self, price: int) -> T | None:
        """The thing that this price reaches first, or None. Changes nothing. O(1)."""
        if not self._size or self._chunks[0][0] >> _NUMBER_BITS > self._direction * price:
            return None
        return self._things[0][0]

    def first(self) -> tuple[int, int, T] | None:
        """Price, number and thing of the nearest. O(1)."""
        return self._at(0, 0) if self._size else None

    def first_from(self, price: int) -> tuple[int, int, T] | None:
        """The nearest at this price, or beyond it. O(log n)."""
        entry = (self._direction * price) << _NUMBER_BITS
        at = bisect_left(self._lasts, entry)
        return None if at == len(self._lasts) else self._at(at, bisect_left(self._chunks[at], entry))

    def last_up_to(self, price: int) -> tuple[int, int, T] | None:
        """The farthest that this price still reaches. O(log n)."""
        entry = (self._direction * price) << _NUMBER_BITS | _NUMBER_MASK
        at = bisect_right(self._lasts, entry)
        if at < len(self._lasts):
            place = bisect_right(self._chunks[at], entry)
            if place:
                return self._at(at, place - 1)
        return self._at(at - 1, -1) if at else None

    def _at(self, at: int, place: int) -> tuple[int, int, T]:
        entry = self._chunks[at][place]
        return self._direction * (entry >> _NUMBER_BITS), entry & _NUMBER_MASK, self._things[at][place]

    def _find(self, price: int, number: int) -> tuple[int, int]:
        entry = (self._direction * price) << _NUMBER_BITS | number
        at = bisect_left(self._lasts, entry)
        if at < len(self._lasts):
            chunk = self._chunks[at]
            place = bisect_left(chunk, entry)
            if chunk[place] == entry:
                return at, place
        raise AssertionError(f"number {number} is not listed at {price}")

    def _split(self, at: int) -> None:
        chunk, things = self._chunks[at], self._things[at]
        self._chunks[at : at + 1] = [chunk[:_CHUNK], chunk[_CHUNK:]]
        self._things[at : at + 1] = [things[:_CHUNK], things[_CHUNK:]]
        self._lasts[at : at + 1] = [chunk[_CHUNK - 1], chunk[-1]]
