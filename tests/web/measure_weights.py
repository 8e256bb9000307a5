"""What each request costs, for the weights of the rows of endpoints: `python -m tests.web.measure_weights [WORD]`.

The real process without limits, asked by 16 connections of which each waits for its answer. The cost of a request is
the CPU time of the whole process (loop, writer, threads) divided by how many were answered, so it depends little on
what else the machine does. The ratio is to the cheapest request of an account, GET /balance/usd. Two minutes; with a
WORD only what has it in its name.
"""

import asyncio
import contextlib
import email
import email.policy
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp

from exness.access.live_sessions import SESSIONS_PER_ACCOUNT
from exness.app.tokens import issue_tokens
from exness.config import Config
from exness.config.schema import StorageConfig
from tests.support.process import UNLIMITED, Server
from tests.web.load import Line, get, post

SECONDS = 2.0
CONNECTIONS = 16
API = "/api/v1"
ORDER = '{"asset":"SOL","type":"long","margin":0.01,"leverage":10}'
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CANDLES = 1500
OPEN = 1000
ONCE = 600
"""Links and sessions for what can be done only once."""
MARKET = [
    f"candles.{interval}.{asset}"
    for interval in ("1m", "5m", "15m", "1h", "4h", "1d")
    for asset in ("SOL", "ETH", "BTC")
]
Job = Callable[[Line], Awaitable[int]]
"""Does one thing, and tells how many requests that was; 0 when there is nothing left to do."""
Stream = aiohttp.ClientWebSocketResponse


class Costs:
    """Measures one server after the other."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._cheapest = 0.0

    async def of(self, what: str, server: Server, job: Job, connections: int = CONNECTIONS) -> None:
        if self._cheapest and self._word not in what:
            return
        microseconds = await cost_us(server, job, connections)
        self._cheapest = self._cheapest or microseconds
        print(f"{what:55} {microseconds:10.1f} us {microseconds / self._cheapest:8.1f}", flush=True)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def cost_us(server: Server, job: Job, connections: int) -> float:
    """Microseconds of the process for each request, less what it does when nobody asks."""
    done = 0

    async def one(end: float) -> None:
        nonlocal done
        line = Line(server.url)
        while time.perf_counter() < end:
            asked = await job(line)  # an await inside += would lose what others add meanwhile
            if not asked:
                break
            done += asked
        line.close()

    began, before = time.perf_counter(), cpu_s(server.pid)
    await asyncio.sleep(0.5)
    idle_share = (cpu_s(server.pid) - before) / (time.perf_counter() - began)
    began, before = time.perf_counter(), cpu_s(server.pid)
    await asyncio.gather(*(one(began + SECONDS) for _ in range(connections)))
    used = cpu_s(server.pid) - before - idle_share * (time.perf_counter() - began)
    return used / done * 1e6


def asking(request: bytes, status: int = 200) -> Job:
    return asking_each(iter(lambda: request, b""), status)


def asking_each(requests: Iterator[bytes], status: int) -> Job:
    async def ask(line: Line) -> int:
        request = next(requests, None)
        if request is None:
            return 0
        got, body = await line.answer(request)
        assert got == status, (request[:200], got, body[:200])
        return 1

    return ask


def opening_and_closing(token: str) -> Job:
    async def open_and_close(line: Line) -> int:
        status, body = await line.answer(post(f"{API}/trade/create", ORDER, token))
        assert status == 200, body
        order = json.loads(body)["orderId"]
        status, body = await line.answer(post(f"{API}/trade/close", f'{{"orderId":"{order}"}}', token))
        assert status == 200, body
        return 2

    return open_and_close


@contextlib.asynccontextmanager
async def serving(folder: Path, *flags: str) -> AsyncIterator[Server]:
    async with Server(folder / "data", *flags, env={**UNLIMITED, "EXNESS_STREAM_MESSAGES_PER_S": "1000000"}) as server:
        yield server


async def of_requests(costs: Costs, server: Server, none: str, many: str) -> None:
    """`none` has no trades, `many` has OPEN of them open."""
    await cost_us(server, asking(get(f"{API}/balance/usd", none)), CONNECTIONS)  # warms up
    await costs.of("GET /balance/usd", server, asking(get(f"{API}/balance/usd", none)))
    await costs.of("create and close, each", server, opening_and_closing(none))
    line = Line(server.url)
    for _ in range(OPEN):
        assert (await line.answer(post(f"{API}/trade/create", ORDER, many)))[0] == 200
    line.close()
    for path in ("/balance", "/account", "/trade/open"):
        await costs.of(f"GET {path}, no trades", server, asking(get(f"{API}{path}", none)))
    for path in ("/account", "/trade/open"):
        await costs.of(f"GET {path}, {OPEN} trades", server, asking(get(f"{API}{path}", many)))
    for limit in (1, 500):
        path = f"{API}/trade/history?limit={limit}"
        await costs.of(f"GET /trade/history, {limit} rows", server, asking(get(path, many)))
    for path in ("/supportedAssets", "/prices", "/prices/SOL"):
        await costs.of(f"GET {path}", server, asking(get(f"{API}{path}")))
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs"):
        await costs.of(f"GET {path}", server, asking(get(path)))
    await costs.of("GET /nowhere", server, asking(get("/nowhere"), 404))
    bad = post(f"{API}/trade/create", ORDER, "nonsense")
    await costs.of("POST /trade/create, bad token", server, asking(bad, 401))
    await costs.of("POST /trade/create, bad body", server, asking(post(f"{API}/trade/create", "{}", none), 400))
    for what, field in ("62 kB of unknown fields", ',"x{}":1'), ("62 kB of spaces", "          "):
        body = '{"email":1' + "".join(field.format(number) for number in range(6200)) + "}"
        await costs.of(f"POST /signup, {what}", server, asking(post(f"{API}/signup", body), 400))


async def of_signing_in(costs: Costs, server: Server) -> None:
    settings = Config(storage=StorageConfig(data_dir=server.data_dir))
    emails = [f"user{number}@example.com" for number in range(ONCE)]
    tokens = await asyncio.to_thread(issue_tokens, settings, emails)
    requests = iter([post(f"{API}/logout", "", token) for token in tokens])
    await costs.of("POST /logout", server, asking_each(requests, 200))
    for sessions in (1, SESSIONS_PER_ACCOUNT):
        email = f"of{sessions}@example.com"
        token = (await asyncio.to_thread(issue_tokens, settings, [email] * sessions))[0]
        await costs.of(f"GET /sessions, {sessions}", server, asking(get(f"{API}/sessions", token)))
        ending = get(f"{API}/sessions", token).replace(b"GET", b"DELETE", 1)
        await costs.of(f"DELETE /sessions, {sessions}", server, asking(ending))
    await costs.of("GET /signin/post, bad link", server, asking(get(f"{API}/signin/post?token=x"), 401))
    line, outbox = Line(server.url), server.data_dir / "outbox"
    for number in range(ONCE):
        assert (await line.answer(post(f"{API}/signup", f'{{"email":"new{number}@example.com"}}')))[0] == 200
    line.close()
    while len(magic_links(outbox)) < ONCE:  # noqa: ASYNC110 - nothing here tells
        await asyncio.sleep(0.5)
    requests = iter([get(link) for link in magic_links(outbox)])
    await costs.of("GET /signin/post", server, asking_each(requests, 302))
    await costs.of("POST /signup", server, asking(post(f"{API}/signup", '{"email":"one@example.com"}')))


def magic_links(outbox: Path) -> list[str]:
    """The paths of the links that were mailed to new users."""
    found = []
    for file in outbox.glob("*.eml"):
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        body = mail.get_body(("plain",))
        if str(mail["To"]).startswith("new") and body is not None:
            found += re.findall(r"http://[^/\s]+(/\S+)", body.get_content())[:1]
    return found


async def of_streams(costs: Costs, server: Server, none: str, many: str) -> None:
    async with aiohttp.ClientSession() as http:

        async def connect(line: Line) -> int:
            async with http.ws_connect(f"{server.url}{API}/stream", headers=bearer(none)):
                return 1

        await costs.of("GET /stream, and goodbye", server, connect)
        for what, token in {"no trades": none, f"{OPEN} trades": many}.items():
            async with http.ws_connect(f"{server.url}{API}/stream", headers=bearer(token), max_msg_size=0) as stream:
                if token == none:
                    await costs.of("stream: ping", server, saying(stream, ('{"op":"ping"}', "pong")), 1)
                    auth = json.dumps({"op": "auth", "token": token})
                    await costs.of("stream: auth", server, saying(stream, (auth, "authenticated")), 1)
                    job = listening(stream, MARKET)
                    await costs.of(f"stream: {len(MARKET)} candles, on and off", server, job, 1)
                await costs.of(f"stream: trades on and off, {what}", server, listening(stream, ["trades"]), 1)
        async with http.ws_connect(f"{server.url}{API}/stream", headers=bearer(many), max_msg_size=0) as stream:
            await stream.send_str('{"op":"ping"}')
            seq = json.loads(await stream.receive_str())["seq"]
            job = listening(stream, ["trades"], resume=0)
            await costs.of(f"stream: resume, {seq} records, {OPEN} of them one's own", server, job, 1)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def listening(stream: Stream, channels: list[str], **resume: int) -> Job:
    on = json.dumps({"op": "subscribe", "channels": channels, **resume})
    off = json.dumps({"op": "unsubscribe", "channels": channels})
    return saying(stream, (on, "subscribed"), ('{"op":"ping"}', "pong"), (off, "unsubscribed"))


def saying(stream: Stream, *said: tuple[str, str]) -> Job:
    """Says each and waits for the frame of this type."""

    async def say(line: Line) -> int:
        for message, kind in said:
            await stream.send_str(message)
            while f'"{kind}"' not in (await stream.receive_str())[:160]:
                pass
        return 1

    return say


async def of_dev_control(costs: Costs, folder: Path) -> None:
    async with serving(folder, "--feed", "manual", "--dev-control") as server:
        price = post(f"{API}/dev/prices/SOL", '{"mid":"200"}').replace(b"POST", b"PUT", 1)
        await costs.of("PUT /dev/prices/{asset}", server, asking(price))
        await costs.of("GET /dev/clock", server, asking(get(f"{API}/dev/clock")))
        await costs.of("POST /dev/clock", server, asking(post(f"{API}/dev/clock", '{"step":1}')))
        script = '{"prices":[{"offset":1,"asset":"SOL","price":"200"}]}'
        await costs.of("POST /dev/prices/script", server, asking(post(f"{API}/dev/prices/script", script)))
        pay = '{"email":"one@example.com","amount":1}'
        await costs.of("POST /dev/deposit", server, asking(post(f"{API}/dev/deposit", pay)))
        await costs.of("POST /dev/reset", server, asking(post(f"{API}/dev/reset", "")))


async def of_leaderboard(costs: Costs, folder: Path) -> None:
    async with Server(folder / "data", env={**UNLIMITED, "EXNESS_LEADERBOARD_ENABLED": "true"}) as server:
        emails = [f"{number}@example.com" for number in range(100)]
        settings = Config(storage=StorageConfig(data_dir=server.data_dir))
        tokens = await asyncio.to_thread(issue_tokens, settings, emails)
        for token in tokens:
            line = Line(server.url)
            await opening_and_closing(token)(line)
            line.close()
        for limit in (1, 100):
            asked = get(f"{API}/leaderboard?limit={limit}", tokens[0])
            await costs.of(f"GET /leaderboard, {limit} rows", server, asking(asked))


async def of_candles(costs: Costs, folder: Path) -> None:
    recording = folder / "candles1m_SOL.csv"
    rows = [f"{1_700_000_040 + 60 * number},200,201,199,200.5,10" for number in range(CANDLES)]
    recording.write_text("\n".join(["timestamp_s,open,high,low,close,volume", *rows]) + "\n")
    async with serving(folder, "--replay", str(recording), "--speed", "max") as server:

        async def all_played() -> bool:
            answer = await server.get("/klines?asset=SOL&interval=1m&limit=1000")
            return len(answer.body) == 1000

        while not await all_played():  # noqa: ASYNC110 - nothing here tells
            await asyncio.sleep(0.1)
        for limit in (1, 1000):
            request = get(f"{API}/klines?asset=SOL&interval=1m&limit={limit}")
            await costs.of(f"GET /klines, {limit} candles", server, asking(request))


async def main(word: str) -> None:
    costs = Costs(word)
    with tempfile.TemporaryDirectory() as folder:
        env = {**UNLIMITED, "EXNESS_STREAM_MESSAGES_PER_S": "1000000"}
        async with Server(Path(folder) / "data", env=env) as server:
            none, many = await server.token("none@example.com"), await server.token("many@example.com")
            await of_requests(costs, server, none, many)
            await of_streams(costs, server, none, many)
            await of_signing_in(costs, server)
    for measure in of_dev_control, of_leaderboard, of_candles:
        with tempfile.TemporaryDirectory() as folder:
            await measure(costs, Path(folder))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
