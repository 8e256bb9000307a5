"""Reads while others are busy: `python -m tests.web.measure_reads [starve] [cascade] [rows]`.

- `starve`: the real process with a disk that takes 5 ms longer a commit. 4 and then 16 connections trade on one account
  without a pause; how long GET /balance of that account takes, and of another.
- `cascade`: one price, set by hand, that liquidates 20,000, 100,000 and 200,000 trades; how long the loop is held at a
  time (its own work, and by the clock, which counts what the writing thread takes of Python's lock), and how long
  GET /balance/usd of a bystander takes meanwhile.
- `rows`: the same of GET /trade/open and of a snapshot of `trades`, with 1,000 trades.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from exness.core.commands import OpenAccount, OpenTrade, PriceTick
from exness.core.instruments import AccountId, Side, TradeId
from tests.support.app import App, Stores, running_app
from tests.support.books import SOL, START, make_rules
from tests.support.process import UNLIMITED, Server
from tests.web.load import percentile
from tests.web.streams import listening

SECONDS = 5.0
GIVE_UP_S = 1.0
CLIENTS = ("main", "rows", "Trader", "cascade")
"""Coroutines of this file and of its clients."""
ORDER = {"asset": "SOL", "type": "long", "margin": "1", "leverage": 2}


# --- starve -------------------------------------------------------------------------------------------------------


async def starve(connections: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder) / "data", module="tests.web.slow_server", env=UNLIMITED) as server:
            busy, idle = [await server.token(f"{name}@example.com") for name in ("busy", "idle")]
            for token in (busy, idle):
                assert (await server.get("/balance", token)).status == 200
            stop, trades = asyncio.Event(), 0

            async def trade() -> None:
                nonlocal trades
                while not stop.is_set():
                    opened = await server.post("/trade/create", busy, ORDER)
                    assert opened.status == 200, opened.body
                    await server.post("/trade/close", busy, {"orderId": opened.body["orderId"]})
                    trades += 2

            trading = [asyncio.create_task(trade()) for _ in range(connections)]
            await asyncio.sleep(0.5)
            began, before = time.perf_counter(), trades
            own, given_up = await ask_again_and_again(server, busy)
            others, _ = await ask_again_and_again(server, idle)
            rate = (trades - before) / (time.perf_counter() - began)
            stop.set()
            await asyncio.gather(*trading)
            print(
                f"{connections} connections, {rate:.0f} orders/s: own GET /balance {summary(own)}, "
                f"{given_up} not within {GIVE_UP_S:.0f} s; another's {summary(others)}"
            )


async def ask_again_and_again(server: Server, token: str) -> tuple[list[float], int]:
    """How long each took, and how many were given up."""
    took, given_up, end = [], 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(GIVE_UP_S):
                assert (await server.get("/balance", token)).status == 200
            took.append(time.perf_counter() - began)
        except TimeoutError:
            given_up += 1
        await asyncio.sleep(0.02)
    return took, given_up


def summary(took: list[float]) -> str:
    if not took:
        return "never answered"
    return (
        f"{len(took)} answered, median {1000 * percentile(took, 0.5):.1f} ms, "
        f"p99 {1000 * percentile(took, 0.99):.1f} ms, worst {1000 * max(took):.1f} ms"
    )


# --- cascade and rows ---------------------------------------------------------------------------------------------


class Holds:
    """The longest callbacks of the loop, in seconds: of the thread's own time and by the clock. What our own client
    does on the same loop is left out."""

    own = clock = 0.0

    def reset(self) -> None:
        self.own = self.clock = 0.0

    def note(self, callback: object, own: float, clock: float) -> None:
        task = getattr(callback, "__self__", None)
        name = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
        if name.split(".")[0] in CLIENTS or isinstance(task, aiohttp.client_proto.ResponseHandler):
            return
        self.own, self.clock = max(self.own, own), max(self.clock, clock)

    def __str__(self) -> str:
        return f"loop held {1000 * self.own:.1f} ms (by the clock {1000 * self.clock:.1f} ms)"


@contextlib.contextmanager
def watched_loop() -> Iterator[Holds]:
    holds, run = Holds(), asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        own, clock = time.thread_time(), time.perf_counter()
        callback = self._callback  # type: ignore[attr-defined]
        run(self)
        holds.note(callback, time.thread_time() - own, time.perf_counter() - clock)

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield holds
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


async def set_price(app: App) -> None:
    await app.sequencer.perform(PriceTick(SOL, 1_000_000, 1_000_000, 10**12), START)


async def cascade(trades: int) -> None:
    rules = make_rules(max_open_trades=10**6, max_notional="1000000000")
    with tempfile.TemporaryDirectory() as folder, watched_loop() as holds:
        async with Stores.sqlite(Path(folder)) as stores, running_app(stores, rules=rules) as app:
            perform = app.sequencer.perform
            await perform(PriceTick(SOL, 200_000_000, 200_000_000, 10**12), START)
            accounts = [AccountId(f"a{number}") for number in range(max(1, trades // 1000))]
            for account in accounts:
                await perform(OpenAccount(account, f"{account}@example.com", 10**12), START)
            for number in range(trades):
                await perform(
                    OpenTrade(accounts[number % len(accounts)], TradeId(f"t{number}"), SOL, Side.LONG, 10**6, 10_000),
                    START,
                )
                if number % 500 == 0:
                    await asyncio.sleep(0)
            await app.writer.on_disk(app.state.seq)
            (bystander,) = await app.known("bystander")
            took, done = [], asyncio.Event()

            async def read() -> None:
                while not done.is_set():
                    began = time.perf_counter()
                    assert (await bystander.get("/balance/usd")).status == 200
                    took.append(time.perf_counter() - began)
                    await asyncio.sleep(0.001)

            reading = asyncio.create_task(read())
            await asyncio.sleep(0.05)
            holds.reset()
            began = time.perf_counter()
            await asyncio.create_task(set_price(app))
            decided, deciding = time.perf_counter() - began, str(holds)
            await app.writer.on_disk(app.state.seq)
            written = time.perf_counter() - began
            done.set()
            await reading
            assert app.state.open_trades == 0
            print(
                f"{trades} liquidations: decided in {1000 * decided:.0f} ms, on disk after {1000 * written:.0f} ms; "
                f"{deciding} while deciding, {holds} in all; a bystander's GET {summary(took)}"
            )


async def rows(trades: int = 1000) -> None:
    with watched_loop() as holds:
        async with running_app() as app:
            await app.quote_all()
            (ann,) = await app.known("ann")
            for _ in range(trades // 100):
                await asyncio.gather(*(ann.create(margin=1, leverage=2) for _ in range(100)))
            for what, ask in (("GET /trade/open", "/trade/open"), ("GET /account", "/account")):
                holds.reset()
                sizes = {len((await ann.get(ask)).raw) for _ in range(20)}
                print(f"{trades} trades, {what}: {max(sizes)} bytes, {holds}")
            async with listening(app, ann, max_msg_size=0) as client:
                holds.reset()
                for _ in range(20):
                    await client.snapshot("trades")
                    await client.asked("unsubscribe", channels=["trades"])
                print(f"{trades} trades, snapshot of `trades`: {holds}")


async def main() -> None:
    wanted = sys.argv[1:] or ["starve", "cascade", "rows"]
    if "starve" in wanted:
        for connections in (4, 16):
            await starve(connections)
    if "cascade" in wanted:
        for trades in (20_000, 100_000, 200_000):
            await cascade(trades)
    if "rows" in wanted:
        await rows()


if __name__ == "__main__":
    with contextlib.suppress(aiohttp.ClientError):
        asyncio.run(main())
