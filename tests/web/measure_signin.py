"""Whether the time of an answer tells who has an account: `python -m tests.web.measure_signin`.

POST /signin for known and unknown addresses in random order, one at a time, 1,000 of each, on the real process.
"""

import asyncio
import random
import statistics
import tempfile
from pathlib import Path

from tests.support.process import UNLIMITED, Server
from tests.web.load import Line, percentile, post

TRIES = 1000
PAUSE_S = 0.005
"""Between two requests."""


async def main(seed: int = 4) -> None:
    random_order = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder) / "data", env=UNLIMITED) as server:
            known = [f"known-{number:02d}@example.com" for number in range(20)]
            for email in known:
                assert (await server.get("/balance", await server.token(email))).status == 200
            unknown = [f"ghost-{number:02d}@example.com" for number in range(20)]
            tries = [(kind, emails) for kind, emails in (("known", known), ("unknown", unknown)) for _ in range(TRIES)]
            random_order.shuffle(tries)
            times: dict[str, list[float]] = {"known": [], "unknown": []}
            line = Line(server.url)
            for kind, emails in tries:
                body = f'{{"email":"{random_order.choice(emails)}"}}'
                status, seconds = await line.ask(post("/api/v1/signin", body))
                assert status == 200
                times[kind].append(seconds * 1000)
                await asyncio.sleep(PAUSE_S)
            line.close()
    for kind, each in times.items():
        print(
            f"{kind:8} {len(each)} tries: median {statistics.median(each):.3f} ms, middle half "
            f"{percentile(each, 0.25):.3f} to {percentile(each, 0.75):.3f}, p95 {percentile(each, 0.95):.3f}"
        )
    gap = statistics.median(times["known"]) - statistics.median(times["unknown"])
    print(f"medians differ by {gap * 1000:+.0f} us")


if __name__ == "__main__":
    asyncio.run(main())
