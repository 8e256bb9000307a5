"""Who has gained most, under names that tell nobody's. Off unless it is configured."""

import asyncio
import time
from collections.abc import Sequence

from aiohttp import web

from exness.access.pseudonyms import Pseudonyms
from exness.core.instruments import AccountId
from exness.core.money import format_scaled, format_usdc
from exness.runtime.exchange import Exchange
from exness.runtime.leaderboard import Leaderboard
from exness.runtime.ranking import Period, Standing
from exness.web.http.errors import ApiError
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import iso
from exness.web.v1.models import LeaderboardAnswer, LeaderboardRow
from exness.web.v1.parse import leaderboard_query
from exness.web.v1.requests import signed_in

KEPT_S = 2.0
"""For so long the rows of a period are told again as they were."""
_ROI_DECIMALS = 6


class ShownLeaderboard:
    """The rows that everybody sees, worked out at most once in KEPT_S for each period, and everyone's own."""

    def __init__(self, exchange: Exchange, board: Leaderboard, names: Pseudonyms) -> None:
        self.board = board
        self._exchange = exchange
        self._names = names
        self._kept: dict[Period, tuple[float, list[LeaderboardRow], int, int | None]] = {}
        self._making = asyncio.Lock()

    async def answer(self, period: Period, limit: int, account: AccountId) -> LeaderboardAnswer:
        """Raises NotTaken while it is made, or when too many reads wait."""
        rows, accounts, since = await self._rows(period)
        standing = self.board.find(period, account)
        own = None if standing is None else (await self._shown([standing]))[0]
        began = None if since is None else iso(since)
        return LeaderboardAnswer(True, period.value, began, accounts, rows[:limit], own)

    async def _rows(self, period: Period) -> tuple[list[LeaderboardRow], int, int | None]:
        """And how many accounts have a rank, and since when it counts."""
        async with self._making:  # who comes meanwhile takes what is made
            kept = self._kept.get(period)
            if kept is None or time.monotonic() >= kept[0]:
                standings, accounts = self.board.top(period, self.board.size), self.board.accounts(period)
                since, rows = self.board.since(period), await self._shown(standings)
                kept = self._kept[period] = time.monotonic() + KEPT_S, rows, accounts, since
        return kept[1:]

    async def _shown(self, standings: Sequence[Standing]) -> list[LeaderboardRow]:
        deposited = await self._exchange.deposited([each.account for each in standings])
        return [
            LeaderboardRow(
                each.rank,
                self._names.of(each.account),
                format_usdc(each.profit),
                _roi(each.profit, deposited.get(each.account, 0)),
                each.trades,
            )
            for each in standings
        ]


async def leaderboard(request: web.Request) -> web.StreamResponse:
    """GET /leaderboard."""
    account = await signed_in(request)
    period, limit = leaderboard_query(request.query)
    shown = services_of(request).leaderboard
    if shown is None:
        raise ApiError("leaderboard_off")
    return answer(await shown.answer(period, limit, account))


def _roi(profit: int, deposited: int) -> str | None:
    """What a profit is of the deposits, as a decimal fraction, rounded towards less."""
    if deposited <= 0:
        return None
    return format_scaled(profit * 10**_ROI_DECIMALS // deposited, _ROI_DECIMALS)
