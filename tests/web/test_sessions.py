"""Sessions that end before their time, secrets that are rotated, tokens made by others."""

import json
from pathlib import Path

import jwt
import pytest

from exness.runtime.ports import Revocations
from exness.storage.auth import MemoryAuth, open_auth
from exness.web.auth import SESSION, Sessions
from tests.support.app import SECRET, SetClock, Trader, assert_error, running_app
from tests.support.books import START

NEXT_SECRET = b"the next secret, thirty-two bytes or more"
EMAIL = "ann@example.com"


def sessions(clock: SetClock, secret: bytes = SECRET, *previous: bytes) -> Sessions:
    return Sessions(secret, clock, days=7, remembered=100, previous=previous)


def test_a_session_signed_with_the_previous_secret_stays_good_and_new_ones_are_signed_with_the_new() -> None:
    clock = SetClock()
    old = sessions(clock).issue(EMAIL)
    rotated = sessions(clock, NEXT_SECRET, SECRET)
    assert rotated.check(old) is not None
    assert sessions(clock, NEXT_SECRET).check(old) is None, "the previous secret is gone, and so are its sessions"
    new = rotated.issue(EMAIL)
    assert sessions(clock).check(new) is None
    assert sessions(clock, NEXT_SECRET).check(new) is not None


def test_all_sessions_issued_up_to_a_moment_are_ended_and_later_ones_are_good() -> None:
    clock = SetClock()
    here = sessions(clock)
    before = here.issue(EMAIL)
    others = here.issue("bob@example.com")
    assert here.check(before) is not None
    here.end_all(Revocations({}, {EMAIL: clock.now}))
    clock.now += 1
    after = here.issue(EMAIL)
    assert here.check(before) is None
    assert here.check(after) is not None, "one microsecond later is later"
    assert here.check(others) is not None


def test_an_ended_session_is_forgotten_once_it_would_have_expired() -> None:
    clock = SetClock()
    here = sessions(clock)
    session = here.check(here.issue(EMAIL))
    assert session is not None
    here.end(session)
    here.end_all(Revocations({}, {}))
    assert here._ended_sessions == {session.id: session.expires_at}
    clock.now = session.expires_at
    here.end_all(Revocations({}, {}))
    assert here._ended_sessions == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": START // 10**6 + 61},
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
    ],
    ids=str,
)
def test_a_signed_token_with_a_claim_that_we_would_not_write_is_no_session(changed: dict[str, object]) -> None:
    good = {
        "iss": "exness",
        "aud": SESSION,
        "use": "session",
        "sub": EMAIL,
        "jti": "0" * 32,
        "iat": START // 10**6,
        "exp": START // 10**6 + 1000,
    }
    here = sessions(SetClock())
    assert here.check(signed(good)) is not None
    assert here.check(signed(good | changed)) is None


def signed(claims: dict[str, object]) -> str:
    """Past PyJWT's own checks of what it signs."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, algorithm="HS256", headers={"typ": "JWT"})


async def test_sessions_ended_by_another_process_end_at_the_next_request(tmp_path: Path) -> None:
    clock = SetClock()
    async with open_auth(tmp_path) as auth, running_app(auth=auth, clock=clock, revocations_look_s=0.0) as app:
        ann, bob = await app.known("ann", "bob")
        async with open_auth(tmp_path) as elsewhere:  # as `exness token --revoke` does
            await elsewhere.end_sessions_of(ann.email, clock.now)
        assert_error(await ann.get("/balance"), 401, "unauthorized")
        assert (await bob.get("/balance")).status == 200
        clock.now += 1
        assert (await Trader(app, ann.email).get("/balance")).status == 200
    async with open_auth(tmp_path) as auth, running_app(auth=auth, clock=clock) as app:
        refused = await app.get("/balance", headers={"Authorization": f"Bearer {ann.token}"})
        assert_error(refused, 401, "unauthorized")


async def test_a_running_server_reads_again_only_when_something_ended() -> None:
    class Counting(MemoryAuth):
        reads = 0

        async def revocations(self, now: int) -> Revocations:
            self.reads += 1
            return await super().revocations(now)

    auth = Counting()
    async with running_app(auth=auth, revocations_look_s=0.0) as app:
        (ann,) = await app.known("ann")
        for _ in range(5):
            await ann.get("/balance")
        assert auth.reads == 1
        await auth.end_sessions_of("bob@example.com", 1)
        await ann.get("/balance")
        await ann.get("/balance")
        assert auth.reads == 2


async def test_a_revoked_address_is_told_in_both_stores_alike(tmp_path: Path) -> None:
    async with open_auth(tmp_path) as on_disk:
        for store in (on_disk, MemoryAuth()):
            assert store.changed()
            assert await store.revocations(0) == Revocations({}, {})
            assert not store.changed()
            await store.end_sessions_of(EMAIL, 7)
            await store.end_sessions_of(EMAIL, 5)
            await store.end_session("a", 10)
            await store.end_session("b", 20)
            assert store.changed()
            assert await store.revocations(10) == Revocations({"b": 20}, {EMAIL: 7})
            assert not store.changed()
