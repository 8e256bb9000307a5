"""Accounts ranked by what their closed trades have realized, within the last hours or ever. Nothing here waits for
anything but its turn of the loop."""

import asyncio
from bisect import bisect_left, insort
from enum import StrEnum
from typing import NamedTuple

from exness.core.instruments import AccountId

MOST_RANKED = 100
"""Accounts that are shown of a period."""
PER_TURN = 100
"""Accounts that leave a window before the loop gets a turn."""


class Period(StrEnum):
    DAY = "24h"
    WEEK = "7d"
    ALL = "all"


HOURS = {Period.DAY: 24, Period.WEEK: 168}


class Standing(NamedTuple):
    """`profit` is what an account's closed trades have realized, in micro-USDC. Equal profits share a rank."""

    rank: int
    account: AccountId
    profit: int
    trades: int


class Ranking:
    """Accounts by their profit, the highest first. 2 us a change, of 100,000 accounts 20. Before it is `arranged` it
    only adds up, in a fraction of that, and nothing may be asked of it."""

    def __init__(self, *, is_arranged: bool = True) -> None:
        self._of: dict[AccountId, tuple[int, int]] = {}
        self._order: list[tuple[int, AccountId]] = []
        self._is_arranged = is_arranged

    def __len__(self) -> int:
        return len(self._of)

    def add(self, account: AccountId, profit: int, trades: int) -> None:
        """Who has no trade in it any more is not in it."""
        before = self._of.pop(account, None)
        if before is not None:
            profit, trades = profit + before[0], trades + before[1]
            if self._is_arranged:
                del self._order[bisect_left(self._order, (-before[0], account))]
        if trades:
            self._of[account] = profit, trades
            if self._is_arranged:
                insort(self._order, (-profit, account))

    async def arrange(self) -> None:
        """Put all in order, some at a time. Nobody may add to it meanwhile."""
        for number, (account, (profit, _)) in enumerate(self._of.items(), 1):
            insort(self._order, (-profit, account))
            if number % PER_TURN == 0:
                await asyncio.sleep(0)
        self._is_arranged = True

    def top(self, most: int) -> list[Standing]:
        return [self._standing(account) for _, account in self._order[:most]]

    def find(self, account: AccountId) -> Standing | None:
        return self._standing(account) if account in self._of else None

    def _standing(self, account: AccountId) -> Standing:
        profit, trades = self._of[account]
        return Standing(bisect_left(self._order, (-profit, AccountId(""))) + 1, account, profit, trades)


class Window:
    """The last `hours` whole hours and the running one; without a number, all there ever were."""

    def __init__(self, hours: int | None = None) -> None:
        self._hours = hours
        self.ranking = Ranking()
        self.since = 0
        """The first hour that is in it, counted from 1970."""
        self._buckets: dict[int, dict[AccountId, tuple[int, int]]] = {}

    def add(self, account: AccountId, profit: int, hour: int) -> None:
        if hour < self.since:
            return
        self.ranking.add(account, profit, 1)
        if self._hours is not None:
            bucket = self._buckets.setdefault(hour, {})
            before = bucket.get(account, (0, 0))
            bucket[account] = before[0] + profit, before[1] + 1

    async def advance(self, hour: int) -> None:
        """What lies too far back is taken out, some accounts at a time."""
        if self._hours is None or hour - self._hours <= self.since:
            return
        self.since, ranking = hour - self._hours, self.ranking  # a reset meanwhile begins another ranking
        for passed in sorted(each for each in self._buckets if each < self.since):
            bucket = self._buckets.pop(passed, {})
            for number, (account, (profit, trades)) in enumerate(bucket.items(), 1):
                ranking.add(account, -profit, -trades)
                if number % PER_TURN == 0:
                    await asyncio.sleep(0)

    def clear(self, *, is_arranged: bool = True) -> None:
        """Begin anew, perhaps with a ranking that is to be arranged once much has been added."""
        self.ranking, self._buckets = Ranking(is_arranged=is_arranged), {}
