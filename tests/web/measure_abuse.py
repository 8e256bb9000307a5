"""What one abusive address costs another user: `python -m tests.web.measure_abuse`.

The real process. A user at 127.0.0.2 opens trades and reads, 40 requests a second; first alone, then while 32
connections of 127.0.0.1, from a process of their own, ask as fast as they can. Once with limits for a public server,
once with the defaults, which are generous so that scripts on the same machine are not in their way.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.support.process import ROOT, Server
from tests.web.load import Line, get, percentile, post

SECONDS = 15.0
PER_SECOND = 40
ABUSERS = 32
ORDER = '{"asset":"SOL","type":"long","margin":0.01,"leverage":10}'
PUBLIC = {
    "EXNESS_LIMITS_TRADE_PER_ACCOUNT": "300/second",
    "EXNESS_LIMITS_TRADE_PER_IP": "600/second",
    "EXNESS_LIMITS_READ_PER_ACCOUNT": "1000/second",
    "EXNESS_LIMITS_READ_PER_IP": "1000/second",
    "EXNESS_LIMITS_BLOCK_AFTER": "200",
}


async def user(url: str, token: str) -> list[float]:
    """Milliseconds of every answer."""
    line, times = Line(url, "127.0.0.2"), []
    requests = [post("/api/v1/trade/create", ORDER, token), get("/api/v1/balance/usd", token)]
    end, number = time.perf_counter() + SECONDS, 0
    while time.perf_counter() < end:
        status, seconds = await line.ask(requests[number % 2])
        assert status == 200, status
        times.append(seconds * 1000)
        number += 1
        await asyncio.sleep(1 / PER_SECOND)
    line.close()
    return times


async def abuse(url: str) -> None:
    """Until it is ended. Bad tokens and readings in turn."""
    requests = [get("/api/v1/prices"), post("/api/v1/trade/create", ORDER, "nonsense")]

    async def one() -> None:
        line, number = Line(url), 0
        while True:
            try:
                await line.ask(requests[number % 2])
            except (OSError, EOFError):
                line.close()
            number += 1

    await asyncio.gather(*(one() for _ in range(ABUSERS)))


async def measured(what: str, limits: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder) / "data", env=limits) as server:
            token = await server.token("ann@example.com")
            await user_warmed_up(server.url, token)
            quiet = await user(server.url, token)
            abuser = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.web.measure_abuse", server.url, cwd=ROOT
            )
            try:
                await asyncio.sleep(2)
                under_load = await user(server.url, token)
            finally:
                abuser.kill()
                await abuser.wait()
    before, after = percentile(quiet, 0.99), percentile(under_load, 0.99)
    print(
        f"{what}: p99 quiet {before:.2f} ms (median {percentile(quiet, 0.5):.2f}), "
        f"under abuse {after:.2f} ms (median {percentile(under_load, 0.5):.2f}): {after / before:.2f} times"
    )


async def user_warmed_up(url: str, token: str) -> None:
    line = Line(url, "127.0.0.2")
    for _ in range(20):
        await line.ask(get("/api/v1/balance/usd", token))
    line.close()


async def main() -> None:
    await measured("limits of a public server", PUBLIC)
    await measured("default limits", {})


if __name__ == "__main__":
    asyncio.run(abuse(sys.argv[1]) if len(sys.argv) > 1 else main())
