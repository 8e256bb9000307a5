"""Trailing stops of one asset and side, at a cost of O(1) a tick beside what the tick sets off.

A trailing stop's level follows its watermark, the best price since it was set or activated. Stops that were set one
after the other share a watermark once a price has bettered both of theirs. So they lie in a stack of groups: each has
one watermark, those set earlier a better one. A better price moves the newest group alone; when it comes to the
watermark of the group below, the two are one from then on, and the smaller is merged into the larger. The groups below
the newest stand still and are indexed by their nearest level.

Nothing here is rounded but the level of a percent: the first whole price for which the exact rule holds.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from exness.core.instruments import Side
from exness.core.line import PERCENT_UNIT
from exness.core.price_index import FALLING, RISING, PriceIndex

T = TypeVar("T")

_NO_PRICE = 2**64
"""Beyond every level."""

_WIDTH_BITS = 60
"""Distances are prices, below 2**60."""


class Trail(msgspec.Struct, frozen=True, gc=False):
    """How one stop trails. `width` is a distance in units of the price, or hundredths of a percent of the watermark."""

    width: int
    is_percent: bool
    number: int
    """Its own. Of levels that are alike the least number comes first."""
    since: int
    """The number of what set or activated it. It never falls from one stop to the next that is added."""


def level_at(side: Side, watermark: int, width: int, *, is_percent: bool) -> int:
    """The first whole price that sets the stop off. Of a long it can lie at 0 and below: no price reaches it then."""
    if side is Side.LONG:
        return watermark * (PERCENT_UNIT - width) // PERCENT_UNIT if is_percent else watermark - width
    return -(-watermark * (PERCENT_UNIT + width) // PERCENT_UNIT) if is_percent else watermark + width


class _Group:
    """Stops with one watermark: all that were added from `start` on, up to the start of the next group."""

    __slots__ = ("id", "size", "start", "watermark")

    def __init__(self, start: int, watermark: int) -> None:
        self.id = self.start = start
        """`id` says where the members lie, and stays with them."""
        self.watermark = watermark
        self.size = 0


class _Stack(Generic[T]):
    """The groups of one kind of width. What it is asked for goes on only once what is left of a merge is done."""

    def __init__(self, side: Side, *, is_percent: bool) -> None:
        self._side = side
        self._sign = 1 if side is Side.LONG else -1
        """Times a price: a better one is larger."""
        self._is_percent = is_percent
        self._groups: PriceIndex[_Group] = PriceIndex(RISING)
        """By start."""
        self._members: PriceIndex[T] = PriceIndex(RISING)
        """By group and width, then number: nearest first."""
        self._buried: PriceIndex[_Group] = PriceIndex(FALLING if side is Side.LONG else RISING)
        """All but the newest, by the level and number of their nearest."""
        self._newest: _Group | None = None
        self._below: _Group | None = None
        """The group below the newest."""
        self._level: int | None = None
        """The newest group's nearest level, while it is known."""
        self._is_whole = True
        """No merge is left to do."""
        self._merging: tuple[_Group, _Group] | None = None
        """What is merged right now: from, into."""

    def __len__(self) -> int:
        return len(self._members)

    def betters(self, price: int) -> bool:
        """True when `move` to this price would move a watermark. O(1)."""
        newest = self._newest
        return newest is not None and self._sign * price > self._sign * newest.watermark

    def move(self, price: int) -> None:
        """A better price: every watermark that it betters becomes it. O(1), and `merge` is left to do."""
        assert self._newest is not None
        self._newest.watermark = price
        self._level = None
        self._is_whole = self._below is None or self._sign * self._below.watermark > self._sign * price

    def merge(self, budget: int) -> int:
        """Go on with what `move` left, by about so many members and groups: what is left of the budget, 0 if there is
        more to do. Whoever asks before it is whole waits for it."""
        while budget > 0 and not self._is_whole:
            if self._merging is None:
                self._merging = self._next_merge()
            else:
                budget = self._go_on(*self._merging, budget)
        return budget

    def add(self, trail: Trail, price: int, thing: T) -> None:
        """A stop that is set or activated at this price, which is no better than the last one moved to. O(log n)."""
        self._finish()
        newest = self._newest
        if newest is None or newest.watermark != price:
            assert newest is None or (self._sign * price < self._sign * newest.watermark and trail.since > newest.start)
            if newest is not None:
                self._bury(newest)
            self._below = newest
            newest = self._newest = _Group(trail.since, price)
            self._groups.add(trail.since, 0, newest)
        self._list(newest, trail, thing)
        newest.size += 1
        self._level = None

    def remove(self, trail: Trail) -> T:
        """A stop that is no more. O(log n)."""
        group = self._group_of(trail)
        if group is not self._newest:
            self._unbury(group)
        thing = self._members.remove(group.id << _WIDTH_BITS | trail.width, trail.number)
        group.size -= 1
        if group is self._newest:
            self._level = None
        if group.size == 0:
            self._groups.remove(group.start, 0)
            if group is self._newest:
                self._uncover()
            elif group is self._below:
                self._below = self._group_below()
        elif group is not self._newest:
            self._bury(group)
        return thing

    def watermark_of(self, trail: Trail) -> int:
        return self._group_of(trail).watermark

    def first_due(self, price: int) -> tuple[int, int, T] | None:
        """Level, number and thing of the stop that this price reaches first. O(1) when there is none."""
        self._finish()
        newest = self._newest
        if newest is None:
            return None
        first = None
        group = self._buried.first_due(price)
        if group is not None:
            first = self._nearest(group)
        if self._level is None and newest.watermark != price:  # at its watermark none is due
            self._level = self._nearest(newest)[0]
        if self._level is not None and self._sign * price <= self._sign * self._level:
            own = self._nearest(newest)
            if first is None or (-self._sign * own[0], own[1]) < (-self._sign * first[0], first[1]):
                return own
        return first

    @property
    def newest_watermark(self) -> int | None:
        """The one that a better price moves."""
        return None if self._newest is None else self._newest.watermark

    @property
    def nearest_level(self) -> int:
        """The price that sets the first one off. There is one."""
        self._finish()
        assert self._newest is not None
        level = self._nearest(self._newest)[0]
        buried = self._buried.first()
        if buried is None:
            return level
        return max(level, buried[0]) if self._sign == 1 else min(level, buried[0])

    def watermarks(self) -> list[tuple[int, int]]:
        """Start and watermark of every group, earliest first, whether or not a merge is left to do. O(groups)."""
        if self._newest is None:
            return []
        newest, better, reached = self._newest.watermark, list[tuple[int, int]](), list[int]()
        for start, _, group in self._groups:
            if self._sign * group.watermark > self._sign * newest:
                better.append((start, group.watermark))
            else:
                reached.append(start)
        return [*better, (reached[0], newest)]

    def restore(self, watermarks: Iterable[tuple[int, int]], stops: Iterable[tuple[Trail, T]]) -> None:
        """Fill an empty stack with what it held. O(n log n)."""
        assert self._newest is None
        for start, watermark in watermarks:
            self._below, self._newest = self._newest, _Group(start, watermark)
            self._groups.add(start, 0, self._newest)
        for trail, thing in stops:
            group = self._group_of(trail)
            group.size += 1
            self._members.add_unsorted(group.id << _WIDTH_BITS | trail.width, trail.number, thing)
        self._members.sort()
        for _, _, group in self._groups:
            if group is not self._newest:
                self._bury(group)

    def _finish(self) -> None:
        while not self._is_whole:
            self.merge(1 << 30)

    def _list(self, group: _Group, trail: Trail, thing: T) -> None:
        self._members.add(group.id << _WIDTH_BITS | trail.width, trail.number, thing)

    def _group_of(self, trail: Trail) -> _Group:
        self._finish()
        found = self._groups.last_up_to(trail.since)
        assert found is not None, f"number {trail.number} does not trail"
        return found[2]

    def _bury(self, group: _Group) -> None:
        level, number, _ = self._nearest(group)
        self._buried.add(level, number, group)

    def _unbury(self, group: _Group) -> None:
        level, number, _ = self._nearest(group)
        self._buried.remove(level, number)

    def _uncover(self) -> None:
        """The newest group is gone: the one below it, which no price moved before, is the newest now."""
        self._newest = self._below
        self._below = self._group_below()
        if self._newest is not None:
            self._unbury(self._newest)

    def _group_below(self) -> _Group | None:
        """The group below the newest, looked for."""
        found = None if self._newest is None else self._groups.last_up_to(self._newest.start - 1)
        return None if found is None else found[2]

    def _nearest(self, group: _Group) -> tuple[int, int, T]:
        """Level, number and thing of the group's nearest stop."""
        key, number, thing = self._first_of(group, 0)
        level = self._level_of(group, key)
        if not self._is_percent or group.watermark >= PERCENT_UNIT:
            return level, number, thing
        # So small a price that several percents can come to one level: the least number of them is first.
        last = group.id << _WIDTH_BITS | PERCENT_UNIT
        while (found := self._members.first_from(key + 1)) is not None and found[0] <= last:
            key = found[0]
            if self._level_of(group, key) != level:
                break
            if found[1] < number:
                number, thing = found[1:]
        return level, number, thing

    def _first_of(self, group: _Group, width: int) -> tuple[int, int, T]:
        found = self._members.first_from(group.id << _WIDTH_BITS | width)
        assert found is not None, "no group is empty"
        return found

    def _level_of(self, group: _Group, key: int) -> int:
        width = key - (group.id << _WIDTH_BITS)
        return level_at(self._side, group.watermark, width, is_percent=self._is_percent)

    def _next_merge(self) -> tuple[_Group, _Group] | None:
        """The smaller and the larger of the newest group and the one below it, if that one's watermark is no better."""
        newest, below = self._newest, self._below
        assert newest is not None
        self._is_whole = below is None or self._sign * below.watermark > self._sign * newest.watermark
        if self._is_whole or below is None:
            return None
        self._unbury(below)
        return (newest, below) if newest.size < below.size else (below, newest)

    def _go_on(self, smaller: _Group, larger: _Group, budget: int) -> int:
        while smaller.size and budget > 0:
            key, number, _ = self._first_of(smaller, 0)
            thing = self._members.remove(key, number)
            self._members.add(key + ((larger.id - smaller.id) << _WIDTH_BITS), number, thing)
            smaller.size -= 1
            larger.size += 1
            budget -= 1
        if smaller.size:
            return 0
        newest, below = self._newest, self._below
        assert newest is not None
        assert below is not None
        self._merging = None
        self._groups.remove(newest.start, 0)
        if below is smaller:
            larger.start = below.start
            self._groups.replace(larger.start, 0, larger)
        larger.watermark = newest.watermark
        self._newest = larger
        self._below = self._group_below()
        return budget - 1


class TrailingStops(Generic[T]):
    """The trailing stops of one asset and side, by distance and by percent, and those that wait to be activated.

    One tick: `move` if it `betters`, `first_activated` as long as there is one (each is added then), `merge` as often
    as there is more to do, `first_due` as long as there is one.
    """

    __slots__ = ("_by_distance", "_by_percent", "_side", "_waiting")

    def __init__(self, side: Side) -> None:
        self._side = side
        self._by_distance: _Stack[T] = _Stack(side, is_percent=False)
        self._by_percent: _Stack[T] = _Stack(side, is_percent=True)
        self._waiting: PriceIndex[T] = PriceIndex(RISING if side is Side.LONG else FALLING)

    def __len__(self) -> int:
        return len(self._by_distance) + len(self._by_percent) + len(self._waiting)

    def add(self, trail: Trail, price: int, thing: T) -> None:
        """A stop that trails from this price on, its first watermark. A better one than the last is moved to first."""
        self._stack(trail).add(trail, price, thing)

    def remove(self, trail: Trail) -> T:
        """A stop that is no more, as it was added."""
        return self._stack(trail).remove(trail)

    def level_of(self, trail: Trail) -> int:
        """The price that sets it off by now."""
        return level_at(self._side, self.watermark_of(trail), trail.width, is_percent=trail.is_percent)

    def watermark_of(self, trail: Trail) -> int:
        return self._stack(trail).watermark_of(trail)

    def betters(self, price: int) -> bool:
        """True when this price betters a watermark. O(1)."""
        return self._by_distance.betters(price) or self._by_percent.betters(price)

    def move(self, price: int) -> None:
        """Every watermark that this price betters becomes it. O(1), and `merge` is left to do."""
        for stack in (self._by_distance, self._by_percent):
            if stack.betters(price):
                stack.move(price)

    def merge(self, budget: int) -> bool:
        """True when nothing of a move is left to do. Else a part of about `budget` stops is done of it."""
        return self._by_percent.merge(self._by_distance.merge(budget)) > 0

    def first_due(self, price: int) -> T | None:
        """The stop that this price reaches first: of the nearest level the one of the least number. O(1)."""
        first = self.first(price)
        return None if first is None else first[2]

    def first(self, price: int) -> tuple[int, int, T] | None:
        """Its level, number and thing."""
        found = self._by_distance.first_due(price)
        other = self._by_percent.first_due(price)
        if found is None or other is None:
            return found or other
        sign = -1 if self._side is Side.LONG else 1
        return found if (sign * found[0], found[1]) < (sign * other[0], other[1]) else other

    def quiet(self) -> tuple[int, int]:
        """The nearest price below and the nearest above that set one off, move a watermark or activate a stop."""
        stacks = [stack for stack in (self._by_distance, self._by_percent) if stack.newest_watermark is not None]
        if not stacks and not self._waiting:
            return -1, _NO_PRICE
        down = self._side is Side.LONG
        levels = [stack.nearest_level for stack in stacks]
        moves = [mark for stack in stacks if (mark := stack.newest_watermark) is not None]
        waiting = self._waiting.first()
        activated = [] if waiting is None else [waiting[0]]
        if down:
            return max(levels, default=-1), min([mark + 1 for mark in moves] + activated, default=_NO_PRICE)
        return max([mark - 1 for mark in moves] + activated, default=-1), min(levels, default=_NO_PRICE)

    def wait(self, activation: int, number: int, thing: T) -> None:
        """A stop that does not trail before this price is reached. It is added then."""
        self._waiting.add(activation, number, thing)

    def stop_waiting(self, activation: int, number: int) -> T:
        return self._waiting.remove(activation, number)

    def first_activated(self, price: int) -> T | None:
        """The stop that this price activates first. O(1)."""
        return self._waiting.first_due(price)

    def watermarks(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """For the header of a picture: start and watermark of every group, by distance and by percent. O(groups)."""
        return self._by_distance.watermarks(), self._by_percent.watermarks()

    def restore(
        self, watermarks: tuple[list[tuple[int, int]], list[tuple[int, int]]], stops: Iterable[tuple[Trail, T]]
    ) -> None:
        """Fill it, while it is empty, with what trailed when the picture was taken."""
        stops = list(stops)
        by_distance, by_percent = watermarks
        self._by_distance.restore(by_distance, (each for each in stops if not each[0].is_percent))
        self._by_percent.restore(by_percent, (each for each in stops if each[0].is_percent))

    def _stack(self, trail: Trail) -> "_Stack[T]":
        return self._by_percent if trail.is_percent else self._by_distance
