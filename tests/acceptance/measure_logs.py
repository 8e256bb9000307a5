"""What a log that nobody reads does to the exchange: nothing. Not a test:

    python -m tests.acceptance.measure_logs [REQUESTS] [--stderr null|unread]

Starts the real process with the access log on and its standard error in a pipe that nobody reads (or on the null
device, to compare), sends so many requests over 16 connections, a tenth of them creates and closes, and prints what
they were answered, how long that took, what /metrics says of the log, and how long the end takes.
"""

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.process import ROOT, finished
from tests.web.load import Line, get, post

API = "/api/v1"
CONNECTIONS = 16
ORDER = '{"asset":"SOL","type":"long","margin":"0.1","leverage":2}'
SETTINGS = {
    "EXNESS_LOG_ACCESS": "true",
    "EXNESS_LIMITS_ENABLED": "false",
    "EXNESS_TRADING_MAX_OPEN_TRADES_PER_ACCOUNT": "1000000",
}


async def main(requests: int, *, unread: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        done = await finished("token", "ann@example.com", "--data-dir", str(data_dir), cwd=Path(folder))
        token = done.output.strip()
        server = subprocess.Popen(  # noqa: ASYNC220 - one, to measure
            [sys.executable, "-m", "exness", "serve", "--port", "0", "--data-dir", str(data_dir)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **SETTINGS},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if unread else subprocess.DEVNULL,
            text=True,
        )
        try:
            assert server.stdout is not None
            url = next(line.split()[-1] for line in server.stdout if line.startswith("listening on "))
            answered, seconds, longest = await load(url, token, requests)
            print(
                f"{answered.total()} answers in {seconds:.1f} s ({requests / seconds:.0f}/s), longest {longest:.3f} s"
            )
            print(f"by status: {dict(answered)}")
            print(*await figures(url), sep="\n")
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            code = server.wait()
            print(f"stopped in {time.monotonic() - began:.2f} s with exit code {code}")
        finally:
            server.kill()
            server.wait()


async def load(url: str, token: str, requests: int) -> tuple[Counter[int], float, float]:
    answered: Counter[int] = Counter()
    longest = 0.0
    left = iter(range(requests))
    reads = [get(f"{API}/balance", token), get(f"{API}/prices"), get("/healthz"), get(f"{API}/supportedAssets")]
    create = post(f"{API}/trade/create", ORDER, token)

    async def client() -> None:
        nonlocal longest
        line = Line(url)
        for number in left:
            status, took = await line.ask(create if number % 10 == 0 else reads[number % len(reads)])
            answered[status] += 1
            longest = max(longest, took)
        line.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(client())
    return answered, time.perf_counter() - began, longest


async def figures(url: str) -> list[str]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return re.findall(
        r'^exness_(?:log_lines_dropped_total|queue_(?:depth|bound)\{queue="log"\}).*$', text, re.MULTILINE
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", type=int, nargs="?", default=100_000)
    parser.add_argument("--stderr", choices=("null", "unread"), default="unread")
    options = parser.parse_args()
    asyncio.run(main(options.requests, unread=options.stderr == "unread"))
