"""web/dev: who may use dev control, and what it says of itself."""

import pytest

from exness.web.dev.endpoints import ENDPOINTS
from exness.web.services import Dev
from tests.support.app import API, App, assert_error, bad, running_app, unchanged
from tests.web.dev_control import known

JSON_TYPE = {"Content-Type": "application/json"}


# --- who may ------------------------------------------------------------------------------------------------------

ASKED = [(row.method, row.path.replace("{asset}", "SOL")) for row in ENDPOINTS]


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_when_it_is_off_there_is_nothing_at_its_addresses(app: App, method: str, path: str) -> None:
    for each in {method, "GET", "POST", "HEAD", "OPTIONS", "DELETE"}:
        answer = await app.request(each, path)
        nowhere = await app.request(each, "/dev/nothing/here")
        assert (answer.status, answer.raw) == (404, nowhere.raw)
        assert answer.headers.get("Allow") is None


@pytest.mark.parametrize(("method", "path"), ASKED)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_what_a_proxy_passes_on_is_refused(dev: App, method: str, path: str, header: str) -> None:
    with unchanged(dev):
        refused = await dev.request(method, path, body={"mid": 1}, headers={header: "127.0.0.1"})
        assert_error(refused, 403, "local_only")


@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        ("localhost", True),
        ("LOCALHOST:8002", True),
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("[::1]:8002", True),
        ("[::ffff:127.0.0.1]", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.7:8002", False),
        ("[2001:db8::1]", False),
        ("[", False),
    ],
)
async def test_it_answers_to_names_of_this_machine_only(dev: App, host: str, welcome: bool) -> None:
    answer = await dev.get("/dev/clock", headers={"Host": host})
    if welcome:
        assert answer.status == 200
    else:
        assert_error(answer, 403, "local_only")


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_a_connection_from_elsewhere_is_refused(
    dev: App, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for peer in ("192.0.2.7", "2001:db8::7", "::ffff:10.0.0.1", "", "nonsense"):
        monkeypatch.setattr("aiohttp.web.BaseRequest.remote", peer)
        with unchanged(dev):
            assert_error(await dev.request(method, path, body={"mid": 1}), 403, "local_only")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_a_foreign_page_is_refused(dev: App, method: str, path: str, origin: str) -> None:
    with unchanged(dev):
        refused = await dev.request(method, path, body={"mid": 1}, headers={"Origin": origin})
        assert_error(refused, 403, "forbidden_origin")


async def test_our_own_page_is_welcome(dev: App) -> None:
    assert (await dev.get("/dev/clock", headers={"Origin": dev.url})).status == 200


@pytest.mark.parametrize(("method", "path"), ASKED[:4])
async def test_price_and_clock_are_in_no_hand_unless_the_feed_is_manual(method: str, path: str) -> None:
    async with running_app(dev=Dev()) as app:
        assert_error(await app.request(method, path, body={}), 409, "not_manual")


async def test_bodies_must_be_json(dev: App) -> None:
    for method, path in ASKED:
        if method == "GET" or path == "/dev/reset":
            continue
        for headers in ({}, {"Content-Type": "text/plain"}):
            refused = await dev.request(method, path, data=b'{"mid": 1}', headers=headers)
            assert_error(refused, 415, "unsupported_media_type")
        refused = await dev.request(method, path, data=b'{"mid"', headers=JSON_TYPE)
        assert_error(refused, 400, "invalid_request", details=bad("body", "The body is not valid JSON"))
        refused = await dev.request(method, path, data=b"x" * 70_000, headers=JSON_TYPE)
        assert_error(refused, 413, "body_too_large")


async def test_where_it_is_on_the_document_has_it(dev: App) -> None:
    assert dev.http is not None
    async with dev.http.get(f"{dev.url}/openapi.json") as response:
        paths = (await response.json())["paths"]
    for row in ENDPOINTS:
        assert row.method.lower() in paths[API + row.path]


async def test_where_it_is_off_the_document_has_nothing_of_it(app: App) -> None:
    assert app.http is not None
    async with app.http.get(app.url + "/openapi.json") as response:
        assert "/dev/" not in await response.text()


# --- sessions -----------------------------------------------------------------------------------------------------


async def test_a_session_of_dev_control_is_good_also_after_those_before_it_were_ended(dev: App) -> None:
    ann = await known(dev)
    assert (await ann.post("/logout", None)).status == 200
    assert_error(await ann.get("/balance"), 401, "unauthorized")
    answer = await dev.post("/dev/session", {"email": "Ann@Example.com"}, headers={"Accept": "application/json"})
    assert "Set-Cookie" not in answer.headers
    assert (answer.status, answer.body["email"]) == (200, ann.email)
    ann.token = answer.body["token"]
    assert (await ann.get("/account")).body["email"] == ann.email


async def test_a_browser_is_signed_in_by_a_cookie_that_no_script_sees(dev: App) -> None:
    answer = await dev.post("/dev/session", {"email": "Ann@Example.com"})
    assert answer.status == 200
    assert answer.body.keys() == {"success", "email", "expiresAt"}, "no token"
    assert answer.body["email"] == "ann@example.com"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("authToken=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    signed_in = await dev.get("/account", headers={"Cookie": cookie.partition(";")[0]})
    assert (signed_in.status, signed_in.body["email"]) == (200, "ann@example.com")


async def test_no_foreign_page_and_nobody_from_elsewhere_gets_a_session(dev: App) -> None:
    with unchanged(dev):
        foreign = await dev.post(
            "/dev/session", {"email": "ann@example.com"}, headers={"Origin": "https://evil.example"}
        )
        assert_error(foreign, 403, "forbidden_origin")
        passed_on = await dev.post("/dev/session", {"email": "ann@example.com"}, headers={"X-Forwarded-For": "1.2.3.4"})
        assert_error(passed_on, 403, "local_only")
        for answer in (foreign, passed_on):
            assert "Set-Cookie" not in answer.headers
        assert_error(
            await dev.post("/dev/session", {"email": "nobody"}),
            400,
            "invalid_request",
            details=bad("email", "email must be a mail address like you@example.com"),
        )


async def test_without_dev_control_there_are_no_sessions_without_a_mail() -> None:
    async with running_app() as app:
        assert_error(await app.post("/dev/session", {"email": "ann@example.com"}), 404, "not_found")
