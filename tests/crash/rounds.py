"""kill -9, over and over, under load; and after each one, everything that was acknowledged is there, once.

A round: concurrent traders open and close trades at jumping prices, and write down every answer they get. The process
is killed at a random moment, with the tables as far behind the journal as they are. `verify` must pass on what it left.
At times the tables are lost then, or the directory becomes one of a version before journal.db, and what makes them anew
or takes it over is killed as well. A start must recover just that state; every acknowledged create and close must be
there, once, as it was answered; every balance must follow from the trades; a repeated request must get its first
answer; and a second start must change nothing.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from exness.storage.files import MAIN_DB
from tests.storage.damage import make_older
from tests.support.process import UNLIMITED, Answer, Server, finished, run_exness
from tests.support.venue import Venue
from tests.support.waiting import until

USERS = 4
TRADERS_PER_USER = 3
MICRO = 1_000_000
INITIAL = 5_000 * MICRO
SYMBOLS = {"SOL_USDC": 150, "ETH_USDC": 3_000, "BTC_USDC": 80_000}
PAGE = 500
MISHAPS = ("none", "none", "tables lost", "rebuild", "older directory")
"""What happens to a directory between a kill and the next start."""
REPEATED = 5
"""Requests of each user that are sent again after a restart."""

Body = dict[str, Any]


class Failed(AssertionError):
    """Something acknowledged is not as it was answered. `kind` is lost, duplicated, half-applied or another word."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class User:
    """A trader's own books: what was asked, and what was answered."""

    def __init__(self, email: str, token: str) -> None:
        self.email = email
        self.token = token
        self.asked: dict[str, Body] = {}
        self.created: dict[str, Body] = {}
        """Answers by client order id."""
        self.closed: dict[str, Body] = {}
        """Answers by order id."""
        self.open_orders: list[str] = []


class Rounds:
    """Rounds on one data directory. `counts` adds up over all of them."""

    env: ClassVar[Mapping[str, str]] = {}
    mishaps: tuple[str, ...] = MISHAPS
    longest_s = 0.5
    """Of a life under load."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.last_mishap = "none"
        self._data_dir = data_dir
        self._random = random.Random(seed)
        self._users: list[User] = []
        self._number = 0
        self._prices = {symbol: typical * MICRO for symbol, typical in SYMBOLS.items()}

    async def run(self, rounds: int) -> None:
        """Raises Failed at the first thing that is not as it should be."""
        async with Venue() as venue:
            flags = ("--feed", "backpack", "--feed-url", venue.url)
            # Many snapshots, taken and half taken.
            env = {**UNLIMITED, "EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.2", **self.env}
            async with Server(self._data_dir, *flags, env=env) as server:
                emails = [f"user{n}@example.com" for n in range(USERS)]
                self._users = [self._user(email, await server.token(email)) for email in emails]
                for user in self._users:  # an account is opened by its first request: not by one of a check
                    await server.get("/balance", user.token)
                for _ in range(rounds):
                    await self._load_and_kill(server, venue)
                    await self._check(server)
                    self.counts["rounds"] += 1

    def _user(self, email: str, token: str) -> User:
        return User(email, token)

    # --- load -----------------------------------------------------------------------------------------------------

    async def _load_and_kill(self, server: Server, venue: Venue) -> None:
        await venue.wait_for_subscription(*SYMBOLS)
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self._pump(venue))
            await _priced(server)
            traders = [
                tasks.create_task(self._trade(server, user)) for user in self._users for _ in range(TRADERS_PER_USER)
            ]
            await asyncio.sleep(self._seconds_to_live())  # the moment of death is what is being varied
            server.kill()
            await server.wait()
            await asyncio.gather(*traders)
            pump.cancel()

    def _seconds_to_live(self) -> float:
        return self._random.uniform(0.02, self.longest_s)

    async def _pump(self, venue: Venue) -> None:
        """Quotes that wander, with jumps that liquidate what is highly leveraged."""
        while True:
            for symbol, price in self._prices.items():
                basis_points = self._random.choice((0, 1, 2, 5, 150)) * self._random.choice((-1, 1))
                price += price * basis_points // 10_000
                low, high = SYMBOLS[symbol] * MICRO // 2, SYMBOLS[symbol] * MICRO * 2
                self._prices[symbol] = price = min(max(price, low), high)
                await venue.send_quote(symbol, bid=decimal(price - 100), ask=decimal(price + 100))
            await asyncio.sleep(0.002)

    async def _trade(self, server: Server, user: User) -> None:
        """Open and close until the process is gone."""
        with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            while True:
                await self._ask_something(server, user)

    async def _ask_something(self, server: Server, user: User) -> None:
        if user.open_orders and self._random.random() < 0.45:
            await self._close(server, user)
        else:
            await self._create(server, user)

    async def _create(self, server: Server, user: User) -> None:
        self._number += 1
        client_order = f"c{self._number}"
        body = {
            "asset": self._random.choice(("SOL", "ETH", "BTC")),
            "type": self._random.choice(("long", "short")),
            "margin": decimal(self._random.randint(1, 20 * MICRO)),
            "leverage": self._random.choice((1, 2, 10, 40.99, 100)),
            "clientOrderId": client_order,
        }
        user.asked[client_order] = body
        answer = await server.post("/trade/create", user.token, body)
        if answer.status == 200:
            user.created[client_order] = answer.body
            user.open_orders.append(answer.body["orderId"])
            self.counts["creates acknowledged"] += 1
        elif answer.body["code"] not in ("insufficient_margin", "position_limit"):
            raise Failed("unexpected", f"a create was answered {answer.status} {answer.body}")

    async def _close(self, server: Server, user: User) -> None:
        order = user.open_orders.pop(self._random.randrange(len(user.open_orders)))
        answer = await server.post("/trade/close", user.token, {"orderId": order})
        if answer.status == 200:
            user.closed[order] = answer.body
            self.counts["closes acknowledged"] += 1
        elif answer.body["code"] != "trade_already_closed":  # liquidated before
            raise Failed("unexpected", f"a close was answered {answer.status} {answer.body}")

    # --- checks ---------------------------------------------------------------------------------------------------

    async def _check(self, server: Server) -> None:
        """With no price coming in, nothing changes but by what is asked here."""
        digest = await self._verified()
        await self._mishap(server)
        await server.start()
        if server.banner("state") != digest:
            raise Failed("half-applied", "the recovered state is not the one that verify found on disk")
        for user in self._users:
            await self._check_user(server, user)
        server.kill()
        await server.wait()
        await server.start()
        if server.banner("state") != digest:
            raise Failed("changed", "a second start recovered another state")

    async def _mishap(self, server: Server) -> None:
        what = self.last_mishap = self._random.choice(self.mishaps)
        self.counts[what] += 1
        match what:
            case "tables lost":
                for file in self._data_dir.glob(f"{MAIN_DB}*"):
                    file.unlink()
            case "older directory":
                make_older(self._data_dir)
            case "rebuild":
                await self._killed(server, "rebuild")
                return
            case _:
                return
        await self._killed(server, "serve", "--port", "0", *server.flags)

    async def _killed(self, server: Server, *arguments: str) -> None:
        """Begin a command and kill it: most of the time is its start."""
        process = await run_exness(*arguments, "--data-dir", str(self._data_dir), env=server.env, cwd=server.cwd)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._random.uniform(0.2, 1.0)):
                await process.communicate()
        if process.returncode is None:
            process.kill()
            await process.communicate()
            self.counts["killed while it was repaired"] += 1

    async def _verified(self) -> str:
        done = await finished("verify", "--data-dir", str(self._data_dir), cwd=self._data_dir.parent)
        if done.code != 0:
            raise Failed("half-applied", done.errors)
        self.counts["tables behind"] += "records are still to follow" in done.output
        (digest,) = re.findall(r"^  state +([0-9a-f]{64})$", done.output, re.MULTILINE)
        return str(digest)

    async def _check_user(self, server: Server, user: User) -> None:
        rows = await history_of(server, user)
        by_order = {row["orderId"]: row for row in rows}
        by_client = Counter(row["clientOrderId"] for row in rows)
        for client_order, times in by_client.items():
            if times > 1:
                raise Failed("duplicated", f"{client_order} was opened {times} times")
            if client_order not in user.asked:
                raise Failed("unexpected", f"{client_order} was never asked for")
        for client_order, created in user.created.items():
            row = by_order.get(created["orderId"])
            if row is None:
                raise Failed("lost", f"create {client_order} was answered {created}")
            compare(row, created, "asset", "type", "margin", "leverage", "entryPrice", "liquidationPrice", "createdAt")
        for order, closed in user.closed.items():
            if by_order[order]["status"] != "closed" or by_order[order]["liquidated"]:
                raise Failed("lost", f"close of {order} was answered {closed}")
            compare(by_order[order], closed, "closePrice", "pnl", "closedAt")
        await self._check_money(server, user, rows)
        await self._check_repeats(server, user, by_client)
        unanswered = user.asked.keys() - user.created.keys()
        self.counts["not answered"] += len(unanswered)
        self.counts["not answered, yet there"] += len(unanswered & by_client.keys())
        user.open_orders = [row["orderId"] for row in rows if row["status"] == "open"]
        self._adopt(user, rows)

    def _adopt(self, user: User, rows: list[Body]) -> None:
        """What this round left open is settled now; later rounds ask about it like the rest."""
        known = {row["clientOrderId"] for row in rows}
        self.counts["liquidated"] = sum(row["liquidated"] for row in rows)
        user.asked = {client_order: body for client_order, body in user.asked.items() if client_order in known}

    async def _check_money(self, server: Server, user: User, rows: list[Body]) -> None:
        """The free balance and the open list follow from the trades, to the unit."""
        free = INITIAL
        for row in rows:
            free += micro(row["pnl"]) if row["status"] == "closed" else -micro(row["margin"])
        balance = (await server.get("/balance/usd", user.token)).body
        if balance["balance"] != free:
            raise Failed("half-applied", f"{user.email} has {balance['balance']}, the trades say {free}")
        listed = (await server.get("/trade/open", user.token)).body["data"]
        if {row["orderId"] for row in listed} != {row["orderId"] for row in rows if row["status"] == "open"}:
            raise Failed("half-applied", f"{user.email}: the open trades are not those of the history")

    async def _check_repeats(self, server: Server, user: User, by_client: "Counter[str]") -> None:
        """Asked again, what is there gets its first answer; what is not there is refused for want of a price."""
        for client_order in list(user.asked)[-REPEATED:]:
            answer = await server.post("/trade/create", user.token, user.asked[client_order])
            if client_order in user.created and answer.body != user.created[client_order]:
                raise Failed("changed", f"{client_order} was answered {user.created[client_order]}, now {answer.body}")
            if (answer.status == 200) != (client_order in by_client):
                raise Failed("duplicated", f"{client_order} is answered {answer.status}, in the history: {by_client}")
            self.counts["repeats"] += 1


async def _priced(server: Server) -> None:
    """Until every asset has a fresh price."""

    async def is_ready() -> bool:
        return (await server.get("/readyz")).status == 200

    await until(is_ready, "for prices", within_s=30, pause_s=0.01)


async def history_of(server: Server, user: User) -> list[Body]:
    rows: list[Body] = []
    while True:
        body = await told(server, user, f"/trade/history?limit={PAGE}&offset={len(rows)}&sortOrder=asc")
        rows += body["data"]
        if not body["pagination"]["hasMore"]:
            return rows


async def told(server: Server, user: User, path: str) -> Body:
    """What is answered. On a busy machine the tables may take long to come to the journal's end: then a client is told
    to ask again."""
    answers: list[Answer] = []

    async def is_told() -> bool:
        answers.append(await server.get(path, user.token))
        return answers[-1].status != 503

    await until(is_told, f"for {path}", within_s=60, pause_s=0.1)
    if answers[-1].status != 200:
        raise Failed("unexpected", f"{path} was answered {answers[-1].status} {answers[-1].body}")
    body: Body = answers[-1].body
    return body


def compare(row: Body, answered: Body, *keys: str) -> None:
    for key in keys:
        if row[key] != answered[key]:
            raise Failed("changed", f"{key} of {row['orderId']} was answered {answered[key]}, is now {row[key]}")


def micro(amount: str) -> int:
    return int(amount.replace(".", ""))


def decimal(micro: int) -> str:
    return f"{micro // MICRO}.{micro % MICRO:06d}"
