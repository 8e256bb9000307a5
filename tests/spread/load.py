"""Users who trade on several servers at once, ask again until they are answered, and listen meanwhile: and what must be
so afterwards, whatever was killed.

An order has a client order id, so whoever was not answered asks again, on whichever server there is. Then each order
that was acknowledged is there once, as it was said, and no other one is. Each listener has every event of its account
once and in order, over all its reconnects.
"""

import asyncio
import random
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec

from exness.client import AsyncClient
from exness.client.errors import CannotResume, ExnessError
from tests.acceptance.reckoning import whole_history
from tests.spread.deployment import Deployment
from tests.support.process import Answer, Server
from tests.support.waiting import until

AGAIN_S = 0.02
QUIET_S = 0.2


class User(msgspec.Struct):
    """`opened` are the answers to creates by client order id, `closed` those to closes by order id."""

    email: str
    token: str
    opened: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    closed: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    events: list[tuple[int, str, str]] = msgspec.field(default_factory=list)
    """seq, type and order id of everything told on `trades`."""
    position: int | None = None
    """Where its listener goes on."""
    asked_again: int = 0
    reconnects: int = 0
    longest_s: float = 0.0
    """The longest that one request took until its answer."""


class Load:
    """`servers` are the names of those that may be asked."""

    def __init__(self, deployment: Deployment, servers: tuple[str, ...], users: int, seed: int) -> None:
        self._deployment = deployment
        self._servers = servers
        self._count = users
        self._random = random.Random(seed)
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.users: list[User] = []

    async def __aenter__(self) -> "Load":
        first = self._deployment[self._servers[0]]
        for number in range(self._count):
            email = f"user{number}@example.com"
            self.users.append(User(email, await first.token(email)))
        for user in self.users:  # accounts are made before anything is killed, so that a listener has one
            assert (await self._insist(user, "GET", "/balance")).status == 200
        listening = [asyncio.create_task(self._listen(user)) for user in self.users]
        await until(lambda: all(user.position is not None for user in self.users))  # before the first trade
        self._tasks = [asyncio.create_task(self._trade(user)) for user in self.users for _ in range(2)]
        self._tasks += listening
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def acknowledged(self) -> int:
        return sum(len(user.opened) + len(user.closed) for user in self.users)

    async def more(self, answers: int) -> None:
        """Return once so many more requests were acknowledged."""
        wanted = self.acknowledged + answers
        await until(lambda: self.acknowledged >= wanted or self._ended(), within_s=60, pause_s=0.005)
        self._raise()

    async def settle(self) -> None:
        """Begin nothing more; return once all that was begun is answered and told."""
        self._stopping = True
        traders = self._tasks[: 2 * len(self.users)]
        async with asyncio.timeout(60):
            await asyncio.gather(*traders)
        with suppress(AssertionError):
            await until(self._all_told, within_s=30, pause_s=QUIET_S)
        assert self._all_told(), [self._untold(user) for user in self.users]
        self._raise()

    def _ended(self) -> bool:
        return any(task.done() for task in self._tasks)

    def _raise(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise AssertionError("a user has failed") from task.exception()

    def _all_told(self) -> bool:
        return all(len(user.events) >= len(user.opened) + len(user.closed) for user in self.users)

    def _untold(self, user: User) -> str:
        told = {(kind == "opened", order) for _, kind, order in user.events}
        made = {(True, answer["orderId"]) for answer in user.opened.values()} | {
            (False, order) for order in user.closed
        }
        return f"{user.email}: {len(told)} of {len(made)} told, at {user.position}, missing {sorted(made - told)[:5]}"

    # --- trading ------------------------------------------------------------------------------------------------------

    async def _trade(self, user: User) -> None:
        number = 0
        name = f"{id(asyncio.current_task()):x}"
        while not self._stopping:
            number += 1
            asset, side = self._random.choice(("SOL", "ETH", "BTC")), self._random.choice(("long", "short"))
            body = {"asset": asset, "type": side, "margin": "1", "leverage": self._random.choice((1, 5, 20))}
            made = await self._insist(user, "POST", "/trade/create", body | {"clientOrderId": f"{name}-{number}"})
            if made.status != 200 and made.body["code"] == "price_unavailable":
                await asyncio.sleep(AGAIN_S)
                continue
            assert made.status == 200, made.body
            user.opened[made.body["clientOrderId"]] = made.body
            order = made.body["orderId"]
            ended = await self._insist(user, "POST", "/trade/close", {"orderId": order})
            if ended.status == 409:
                assert ended.body["code"] == "trade_already_closed", ended.body
            else:
                assert ended.status == 200, ended.body
            user.closed[order] = ended.body if ended.status == 200 else ended.body["details"]

    async def _insist(self, user: User, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Ask until there is an answer that says what became of it."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            server = self._some_server()
            with suppress(aiohttp.ClientError, TimeoutError):
                answer = await server.request(method, path, user.token, body, timeout=aiohttp.ClientTimeout(total=20))
                code = answer.body.get("code") if isinstance(answer.body, dict) else None
                if code == "price_unavailable" and path == "/trade/close":
                    await asyncio.sleep(AGAIN_S)
                elif code not in ("overloaded", "shutting_down", "outcome_unknown", "internal_error"):
                    user.longest_s = max(user.longest_s, loop.time() - began_s)
                    return answer
            user.asked_again += 1
            await asyncio.sleep(AGAIN_S)

    def _some_server(self) -> Server:
        return self._deployment[self._random.choice(self._servers)]

    # --- listening ----------------------------------------------------------------------------------------------------

    async def _listen(self, user: User) -> None:
        while True:
            client = AsyncClient(self._some_server().url, token=user.token, tries=1, check_version=False)
            try:
                await self._hear(user, client)
            except (ExnessError, OSError, TimeoutError) as error:
                if isinstance(error, CannotResume):
                    raise
                user.reconnects += 1
                await asyncio.sleep(AGAIN_S)
            finally:
                await client.close()

    async def _hear(self, user: User, client: AsyncClient) -> None:
        """Until the connection is lost, or now and then by itself; it goes on at another server. A first one begins
        before the account's first trade, so nothing is in its snapshot."""
        leave = asyncio.get_running_loop().time() + self._random.uniform(0.5, 3)
        async with client.stream("trades", resume=user.position) as stream:
            while asyncio.get_running_loop().time() < leave:
                with suppress(TimeoutError):
                    event = await stream.next(0.2)
                    if event.type in ("opened", "closed", "liquidated"):
                        user.events.append((event.seq, event.type, event.data.order_id))
                user.position = stream.position

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def check(self, server: Server) -> dict[str, int]:
        """What was acknowledged against what the tables hold and what was told. Returns counts."""
        counts = {"acknowledged": 0, "asked again": 0, "reconnects": 0, "events": 0}
        for user in self.users:
            rows = {row["orderId"]: row for row in await whole_history(server, user.token)}
            made = {told["orderId"]: told for told in user.opened.values()}
            assert len(made) == len(user.opened), "one trade acknowledged under two ids"
            assert rows.keys() == made.keys(), "lost, doubled or invented"
            for order, told in made.items():
                for key in ("asset", "type", "margin", "leverage", "entryPrice", "createdAt", "clientOrderId"):
                    assert rows[order][key] == told[key], (key, order)
            for order, told in user.closed.items():
                for key in ("closePrice", "pnl", "closedAt"):
                    assert rows[order][key] == told[key], (key, order)
            self._check_events(user, rows)
            counts["acknowledged"] += len(user.opened) + len(user.closed)
            counts["asked again"] += user.asked_again
            counts["reconnects"] += user.reconnects
            counts["events"] += len(user.events)
        return counts

    def _check_events(self, user: User, rows: dict[str, dict[str, Any]]) -> None:
        seqs = [seq for seq, _, _ in user.events]
        assert seqs == sorted(set(seqs)), "an event twice, or out of order"
        opened = [order for _, kind, order in user.events if kind == "opened"]
        ended = [order for _, kind, order in user.events if kind != "opened"]
        assert sorted(opened) == sorted(rows), "an opening that was not told, or told twice"
        assert sorted(ended) == sorted(order for order, row in rows.items() if row["status"] == "closed")
