"""`exness config`: what it prints, from a process of its own."""

import tomllib
from pathlib import Path

import pytest

from tests.support.process import finished

SHIPPED = (Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_default_settings_are_printed_whatever_the_folder_and_the_environment_hold(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("not toml")
    done = await finished("config", "--defaults", env={"EXNESS_SERVER_PORT": "x"}, cwd=tmp_path)
    assert done == (0, SHIPPED, "")


async def test_the_settings_in_effect_are_printed_with_their_sources(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[server]\nport = 1\nhost = "::"\n')
    env = {"EXNESS_SERVER_PORT": "2", "EXNESS_AUTH_RESEND_API_KEY": "s3cret", "EXNESS_TOKEN": "s3cret"}
    arguments = ("config", "--config", "mine.toml", "--replay", "a.csv", "b.csv")
    done = await finished(*arguments, env=env, cwd=tmp_path)
    assert done.code == 0
    assert done.errors.startswith("exness: warning: EXNESS_TOKEN is no setting")
    assert "s3cret" not in done.output + done.errors
    printed = tomllib.loads(done.output)
    assert (printed["server"]["port"], printed["server"]["host"]) == (2, "::")
    assert (printed["feed"]["source"], printed["feed"]["replay_files"]) == ("replay", ["a.csv", "b.csv"])
    lines = done.output.splitlines()
    assert 'host = "::"  # mine.toml' in lines
    assert "port = 2  # EXNESS_SERVER_PORT" in lines
    assert 'source = "replay"  # command line' in lines
    table = (await finished(*arguments, "--table", env=env, cwd=tmp_path)).output
    assert ["server.port", "2", "EXNESS_SERVER_PORT"] in [line.split() for line in table.splitlines()]
    assert names_in(tmp_path) == ["mine.toml"], "nothing is made"


@pytest.mark.parametrize(("flags", "code"), [([], 1), (["--port", "x"], 2)])
async def test_settings_that_cannot_be_used_are_refused_as_serve_refuses_them(
    tmp_path: Path, flags: list[str], code: int
) -> None:
    env = {"EXNESS_LOG_LEVEL": "loud", "EXNESS_LOG_FORMAT": "xml"}
    done = await finished("config", *flags, env=env, cwd=tmp_path)
    assert (done.code, done.output) == (code, "")
    title, *problems = done.errors.splitlines()
    assert title == f"exness: {len(problems)} settings cannot be used:"
    assert problems[0].startswith('  EXNESS_LOG_FORMAT: log.format must be "console" or "json", not "xml"')
    assert len(problems) == 2 + len(flags) // 2
    assert done.errors == (await finished("serve", *flags, env=env, cwd=tmp_path)).errors
    assert names_in(tmp_path) == []
