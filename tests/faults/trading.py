"""Traders at the real process who write down what they were answered, and what must hold after whatever befell it."""

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.process import Answer, DidNotStart, Server, finished
from tests.support.waiting import until

Body = dict[str, Any]

SNAPSHOTS_OFTEN = {"EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.05"}
SNAPSHOTS_NEVER = {"EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "3600"}
TRADERS = 6
WAIT_S = 60


class Books:
    """What one account was answered."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.created: list[Body] = []
        self.closed: list[Body] = []
        self.refused: list[Answer] = []

    @property
    def acknowledged(self) -> int:
        return len(self.created) + len(self.closed)

    async def create(self, server: Server, **changed: object) -> Answer:
        body = {"asset": "SOL", "type": "long", "margin": "1.25", "leverage": 2} | changed
        answer = await server.post("/trade/create", self.token, body)
        (self.created if answer.status == 200 else self.refused).append(
            answer.body if answer.status == 200 else answer  # type: ignore[arg-type]
        )
        return answer

    async def close(self, server: Server, order: str) -> Answer:
        answer = await server.post("/trade/close", self.token, {"orderId": order})
        if answer.status == 200:
            self.closed.append(answer.body)
        else:
            self.refused.append(answer)
        return answer

    async def trade_until_it_ends(self, server: Server) -> None:
        """Open and close until the process takes nothing more."""
        while True:
            try:
                created = await self.create(server)
                if created.status == 200 and len(self.created) % 2:
                    await self.close(server, created.body["orderId"])
            except aiohttp.ClientError:
                return
            if self.refused:
                return

    async def assert_kept(self, server: Server) -> None:
        """Everything acknowledged is there, once, as it was answered."""
        rows: list[Body] = []
        more = True
        while more:
            answer = await server.get(f"/trade/history?limit=500&sortOrder=asc&offset={len(rows)}", self.token)
            assert answer.status == 200, answer.body
            rows += answer.body["data"]
            more = answer.body["pagination"]["hasMore"]
        by_order = {row["orderId"]: row for row in rows}
        assert len(by_order) == len(rows), "a trade is there twice"
        for created in self.created:
            row = by_order[created["orderId"]]
            for key in ("asset", "type", "margin", "entryPrice", "liquidationPrice", "createdAt"):
                assert row[key] == created[key]
        for closed in self.closed:
            row = by_order[closed["orderId"]]
            assert (row["status"], row["pnl"], row["closedAt"]) == ("closed", closed["pnl"], closed["closedAt"])


async def signed_in(server: Server, name: str) -> Books:
    books = Books(await server.token(f"{name}@example.com"))
    assert (await server.get("/balance", books.token)).status == 200
    return books


async def some_trading(server: Server, books: Books, trades: int = 4) -> None:
    """Trades one after the other, every second one closed."""
    for number in range(trades):
        created = await books.create(server, clientOrderId=f"order-{number}")
        assert created.status == 200, created.body
        if number % 2:
            assert (await books.close(server, created.body["orderId"])).status == 200


async def acknowledged(books: list[Books], wanted: int) -> None:
    """Until so many answers were written down."""
    await until(lambda: sum(each.acknowledged for each in books) >= wanted, within_s=WAIT_S)


async def killed_after_trading(data_dir: Path, *, env: dict[str, str] | None = None) -> Books:
    """A data directory as `kill -9` leaves it, after some trading. Without `env` there is no snapshot in it."""
    async with Server(data_dir, env=env or SNAPSHOTS_NEVER) as server:
        books = await signed_in(server, "ann")
        await some_trading(server, books)
        server.kill()
        await server.wait()
    return books


async def verified(data_dir: Path) -> str:
    """verify must pass; the state it found."""
    done = await finished("verify", "--data-dir", str(data_dir), cwd=data_dir.parent)
    assert (done.code, done.errors) == (0, ""), done.errors
    (digest,) = re.findall(r"^  state +([0-9a-f]{64})$", done.output, re.MULTILINE)
    return str(digest)


def notes(server: Server) -> list[str]:
    """What the banner says was not as it should be."""
    return [line.removeprefix("  note ").strip() for line in server.output if line.startswith("  note ")]


async def refusal_to_start(data_dir: Path) -> str:
    """The one sentence that a start ends with; its exit code must be 1."""
    with pytest.raises(DidNotStart) as refusal:
        async with Server(data_dir):
            pass
    assert (refusal.value.code, refusal.value.output) == (1, "")
    (sentence,) = refusal.value.errors.splitlines()
    return sentence
