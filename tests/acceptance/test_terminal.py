"""The way to the terminal: the link in the banner, and `exness open`."""

from pathlib import Path

import aiohttp
import pytest

from tests.support.process import Server, finished

pytestmark = pytest.mark.slow


async def lands_on(link: str) -> tuple[int, str, str]:
    """Where a browser ends that follows a link, and whom that page says it shows."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
        browser.get(link) as response,
    ):
        text = await response.text()
        return response.status, response.url.path, text.partition('data-email="')[2].partition('"')[0]


def link_of(server: Server) -> str:
    return next((line.split()[-1] for line in server.output if line.startswith("  terminal  ")), "")


async def test_one_click_after_the_start_one_is_in_front_of_the_terminal_and_signed_in(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        link = link_of(server)
        assert link.startswith(server.url.replace("127.0.0.1", "localhost"))
        assert server.output.index(f"  terminal   {link}") < server.output.index(f"listening on {server.url}")
        assert await lands_on(link) == (200, "/", "you@example.com")
        assert (await lands_on(link))[0] == 401, "it works once"


NO_LINK: dict[str, tuple[list[str], dict[str, str]]] = {
    "everybody may read what is on this machine's network": (["--host", "0.0.0.0"], {}),
    "a mail brings it": ([], {"EXNESS_AUTH_SMTP_URL": "smtp://127.0.0.1:1"}),
    "in production": ([], {"EXNESS_SERVER_PRODUCTION": "true"}),
    "the page is another one": ([], {"EXNESS_SERVER_FRONTEND_URL": "http://localhost:3000"}),
}


@pytest.mark.parametrize("why", NO_LINK)
async def test_no_link_stands_in_the_banner_where_others_could_use_it(tmp_path: Path, why: str) -> None:
    flags, env = NO_LINK[why]
    async with Server(tmp_path / "data", *flags, env=env) as server:
        assert link_of(server) == ""
        assert not any("token=" in line for line in server.output)


async def test_open_makes_a_link_at_any_time_and_opens_the_browser(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {tmp_path}/opened\n')
    browser.chmod(0o700)
    async with Server(tmp_path / "data") as server:
        arguments = ("open", "Bob@example.com", "--data-dir", str(server.data_dir))
        done = await finished(*arguments, env={"BROWSER": f"{browser} %s"}, cwd=tmp_path)
        assert (done.code, done.errors) == (0, "")
        link = done.output.strip()
        assert (tmp_path / "opened").read_text() == link
        assert await lands_on(link) == (200, "/", "bob@example.com")
        again = await finished("open", "--no-browser", "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert await lands_on(again.output.strip()) == (200, "/", "you@example.com")


async def test_open_says_where_nothing_runs_and_who_is_nobody(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        nobody = await finished("open", "nobody", "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert (nobody.code, nobody.output) == (2, "")
        server.kill()
        await server.wait()
        done = await finished("open", "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert (done.code, done.output) == (1, "")
        assert "no exchange runs on" in done.errors
        await server.start()
        second = await finished("serve", "--port", "0", "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert f"(process {server.pid})" in second.errors, "the address that is noted beside it is not part of it"
