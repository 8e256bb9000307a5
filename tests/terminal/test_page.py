"""web/terminal: how the page and its files are served, and what the page is told."""

import hashlib
import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
from yarl import URL

from exness.core.instruments import Execution
from exness.core.profiles import PROFILES
from exness.web.http.browser_rules import COOKIE
from exness.web.services import Dev
from exness.web.terminal import pages
from exness.web.terminal.files import CHART, MEDIA_TYPES, STATIC, Files, chart_file, files
from exness.web.terminal.pages import POLICY
from tests.support.app import Answer, App, assert_error, running_app
from tests.support.books import make_rules

CHART_SHA256 = "756b0ba9f58930226d6b8b9d47ad310448ab85d799ea1f7c2c02304777c10b52"
"""Of Lightweight Charts 5.1.0 as its makers publish it."""
LINKS = re.compile(r'(?:src|href)="([^"#]+)"')


async def asked(app: App, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
    assert app.http is not None
    async with app.http.request(method, URL(app.url + path, encoded=True), headers=headers) as response:
        return Answer(response.status, response.headers, await response.read())


async def page(app: App, **headers: str) -> str:
    answer = await asked(app, "/", headers)
    assert answer.status == 200
    return answer.raw.decode()


def facts(text: str) -> dict[str, str]:
    """The `data-` attributes of the page's root."""
    (root,) = re.findall(r"<html [^>]*>", text)
    return {name: unescape(value) for name, value in re.findall(r'data-([a-z-]+)="([^"]*)"', root)}


async def test_the_page_and_all_that_it_loads_is_served_by_us() -> None:
    async with running_app() as app:
        answer = await asked(app, "/")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Cache-Control"] == "no-store"
        text = answer.raw.decode()
        loaded = {link for link in LINKS.findall(text) if not link.startswith("https://") and link != "docs"}
        assert loaded == {f"terminal/{files().release}/{name}" for name in files().by_name}
        for link in loaded:
            assert (await asked(app, f"/{link}")).status == 200
        outside = set(LINKS.findall(text)) - loaded
        assert outside == {"docs", "https://www.tradingview.com/", "https://www.apache.org/licenses/LICENSE-2.0"}


async def test_the_policy_lets_nothing_in_and_the_page_needs_nothing_of_what_it_forbids() -> None:
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in POLICY
    assert not re.search(r"https?:|data:|\*", POLICY)
    async with running_app() as app:
        text = await page(app)
    assert set(re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)) == {""}
    assert not re.search(r"<style|\son\w+=|\sstyle=|javascript:", text)


async def test_a_file_is_what_its_type_says_and_is_kept_for_ever() -> None:
    async with running_app() as app:
        for name, body in files().by_name.items():
            answer = await asked(app, f"/terminal/{files().release}/{name}")
            assert answer.raw == body
            assert answer.headers["Content-Type"] == MEDIA_TYPES[Path(name).suffix]
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_no_other_file_is_served() -> None:
    async with running_app() as app:
        for name in ("index.html", "LICENSE", "..%2ffiles.py", "%2e%2e", "%2fetc%2fpasswd", "", "main.js/x"):
            assert_error(await asked(app, f"/terminal/{files().release}/{name}"), 404, "not_found")


async def test_of_another_release_there_is_nothing_so_that_no_cache_mixes_two() -> None:
    async with running_app() as app:
        assert_error(await asked(app, "/terminal/0123456789abcdef/main.js"), 404, "not_found")


def test_the_chart_library_is_the_one_that_its_makers_publish() -> None:
    path = chart_file()
    assert path is not None
    body = path.read_bytes()
    assert hashlib.sha256(body).hexdigest() == CHART_SHA256
    assert b"Licensed under Apache License 2.0" in body[:400], "its notice stays in the file"


async def test_without_the_chart_library_there_is_a_page_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    without = Files("0", files().template, {name: body for name, body in files().by_name.items() if name != CHART})
    monkeypatch.setattr(pages, "files", lambda: without)
    async with running_app() as app:
        text = await page(app)
        assert CHART not in text
        assert_error(await asked(app, f"/terminal/0/{CHART}"), 404, "not_found")


async def test_the_page_says_who_is_signed_in_and_never_holds_a_token() -> None:
    async with running_app(revocations_look_s=0) as app:
        ann = app.trader("ann")
        assert facts(await page(app))["email"] == ""
        text = await page(app, Cookie=f"{COOKIE}={ann.token}")
        assert facts(text)["email"] == "ann@example.com"
        assert ann.token not in text
        await app.revoke("ann@example.com")
        assert facts(await page(app, Cookie=f"{COOKIE}={ann.token}"))["email"] == ""
        assert facts(await page(app, Cookie=f"{COOKIE}=nonsense"))["email"] == ""


@pytest.mark.parametrize("execution", list(Execution))
async def test_the_page_is_told_what_it_can_t_ask_for(execution: Execution) -> None:
    async with running_app(rules=make_rules(execution=execution)) as app:
        told = facts(await page(app))
    assert told["version"] == "1.2.3"
    assert told["execution"] == execution.value
    assert told["simulated"] in ("true", "false")
    assert told["feed"]
    calls = told["calls"].split()
    assert {"POST:/trade/create", "GET:/prices/{asset}", "GET:/stream"} <= set(calls)
    assert not any("dev" in call for call in calls)


async def test_dev_control_is_told_to_this_machine_alone() -> None:
    async with running_app() as app:
        assert facts(await page(app))["dev"] == "none"
    async with running_app(dev=Dev()) as app:
        told = facts(await page(app))
        assert (told["dev"], "POST:/dev/deposit" in told["calls"]) == ("money", True)
        assert facts(await page(app, **{"X-Forwarded-For": "203.0.113.3"}))["dev"] == "none"
        assert facts(await page(app, Host="trade.example"))["dev"] == "none"


async def test_a_name_that_would_be_html_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "source_for", lambda request: '"><script>alert(1)</script>')
    async with running_app() as app:
        text = await page(app)
    assert "<script>alert" not in text
    assert facts(text)["feed"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize("prefix", ["", "/exness", "/a/b"])
async def test_below_any_prefix_links_lead_to_where_the_page_came_from(prefix: str) -> None:
    seen_at = f"https://proxy.example{prefix}/"
    async with running_app() as app:
        ours = [link for link in LINKS.findall(await page(app)) if not link.startswith("https://")]
    assert {urljoin(seen_at, link) for link in ours} == {f"{seen_at}{link}" for link in ours}


class Ids(HTMLParser):
    """The ids of a page, what is named by them, and every field with its name for readers."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.named: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        for name in ("for", "aria-controls", "aria-labelledby", "aria-describedby", "list"):
            self.named |= set((attributes.get(name) or "").split())


def test_every_id_is_there_once_and_every_script_finds_those_that_it_asks_for() -> None:
    parser = Ids()
    parser.feed(files().template)
    assert len(set(parser.ids)) == len(parser.ids)
    assert parser.named <= set(parser.ids)
    scripts = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in files().modules)
    asked_for = set(re.findall(r'(?:byId|value)\((?:/\*\*.*?\*/ ?\()?"([a-z-]+)"\)', scripts))
    assert len(asked_for) > 60
    assert asked_for <= set(parser.ids)


def test_every_profile_can_be_chosen_in_the_lab() -> None:
    (choices,) = re.findall(r'<select id="profile">(.*?)</select>', files().template)
    assert set(re.findall(r"<option>([a-z]+)</option>", choices)) == set(PROFILES)
