"""access/sessions.py and web/v1/requests.py: who is signed in, and everything that is no session."""

import base64
import json
from typing import Any

import jwt
import pytest

from exness.access.sessions import SESSION, Sessions
from tests.support.app import SECRET, WALL_START, App, SetWallClock, Trader, assert_error, order, unchanged
from tests.support.books import SECOND

NOW_S = WALL_START // SECOND
DAY_S = 86_400


def claims(**changed: Any) -> dict[str, Any]:
    good = {
        "iss": "exness",
        "aud": SESSION,
        "use": "session",
        "sub": "ann@example.com",
        "jti": "0" * 32,
        "iat": NOW_S,
        "exp": NOW_S + DAY_S,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(secret: bytes = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    return jwt.encode(claims(**changed), secret, algorithm=algorithm)


def unsigned() -> str:
    """A token of `alg: none`."""
    parts = ({"alg": "none", "typ": "JWT"}, claims())
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


async def try_token(app: App, token: str) -> Any:
    with unchanged(app):
        return await app.post("/trade/create", order(), headers={"Authorization": f"Bearer {token}"})


async def test_the_tokens_of_these_tests_would_be_good_if_they_were_not_changed(app: App, ann: Trader) -> None:
    answer = await app.post("/trade/create", order(), headers={"Authorization": f"Bearer {signed()}"})
    assert answer.status == 200


NO_SESSIONS = {
    "nothing": "",
    "nonsense": "nonsense",
    "three parts of nothing": "a.b.c",
    "no text": "ä.ö.ü",
    "signed by another": signed(b"another secret of thirty-two bytes"),
    "algorithm none": unsigned(),
    "another algorithm": signed(algorithm="HS512", secret=SECRET * 2),
    "for another purpose": signed(use="link"),
    "without a purpose": signed(use=None),
    "for another audience": signed(aud="exness-link"),
    "for many audiences, none of them this": signed(aud=["exness-link", "exness"]),
    "from another issuer": signed(iss="elsewhere"),
    "expired": signed(exp=NOW_S),
    "expired long ago": signed(exp=NOW_S - 7 * DAY_S),
    "without an end": signed(exp=None),
    "without an address": signed(sub=None),
    "without an id": signed(jti=None),
    "without an audience": signed(aud=None),
    "without an issuer": signed(iss=None),
    "cut off": signed()[:-3],
    "with another address put in": ".".join(
        [signed().split(".")[0], signed(b"x" * 32, sub="bob@example.com").split(".")[1], signed().split(".")[2]]
    ),
    "longer than any of ours": signed(padding="x" * 4000),
}


@pytest.mark.parametrize("token", NO_SESSIONS.values(), ids=NO_SESSIONS)
async def test_what_is_no_session_is_unauthorized(app: App, ann: Trader, token: str) -> None:
    assert_error(await try_token(app, token), 401, "unauthorized")
    assert_error(await try_token(app, token), 401, "unauthorized")  # nor is it remembered as one


async def test_every_refused_session_gets_the_same_words(app: App, ann: Trader) -> None:
    """No one learns what was wrong with a token, nor who has an account."""
    answers = {(await try_token(app, token)).raw for token in NO_SESSIONS.values()}
    answers.add((await app.post("/trade/create", order())).raw)
    assert len(answers) == 1


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer:", "JWT"])
async def test_another_scheme_is_no_session(app: App, ann: Trader, scheme: str) -> None:
    with unchanged(app):
        refused = await app.get("/balance", headers={"Authorization": f"{scheme} {ann.token}".strip()})
    assert_error(refused, 401, "unauthorized")


async def test_basic_with_name_and_password_is_no_session(app: App, ann: Trader) -> None:
    credentials = base64.b64encode(f"ann@example.com:{ann.token}".encode()).decode()
    assert_error(await app.get("/balance", headers={"Authorization": f"Basic {credentials}"}), 401, "unauthorized")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_spelt_in_any_case(app: App, ann: Trader, scheme: str) -> None:
    answer = await app.get("/balance", headers={"Authorization": f"{scheme} {ann.token}"})
    assert answer.status == 200


async def test_the_cookie_is_a_session_like_the_header(app: App, ann: Trader) -> None:
    answer = await app.get("/account", headers={"Cookie": f"authToken={ann.token}; other=1"})
    assert (answer.status, answer.body["email"]) == (200, "ann@example.com")


async def test_a_cookie_of_another_name_is_no_session(app: App, ann: Trader) -> None:
    assert_error(await app.get("/account", headers={"Cookie": f"token={ann.token}"}), 401, "unauthorized")


@pytest.mark.parametrize(
    "others",
    [
        'quoted="a; b"',
        "empty=",
        "=nameless",
        "lonely",
        'json={"a":1,"b":[2]}',
        "spaces = x",
        "percent=%zz%",
        "a=1; Path=/; HttpOnly; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "unicode=é€",
        "brackets[0]=x; $Version=1",
        'open="never closed',
        "authToken=stale",
    ],
)
async def test_other_programs_odd_cookies_do_not_hide_ours(app: App, ann: Trader, others: str) -> None:
    answer = await app.get("/balance", headers={"Cookie": f"{others}; authToken={ann.token}"})
    assert answer.status == 200


async def test_a_header_is_believed_before_a_cookie(app: App, ann: Trader) -> None:
    bob = app.trader("bob")
    answer = await bob.get("/account", headers={"Cookie": f"authToken={ann.token}"})
    assert answer.body["email"] == "bob@example.com"
    refused = await app.get("/account", headers={"Authorization": "Basic x", "Cookie": f"authToken={ann.token}"})
    assert_error(refused, 401, "unauthorized")


async def test_a_token_in_the_address_is_no_session(app: App, ann: Trader) -> None:
    assert_error(await app.get(f"/account?token={ann.token}&authToken={ann.token}"), 401, "unauthorized")


async def test_a_session_lasts_seven_days_even_when_it_was_used_before(app: App, ann: Trader) -> None:
    app.wall.now = (NOW_S + 7 * DAY_S) * SECOND - 1
    assert (await ann.get("/balance")).status == 200
    app.wall.now += 1
    assert_error(await ann.get("/balance"), 401, "unauthorized")
    assert_error(await ann.get("/balance"), 401, "unauthorized")


def sessions(clock: SetWallClock, remembered: int = 100) -> Sessions:
    return Sessions(SECRET, clock, days=7, remembered=remembered)


def test_a_session_is_checked_by_the_clock_it_was_given_alone() -> None:
    """And not by the machine's behind its back, as PyJWT would."""
    for start in (NOW_S - 3650 * DAY_S, NOW_S + 3650 * DAY_S):
        clock = SetWallClock(start * SECOND)
        here = sessions(clock)
        session = here.check(here.issue("ann@example.com"))
        assert session is not None
        assert (session.email, session.expires_at) == ("ann@example.com", (start + 7 * DAY_S) * SECOND)


def test_every_session_has_an_id_of_its_own() -> None:
    here = sessions(SetWallClock())
    ids = set()
    for _ in range(3):
        session = here.check(here.issue("ann@example.com"))
        assert session is not None
        ids.add(session.id)
    assert len(ids) == 3


def test_no_more_sessions_are_remembered_than_configured_and_forgotten_ones_stay_good() -> None:
    here = sessions(SetWallClock(), remembered=2)
    tokens = [here.issue(f"user-{number}@example.com") for number in range(5)]
    for _ in range(2):
        for number, token in enumerate(tokens):
            session = here.check(token)
            assert session is not None
            assert session.email == f"user-{number}@example.com"
            assert len(here._checked) <= 2
