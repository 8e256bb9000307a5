"""The first minute: the banner, the pasted trade, and how long a start takes."""

import asyncio
import json
import re
import shlex
import shutil
import statistics
import time
from pathlib import Path

import pytest

from exness import __version__
from tests.support.process import Recovered, Server, finished

STARTS = 5
SANE_S = 15.0
"""No promise, which is 1 s on an idle machine: only a bound that something is wrong beyond."""


async def test_the_banner_says_what_an_operator_wants_to_know(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        text = "\n".join(server.output)
        assert server.output[0] == f"exness {__version__}"
        assert server.banner("data") == str(tmp_path / "data")
        assert "SIMULATED" in server.banner("feed"), "nobody takes these prices for a market's"
        assert server.recovered[:5] == (0, 0, 0, 0, 0)
        assert re.fullmatch("[0-9a-f]{64}", server.banner("state"))
        assert f"{server.url}/api/v1/trade/create" in text
        assert f"listening on {server.url}" in text
        assert not any("warning" in line for line in server.output)
        readiness = await server.get("/readyz")
        assert readiness.body["simulated"] is True
        assert readiness.body["feed"] == server.banner("feed")


async def test_the_banner_counts_what_was_recovered(tmp_path: Path) -> None:
    order = {"asset": "ETH", "type": "short", "margin": 5, "leverage": 4}
    async with Server(tmp_path / "data") as server:
        token = await server.token("ann@example.com")
        ids = [(await server.post("/trade/create", token, order)).body["orderId"] for _ in range(3)]
        assert (await server.post("/trade/close", token, {"orderId": ids[0]})).status == 200
        server.kill()
        await server.restart()
        assert server.recovered[:5] == Recovered(0, replayed=5, seq=5, accounts=1, open_trades=2, seconds=0.0)[:5]
        assert await server.stop() == 0
        await server.start()
        assert server.recovered[:5] == Recovered(5, replayed=0, seq=5, accounts=1, open_trades=2, seconds=0.0)[:5]


async def test_the_banner_warns_of_what_a_crash_could_lose(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env={"EXNESS_STORAGE_ACKNOWLEDGE": "memory"}) as server:
        assert "loses trades" in server.banner("warning")


def warnings(server: Server) -> list[str]:
    return [line.removeprefix("  warning ").strip() for line in server.output if line.startswith("  warning ")]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("production", ["false", "true"])
async def test_the_banner_warns_of_a_port_beyond_this_machine_without_production(
    tmp_path: Path, host: str, production: str
) -> None:
    env = {"EXNESS_SERVER_PRODUCTION": production}
    async with Server(tmp_path / "data", "--host", host, env=env) as server:
        beyond = [warning for warning in warnings(server) if "beyond this machine" in warning]
        assert len(beyond) == (production == "false")
        for warning in beyond:
            assert all(word in warning for word in (host, "production = false", "log", "Secure", "HSTS"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1"])
async def test_the_banner_warns_of_nothing_on_this_machine(tmp_path: Path, host: str) -> None:
    async with Server(tmp_path / "data", "--host", host) as server:
        assert warnings(server) == []


@pytest.mark.parametrize("folder", ["data", 'my data\'s "own" place'])
async def test_the_pasted_commands_open_a_trade(tmp_path: Path, folder: str) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are not both here")
    async with Server(tmp_path / folder) as server:
        start = server.output.index("  first trade, in another terminal:") + 1
        pasted = "\n".join(server.output[start:-1])
        assert pasted.count("\n") == 2, "two commands on three lines"
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            pasted,
            env=server.env,
            cwd="/",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await shell.communicate()
        assert (shell.returncode, errors) == (0, b"")
        created = json.loads(output)
        assert created["success"] is True
        assert (created["asset"], created["type"], created["leverage"]) == ("SOL", "long", 10)
        assert (created["margin"], created["balance"]) == ("100.000000", "4900.000000")
        token = await server.token("you@example.com")
        (row,) = (await server.get("/trade/open", token)).body["data"]
        assert row["orderId"] == created["orderId"]


async def test_the_pasted_token_command_finds_a_secret_that_is_configured(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[auth]\nsecret = "only the configuration knows this secret"\n')
    async with Server(tmp_path / "data", "--config", str(config)) as server:
        (line,) = [line for line in server.output if line.startswith("    TOKEN=$(")]
        command = shlex.split(line.strip().removeprefix("TOKEN=$(").removesuffix(")"))
        assert command[1:4] == ["-m", "exness", "token"]
        done = await finished(*command[3:], env=server.env, cwd=Path("/"))
        assert done.code == 0, done.errors
        assert (await server.get("/balance/usd", done.output.strip())).status == 200


async def test_a_start_on_an_empty_directory_is_quick(tmp_path: Path) -> None:
    times = []
    for number in range(STARTS):
        started = time.monotonic()
        async with Server(tmp_path / str(number)) as server:
            times.append(time.monotonic() - started)
            assert (await server.get("/readyz")).status == 200, "listening means ready"
    print(f"process start to `listening on`, empty directory: median {statistics.median(times):.2f} s of {STARTS}")
    assert statistics.median(times) < SANE_S
