"""A bug in the core: the real process ends with it, and the next start knows nothing of what was half done.

How each was seen to fail with its guard taken out: `Sequencer._decide` only passes the bug on (it is answered like one
request's own).
"""

import asyncio
from pathlib import Path

import pytest

from tests.faults.trading import SNAPSHOTS_OFTEN, WAIT_S, acknowledged, signed_in, verified
from tests.support.process import Answer, Server

BUGGY = "tests.faults.buggy_server"


async def set_price(server: Server, price: str) -> Answer:
    return await server.request("PUT", "/dev/prices/SOL", body={"mid": price})


@pytest.mark.parametrize("by", ["a price set by hand", "an order"])
async def test_a_bug_in_the_core_ends_the_process_with_code_1_and_nothing_half_done_stays(
    tmp_path: Path, by: str
) -> None:
    data_dir = tmp_path / "data"
    flags = ("--feed", "manual", "--dev-control")
    async with Server(data_dir, *flags, env=SNAPSHOTS_OFTEN, module=BUGGY) as server:
        assert (await set_price(server, "200")).status == 200
        books = [await signed_in(server, name) for name in ("ann", "bob", "eve")]
        for each in books:
            assert (await each.create(server, leverage=2)).status == 200
        trading = [asyncio.create_task(each.trade_until_it_ends(server)) for each in books]
        await acknowledged(books, 30)
        if by == "an order":
            mallory = await signed_in(server, "mallory")
            answer = await mallory.create(server, margin="13")
        else:
            answer = await set_price(server, "13")
        assert (answer.status, answer.body["code"]) == (500, "internal_error")
        assert "ask again after the restart" in answer.body["message"]
        async with asyncio.timeout(WAIT_S):
            assert await server.wait() == 1
        assert any("this bug was planted by a test" in line for line in server.errors), server.errors
        await asyncio.gather(*trading)
        for each in books:
            assert all(refused.status in (500, 503) for refused in each.refused), each.refused
    await verified(data_dir)
    async with Server(data_dir, *flags) as server:
        for each in books:
            await each.assert_kept(server)
        assert await server.stop() == 0
    await verified(data_dir)
