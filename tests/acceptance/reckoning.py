"""What must have happened, worked out from API.md alone: exact fractions, every open trade looked at on every tick.

Nothing here comes from `exness`. Money is micro-USDC, prices are scaled by their asset's decimals.
"""

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.support.process import Server
from tests.support.recorded import DECIMALS, Tick, decimal_text

USDC = 6
PAGE = 500


def micro(text: str) -> int:
    """Decimal USDC as micro-USDC."""
    amount = Fraction(text) * 10**USDC
    assert amount.denominator == 1, text
    return int(amount)


def usdc(amount: int) -> str:
    return decimal_text(amount, USDC)


@dataclass
class Position:
    """A trade as it was asked for and when; `entry` and `end` are the reckoning's."""

    user: str
    asset: str
    side: str
    margin: int
    leverage: Fraction
    order: str = ""
    opened_seq: int = 0
    """Its place in the journal: of two trades with one liquidation price the older goes first."""
    entry: int = 0
    due: int = 0
    """The first price, going against the trade, at which its loss reaches its margin."""
    end: "End | None" = None

    @property
    def sign(self) -> int:
        return 1 if self.side == "long" else -1

    @property
    def notional(self) -> Fraction:
        return self.margin * self.leverage

    def loss(self, price: int) -> Fraction:
        """What it has lost at this price, exactly; negative when it has gained."""
        return -self.sign * self.notional * (price - self.entry) / self.entry

    def enter(self, price: int) -> None:
        """Set the entry, and `due` from it: checked against the definition of the loss, there and one step before."""
        self.entry = price
        bound = Fraction(price) - self.sign * Fraction(price) / self.leverage
        self.due = math.floor(bound) if self.side == "long" else math.ceil(bound)
        assert self.loss(self.due) >= self.margin > self.loss(self.due + self.sign)

    def is_due(self, mark: int) -> bool:
        return mark <= self.due if self.side == "long" else mark >= self.due


@dataclass(frozen=True)
class End:
    """How a trade ended. `tick` is the liquidating one, None for a close by its owner."""

    price: int
    pnl: int
    shortfall: int = 0
    tick: Tick | None = None


@dataclass
class Reckoning:
    """Replays the story: ticks, openings and closings in the order they happened."""

    initial_balance: int
    marks: dict[str, int] = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)
    liquidated: list[Position] = field(default_factory=list)
    """In the order in which it must have happened."""
    most_open: int = 0
    _open: dict[str, dict[str, Position]] = field(default_factory=lambda: {asset: {} for asset in DECIMALS})

    def tick(self, tick: Tick) -> None:
        """The nearest liquidation price first, then the older trade first."""
        mark = self.marks[tick.asset] = tick.mark
        market = self._open[tick.asset]
        due = [position for position in market.values() if position.is_due(mark)]
        for position in sorted(due, key=lambda each: (-each.sign * each.due, each.opened_seq)):
            loss = math.ceil(position.loss(mark))  # floor(pnl) is -ceil(loss)
            assert loss >= position.margin
            position.end = End(mark, -position.margin, loss - position.margin, tick)
            del market[position.order]
            self.liquidated.append(position)

    def open(self, position: Position) -> None:
        position.enter(self.marks[position.asset])
        self.positions.append(position)
        self._open[position.asset][position.order] = position
        self.most_open = max(self.most_open, sum(map(len, self._open.values())))

    def close(self, position: Position) -> None:
        """Close it unless a tick was faster."""
        if self._open[position.asset].pop(position.order, None) is not None:
            mark = self.marks[position.asset]
            position.end = End(mark, max(-position.margin, -math.ceil(position.loss(mark))))

    def free(self, user: str) -> int:
        """The user's balance."""
        locked = sum(each.margin for each in self.positions if each.user == user and each.end is None)
        won = sum(each.end.pnl for each in self.positions if each.user == user and each.end is not None)
        return self.initial_balance - locked + won

    def history_row(self, position: Position) -> dict[str, Any]:
        """The fields of /trade/history that do not depend on when the test ran."""
        decimals, end = DECIMALS[position.asset], position.end
        hundredths = position.leverage * 100
        return {
            "orderId": position.order,
            "asset": position.asset,
            "type": position.side,
            "margin": usdc(position.margin),
            "leverage": int(hundredths) // 100 if hundredths % 100 == 0 else float(position.leverage),
            "entryPrice": decimal_text(position.entry, decimals),
            "openPrice": decimal_text(position.entry, decimals),
            "liquidationPrice": decimal_text(position.due, decimals),
            "closePrice": None if end is None else decimal_text(end.price, decimals),
            "pnl": None if end is None else usdc(end.pnl),
            "status": "open" if end is None else "closed",
            "liquidated": end is not None and end.tick is not None,
            "shortfall": usdc(0 if end is None else end.shortfall),
        }


async def whole_history(server: Server, token: str) -> list[dict[str, Any]]:
    """Every row of /trade/history, page by page, oldest first."""
    rows: list[dict[str, Any]] = []
    while True:
        query = f"/trade/history?limit={PAGE}&offset={len(rows)}&sortOrder=asc"
        answer = await server.get(query, token)
        assert answer.status == 200, answer.body
        rows += answer.body["data"]
        page = answer.body["pagination"]
        assert page["limit"] == PAGE
        assert page["hasMore"] == (len(rows) < page["total"])
        if not page["hasMore"]:
            assert len(rows) == page["total"] == answer.body["analytics"]["totalTrades"]
            return rows


def read_tables(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of main.db, without writing to it. The server may have been killed: its log is read along."""
    connection = sqlite3.connect(f"{(data_dir / 'main.db').as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def books_balance(data_dir: Path) -> bool:
    """sum(free) + sum(locked) + house == sum(deposits), to the unit, and no trader below 0."""
    (sums,) = read_tables(
        data_dir,
        "SELECT sum(free) FILTER (WHERE account_id <> 'house'), sum(locked), sum(deposited), "
        "sum(free) FILTER (WHERE account_id = 'house'), min(free) FILTER (WHERE account_id <> 'house') FROM balances",
    )
    free, locked, deposited, house, least = sums
    ((margins,),) = read_tables(data_dir, "SELECT coalesce(sum(margin), 0) FROM trades WHERE status = 'open'")
    return bool(free + locked + house == deposited and locked == margins and least >= 0)


def assert_as_reckoned(reckoning: Reckoning, data_dir: Path) -> None:
    """The tables and the journal of a stopped server: each liquidation in trade, price, order and amounts, each
    balance, and the books."""
    expected = [
        (
            each.order,
            each.asset,
            each.side,
            each.margin,
            each.entry,
            each.due,
            each.end.tick.mark,
            each.end.tick.bid,
            each.end.tick.ask,
            -each.margin,
            each.end.shortfall,
        )
        for each in reckoning.liquidated
        if each.end is not None and each.end.tick is not None
    ]
    columns = "trade_id, asset, side, margin, entry_price, liquidation_price, mark, bid, ask, pnl, shortfall"
    assert_same(read_tables(data_dir, f"SELECT {columns} FROM liquidations ORDER BY seq"), expected)
    journal = read_tables(
        data_dir,
        "SELECT payload ->> 'order', payload ->> 'mark', payload ->> 'bid', payload ->> 'ask', "
        "payload ->> 'shortfall', at FROM journal WHERE kind = 'trade_liquidated' ORDER BY seq",
    )
    assert_same([row[:5] for row in journal], [(row[0], *row[6:9], row[10]) for row in expected])
    _assert_time_order(reckoning, [row[5] for row in journal])
    balances = read_tables(
        data_dir, "SELECT email, free, locked FROM balances JOIN users ON users.id = account_id WHERE email IS NOT NULL"
    )
    for user, free, locked in balances:
        margins = sum(each.margin for each in reckoning.positions if each.user == user and each.end is None)
        assert (user, free, locked) == (user, reckoning.free(user), margins)
    assert {user for user, *_ in balances} == {each.user for each in reckoning.positions}
    ((house,),) = read_tables(data_dir, "SELECT free FROM balances WHERE account_id = 'house'")
    assert house == -sum(each.end.pnl for each in reckoning.positions if each.end is not None)
    assert books_balance(data_dir)


def assert_same(got: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """Row by row, so that a failure names the first row that differs and not thousands."""
    for number, (one, other) in enumerate(zip(got, expected, strict=False)):
        assert one == other, f"row {number}"
    assert len(got) == len(expected)


def _assert_time_order(reckoning: Reckoning, times: list[int]) -> None:
    """What one tick liquidates has one time; a later tick has no earlier one."""
    assert times == sorted(times)
    time_of: dict[Tick, set[int]] = {}
    for position, at in zip(reckoning.liquidated, times, strict=True):
        assert position.end is not None
        assert position.end.tick is not None
        time_of.setdefault(position.end.tick, set()).add(at)
    assert all(len(times_of_tick) == 1 for times_of_tick in time_of.values())


def opened_seqs(data_dir: Path) -> dict[str, int]:
    """Where the journal has each trade's opening: the order among requests that were sent at once."""
    return dict(
        read_tables(data_dir, "SELECT payload ->> '$.trade.order', seq FROM journal WHERE kind = 'trade_opened'")
    )


async def assert_history_as_reckoned(server: Server, reckoning: Reckoning, tokens: dict[str, str]) -> None:
    """/trade/history, every row of every user, /balance/usd and /account."""
    for user, token in tokens.items():
        mine = {each.order: each for each in reckoning.positions if each.user == user}
        rows = await whole_history(server, token)
        assert [row["orderId"] for row in rows] == sorted(mine, key=lambda order: mine[order].opened_seq)
        for row in rows:
            expected = reckoning.history_row(mine[row["orderId"]])
            assert {key: row[key] for key in expected} == expected
            assert (row["closedAt"] is None) == (row["status"] == "open")
        balance = (await server.get("/balance/usd", token)).body
        assert (balance["balance"], balance["usd"]) == (reckoning.free(user), usdc(reckoning.free(user)))
        account = (await server.get("/account", token)).body
        still_open = [each for each in mine.values() if each.end is None]
        assert account["openTrades"] == len(still_open)
        assert account["lockedMargin"] == usdc(sum(each.margin for each in still_open))


def count_of(reckoning: Reckoning, ticks: Iterable[Tick]) -> str:
    """What a run was about, in a line."""
    closed = sum(each.end is not None and each.end.tick is None for each in reckoning.positions)
    shortfall = sum(each.end.shortfall for each in reckoning.liquidated if each.end is not None)
    return (
        f"{len(list(ticks))} ticks, {len(reckoning.positions)} trades, {reckoning.most_open} open at once, "
        f"{len(reckoning.liquidated)} liquidated (shortfall {usdc(shortfall)} USDC), {closed} closed"
    )
