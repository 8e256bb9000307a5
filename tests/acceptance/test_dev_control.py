"""Dev control in the real process: how it is switched on, and that a crash takes nothing back that it did."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.ledger import assert_tables_agree
from tests.support.process import DidNotStart, Server, finished

MANUAL = ("--feed", "manual", "--dev-control")
ORDER = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}
ROOT = Path(__file__).resolve().parents[2]


async def done(server: Server, method: str, path: str, body: Any, token: str | None = None) -> Any:
    answer = await server.request(method, path, token, body)
    assert answer.status == 200, answer.body
    return answer.body


async def assert_verified(server: Server) -> None:
    verified = await finished("verify", "--data-dir", str(server.data_dir), cwd=server.cwd)
    assert verified.code == 0, verified.errors


def test_the_recipe_of_the_guide_is_the_one_that_is_tested() -> None:
    recipe = (ROOT / "tests/acceptance/test_recipe.py").read_text()
    assert f"```python\n{recipe}```\n" in (ROOT / "docs/GUIDE.md").read_text()


@pytest.mark.parametrize(
    ("flags", "env", "code"),
    [
        (("--feed", "manual"), {}, 2),
        (("--feed", "manual"), {"EXNESS_DEV_CONTROL": "false"}, 2),
        ((), {"EXNESS_FEED_SOURCE": "manual"}, 1),
    ],
)
async def test_a_manual_feed_without_dev_control_is_refused(
    tmp_path: Path, flags: tuple[str, ...], env: dict[str, str], code: int
) -> None:
    with pytest.raises(DidNotStart) as refused:
        async with Server(tmp_path / "data", *flags, env=env):
            pass
    assert refused.value.code == code
    assert refused.value.errors == (
        'exness: feed.source "manual" puts prices and the clock into the hands of any program on this machine: '
        "allow that with dev.control = true (--dev-control, or EXNESS_DEV_CONTROL=true)"
    )
    assert not (tmp_path / "data").exists(), "nothing was begun"


@pytest.mark.parametrize(("flags", "env"), [(MANUAL, {}), (MANUAL[:2], {"EXNESS_DEV_CONTROL": "true"})])
async def test_the_banner_warns_of_it_and_no_price_is_there_before_one_is_set(
    tmp_path: Path, flags: tuple[str, ...], env: dict[str, str]
) -> None:
    async with Server(tmp_path / "data", *flags, env=env) as server:
        assert "any program on this machine can set prices and the clock" in server.banner("warning")
        assert server.banner("feed").startswith("MANUAL")
        readiness = (await server.get("/readyz")).body
        assert (readiness["ready"], readiness["prices"]) == (False, {"SOL": "down", "ETH": "down", "BTC": "down"})
        for asset in ("SOL", "ETH", "BTC"):
            await done(server, "PUT", f"/dev/prices/{asset}", {"mid": 100})
        assert (await server.get("/readyz")).status == 200


async def test_the_pasted_commands_set_a_price_and_open_a_trade(tmp_path: Path) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are not both here")
    async with Server(tmp_path / "data", *MANUAL) as server:
        start = server.output.index("  first trade, in another terminal:") + 1
        shell = await asyncio.create_subprocess_exec(
            "bash", "-c", "\n".join(server.output[start:-1]), env=server.env, cwd="/",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await shell.communicate()
        assert (shell.returncode, errors) == (0, b"")
        assert b'"mark":"200.000000"' in output
        assert b'"entryPrice":"200.000000"' in output


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        assert (await server.post("/dev/deposit", body={"email": "a@example.com", "amount": 1})).status == 404
        assert (await server.request("PUT", "/dev/prices/SOL", body={"mid": 1})).status == 404


async def test_with_other_feeds_it_pays_in_and_moves_no_price(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", "--dev-control") as server:
        assert "can pay money in" in server.banner("warning")
        assert (await done(server, "POST", "/dev/deposit", {"email": "a@example.com", "amount": 1}))["success"] is True
        assert (await server.request("PUT", "/dev/prices/SOL", body={"mid": 1})).body["code"] == "not_manual"


async def test_what_it_did_outlives_kill_nine(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL) as server:
        token = await server.token("ann@example.com")
        await done(server, "POST", "/dev/clock", {"paused": True, "step": 3600})
        await done(server, "PUT", "/dev/prices/SOL", {"mid": 200})
        trades = [await done(server, "POST", "/trade/create", ORDER, token) for _ in range(3)]
        paid = await done(server, "POST", "/dev/deposit", {"email": "ann@example.com", "amount": "0.000001"})
        assert paid["balance"] == "4700.000001"
        assert (await done(server, "PUT", "/dev/prices/SOL", {"mid": 180}))["liquidated"] == 3
        server.kill()
        await server.wait()
        await assert_verified(server)
        assert_tables_agree(server)
        await server.start()
        assert (await server.get("/balance/usd", token)).body["usd"] == "4700.000001"
        rows = (await server.get("/trade/history", token)).body["data"]
        assert [row["orderId"] for row in rows] == [trade["orderId"] for trade in reversed(trades)]
        assert {(row["liquidated"], row["closePrice"]) for row in rows} == {(True, "180.000000")}
        clock = (await server.get("/dev/clock")).body
        assert clock["now"] >= paid["at"], "time does not go back over a restart"
        assert clock["paused"] is False
        assert (await server.get("/prices/SOL")).body["state"] == "down"


async def test_a_fresh_start_outlives_kill_nine_and_what_came_after_it_too(tmp_path: Path) -> None:
    """Snapshots all the time, so that one is under way when everything is forgotten."""
    env = {"EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.01"}
    async with Server(tmp_path / "data", *MANUAL, env=env) as server:
        token = await server.token("ann@example.com")
        for balance in ("4900.000000", "4900.000000", "4900.000000"):
            for _ in range(5):
                await done(server, "PUT", "/dev/prices/SOL", {"mid": 200})
                await done(server, "POST", "/trade/create", ORDER, token)
                assert (await done(server, "POST", "/dev/reset", None))["success"] is True
            await done(server, "PUT", "/dev/prices/SOL", {"mid": 200})
            trade = await done(server, "POST", "/trade/create", ORDER, token)
            server.kill()
            await server.wait()
            await assert_verified(server)
            await server.start()
            assert (await server.get("/balance/usd", token)).body["usd"] == balance
            (row,) = (await server.get("/trade/history", token)).body["data"]
            assert row["orderId"] == trade["orderId"]
        await done(server, "POST", "/dev/reset", None)
        server.kill()
        await server.restart()
        assert server.recovered.accounts == 0
        assert await server.stop() == 0
        await assert_verified(server)


async def test_sessions_go_by_real_time_however_far_the_clock_is_stepped(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", *MANUAL) as server:
        ann, bob = await server.token("ann@example.com"), await server.token("bob@example.com")
        assert (await server.get("/balance", bob)).status == 200
        assert (await server.post("/logout", bob)).status == 200
        await done(server, "POST", "/dev/clock", {"step": 30 * 86_400})
        await done(server, "POST", "/dev/deposit", {"email": "ann@example.com", "amount": 1})
        server.kill()
        await server.restart()
        assert (await server.get("/balance", ann)).status == 200, "hers would have expired"
        assert (await server.get("/balance", bob)).status == 401, "his was ended, and stays so"
