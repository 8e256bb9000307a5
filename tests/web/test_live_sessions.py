"""GET and DELETE /sessions: where an account is signed in, and that it is not any more."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exness.access.live_sessions import LONGEST_CLIENT, SESSIONS_PER_ACCOUNT, LiveSessions, MadeBy, shown_client
from exness.access.ports import Revocations
from exness.access.sessions import Sessions
from exness.storage.auth import AUTH, AUTH_DB, open_auth
from exness.storage.database import migrations
from exness.web.http.client_ip import ClientIps
from exness.web.services import Dev
from exness.web.stream.protocol import CloseCode
from exness.web.v1.format import iso
from tests.support.app import SECRET, WALL_START, App, SetWallClock, Trader, assert_error, running_app
from tests.support.memory_auth import MemoryAuth
from tests.web.streams import listening

LIFE_US = 7 * 86_400 * 1_000_000
ACCEPT_JSON = {"Accept": "application/json"}
EMAIL = "ann@example.com"
AGENT = "Firefox on Linux"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with running_app(dev=Dev(), revocations_look_s=0.0) as app:
        yield app


async def signed_in(app: App, name: str = "ann", agent: str = AGENT) -> Trader:
    """By dev control, so that the session has a row."""
    headers = ACCEPT_JSON | {"User-Agent": agent}
    answer = await app.post("/dev/session", {"email": f"{name}@example.com"}, headers=headers)
    assert answer.status == 200, answer
    trader = app.trader(name)
    trader.token = answer.body["token"]
    return trader


def id_of(app: App, trader: Trader) -> str:
    session = app.sessions.check(trader.token)
    assert session is not None
    return session.id


async def rows(trader: Trader) -> list[dict[str, Any]]:
    answer = await trader.get("/sessions")
    assert answer.status == 200, answer
    return answer.body["data"]


async def ended(trader: Trader) -> bool:
    answer = await trader.get("/balance")
    if answer.status == 401:
        assert_error(answer, 401, "unauthorized")
    return answer.status == 401


# --- listed -------------------------------------------------------------------------------------------------------


async def test_the_list_says_of_each_session_when_how_and_from_where(app: App) -> None:
    ann = await signed_in(app)
    app.wall.advance(60)
    phone = await signed_in(app, agent="phone")

    def row(trader: Trader, at: int, client: str, *, current: bool) -> dict[str, Any]:
        return {
            "id": id_of(app, trader),
            "current": current,
            "createdAt": iso(at),
            "expiresAt": iso((at + LIFE_US) // 1_000_000 * 1_000_000),
            "madeBy": "dev",
            "client": client,
            "ip": "127.0.0.1",
        }

    later = WALL_START + 60_000_000
    first, second = row(ann, WALL_START, AGENT, current=True), row(phone, later, "phone", current=False)
    assert (await ann.get("/sessions")).body == {"success": True, "data": [first, second]}
    assert await rows(phone) == [first | {"current": False}, second | {"current": True}]


async def test_a_session_of_a_mailed_link_is_listed_as_such(app: App) -> None:
    assert (await app.post("/signup", {"email": EMAIL})).status == 200
    opened = await app.get(f"/signin/post?token={app.mailbox.mails[-1].link}", headers=ACCEPT_JSON)
    ann = app.trader("ann")
    ann.token = opened.body["token"]
    (row,) = await rows(ann)
    assert (row["madeBy"], row["current"]) == ("link", True)


async def test_nobody_sees_or_ends_the_session_of_another(app: App) -> None:
    ann, bob = await signed_in(app), await signed_in(app, "bob")
    assert [row["id"] for row in await rows(bob)] == [id_of(app, bob)]
    refused = await bob.request("DELETE", f"/sessions/{id_of(app, ann)}")
    assert_error(refused, 404, "session_not_found")
    unknown = await bob.request("DELETE", f"/sessions/{'0' * 32}")
    assert refused.raw == unknown.raw, "he learns not even that it is there"
    assert (await bob.request("DELETE", "/sessions")).status == 200
    assert not await ended(ann)


async def test_a_session_from_before_the_list_sees_itself_and_those_that_have_a_row(app: App) -> None:
    old = app.trader("ann")
    listed = await signed_in(app)
    first, second = await rows(old)
    unknown = {"madeBy": None, "client": None, "ip": None}
    assert first == first | unknown | {"id": id_of(app, old), "current": True, "createdAt": iso(WALL_START)}
    assert (second["id"], second["current"]) == (id_of(app, listed), False)
    assert [row["id"] for row in await rows(listed)] == [id_of(app, listed)]


async def test_what_has_expired_is_not_listed(app: App) -> None:
    await signed_in(app)
    app.wall.advance(6 * 86_400)
    phone = await signed_in(app)
    assert len(await rows(phone)) == 2
    app.wall.advance(86_400)
    assert [row["id"] for row in await rows(phone)] == [id_of(app, phone)]


async def test_of_a_proxy_that_is_not_trusted_no_ip_is_told() -> None:
    async with running_app(dev=Dev(), client_ips=ClientIps()) as app:
        headers = ACCEPT_JSON | {"X-Forwarded-For": "192.0.2.9"}
        (ann,) = await app.known("ann")
        await app.services.magic_links.send(ann.email, "signin", known=True)
        opened = await app.get(f"/signin/post?token={app.mailbox.mails[-1].link}", headers=headers)
        ann.token = opened.body["token"]
        assert [row["ip"] for row in await rows(ann)] == [None]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a\tb\x1b[31m", "a?b?[31m"),
        (" x ", "x"),
        ("é", "é"),
        ("\udcff", "?"),
        ("x" * 999, "x" * LONGEST_CLIENT),
        ("", ""),
    ],
)
def test_what_a_client_calls_itself_is_fit_to_be_shown(sent: str, shown: str) -> None:
    assert shown_client(sent) == shown


# --- ended --------------------------------------------------------------------------------------------------------


async def test_an_ended_session_is_refused_at_once_and_its_streams_are_closed(app: App) -> None:
    ann, phone = await signed_in(app), await signed_in(app)
    async with listening(app, ann) as client, listening(app, phone) as gone:
        await client.subscribed("account")
        await gone.subscribed("account")
        answer = await ann.request("DELETE", f"/sessions/{id_of(app, phone)}")
        assert (answer.status, answer.body["success"]) == (200, True)
        assert await gone.closed() == CloseCode.SESSION_ENDED
        assert await ended(phone)
        assert [row["id"] for row in await rows(ann)] == [id_of(app, ann)]
        assert_error(await ann.request("DELETE", f"/sessions/{id_of(app, ann)[:-1]}"), 404, "session_not_found")
    assert not await ended(ann)


async def test_all_others_end_also_those_without_a_row(app: App) -> None:
    ann, phone, old = await signed_in(app), await signed_in(app), app.trader("ann")
    (bob,) = await app.known("bob")
    async with listening(app, ann) as client, listening(app, phone) as gone, listening(app, old) as unlisted:
        for each in (client, gone, unlisted):
            await each.subscribed("account")
        assert (await ann.request("DELETE", "/sessions")).status == 200
        assert await gone.closed() == CloseCode.SESSION_ENDED
        assert await unlisted.closed() == CloseCode.SESSION_ENDED
        assert [await ended(each) for each in (ann, phone, old, bob)] == [False, True, True, False]
        later = await signed_in(app)
        assert not await ended(later)
        assert (await ann.request("DELETE", "/sessions")).status == 200
        assert [await ended(each) for each in (ann, later)] == [False, True]


async def test_a_session_without_a_row_may_end_all_others_too(app: App) -> None:
    listed, old = await signed_in(app), app.trader("ann")
    assert (await old.request("DELETE", "/sessions")).status == 200
    assert [await ended(each) for each in (listed, old)] == [True, False]


async def test_to_end_ones_own_is_to_log_out(app: App) -> None:
    ann, old = await signed_in(app), app.trader("bob")
    for each in (ann, old):
        answer = await each.request("DELETE", f"/sessions/{id_of(app, each)}")
        assert (answer.status, answer.body["message"]) == (200, "You are signed out")
        assert 'authToken=""' in answer.headers["Set-Cookie"]
        assert await ended(each)


async def test_no_key_lists_or_ends_sessions(app: App) -> None:
    ann = await signed_in(app)
    made = (await ann.post("/keys", {"name": "bot"})).body
    key = {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", f"/{id_of(app, ann)}")):
        assert_error(await app.request(method, f"/sessions{path}", headers=key), 401, "unauthorized")
    assert (await ann.request("DELETE", "/sessions")).status == 200
    assert (await app.get("/balance", headers=key)).status == 200, "keys are no sessions"


async def test_a_foreign_page_ends_none_by_the_cookie(app: App) -> None:
    ann = await signed_in(app)
    headers = {"Cookie": f"authToken={ann.token}", "Origin": "https://elsewhere.example"}
    for path in ("/sessions", f"/sessions/{id_of(app, ann)}"):
        assert_error(await app.request("DELETE", path, headers=headers), 403, "forbidden_origin")
    assert not await ended(ann)


async def test_of_two_that_end_each_other_at_the_same_time_one_is_left(app: App) -> None:
    ann, phone = await signed_in(app), await signed_in(app)
    first, second = app.sessions.check(ann.token), app.sessions.check(phone.token)
    assert first is not None
    assert second is not None
    assert await app.services.revocations.end_others(first)
    assert not await app.services.revocations.end_others(second), "it had been ended when its turn came"
    assert [await ended(each) for each in (ann, phone)] == [False, True]


async def test_beyond_so_many_the_oldest_is_ended(app: App) -> None:
    traders = [await signed_in(app) for _ in range(SESSIONS_PER_ACCOUNT)]
    bob, old = await signed_in(app, "bob"), app.trader("ann")
    assert len(await rows(traders[0])) == SESSIONS_PER_ACCOUNT
    newest = await signed_in(app)
    assert [await ended(each) for each in (*traders[:2], bob, old)] == [True, False, False, False]
    expected = [id_of(app, each) for each in (*traders[1:], newest)]
    assert [row["id"] for row in await rows(newest)] == expected


async def test_no_request_but_these_reads_the_list() -> None:
    class Counting(MemoryAuth):
        reads = 0

        async def sessions_of(self, email: str) -> Any:
            self.reads += 1
            return await super().sessions_of(email)

    auth = Counting()
    async with running_app(auth=auth, dev=Dev(), revocations_look_s=0.0) as app:
        ann = await signed_in(app)
        for _ in range(3):
            await ann.get("/balance")
        assert auth.reads == 0
        await rows(ann)
        assert auth.reads == 1


# --- kept ---------------------------------------------------------------------------------------------------------


async def test_the_list_and_what_was_ended_outlive_a_restart(tmp_path: Path) -> None:
    async with open_auth(tmp_path) as auth, running_app(auth=auth, dev=Dev()) as app:
        ann, phone, tablet = [await signed_in(app, agent=name) for name in ("pc", "phone", "tablet")]
        assert (await ann.request("DELETE", "/sessions")).status == 200
        later = await signed_in(app, agent="later")
    async with open_auth(tmp_path) as auth, running_app(auth=auth) as app:
        for each in (ann, phone, tablet, later):
            each.app = app
        assert [await ended(each) for each in (ann, phone, tablet, later)] == [False, True, True, False]
        assert [(row["client"], row["current"]) for row in await rows(ann)] == [("pc", True), ("later", False)]


async def test_a_session_whose_secret_is_gone_is_not_listed(tmp_path: Path) -> None:
    clock, rotated = SetWallClock(), b"the next secret, thirty-two bytes or more"

    def here(*secrets: bytes) -> Sessions:
        return Sessions(secrets[0], clock, days=7, remembered=9, previous=secrets[1:])

    async with open_auth(tmp_path) as auth:
        for number, secret in enumerate((SECRET, rotated)):
            sessions = here(secret)
            sessions.learn(await auth.revocations(0))
            made = sessions.check(sessions.issue(EMAIL))
            assert made is not None
            await LiveSessions(auth, sessions).note([made], MadeBy.COMMAND, f"client {number}")

        async def listed(*secrets: bytes) -> list[str]:
            sessions = here(*secrets)
            sessions.learn(await auth.revocations(0))
            return [each.client for each in await LiveSessions(auth, sessions).of(EMAIL)]

        assert await listed(rotated, SECRET) == ["client 0", "client 1"]
        assert await listed(rotated) == ["client 1"]
        assert await listed(b"x" * 32) == []


async def test_the_list_has_no_token_and_no_secret(tmp_path: Path) -> None:
    async with open_auth(tmp_path) as auth, running_app(auth=auth, dev=Dev()) as app:
        ann = await signed_in(app)
    with closing(sqlite3.connect(tmp_path / AUTH_DB)) as connection:
        everything = "".join(map(str, connection.execute("SELECT * FROM sessions").fetchall()))
    assert EMAIL in everything
    assert ann.token.rpartition(".")[2] not in everything
    assert SECRET.decode() not in everything


async def test_sessions_of_an_auth_db_without_the_list_stay_what_they_were(tmp_path: Path) -> None:
    """One that is good, and one that was ended, before the list came."""
    with closing(sqlite3.connect(tmp_path / AUTH_DB)) as connection:
        connection.create_function("is_new_database", 0, lambda: 1)
        for script in migrations(AUTH)[:3]:
            connection.executescript(script)
        connection.executescript("UPDATE issuer SET id = 'abc', generation = 1; PRAGMA user_version = 3;")
        connection.execute("INSERT INTO ended (generation, email, until) VALUES (1, 'bob@example.com', ?)", (2**60,))
        connection.commit()
    before = Sessions(SECRET, SetWallClock(), days=7, remembered=9)
    before.learn(Revocations(issuer="abc"))
    ann_token, bob_token = before.issue(EMAIL), before.issue("bob@example.com")
    async with open_auth(tmp_path) as auth, running_app(auth=auth, dev=Dev(), revocations_look_s=0.0) as app:
        ann, bob = app.trader("ann"), app.trader("bob")
        ann.token, bob.token = ann_token, bob_token
        assert [await ended(each) for each in (ann, bob)] == [False, True]
        assert [row["madeBy"] for row in await rows(ann)] == [None]
        phone = await signed_in(app)
        assert (await phone.request("DELETE", "/sessions")).status == 200
        assert [await ended(each) for each in (ann, phone)] == [True, False]
