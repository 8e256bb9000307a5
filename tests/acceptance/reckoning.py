"""What must have happened, as the reference model has it, and what the tables and the API show of it.

Money is micro-USDC, prices are scaled by their asset's decimals.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from exness.core.commands import CloseTrade, Command, OpenAccount, OpenTrade, PriceTick
from exness.core.events import Event, TradeClosed, TradeOpened
from exness.core.instruments import AccountId, Asset, Side, TradeId
from tests.reference.twin import Twin, liquidation_price
from tests.support.books import is_liquidation, make_rules
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

    def enter(self, price: int) -> None:
        self.entry = price
        self.due = liquidation_price(self.side, price, self.leverage)


@dataclass(frozen=True)
class End:
    """How a trade ended. `tick` is the liquidating one, None for a close by its owner."""

    price: int
    pnl: int
    shortfall: int = 0
    tick: Tick | None = None


class Reckoning:
    """Tells the story to the reference model: ticks, openings and closings in the order they happened."""

    def __init__(self, initial_balance: int) -> None:
        self.initial_balance = initial_balance
        self.twin = Twin(make_rules(), liquidations_per_step=1_000_000)
        self.positions: list[Position] = []
        self.liquidated: list[Position] = []
        """In the order in which it must have happened."""
        self.most_open = 0
        self._by_order: dict[str, Position] = {}

    def _told(self, command: Command) -> list[Event]:
        answer = self.twin.execute(command, at=0).answer
        assert isinstance(answer, list), answer
        return answer

    def tick(self, tick: Tick) -> None:
        for event in self._told(PriceTick(Asset(tick.asset), tick.bid, tick.ask, 1)):
            assert is_liquidation(event)
            position = self._by_order[event.trade_id]
            position.end = End(event.price, event.pnl, event.shortfall, tick)
            self.liquidated.append(position)

    def open(self, positions: list[Position]) -> None:
        """In the order in which the journal has them, which decides between two of one liquidation price."""
        for position in sorted(positions, key=lambda each: each.opened_seq):
            account = AccountId(position.user)
            if account not in self.twin.wallets:
                self._told(OpenAccount(account, position.user, self.initial_balance))
            order, asset, side = TradeId(position.order), Asset(position.asset), Side(position.side)
            leverage = int(position.leverage * 100)
            (event,) = self._told(OpenTrade(account, order, asset, side, position.margin, leverage))
            assert isinstance(event, TradeOpened)
            position.entry, position.due = event.trade.entry, event.trade.liquidation
            self.positions.append(position)
            self._by_order[position.order] = position
        self.most_open = max(self.most_open, len(self.twin.lots))

    def close(self, position: Position) -> None:
        """Close it unless a tick was faster."""
        if position.end is None:
            (event,) = self._told(CloseTrade(AccountId(position.user), TradeId(position.order)))
            assert isinstance(event, TradeClosed)
            position.end = End(event.price, event.pnl)

    def free(self, user: str) -> int:
        """The user's balance."""
        return int(self.twin.wallets[user].free * 10**USDC)

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
    """Rows of main.db and journal.db, without writing to them. The server may have been killed: their logs are read
    along."""
    connection = sqlite3.connect(f"{(data_dir / 'main.db').as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("ATTACH DATABASE ? AS truth", (f"{(data_dir / 'journal.db').as_uri()}?mode=ro",))
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def books_balance(data_dir: Path) -> bool:
    """sum(free) + sum(locked) + house == sum(deposits), to the unit, and no trader below 0. Tables that a kill has left
    behind balance too, also those that have no account yet."""
    (sums,) = read_tables(
        data_dir,
        "SELECT coalesce(sum(free) FILTER (WHERE account_id <> 'house'), 0), sum(locked), sum(deposited), "
        "sum(free) FILTER (WHERE account_id = 'house'), "
        "coalesce(min(free) FILTER (WHERE account_id <> 'house'), 0) FROM balances",
    )
    free, locked, deposited, house, least = sums
    ((margins,),) = read_tables(data_dir, "SELECT coalesce(sum(margin), 0) FROM trades WHERE close_reason IS NULL")
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
    of_trade = "asset, side, margin, entry_price, liquidation_price"
    of_end = "close_price, close_bid, close_ask, pnl, shortfall"
    query = f"SELECT id, {of_trade}, {of_end} FROM trades WHERE close_reason = 'liquidation' ORDER BY closed_seq"
    assert_same(read_tables(data_dir, query), expected)
    journal = read_tables(
        data_dir,
        "SELECT payload ->> 'trade_id', payload ->> 'price', payload ->> 'bid', payload ->> 'ask', "
        "coalesce(payload ->> 'shortfall', 0), at FROM journal WHERE payload ->> 'reason' = 'liquidation' ORDER BY seq",
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
    assert house == reckoning.twin.house * 10**USDC
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
    return dict(read_tables(data_dir, "SELECT payload ->> '$.trade.id', seq FROM journal WHERE kind = 'trade_opened'"))


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
