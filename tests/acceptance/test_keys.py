"""`exness key` beside a running server and without one; keys over kill -9, a changed secret, backup and restore."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Finished, Server, finished

pytestmark = pytest.mark.slow

EMAIL = "ann@example.com"


async def key_command(data_dir: Path, *arguments: str) -> Finished:
    return await finished("key", *arguments, "--data-dir", str(data_dir), cwd=data_dir.parent)


async def created(data_dir: Path, *arguments: str) -> dict[str, str]:
    """What `key create` prints, as headers of a request."""
    done = await key_command(data_dir, "create", EMAIL, *arguments)
    assert (done.code, done.errors) == (0, "")
    assert len(done.output.splitlines()) == 1
    made = json.loads(done.output)
    assert made.keys() == {"key", "secret"}
    return {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}


async def listed(data_dir: Path) -> list[dict[str, Any]]:
    done = await key_command(data_dir, "list", EMAIL)
    assert (done.code, done.errors) == (0, "")
    return [json.loads(line) for line in done.output.splitlines()]


async def status(server: Server, key: dict[str, str], path: str = "/balance") -> int:
    return (await server.get(path, headers=key)).status


async def test_a_key_of_the_command_line_works_at_once_and_over_kill_9_until_it_is_revoked(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    before = await created(data_dir, "--name", "before the first start")
    async with Server(data_dir) as server:
        assert await status(server, before) == 200
        reading = await created(data_dir, "--read-only", "--days", "2")
        assert await status(server, reading) == 200
        refused = await server.request("POST", "/order/cancelAll", None, {}, headers=reading)
        assert (refused.status, refused.body["code"]) == (403, "key_not_allowed")
        rows = await listed(data_dir)
        assert [(row["name"], row["scopes"], row["expiresAt"] is None) for row in rows] == [
            ("before the first start", ["read", "trade"], True),
            ("command line", ["read"], False),
        ]
        assert "secret" not in rows[0]
        server.kill()
        await server.restart()
        assert [await status(server, key) for key in (before, reading)] == [200, 200]
        done = await key_command(data_dir, "revoke", EMAIL, before["X-API-Key"])
        assert (done.code, done.output) == (0, f"the key {before['X-API-Key'][:8]}... of {EMAIL} is revoked\n")
        assert [await status(server, key) for key in (before, reading)] == [401, 200]
        server.kill()
        await server.restart()
        assert [await status(server, key) for key in (before, reading)] == [401, 200]


async def test_a_key_outlives_a_change_of_the_secret_and_a_restore_with_it(tmp_path: Path) -> None:
    data_dir, restored, other = tmp_path / "data", tmp_path / "restored", tmp_path / "other"
    key = await created(data_dir)
    async with Server(data_dir) as server:
        assert await status(server, key) == 200
        assert await server.stop() == 0
    (data_dir / "secret").rename(data_dir / "secret.previous")
    async with Server(data_dir) as server:
        assert await status(server, key) == 200
        assert await server.stop() == 0
    (data_dir / "secret.previous").unlink()
    async with Server(data_dir) as server:
        assert await status(server, key) == 200
        copy = tmp_path / "copy.db"
        assert (await finished("backup", str(copy), "--data-dir", str(data_dir), cwd=tmp_path)).code == 0
        assert await server.stop() == 0

    restored.mkdir()
    shutil.copy(data_dir / "secret", restored / "secret")
    done = await finished("restore", str(copy), "--data-dir", str(restored), cwd=tmp_path)
    assert done.output.splitlines()[-1] == (
        "1 API keys are those of the backup, also if they were revoked since: see `exness key list`"
    )
    async with Server(restored) as server:
        assert await status(server, key) == 200
    done = await finished("restore", str(copy), "--data-dir", str(other), cwd=tmp_path)
    assert done.output.splitlines()[-1] == (
        "1 API keys of the backup are lost: they need the auth secret of the exchange that made them"
    )
    async with Server(other) as server:
        assert await status(server, key) == 401


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("create", "no address"), 2, "'no address': this is no mail address like you@example.com"),
        (("create", EMAIL, "--name", ""), 2, "the name of a key is 1 to 50 printable characters"),
        (("create", EMAIL, "--days", "0"), 2, "a key is good for 1 to 3650 days, not '0'"),
        (("revoke", EMAIL, "0" * 64), 1, f"{EMAIL} has no such API key"),
        ((), 2, "required: ACTION"),
        (("make", EMAIL), 2, "invalid choice: 'make'"),
    ],
    ids=str,
)
async def test_what_can_not_be_done_is_said_in_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    if not arguments:
        done = await finished("key", cwd=tmp_path)
    else:
        done = await key_command(tmp_path / "data", *arguments)
    assert (done.code, done.output) == (code, "")
    assert said in done.errors
    assert "Traceback" not in done.errors
