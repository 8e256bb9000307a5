"""SIGTERM in the middle of everything: what was taken is answered and on disk, the rest is refused or never heard.

How it was seen to fail with its guard taken out (the guard, then the test that failed):
- `_run` ends the writer and the sequencer at once instead of after the last request: what was in flight is answered 500
"""

import asyncio
import signal
from pathlib import Path

from tests.faults.trading import SNAPSHOTS_OFTEN, TRADERS, WAIT_S, acknowledged, notes, signed_in, verified
from tests.support.process import Server


async def test_a_sigterm_under_load_answers_what_is_in_flight_and_ends_with_0(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with Server(data_dir, env=SNAPSHOTS_OFTEN) as server:
        books = [await signed_in(server, f"user{number}") for number in range(TRADERS)]
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
            for each in books * 3:
                tasks.create_task(each.trade_until_it_ends(server))
            await acknowledged(books, 50)
            server.signal(signal.SIGTERM)
        assert await server.wait() == 0
        for each in books:
            for answer in each.refused:
                assert (answer.status, answer.body["code"]) == (503, "shutting_down"), answer.body
        digest = await verified(data_dir)
        await server.start()
        assert notes(server) == []
        assert server.recovered.replayed == 0, "the last snapshot holds everything"
        assert server.banner("state") == digest
        for each in books:
            await each.assert_kept(server)
        assert await server.stop() == 0
