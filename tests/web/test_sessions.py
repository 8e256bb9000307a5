"""Sessions that end before their time, secrets that are rotated, tokens made by others."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import jwt
import pytest

from exness.access.magic_links import MagicLinks
from exness.access.ports import Revocations
from exness.access.sessions import FUTURE_S, ISSUER, SESSION, Sessions
from exness.runtime.clock import ManualClock, SystemClock, WallClock
from exness.runtime.ports.clock import Clock
from exness.storage.auth import AUTH, AUTH_DB, open_auth
from exness.storage.database import migrations
from tests.contracts.backends import with_own_connection
from tests.support.app import SECRET, WALL_START, MailBox, SetWallClock, Trader, assert_error, running_app
from tests.support.books import SECOND
from tests.support.memory_auth import MemoryAuth
from tests.support.process import finished
from tests.support.waiting import until

NEXT_SECRET = b"the next secret, thirty-two bytes or more"
EMAIL = "ann@example.com"
NOW_S = WALL_START // SECOND
DAY_S = 86_400


def sessions(clock: WallClock, secret: bytes = SECRET, *previous: bytes) -> Sessions:
    return Sessions(secret, clock, days=7, remembered=100, previous=previous)


def test_a_session_signed_with_the_previous_secret_stays_good_and_new_ones_are_signed_with_the_new() -> None:
    clock = SetWallClock()
    old = sessions(clock).issue(EMAIL)
    rotated = sessions(clock, NEXT_SECRET, SECRET)
    assert rotated.check(old) is not None
    assert sessions(clock, NEXT_SECRET).check(old) is None, "the previous secret is gone, and so are its sessions"
    new = rotated.issue(EMAIL)
    assert sessions(clock).check(new) is None
    assert sessions(clock, NEXT_SECRET).check(new) is not None


def no_clock_stands_for_the_other(exchange: SystemClock | ManualClock, wall: WallClock) -> Clock:
    """Nothing runs this. The type checker would report an ignored error that is none any more."""
    Sessions(SECRET, exchange, days=7, remembered=100)  # type: ignore[arg-type]
    MagicLinks(MemoryAuth(), MailBox(), exchange, minutes=5)  # type: ignore[arg-type]
    return wall  # type: ignore[return-value]


def test_the_wall_clock_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    for now_us in (5_000_000, 9_000_000, 2_000_000):
        monkeypatch.setattr("time.time_ns", lambda now_us=now_us: now_us * 1000 + 999)
        assert clock.wall_us() == now_us


@pytest.mark.parametrize("back_s", [0, 1, -3600, 30 * DAY_S], ids=str)
def test_what_was_issued_before_the_end_is_ended_and_what_came_after_is_good_wherever_the_clock_was(
    back_s: int,
) -> None:
    clock = SetWallClock()
    here = sessions(clock)
    before, others = here.issue(EMAIL), here.issue("bob@example.com")
    assert here.check(before) is not None
    here.learn(Revocations(generation=1, addresses={EMAIL: 1}))
    clock.advance(-back_s)
    after = here.issue(EMAIL)
    assert here.check(before) is None
    assert here.check(after) is not None
    assert (here.check(others) is not None) == (back_s <= FUTURE_S)


def test_the_memory_of_ended_sessions_is_as_long_as_the_stores() -> None:
    here = sessions(SetWallClock())
    issued = []
    for number in range(5):
        token = here.issue(EMAIL)
        session = here.check(token)
        assert session is not None
        here.end(session.id)
        here.learn(Revocations(generation=number + 1, sessions={session.id: number + 1}))
        issued.append(token)
    here.learn(Revocations(generation=7, addresses={"bob@example.com": 6, "eve@example.com": 7}))
    assert (len(here._ended_sessions), len(here._ended_addresses)) == (5, 2)
    here.learn(Revocations(generation=7, oldest=6))
    assert (len(here._ended_sessions), len(here._ended_addresses)) == (0, 1)
    assert [here.check(token) for token in issued] == [None] * 5
    assert here.check(here.issue(EMAIL)) is not None


def test_a_session_of_another_store_is_none_though_the_secret_is_the_same() -> None:
    clock = SetWallClock()
    old, new = sessions(clock), sessions(clock)
    old.learn(Revocations("a", 5))
    new.learn(Revocations("b", 0))
    nameless = sessions(clock).issue(EMAIL)
    for here, other in ((old, new), (new, old)):
        assert here.check(other.issue(EMAIL)) is None
        assert here.check(nameless) is None
        assert here.check(here.issue(EMAIL)) is not None
    remembered = old.issue(EMAIL)
    assert old.check(remembered) is not None
    old.learn(Revocations("c", 0))
    assert old.check(remembered) is None


OLD_CLAIMS: dict[str, object] = {
    "iss": "exness",
    "aud": SESSION,
    "use": "session",
    "sub": EMAIL,
    "jti": "0" * 32,
    "iat": NOW_S,
    "exp": NOW_S + 1000,
}
"""As they were before there were generations."""


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": NOW_S + FUTURE_S + 1},
        {"iat": 10**13},
        {"iat": "now"},
        {"iat": True},
        {"iat": -1},
        {"exp": 10**400},
        {"exp": "never"},
        {"exp": None},
        {"exp": [1]},
        {"sub": 7},
        {"jti": 7},
        {"use": "link"},
        {"use": ["session"]},
        {"aud": "exness-link"},
        {"iss": ["exness"]},
        {"iss": "exness/another-store"},
        {"gen": "1"},
        {"gen": True},
        {"gen": 1.0},
        {"gen": None},
    ],
    ids=str,
)
def test_a_signed_token_with_a_claim_that_we_would_not_write_is_no_session(changed: dict[str, object]) -> None:
    here = sessions(SetWallClock())
    assert here.check(signed(OLD_CLAIMS)) is not None
    assert here.check(signed(OLD_CLAIMS | {"gen": 0})) is not None
    assert here.check(signed(OLD_CLAIMS | changed)) is None


def signed(claims: dict[str, object]) -> str:
    """Past PyJWT's own checks of what it signs."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, algorithm="HS256", headers={"typ": "JWT"})


async def test_sessions_ended_by_another_process_end_at_the_next_request(tmp_path: Path) -> None:
    wall = SetWallClock()
    async with open_auth(tmp_path) as auth, running_app(auth=auth, wall=wall, revocations_look_s=0.0) as app:
        ann, bob = await app.known("ann", "bob")
        async with open_auth(tmp_path) as elsewhere:  # as `exness token --revoke` does
            await app.revoke(ann.email, elsewhere)
        assert_error(await ann.get("/balance"), 401, "unauthorized")
        assert (await bob.get("/balance")).status == 200
        assert (await Trader(app, ann.email).get("/balance")).status == 200
    async with open_auth(tmp_path) as auth, running_app(auth=auth, wall=wall) as app:
        refused = await app.get("/balance", headers={"Authorization": f"Bearer {ann.token}"})
        assert_error(refused, 401, "unauthorized")


async def test_a_running_server_reads_again_only_when_something_ended() -> None:
    class Counting(MemoryAuth):
        reads = 0

        async def revocations(self, after: int) -> Revocations:
            self.reads += 1
            return await super().revocations(after)

    auth = Counting()
    async with running_app(auth=auth, revocations_look_s=0.0) as app:
        (ann,) = await app.known("ann")
        for _ in range(5):
            await ann.get("/balance")
        assert auth.reads == 1
        await app.revoke("bob@example.com")
        await ann.get("/balance")
        await ann.get("/balance")
        assert auth.reads == 2


async def test_who_asks_while_the_store_is_read_is_judged_by_what_it_says() -> None:
    """Also within the time in which nobody looks again."""

    class Slow(MemoryAuth):
        def __init__(self) -> None:
            super().__init__()
            self.answers = asyncio.Event()
            self.answers.set()
            self.asked = 0

        async def revocations(self, after: int) -> Revocations:
            self.asked += 1
            await self.answers.wait()
            return await super().revocations(after)

    auth = Slow()
    async with running_app(auth=auth, revocations_look_s=0.0) as app:
        (ann,) = await app.known("ann")
        await app.revoke(ann.email)
        app.services.revocations._look_s = 3600.0
        auth.answers.clear()
        asked = auth.asked
        first = asyncio.create_task(ann.get("/balance"))
        await until(lambda: auth.asked > asked)
        second = asyncio.create_task(ann.get("/balance"))
        await asyncio.sleep(0.02)
        assert not second.done()
        auth.answers.set()
        for answer in (await first, await second):
            assert_error(answer, 401, "unauthorized")


async def test_sessions_from_before_there_were_generations_stay_what_they_were(tmp_path: Path) -> None:
    """The auth.db of the first release, with one session that was ended, and all of an address."""
    first = migrations(AUTH)[0]
    with closing(sqlite3.connect(tmp_path / AUTH_DB)) as connection:
        connection.executescript(f"{first}\nPRAGMA user_version = 1;")
        connection.execute("INSERT INTO ended_sessions VALUES (?, ?)", ("e" * 32, (NOW_S + DAY_S) * SECOND))
        connection.execute("INSERT INTO ended_addresses VALUES (?, ?)", ("bob@example.com", NOW_S * SECOND))
        connection.commit()

    def old(email: str, jti: str) -> dict[str, object]:
        return {**OLD_CLAIMS, "sub": email, "jti": jti}

    here = sessions(SetWallClock())
    async with open_auth(tmp_path) as auth:
        here.learn(await auth.revocations(here.generation))
    assert here.check(signed(old(EMAIL, "0" * 32))) is not None
    assert here.check(signed(old(EMAIL, "e" * 32))) is None
    assert here.check(signed(old("bob@example.com", "1" * 32))) is None
    for email in (EMAIL, "bob@example.com"):
        assert here.check(here.issue(email)) is not None


async def test_an_auth_db_that_was_lost_ends_every_session_it_issued(tmp_path: Path) -> None:
    clock = SetWallClock()
    tokens: list[str] = []
    for _ in range(2):
        here = sessions(clock)
        async with open_auth(tmp_path) as auth:
            here.learn(await auth.revocations(here.generation))
        assert [here.check(token) for token in tokens] == [None] * len(tokens)
        tokens.append(here.issue(EMAIL))
        assert here.check(tokens[-1]) is not None
        (tmp_path / AUTH_DB).unlink()


@pytest.mark.slow
async def test_processes_that_open_a_new_directory_at_once_agree_on_it(tmp_path: Path) -> None:
    """`serve` and `token`, say: one makes the tables, and the sessions of both are good."""
    programs = [finished("token", f"{number}@example.com", "--data-dir", "data", cwd=tmp_path) for number in range(6)]
    done = await asyncio.gather(*programs)
    assert [each.errors for each in done] == [""] * 6
    (issuer,) = with_own_connection(tmp_path / "data" / AUTH_DB, "SELECT id FROM issuer")[0]
    for each in done:
        claims = jwt.decode(each.output.strip(), options={"verify_signature": False})
        assert claims["iss"] == f"{ISSUER}/{issuer}"
