"""docs/SPREAD.md: its commands, as they stand there, on a PostgreSQL of the test's own."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.commands import chapter
from tests.support.postgres import a_cluster, skip_or_fail
from tests.support.process import Server, finished
from tests.support.redis import PASSWORD, RedisServer, a_redis
from tests.support.redis import skip_or_fail as redis_or_skip
from tests.support.waiting import until

pytestmark = pytest.mark.slow

TEXT = chapter("docs/SPREAD.md", "Run it, with a spare")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
PARTS = re.findall(
    r"^\.venv/bin/python -m exness (serve --role .*)$",
    chapter("docs/SPREAD.md", "Run it as several processes"),
    flags=re.MULTILINE,
)


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


async def test_the_commands_of_the_document_start_every_part_and_one_server_goes_on_for_the_other(
    tmp_path: Path,
) -> None:
    skip_or_fail()
    redis_or_skip()
    text = chapter("docs/SPREAD.md", "Run it as several processes")
    (bus,) = re.findall(r"^export EXNESS_DEPLOY_BUS=redis://(\S+)$", text, flags=re.MULTILINE)
    assert bus == "127.0.0.1:6379/0"
    roles = [shlex.split(line)[2] for line in PARTS]
    assert roles == ["engine", "engine", "processor", "poller", "server", "server"]
    with a_cluster() as postgres, a_redis() as redis:
        env = {
            "EXNESS_DEPLOY_DATABASE": postgres.url,
            "EXNESS_AUTH_SECRET": "s" * 40,
            "EXNESS_DEPLOY_BUS": redis.url,
        }
        parts = [made(tmp_path, number, shlex.split(line), env) for number, line in enumerate(PARTS)]
        engine, spare, *others = parts
        await asyncio.gather(*(part.__aenter__() for part in (engine, *others)))
        waiting = asyncio.create_task(spare.__aenter__())
        await until(lambda: any("waiting as a spare" in line for line in spare.errors), within_s=60)
        one, two = others[2:]
        try:
            await trade_while_they_die(one, two, engine, waiting, redis)
            assert PASSWORD not in "".join(line for part in parts for line in (*part.output, *part.errors))
        finally:
            for part in parts:
                await part.__aexit__(None, None, None)
        verified = await finished("verify", env=env, cwd=tmp_path)
        assert verified.code == 0, verified.errors


async def trade_while_they_die(
    one: Server, two: Server, engine: Server, waiting: "asyncio.Task[Server]", redis: RedisServer
) -> None:
    token = await one.token("you@example.com")
    order = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}

    async def opens() -> bool:
        return (await one.post("/trade/create", token, order)).status == 200

    await until(opens)
    assert len((await two.get("/trade/open", token)).body["data"]) == 1
    one.kill()
    engine.kill()
    await waiting

    async def is_there() -> bool:
        answer = await two.get("/trade/open", token)
        return answer.status == 200 and len(answer.body["data"]) == 1

    async def opens_there() -> bool:
        return (await two.post("/trade/create", token, order)).status == 200

    await until(is_there, within_s=30)
    await until(opens_there, within_s=30)
    assert '"asset":"SOL"' in redis.command("GET", "price-SOL")


def made(tmp_path: Path, number: int, words: list[str], env: dict[str, str]) -> Server:
    """As the line says, but for the port, which is a free one."""
    flags = {words[place]: words[place + 1] for place in range(1, len(words), 2)}
    assert int(flags["--port"]) > 1024
    folder = tmp_path / flags.get("--data-dir", f"part-{number}")
    return Server(folder, "--role", flags["--role"], env=env, cwd=tmp_path)
