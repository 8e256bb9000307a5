"""The link between the engine and its database is pulled: nobody is told, and both sides have to find out."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.spread.servers import server, settings
from tests.support.postgres import Postgres, a_cluster, skip_or_fail
from tests.support.process import ROOT
from tests.support.waiting import until

pytestmark = pytest.mark.slow

HERE, THERE = "10.213.77.1", "10.213.77.2"
FOUND_OUT_S = 30.0
"""Both sides give a session up after three seconds of silence, and then look every now and then; the
system's own would be hours."""


def ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], check=False, capture_output=True).returncode == 0


@contextmanager
def a_namespace() -> Iterator[tuple[str, str]]:
    """A network of its own with one link to here; its name and the link's end here."""
    name = f"exn{os.getpid() % 100_000}"
    link = f"{name}h"
    if os.getuid() != 0 or shutil.which("ip") is None or not ip("netns", "add", name):
        pytest.skip("network namespaces can't be made here (they take root and the command `ip`)")
    try:
        made = (
            ip("link", "add", link, "type", "veth", "peer", "name", "there", "netns", name)
            and ip("addr", "add", f"{HERE}/30", "dev", link)
            and ip("link", "set", link, "up")
            and ip("-n", name, "addr", "add", f"{THERE}/30", "dev", "there")
            and ip("-n", name, "link", "set", "there", "up")
            and ip("-n", name, "link", "set", "lo", "up")
        )
        if not made:
            pytest.skip("links between network namespaces can't be made here")
        yield name, link
    finally:
        ip("link", "del", link)
        ip("netns", "del", name)


@asynccontextmanager
async def serving_in(name: str, folder: Path, postgres: Postgres) -> AsyncIterator[asyncio.subprocess.Process]:
    env = settings(postgres, "exness", EXNESS_DEPLOY_DATABASE=postgres.url.replace("127.0.0.1", HERE))
    words = ["serve", "--host", THERE, "--port", "0", "--data-dir", str(folder / "data")]
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", name, sys.executable, "-m", "exness", *words),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},
        cwd=folder.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for raw in process.stdout:
        if match := re.fullmatch(r"listening on (http://\S+)\n", raw.decode()):
            return match[1]
    raise AssertionError((await process.communicate())[1].decode())


async def test_an_engine_that_is_cut_off_ends_and_a_spare_goes_on_within_seconds(tmp_path: Path) -> None:
    skip_or_fail()
    with a_namespace() as (name, link), a_cluster(listen_addresses=f"127.0.0.1,{HERE}") as postgres:
        postgres.allow(f"{THERE}/32")
        spare = server(tmp_path / "two", postgres, "exness")
        async with serving_in(name, tmp_path / "one", postgres) as engine, aiohttp.ClientSession() as client:
            url = await address(engine)
            token = await spare.token("ann@example.com")
            order = {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}
            headers = {"Authorization": f"Bearer {token}"}
            async with client.post(f"{url}/api/v1/trade/create", json=order, headers=headers) as answer:
                assert answer.status == 200
            starting = asyncio.create_task(spare.__aenter__())
            await until(lambda: any("waiting as a spare" in line for line in spare.errors), within_s=60)
            pulled_s = time.monotonic()
            assert ip("link", "set", link, "down")
            await starting
            silence_s = time.monotonic() - pulled_s
            try:
                assert len((await spare.get("/trade/open", token)).body["data"]) == 1
                async with asyncio.timeout(FOUND_OUT_S):
                    assert await engine.wait() == 1
                print(f"the spare listens {silence_s:.1f} s after the link was pulled")
                assert silence_s < FOUND_OUT_S
            finally:
                await spare.__aexit__(None, None, None)
