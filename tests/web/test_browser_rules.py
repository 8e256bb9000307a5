"""web/http/browser_rules.py: what pages may do, and what every answer tells a browser."""

import pytest

from exness.app.build import make_browser_rules
from exness.config import load
from exness.web.http.browser_rules import SECURITY_HEADERS, BrowserRules
from tests.support.app import App, Trader, assert_error, order, running_app, unchanged

OURS = "http://localhost:3000"
FOREIGN = [
    "https://evil.example.com",
    "http://localhost:3001",
    "https://localhost:3000",
    "http://localhost:3000.evil.example.com",
    "http://LOCALHOST:3000/",
    "null",
    "",
    "file://",
]


def browser_rules() -> BrowserRules:
    return BrowserRules([OURS])


def cookie(trader: Trader, **headers: str) -> dict[str, str]:
    return {"Cookie": f"authToken={trader.token}"} | headers


@pytest.mark.parametrize("path", ["/trade/create", "/trade/close", "/logout"])
@pytest.mark.parametrize("origin", [*FOREIGN, None])
async def test_a_change_by_cookie_from_a_foreign_page_or_none_is_refused(path: str, origin: str | None) -> None:
    async with running_app(browser_rules=browser_rules()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        headers = cookie(ann) | ({} if origin is None else {"Origin": origin})
        with unchanged(app):
            refused = await app.post(path, order(), headers=headers)
        assert_error(refused, 403, "forbidden_origin")
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert (await ann.get("/balance")).status == 200, "it is signed in still"
        assert app.services.security_log.counters["refused_forbidden_origin"] == 1


async def test_a_change_by_cookie_from_the_frontend_or_our_own_page_is_done() -> None:
    async with running_app(browser_rules=browser_rules()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        for origin in (OURS, app.url):
            created = await app.post("/trade/create", order(), headers=cookie(ann, Origin=origin))
            assert created.status == 200


HOSTS = [
    # Host, production, public_url's origin: origins of our own page, and some that are not
    ("localhost:8002", False, None, ["http://localhost:8002"], ["https://localhost:8002", "http://localhost"]),
    ("LOCALHOST:8002", False, None, ["http://localhost:8002"], ["http://LOCALHOST:8002"]),
    ("example.com", False, None, ["http://example.com"], ["https://example.com", "http://example.com:80"]),
    ("example.com:80", False, None, ["http://example.com"], ["https://example.com", "http://example.com:80"]),
    ("[::1]:80", False, None, ["http://[::1]"], ["http://[::1]:80"]),
    ("[2001:db8::443]", False, None, ["http://[2001:db8::443]"], ["https://[2001:db8:"]),
    ("example.com:443", False, None, ["https://example.com", "http://example.com:443"], ["http://example.com"]),
    ("example.com:443", True, None, ["https://example.com"], ["http://example.com", "https://example.com:443"]),
    ("example.com", True, None, ["https://example.com"], ["http://example.com", "https://example.com.evil.example"]),
    ("example.com:8443", True, None, ["https://example.com:8443"], ["https://example.com"]),
    ("10.0.0.5:8002", False, "https://example.com", ["https://example.com"], ["http://example.com"]),
    ("", False, None, [], ["http://", "https://", "", "null"]),
    (":443", False, None, [], ["http://:443", "https://"]),
]


@pytest.mark.parametrize(("host", "production", "public", "ours", "foreign"), HOSTS)
async def test_our_own_page_is_known_by_host_or_public_url_as_browsers_spell_it(
    host: str, production: bool, public: str | None, ours: list[str], foreign: list[str]
) -> None:
    async with running_app(browser_rules=BrowserRules(own_origin=public, production=production)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        for origin, status in [*((each, 200) for each in ours), *((each, 403) for each in foreign)]:
            answer = await app.post("/trade/create", order(), headers=cookie(ann, Origin=origin, Host=host))
            assert (origin, answer.status) == (origin, status)
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("configured", "sent"),
    [
        ("https://example.com:443", "https://example.com"),
        ("http://localhost:80", "http://localhost"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://Example.com/", "https://example.com"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
    ],
)
async def test_an_allowed_origin_matches_what_browsers_send_however_it_was_written(configured: str, sent: str) -> None:
    config = load(None, {"EXNESS_SERVER_ALLOWED_ORIGINS": configured}, {})
    async with running_app(browser_rules=make_browser_rules(config)) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        created = await app.post("/trade/create", order(), headers=cookie(ann, Origin=sent))
        assert (created.status, created.headers["Access-Control-Allow-Origin"]) == (200, sent)
        if configured != sent:
            refused = await app.post("/trade/create", order(), headers=cookie(ann, Origin="https://other.example"))
            assert_error(refused, 403, "forbidden_origin")


async def test_the_page_of_a_public_url_with_a_path_is_ours() -> None:
    config = load(None, {"EXNESS_SERVER_PUBLIC_URL": "https://Bücher.example:443/exness/"}, {})
    async with running_app(browser_rules=make_browser_rules(config)) as app:
        (ann,) = await app.known("ann")
        done = await app.post("/logout", headers=cookie(ann, Origin="https://xn--bcher-kva.example", Host="10.0.0.5"))
        assert done.status == 200


async def test_who_brings_a_token_needs_no_origin(app: App, ann: Trader) -> None:
    for origin in ({}, {"Origin": "https://evil.example.com"}):
        created = await ann.post("/trade/create", order(), headers=cookie(ann) | origin)
        assert created.status == 200


async def test_reading_by_cookie_works_without_an_origin_and_a_foreign_page_can_not_see_it(
    app: App, ann: Trader
) -> None:
    answer = await app.get("/account", headers=cookie(ann, Origin="https://evil.example.com"))
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_an_allowed_page_may_read_answers_and_errors_with_credentials() -> None:
    async with running_app(browser_rules=browser_rules()) as app:
        for path in ("/prices", "/account", "/nothing"):
            answer = await app.get(path, headers={"Origin": OURS})
            assert answer.headers["Access-Control-Allow-Origin"] == OURS
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert answer.headers["Vary"] == "Origin"
            assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_a_preflight_of_an_allowed_page_is_told_what_it_may_do() -> None:
    async with running_app(browser_rules=browser_rules()) as app:
        asks = {"Origin": OURS, "Access-Control-Request-Method": "POST"}
        answer = await app.request("OPTIONS", "/trade/create", headers=asks)
        assert (answer.status, answer.raw) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == OURS
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Methods"] == "POST"
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert (await app.request("OPTIONS", "/nothing", headers=asks)).status == 404


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_preflight_of_a_foreign_page_gets_nothing(origin: str) -> None:
    async with running_app(browser_rules=browser_rules()) as app:
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = await app.request("OPTIONS", "/trade/create", headers=asks)
        assert_error(answer, 405, "method_not_allowed")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_every_answer_has_the_security_headers_and_tells_no_version(app: App, ann: Trader) -> None:
    answers = [
        await app.get("/prices"),
        await app.get("/nothing"),
        await app.get("/account"),
        await app.get("/healthz"),
        await ann.try_create(margin=0),
        await app.request("OPTIONS", "/prices"),
        await app.request("HEAD", "/prices"),
    ]
    for answer in answers:
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert answer.headers["Server"] == "exness"
        assert "Strict-Transport-Security" not in answer.headers


async def test_in_production_browsers_are_held_to_https() -> None:
    async with running_app(browser_rules=BrowserRules([OURS], production=True)) as app:
        answer = await app.get("/prices")
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        (ann,) = await app.known("ann")
        refused = await app.post("/logout", headers=cookie(ann, Origin=app.url))
        assert_error(refused, 403, "forbidden_origin")
