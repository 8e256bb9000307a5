"""web/browsers.py: what pages may do, and what every answer tells a browser."""

import pytest

from exness.web.browsers import SECURITY_HEADERS, Browsers
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


def browsers() -> Browsers:
    return Browsers([OURS])


def cookie(trader: Trader, **headers: str) -> dict[str, str]:
    return {"Cookie": f"authToken={trader.token}"} | headers


@pytest.mark.parametrize("path", ["/trade/create", "/trade/close", "/logout"])
@pytest.mark.parametrize("origin", [*FOREIGN, None])
async def test_a_change_by_cookie_from_a_foreign_page_or_none_is_refused(path: str, origin: str | None) -> None:
    async with running_app(browsers=browsers()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        headers = cookie(ann) | ({} if origin is None else {"Origin": origin})
        with unchanged(app):
            refused = await app.post(path, order(), headers=headers)
        assert_error(refused, 403, "forbidden_origin")
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert (await ann.get("/balance")).status == 200, "it is signed in still"
        assert app.context.audit.counters["refused_forbidden_origin"] == 1


async def test_a_change_by_cookie_from_the_frontend_or_our_own_page_is_done() -> None:
    async with running_app(browsers=browsers()) as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        for origin in (OURS, app.url):
            created = await app.post("/trade/create", order(), headers=cookie(ann, Origin=origin))
            assert created.status == 200


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
    async with running_app(browsers=browsers()) as app:
        for path in ("/prices", "/account", "/nothing"):
            answer = await app.get(path, headers={"Origin": OURS})
            assert answer.headers["Access-Control-Allow-Origin"] == OURS
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert answer.headers["Vary"] == "Origin"
            assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_a_preflight_of_an_allowed_page_is_told_what_it_may_do() -> None:
    async with running_app(browsers=browsers()) as app:
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
    async with running_app(browsers=browsers()) as app:
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
    async with running_app(browsers=Browsers([OURS], production=True)) as app:
        answer = await app.get("/prices")
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        (ann,) = await app.known("ann")
        refused = await app.post("/logout", headers=cookie(ann, Origin=app.url))
        assert_error(refused, 403, "forbidden_origin")
