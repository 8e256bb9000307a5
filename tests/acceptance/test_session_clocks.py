"""Sessions of the real process, and a command line beside it, under clocks that are stepped, set and apart."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_clock import WallClock
from tests.support.process import Server, finished
from tests.support.waiting import until

MANUAL = ("--feed", "manual", "--dev-control")
EMAIL = "ann@example.com"
ORDER = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}


async def done(server: Server, method: str, path: str, body: Any, token: str | None = None) -> Any:
    answer = await server.request(method, path, token, body)
    assert answer.status == 200, answer.body
    return answer.body


async def signed_in_by_link(server: Server) -> str:
    """The session token that the newest mailed link opens."""
    await done(server, "POST", "/signin", {"email": EMAIL})
    outbox = server.data_dir / "outbox"
    await until(lambda: list(outbox.glob("*.eml")), "for a mail", within_s=30, pause_s=0.02)
    (mail,) = outbox.glob("*.eml")
    (link,) = set(re.findall(r"token=([A-Za-z0-9_-]{43})", mail.read_text()))
    mail.unlink()
    answer = await server.get(f"/signin/post?token={link}", headers={"Accept": "application/json"})
    assert answer.status == 200, answer.body
    return str(answer.body["token"])


async def revoke(server: Server) -> None:
    """By a command line whose clock is the machine's."""
    ended = await finished("token", "--revoke", EMAIL, "--data-dir", str(server.data_dir), cwd=server.cwd)
    assert (ended.code, ended.output) == (0, f"every session of {EMAIL} is ended; it can sign in again\n")


async def machine_token(server: Server) -> str:
    made = await finished("token", EMAIL, "--data-dir", str(server.data_dir), cwd=server.cwd)
    assert made.code == 0, made.errors
    return made.output.strip()


async def assert_revoked_at_once_and_a_new_one_works(server: Server, *tokens: str) -> None:
    for token in tokens:
        assert (await server.get("/balance", token)).status == 200
    await revoke(server)
    for token in tokens:
        assert (await server.get("/balance", token)).status == 401
    again = await machine_token(server)
    assert (await server.get("/balance", again)).status == 200
    assert (await server.post("/logout", again)).status == 200
    assert (await server.get("/balance", again)).status == 401


async def test_a_revocation_ends_sessions_of_an_exchange_whose_clock_was_stepped_ahead_for_good(tmp_path: Path) -> None:
    """By hand for an hour; the next run has another feed, and goes on after the newest record."""
    async with Server(tmp_path / "data", *MANUAL) as server:
        token = await server.token(EMAIL)
        await done(server, "POST", "/dev/clock", {"step": 3600})
        await done(server, "PUT", "/dev/prices/SOL", {"mid": 200})
        await done(server, "POST", "/trade/create", ORDER, token)
        assert await server.stop() == 0
    async with Server(tmp_path / "data") as server:
        await assert_revoked_at_once_and_a_new_one_works(server, token, await signed_in_by_link(server))
        assert await server.stop() == 0


STEPS: dict[str, dict[str, Any]] = {
    "paused": {"paused": True},
    "a month ahead": {"step": 31 * 86_400},
}


@pytest.mark.parametrize("clock", STEPS)
async def test_sessions_do_not_know_the_exchanges_clock(tmp_path: Path, clock: str) -> None:
    async with Server(tmp_path / "data", *MANUAL) as server:
        before = await server.token(EMAIL)
        assert (await server.get("/balance", before)).status == 200
        await done(server, "POST", "/dev/clock", STEPS[clock])
        await assert_revoked_at_once_and_a_new_one_works(
            server, before, await server.token(EMAIL), await signed_in_by_link(server)
        )
        server.kill()
        await server.restart()
        assert (await server.get("/balance", before)).status == 401


@pytest.mark.parametrize("hours", [-2, 2], ids=["behind", "ahead"])
@pytest.mark.parametrize("then", ["corrected", "left"])
async def test_a_server_whose_machine_had_a_wrong_clock_when_it_started(tmp_path: Path, hours: int, then: str) -> None:
    """The clock is set right while it runs, or it stays apart from the command line's."""
    wall = WallClock(tmp_path / "clock")
    wall.step_to(hours * 3600)
    async with Server(tmp_path / "data", env=wall.env) as server:
        by_link, by_server_clock = await signed_in_by_link_after_sign_up(server), await server.token(EMAIL)
        if then == "corrected":
            wall.step_to(0)
        await assert_revoked_at_once_and_a_new_one_works(server, by_link, by_server_clock, await machine_token(server))
        assert await server.stop() == 0


async def signed_in_by_link_after_sign_up(server: Server) -> str:
    """There is an account, which asking to sign in needs."""
    token = await server.token(EMAIL)
    assert (await server.get("/balance", token)).status == 200
    return await signed_in_by_link(server)


@pytest.mark.parametrize(
    "moved",
    [lambda wall: wall.step_to(8 * 86_400), lambda wall: wall.step_to(-2 * 86_400)],
    ids=["expired", "from the future"],
)
async def test_a_running_server_reads_the_machines_clock_anew(
    tmp_path: Path, moved: Callable[[WallClock], None]
) -> None:
    """It counted on from its start, while the command line and the next start went by the machine's."""
    wall = WallClock(tmp_path / "clock")
    async with Server(tmp_path / "data", env=wall.env) as server:
        token = await server.token(EMAIL)
        assert (await server.get("/balance", token)).status == 200
        moved(wall)
        for _ in range(2):
            assert (await server.get("/balance", token)).status == 401
            assert (await server.get("/balance", await server.token(EMAIL))).status == 200
            server.kill()
            await server.restart()
        wall.step_to(0)
        assert (await server.get("/balance", token)).status == 200
