"""From nothing to a trade with curl only; and sessions that end in a running server and stay ended."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support.process import DidNotStart, Finished, Server, finished

TOUR = r"""
set -euo pipefail
API=$URL/api/v1
curl -sf $API/signup -H "Content-Type: application/json" -d '{"email": "you@example.com"}' >/dev/null
until ls "$DATA"/outbox/*.eml >/dev/null 2>&1; do sleep 0.05; done
LINK=$(grep -oh 'http[^ "<]*token=[A-Za-z0-9_-]*' "$DATA"/outbox/*.eml | tail -1)
TOKEN=$(curl -sf "$LINK" -H "Accept: application/json" | grep -o '"token":"[^"]*"' | cut -d'"' -f4)
curl -sf $API/trade/create -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
  -d '{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}'
"""


async def test_from_nothing_to_a_trade_with_curl_only(tmp_path: Path) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are not both here")
    async with Server(tmp_path / "data") as server:
        environment = server.env | {"URL": server.url, "DATA": str(server.data_dir)}
        tour = await asyncio.create_subprocess_exec(
            "bash", "-c", TOUR, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            said, errors = await tour.communicate()
        assert tour.returncode == 0, errors.decode()
        assert b'"balance":"4900.000000"' in said
        assert await server.stop() == 0
        log = "\n".join(server.errors)
        assert "signed_in" in log
        assert "you@example.com" not in log


async def revoked(server: Server, email: str) -> Finished:
    return await finished("token", "--revoke", email, "--data-dir", str(server.data_dir), cwd=server.cwd)


async def test_revoked_sessions_end_at_once_and_stay_ended(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        anns, bobs = await server.token("ann@example.com"), await server.token("bob@example.com")
        assert [(await server.get("/balance", token)).status for token in (anns, bobs)] == [200, 200]
        done = await revoked(server, "Ann@Example.com")
        assert (done.code, done.output) == (0, "every session of ann@example.com is ended; it can sign in again\n")
        assert [(await server.get("/balance", token)).status for token in (anns, bobs)] == [401, 200]
        again = await server.token("ann@example.com")
        assert (await server.get("/balance", again)).status == 200
        assert (await server.post("/logout", again)).status == 200
        server.kill()
        await server.restart()
        statuses = [(await server.get("/balance", token)).status for token in (anns, again, bobs)]
        assert statuses == [401, 401, 200]


async def test_a_rotated_secret_leaves_sessions_good_until_the_previous_one_is_removed(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        old = await server.token("ann@example.com")
        secret, previous = server.data_dir / "secret", server.data_dir / "secret.previous"
        for change, status in ((lambda: secret.rename(previous), 200), (previous.unlink, 401)):
            assert await server.stop() == 0
            change()
            await server.start()
            assert (await server.get("/balance", old)).status == status
        assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("setting", "value"),
    [("EXNESS_AUTH_MAIL_FROM", "a@b, c@d"), ("EXNESS_AUTH_SMTP_URL", "smtp://u:hunter2@mail.example.com/path")],
)
async def test_a_mail_setting_that_can_not_work_is_said_at_start(tmp_path: Path, setting: str, value: str) -> None:
    with pytest.raises(DidNotStart) as caught:
        async with Server(tmp_path / "data", env={setting: value}):
            pass
    assert caught.value.code == 1
    assert caught.value.errors.startswith("exness: ")
    assert len(caught.value.errors.splitlines()) == 1
    assert "hunter2" not in caught.value.errors


async def test_a_link_names_the_public_address(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env={"EXNESS_SERVER_PUBLIC_URL": "https://trade.example.com/"}) as server:
        assert (await server.post("/signup", body={"email": "ann@example.com"})).status == 200
        assert await server.stop() == 0
        (mail,) = (server.data_dir / "outbox").glob("*.eml")
        assert "https://trade.example.com/api/v1/signin/post?token=" in mail.read_text()
