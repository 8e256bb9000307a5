"""Who does not spread out has no part of it."""

from pathlib import Path

import pytest

from exness.app import databases
from exness.app.build import StartError
from exness.config import load
from tests.support.process import Server

LOADED = "import pathlib; pathlib.Path({!r}).write_text('loaded')\n"


@pytest.mark.slow
async def test_an_exchange_in_files_loads_neither_asyncpg_nor_redis(tmp_path: Path) -> None:
    stubs, mark = tmp_path / "stubs", tmp_path / "mark"
    stubs.mkdir()
    for name in ("asyncpg", "redis"):
        (stubs / f"{name}.py").write_text(LOADED.format(str(mark)))
    async with Server(tmp_path / "data", env={"PYTHONPATH": str(stubs)}) as server:
        token = await server.token("ann@example.com")
        order = {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}
        assert (await server.post("/trade/create", token, order)).status == 200
        assert (await server.get("/trade/history", token)).status == 200
        assert await server.stop() == 0
    assert not mark.exists()


def test_a_database_without_asyncpg_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "find_spec", lambda name: None)
    variables = {"EXNESS_DEPLOY_DATABASE": "postgresql://u:p@h/d", "EXNESS_AUTH_SECRET": "s" * 32}
    with pytest.raises(StartError, match=r"pip install 'exness\[spread\]'"):
        databases.address_of(load(None, variables, {}))


def test_settings_of_the_database_stay_secret() -> None:
    variables = {"EXNESS_DEPLOY_DATABASE": "postgresql://u:quite-secret@h/d", "EXNESS_AUTH_SECRET": "s" * 32}
    config = load(None, variables, {})
    assert "quite-secret" not in repr(config)
    assert "quite-secret" not in str(config.deploy)
