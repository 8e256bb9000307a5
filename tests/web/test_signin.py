"""web/v1/signin.py and access/magic_links.py: links asked for, mailed and opened; signing out."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exness.storage.auth import open_auth
from exness.web.v1.signin import BAD_LINK, LINK_SENT
from tests.support.app import (
    SECRET,
    WALL_START,
    Answer,
    App,
    SetWallClock,
    Stores,
    Trader,
    assert_error,
    bad,
    rate_limits,
    running_app,
    unchanged,
)
from tests.support.exchange import SetClock
from tests.support.memory_auth import MemoryAuth
from tests.support.waiting import until

JSON = {"Accept": "application/json"}
NEW = "new@example.com"


async def ask(app: App, path: str, email: Any = NEW) -> Answer:
    answer = await app.post(path, {"email": email})
    assert answer.status == 200, answer
    return answer


async def open_link(app: App, token: str, **options: Any) -> Answer:
    return await app.get(
        f"/signin/post?token={token}", headers=JSON | options.pop("headers", {}), allow_redirects=False, **options
    )


def newest_token(app: App) -> str:
    return app.mailbox.mails[-1].link


async def signed_up(app: App, email: str = NEW) -> Answer:
    await ask(app, "/signup", email)
    answer = await open_link(app, newest_token(app))
    assert answer.status == 200, answer
    return answer


# --- asking for a link --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/signup", "/signin"])
async def test_every_address_gets_the_same_answer(app: App, ann: Trader, path: str) -> None:
    answers = [await ask(app, path, email) for email in (ann.email, "nobody@example.com")]
    assert answers[0].body == {"success": True, "message": LINK_SENT}
    assert answers[0].raw == answers[1].raw
    own = {"X-Request-ID", "Date"}
    headers = [{name: value for name, value in answer.headers.items() if name not in own} for answer in answers]
    assert headers[0] == headers[1]


async def test_signing_up_with_a_known_address_mails_a_link_to_sign_in(app: App, ann: Trader) -> None:
    await ask(app, "/signup", ann.email)
    await ask(app, "/signup", NEW)
    assert [(mail.to, mail.subject) for mail in app.mailbox.mails] == [(ann.email, "signin"), (NEW, "signup")]


async def test_signing_in_with_an_unknown_address_mails_nothing_and_does_the_same_work(app: App) -> None:
    await ask(app, "/signin", NEW)
    assert app.mailbox.mails == []
    assert len(app.mailbox.written) == len(store_of(app).links) == 1
    assert_error(await open_link(app, app.mailbox.written[0].link), 401, "unauthorized", BAD_LINK)


def store_of(app: App) -> MemoryAuth:
    assert isinstance(app.auth, MemoryAuth)
    return app.auth


async def test_only_the_hash_of_a_token_is_stored(app: App) -> None:
    await ask(app, "/signup")
    token = newest_token(app)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert token not in str([(link.token_hash, link.email) for link in store_of(app).links.values()])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("New@Example.COM", NEW),
        ("  new@example.com", None),
        ("new@exämple.com", "new@exämple.com"),
        ("new@xn--exmple-cua.com", "new@exämple.com"),
        ("n\u0065\u0301w@example.com", "néw@example.com"),
    ],
)
async def test_an_address_has_one_spelling(app: App, written: str, kept: str | None) -> None:
    if kept is None:
        assert (await app.post("/signup", {"email": written})).status == 400
    else:
        assert (await signed_up(app, written)).body["email"] == kept


NO_ADDRESSES = [
    "",
    "new",
    "new@",
    "@example.com",
    "a@b@c.com",
    "new@example.com\r\nBcc: all@example.com",
    "new@example.com,all@example.com",
    "=?utf-8?q?bob=40example.com?=@example.com",
    "new\x00@example.com",
    "new@exam ple.com",
    "Name <new@example.com>",
    "new@[127.0.0.1]",
    "x" * 250 + "@example.com",
    "x" * 60_000,
]


@pytest.mark.parametrize("path", ["/signup", "/signin"])
@pytest.mark.parametrize("email", NO_ADDRESSES)
async def test_what_is_no_address_is_refused_without_repeating_it(app: App, path: str, email: str) -> None:
    message = "email must be a mail address like you@example.com"
    with capture_logs() as logs, unchanged(app):
        refused = await app.post(path, {"email": email})
    assert_error(refused, 400, "invalid_request", message, details=bad("email", message))
    assert logs == []
    assert store_of(app).links == {}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "email", "email is required"),
        ({"email": None}, "email", "email must be a string"),
        ({"email": ["new@example.com"]}, "email", "email must be a string"),
        ({"email": NEW, "admin": True}, "admin", "admin is not a known field"),
    ],
)
async def test_a_body_without_an_address_is_refused(app: App, body: Any, field: str, message: str) -> None:
    assert_error(await app.post("/signup", body), 400, "invalid_request", message, details=bad(field, message))


# --- opening a link -----------------------------------------------------------------------------------------------


async def test_the_first_sign_in_opens_an_account_with_the_configured_balance(app: App) -> None:
    answer = await signed_up(app)
    assert answer.body == {
        "success": True,
        "email": NEW,
        "token": answer.body["token"],
        "expiresAt": "2027-06-22T09:15:02.000000Z",
    }
    assert "Set-Cookie" not in answer.headers
    account = await app.get("/account", headers={"Authorization": f"Bearer {answer.body['token']}"})
    assert (account.body["email"], account.body["balance"]) == (NEW, "5000.000000")


async def test_a_browser_gets_a_cookie_and_goes_to_the_frontend(app: App) -> None:
    await ask(app, "/signup")
    answer = await open_link(app, newest_token(app), headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status, answer.headers["Location"], answer.raw) == (302, "/", b"")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    name_and_value, *flags = answer.headers["Set-Cookie"].split("; ")
    assert sorted(flags) == ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax"]
    account = await app.get("/account", headers={"Cookie": name_and_value})
    assert account.body["email"] == NEW


async def test_in_production_the_cookie_is_secure() -> None:
    async with running_app(production=True, frontend_url="https://trade.example.com") as app:
        await ask(app, "/signup")
        answer = await open_link(app, newest_token(app), headers={"Accept": "*/*"})
        assert answer.headers["Location"] == "https://trade.example.com"
        assert "Secure" in answer.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize(
    "extra", ["&next=https://evil.example.com", "&redirect=//evil.example.com", "&utm_source=mail"]
)
async def test_nothing_in_the_request_says_where_a_sign_in_leads(app: App, extra: str) -> None:
    await ask(app, "/signup")
    headers = {"Accept": "*/*", "Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com", "Referer": "//evil"}
    answer = await open_link(app, newest_token(app) + extra, headers=headers)
    assert (answer.status, answer.headers["Location"]) == (302, "/")


async def test_a_link_works_once(app: App) -> None:
    await signed_up(app)
    for _ in range(2):
        assert_error(await open_link(app, newest_token(app)), 401, "unauthorized", BAD_LINK)


async def test_of_twenty_who_open_one_link_at_once_one_signs_in(app: App) -> None:
    await ask(app, "/signup")
    answers = await asyncio.gather(*(open_link(app, newest_token(app)) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 19


async def test_a_link_works_for_five_minutes(app: App) -> None:
    for wait_us, status in ((300_000_000 - 1, 200), (300_000_000, 401)):
        await ask(app, "/signup")
        app.wall.now += wait_us
        assert (await open_link(app, newest_token(app))).status == status


async def test_the_newest_link_voids_the_older_ones_of_its_address_only(app: App) -> None:
    await ask(app, "/signup", "bob@example.com")
    bobs = newest_token(app)
    await ask(app, "/signup")
    older = newest_token(app)
    await ask(app, "/signup")
    assert (await open_link(app, older)).status == 401
    assert (await open_link(app, newest_token(app))).status == 200
    assert (await open_link(app, bobs)).status == 200


async def test_asking_to_sign_in_without_an_account_leaves_the_link_to_sign_up_alone(app: App) -> None:
    await ask(app, "/signup")
    await ask(app, "/signin")
    assert (await open_link(app, newest_token(app))).status == 200


@pytest.mark.parametrize("name", ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"])
async def test_a_link_that_is_fetched_ahead_is_not_used_up(app: App, name: str) -> None:
    await ask(app, "/signup")
    for value in ("prefetch", "prefetch;prerender", "Preview"):
        assert_error(await open_link(app, newest_token(app), headers={name: value}), 403, "prefetch_refused")
    assert (await open_link(app, newest_token(app))).status == 200


async def test_a_head_request_does_not_use_a_link_up_and_tells_nothing(app: App) -> None:
    await ask(app, "/signup")
    heads = [await app.request("HEAD", f"/signin/post?token={token}") for token in (newest_token(app), "nonsense")]
    assert [(head.status, head.raw) for head in heads] == [(200, b"")] * 2
    assert (await open_link(app, newest_token(app))).status == 200


@pytest.mark.parametrize("token", ["", "x", "x" * 129, "x" * 4000, "%00", "%ed%a0%80", "ä", "' OR 1=1 --"])
async def test_a_token_that_is_none_of_ours_opens_nothing(app: App, token: str) -> None:
    with unchanged(app):
        assert_error(await open_link(app, token), 401, "unauthorized", BAD_LINK)


async def test_a_request_without_a_token_opens_nothing(app: App) -> None:
    assert_error(await app.get("/signin/post"), 401, "unauthorized", BAD_LINK)


async def test_a_session_is_no_link_and_a_link_is_no_session(app: App, ann: Trader) -> None:
    assert_error(await open_link(app, ann.token), 401, "unauthorized", BAD_LINK)
    await ask(app, "/signin", ann.email)
    link = newest_token(app)
    for headers in ({"Authorization": f"Bearer {link}"}, {"Cookie": f"authToken={link}"}):
        assert_error(await app.get("/account", headers=headers), 401, "unauthorized")
    assert (await open_link(app, link)).status == 200


async def test_a_link_for_another_purpose_opens_nothing(app: App) -> None:
    await ask(app, "/signup")
    store = store_of(app)
    ((key, link),) = store.links.items()
    store.links[key] = type(link)(key, link.email, "change-address", link.created_at, link.expires_at)
    assert_error(await open_link(app, newest_token(app)), 401, "unauthorized", BAD_LINK)


async def test_a_link_still_works_when_its_account_could_not_be_opened_yet() -> None:
    async with running_app(inbox_wait_s=0.05, writer_queue=1) as app:
        (ann,) = await app.known("ann")
        await app.quote_all()
        await ask(app, "/signup")
        app.hold_disk()
        in_the_way = asyncio.create_task(ann.try_create())
        await until(lambda: app.writer.queued == 1)
        assert_error(await open_link(app, newest_token(app)), 503, "overloaded", retry=True)
        app.release_disk()
        assert (await in_the_way).status == 200
        assert (await open_link(app, newest_token(app))).status == 200


async def test_a_link_outlives_a_restart_and_opens_once_for_all(tmp_path: Path) -> None:
    wall = SetWallClock()
    async with open_auth(tmp_path) as auth, running_app(auth=auth, wall=wall) as app:
        await ask(app, "/signup")
        token = newest_token(app)
    async with open_auth(tmp_path) as auth, running_app(auth=auth, wall=wall) as app:
        answers = await asyncio.gather(*(open_link(app, token) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 9
    assert token.encode() not in (tmp_path / "auth.db").read_bytes()


# --- signing out --------------------------------------------------------------------------------------------------


async def test_who_signs_out_is_out_everywhere_and_others_are_not(app: App, ann: Trader) -> None:
    other = Trader(app, ann.email)
    answer = await ann.request("POST", "/logout")
    assert (answer.status, answer.body) == (200, {"success": True, "message": "You are signed out"})
    assert 'authToken=""' in answer.headers["Set-Cookie"]
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    with unchanged(app):
        assert_error(await ann.get("/balance"), 401, "unauthorized")
        assert_error(await ann.try_create(), 401, "unauthorized")
        assert_error(await ann.request("POST", "/logout"), 401, "unauthorized")
    assert (await other.get("/balance")).status == 200


async def test_signing_out_needs_a_session(app: App) -> None:
    assert_error(await app.request("POST", "/logout"), 401, "unauthorized")


async def test_who_signed_out_stays_out_after_a_restart(tmp_path: Path) -> None:
    stores, wall = Stores.memory(), SetWallClock()
    async with open_auth(tmp_path) as auth, running_app(stores, auth=auth, wall=wall) as app:
        ann, bob = await app.known("ann", "bob")
        assert (await ann.request("POST", "/logout")).status == 200
    async with open_auth(tmp_path) as auth, running_app(stores, auth=auth, wall=wall) as app:
        for trader, status in ((ann, 401), (bob, 200)):
            answer = await app.get("/balance", headers={"Authorization": f"Bearer {trader.token}"})
            assert answer.status == status


# --- limits and the log -------------------------------------------------------------------------------------------


async def test_one_caller_may_ask_for_few_links() -> None:
    async with running_app(limits=rate_limits(mail_per_ip="2/hour", mail_per_address="100/hour")) as app:
        await ask(app, "/signup", "a@example.com")
        await ask(app, "/signin", "b@example.com")
        for path in ("/signup", "/signin"):
            refused = await app.post(path, {"email": "c@example.com"})
            assert_error(refused, 429, "rate_limited", retry=True)
            assert refused.headers["X-RateLimit-Limit"] == "2"
        assert len(store_of(app).links) == 2


async def test_one_address_gets_few_links_however_it_is_spelt_and_whoever_asks() -> None:
    async with running_app(limits=rate_limits(mail_per_ip="100/hour", mail_per_address="2/hour")) as app:
        await ask(app, "/signup", "a@example.com")
        await ask(app, "/signin", "A@EXAMPLE.com")
        assert_error(await app.post("/signup", {"email": "a@Example.com"}), 429, "rate_limited", retry=True)
        await ask(app, "/signup", "b@example.com")


async def test_the_log_tells_of_every_sign_in_and_holds_no_secret(app: App) -> None:
    with capture_logs() as logs:
        answer = await signed_up(app, "yuki@example.com")
        link, token = newest_token(app), answer.body["token"]
        await open_link(app, link)
        await app.request("POST", "/logout", headers={"Authorization": f"Bearer {token}"})
        await app.get("/balance", headers={"Authorization": f"Bearer {token}"})
    assert [log["event"] for log in logs] == ["link_asked", "signed_in", "requests_refused", "signed_out"]
    assert {log["account"] for log in logs if "account" in log} == {"y***@e***.com"}
    for secret in (link, token, "yuki", SECRET.decode()):
        assert secret not in str(logs)
    counters = app.services.security_log.counters
    assert counters == {"link_asked": 1, "signed_in": 1, "signed_out": 1, "refused_unauthorized": 2, "link_refused": 1}


def test_the_clocks_of_these_tests_are_too_far_apart_for_one_to_pass_for_the_other() -> None:
    apart_s = abs(SetWallClock().now - SetClock().now) // 10**6
    assert SetWallClock().now == WALL_START
    assert apart_s > 10 * 7 * 86_400, "a session lives for 7 days"
