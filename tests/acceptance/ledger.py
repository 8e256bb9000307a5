"""What a client was told, and whether the exchange still knows it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.reckoning import books_balance, micro, read_tables, usdc, whole_history
from tests.support.process import Answer, Server

INITIAL_BALANCE = 5_000_000_000
"""Micro-USDC, the default."""

CREATED_FIELDS = ("orderId", "asset", "type", "margin", "leverage", "entryPrice", "liquidationPrice", "createdAt")


@dataclass
class Ledger:
    """One account's acknowledged creates and closes, by order id, and how many requests got no answer."""

    email: str
    token: str
    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed: dict[str, dict[str, Any]] = field(default_factory=dict)
    unanswered: int = 0
    """Requests that may or may not have been done."""

    _maybe_closed: set[str] = field(default_factory=set)

    def note(self, answer: Answer) -> None:
        """Keep what a 200 said."""
        assert answer.status == 200, answer.body
        book = self.closed if "closePrice" in answer.body else self.created
        assert answer.body["orderId"] not in book, "one order acknowledged twice"
        book[answer.body["orderId"]] = answer.body

    def note_unanswered_close(self, order: str) -> None:
        self.unanswered += 1
        self._maybe_closed.add(order)

    def note_close(self, order: str, answer: Answer) -> None:
        """Keep what a close said. One that got no answer before may have been done: then this is how it ended."""
        was_open_question = order in self._maybe_closed
        if was_open_question:
            self._maybe_closed.remove(order)
            self.unanswered -= 1
        if was_open_question and answer.status == 409:
            assert answer.body["code"] == "trade_already_closed"
            self.closed[order] = answer.body["details"]
            return
        self.note(answer)

    async def assert_kept(self, server: Server) -> None:
        """Everything acknowledged is there, as it was said; what else is there was asked for and never answered; and
        the balance is what follows from the rows, to the unit."""
        rows = {row["orderId"]: row for row in await whole_history(server, self.token)}
        for order, told in self.created.items():
            row = rows[order]
            assert {key: row[key] for key in CREATED_FIELDS} == {key: told[key] for key in CREATED_FIELDS}
            assert row.get("clientOrderId") == told.get("clientOrderId")
        for order, told in self.closed.items():
            row = rows[order]
            assert row["status"] == "closed"
            keys = ("closePrice", "pnl", "closedAt", "liquidated")
            assert {key: row[key] for key in keys} == {key: told[key] for key in keys}
        ended = {order for order, row in rows.items() if row["status"] == "closed"}
        unacknowledged = (len(rows) - len(self.created)) + (len(ended) - len(self.closed))
        assert 0 <= unacknowledged <= self.unanswered
        await self._assert_balance(server, rows)

    async def _assert_balance(self, server: Server, rows: dict[str, dict[str, Any]]) -> None:
        still_open = {order: row for order, row in rows.items() if row["status"] == "open"}
        locked = sum(micro(row["margin"]) for row in still_open.values())
        free = INITIAL_BALANCE - locked + sum(micro(row["pnl"]) for row in rows.values() if row["pnl"] is not None)
        account = (await server.get("/account", self.token)).body
        assert (account["balance"], account["lockedMargin"]) == (usdc(free), usdc(locked))
        assert account["openTrades"] == len(still_open)
        assert (await server.get("/balance", self.token)).body["USDC"] == {"balance": free, "decimals": 6}
        listed = (await server.get("/trade/open", self.token)).body["data"]
        assert {row["orderId"] for row in listed} == set(still_open)
        for row in listed:
            assert {key: row[key] for key in CREATED_FIELDS} == {
                key: still_open[row["orderId"]][key] for key in CREATED_FIELDS
            }


def assert_tables_agree(server: Server) -> None:
    """The tables of a server that is down: the books balance, and no trade was opened or ended twice."""
    assert books_balance(server.data_dir)
    events = read_tables(
        server.data_dir,
        "SELECT kind = 'trade_opened', coalesce(payload ->> '$.trade.id', payload ->> 'trade_id') FROM journal "
        "WHERE kind IN ('trade_opened', 'trade_closed')",
    )
    repeated = [event for event, count in Counter(events).items() if count > 1]
    assert not repeated
