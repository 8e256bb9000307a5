"""Is a load test on one's own machine refused? `python -m tests.web.measure_limits [CREATES_PER_SECOND]`.

The real process with its default limits. One account at one address opens 2,000 trades a second and closes each of
them, while a reader of the same account asks for its balance 500 times a second; for six seconds. What is told is how
many answers of each status came, and how many requests a second were really made.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop

from tests.support.process import Server
from tests.web.load import Line, get, post

SECONDS = 6.0
CREATES_PER_SECOND = 2000
READS_PER_SECOND = 500
TRADERS = 400
ORDER = '{"asset":"SOL","type":"long","margin":0.01,"leverage":10}'


class Pace:
    """Hands out turns at a steady rate; who comes late is given what is due at once."""

    def __init__(self, per_second: float) -> None:
        self._step_s = 1 / per_second
        self._next_s = time.perf_counter()

    async def turn(self) -> None:
        due_s, self._next_s = self._next_s, self._next_s + self._step_s
        wait_s = due_s - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)


async def trade(url: str, token: str, pace: Pace, end: float, answers: Counter[str]) -> None:
    line = Line(url)
    while time.perf_counter() < end:
        await pace.turn()
        status, body = await line.answer(post("/api/v1/trade/create", ORDER, token))
        answers[f"create {status}"] += 1
        if status == 200:
            order = json.loads(body)["orderId"]
            status, _ = await line.answer(post("/api/v1/trade/close", f'{{"orderId":"{order}"}}', token))
            answers[f"close {status}"] += 1
    line.close()


async def read(url: str, token: str, pace: Pace, end: float, answers: Counter[str]) -> None:
    line = Line(url)
    while time.perf_counter() < end:
        await pace.turn()
        status, _ = await line.answer(get("/api/v1/balance/usd", token))
        answers[f"read {status}"] += 1
    line.close()


async def main(creates_per_second: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder) / "data") as server:
            token, answers = await server.token("ann@example.com"), Counter[str]()
            began = time.perf_counter()
            end, trading, reading = began + SECONDS, Pace(creates_per_second), Pace(READS_PER_SECOND)
            await asyncio.gather(
                *(trade(server.url, token, trading, end, answers) for _ in range(TRADERS)),
                *(read(server.url, token, reading, end, answers) for _ in range(40)),
            )
            seconds = time.perf_counter() - began
    for what, count in sorted(answers.items()):
        print(f"{what}: {count} ({count / seconds:.0f}/s)")


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else CREATES_PER_SECOND))
