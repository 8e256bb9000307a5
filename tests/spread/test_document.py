"""docs/SPREAD.md: its commands, as they stand there, on a PostgreSQL of the test's own."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.commands import chapter
from tests.support.postgres import a_cluster, skip_or_fail
from tests.support.process import Server, finished

pytestmark = pytest.mark.slow

TEXT = chapter("docs/SPREAD.md", "Run it, with a spare")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def exported(port: int) -> dict[str, str]:
    """What its `export`s set, by bash; only the port is the test's."""
    (block,) = [block for block in BLOCKS if block.startswith("export ")]
    assert ":5432/" in block
    return {"script": block.replace(":5432/", f":{port}/")}


async def environment(port: int) -> dict[str, str]:
    script = exported(port)["script"]
    names = re.findall(r"^export (\w+)=", script, flags=re.MULTILINE)
    shown = "".join(f'printf "%s\\n" "${name}"\n' for name in names)
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", script + shown, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return dict(zip(names, output.decode().splitlines(), strict=True))


def flags(folder: str) -> list[str]:
    """Of the one command that serves from this folder."""
    (block,) = [block for block in BLOCKS if "exness serve" in block and folder in block]
    return shlex.split(block)[4:]


async def test_the_commands_of_the_document_start_an_exchange_and_its_spare(tmp_path: Path) -> None:
    skip_or_fail()
    with a_cluster() as postgres:
        statements = re.findall(r'^sudo -u postgres psql -c "(.*)"$', TEXT, flags=re.MULTILINE)
        assert len(statements) == 2
        for statement in statements:
            postgres.sql(statement)
        env = await environment(postgres.port)
        assert len(env["EXNESS_AUTH_SECRET"]) == 64
        folders = [flags(name)[1] for name in ("data-one", "data-two")]
        first, second = (Server(tmp_path / folder, env=env, cwd=tmp_path) for folder in folders)
        async with first:
            assert "epoch 1; one copy" in first.banner("data")
            starting = asyncio.create_task(second.__aenter__())
            await asyncio.sleep(0)
            token = await first.token("you@example.com")
            order = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}
            assert (await first.post("/trade/create", token, order)).status == 200
            first.kill()
            await starting
            assert "epoch 2; one copy" in second.banner("data")
            assert len((await second.get("/trade/open", token)).body["data"]) == 1
            verified = await finished("verify", env=env, cwd=tmp_path)
            assert verified.code == 0, verified.errors
            await second.__aexit__(None, None, None)
