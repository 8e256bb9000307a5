"""Requests per second with and without the memory of checked sessions: `python -m tests.web.measure_sessions`.

The real process twice, asked by two sessions in turn over 8 connections: once it remembers them, once it has room for
one only and so verifies every signature. In turns, three times, and the best of each counts.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from exness.access.sessions import Sessions
from tests.support.app import SECRET, SetWallClock
from tests.support.process import UNLIMITED, Server
from tests.web.load import Line, get

CONNECTIONS = 8
SECONDS = 4.0


async def requests_per_s(folder: Path, cache: int) -> float:
    async with Server(folder, env={**UNLIMITED, "EXNESS_AUTH_SESSION_CACHE": str(cache)}) as server:
        tokens = [await server.token(f"user-{number}@example.com") for number in range(2)]
        requests = [get("/api/v1/balance/usd", token) for token in tokens]
        lines = [Line(server.url) for _ in range(CONNECTIONS)]
        end = time.perf_counter() + SECONDS

        async def ask(line: Line) -> int:
            count = 0
            while time.perf_counter() < end:
                status, _ = await line.ask(requests[count % 2])
                assert status == 200
                count += 1
            line.close()
            return count

        return sum(await asyncio.gather(*map(ask, lines))) / SECONDS


def checks_per_s(remembered: int) -> float:
    sessions = Sessions(SECRET, SetWallClock(), days=7, remembered=remembered)
    tokens = [sessions.issue(f"user-{number}@example.com") for number in range(2)]
    began, rounds = time.perf_counter(), 10_000
    for _ in range(rounds):
        for token in tokens:
            assert sessions.check(token) is not None
    return 2 * rounds / (time.perf_counter() - began)


async def main() -> None:
    for remembered, what in ((100, "remembered"), (1, "verified each time")):
        print(f"checks alone, {what}: {checks_per_s(remembered):,.0f} per second")
    best = {10_000: 0.0, 1: 0.0}
    for _ in range(3):
        for cache in best:
            with tempfile.TemporaryDirectory() as folder:
                best[cache] = max(best[cache], await requests_per_s(Path(folder) / "data", cache))
    with_cache, without = best.values()
    print(f"requests, remembered: {with_cache:,.0f} per second; verified each time: {without:,.0f}")
    print(f"ratio {with_cache / without:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
