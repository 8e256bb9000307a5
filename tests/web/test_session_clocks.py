"""Every way in which a session begins and ends, under every clock that there is: it is good exactly when it should be.

A world is a server, its store on disk, and a command line that is another process with a wall clock of its own. What
should be is told by a list of what happened, in order: a session is good unless something ended it after it was issued,
and until it expires by the server's wall clock. The exchange's clock is not in that list.
"""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from exness.access.sessions import FUTURE_S, Sessions
from exness.storage.auth import open_auth
from exness.web.stream.protocol import CloseCode
from tests.support.app import SECRET, WALL_START, App, SetWallClock, Stores, Trader, running_app
from tests.support.books import SECOND, SOL
from tests.support.exchange import SetClock
from tests.support.lanes import mostly_slow
from tests.web.streams import Client, hub_of, listening

HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
LIFE = 7 * DAY
LINK_LIFE = 300 * SECOND
EMAILS = ("ann@example.com", "bob@example.com")
LOOKED_AT = 6
"""Sessions that are asked for after each step: the newest."""

EXCHANGE_CLOCKS = {
    "real": WALL_START,
    "an hour ahead": WALL_START + HOUR,
    "8 days ahead": WALL_START + 8 * DAY,
    "a month ahead": WALL_START + 30 * DAY,
    "a replay of 2024": 1_722_772_800 * SECOND,
    "an hour behind": WALL_START - HOUR,
}
SHIFTS = {"the same": 0, "30 s ahead": 30, "30 s behind": -30, "2 h ahead": 7200, "2 h behind": -7200}
"""The command line's wall clock, beside the server's."""


@dataclass
class Known:
    """A session that somebody has."""

    token: str
    email: str
    issued: int
    expires: int
    ended: bool = False
    """By something that came after it."""

    def is_good(self, now: int) -> bool:
        return not self.ended and self.issued - FUTURE_S * SECOND <= now < self.expires


class World:
    def __init__(self, folder: Path, exchange_at: int, shift_s: int) -> None:
        self.folder = folder
        self.clock, self.wall = SetClock(exchange_at), SetWallClock()
        self.elsewhere = SetWallClock(WALL_START + shift_s * SECOND)
        self.stores = Stores.memory()
        self.sessions: list[Known] = []
        self.done: list[str] = []
        self._app: App | None = None
        self._stack = AsyncExitStack()

    @property
    def app(self) -> App:
        assert self._app is not None
        return self._app

    async def start(self) -> None:
        auth = await self._stack.enter_async_context(open_auth(self.folder))
        running = running_app(self.stores, auth=auth, clock=self.clock, wall=self.wall, revocations_look_s=0.0)
        self._app = await self._stack.enter_async_context(running)
        await self.app.quote_all()

    async def stop(self) -> None:
        await self._stack.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    # --- how sessions begin ---------------------------------------------------------------------------------------

    async def sign_in(self, email: str, waits: int = 0) -> None:
        """By a link, which is opened when the server's wall clock has moved on, or back."""
        assert (await self.app.post("/signup", {"email": email})).status == 200
        self.wall.now += waits
        answer = await self.app.get(
            f"/signin/post?token={self.app.mailbox.mails[-1].link}", headers={"Accept": "application/json"}
        )
        assert answer.status == (200 if -LINK_LIFE <= waits < LINK_LIFE else 401), answer
        if answer.status == 200:
            self._issued(answer.body["token"], email, self.wall.now)

    async def token(self, email: str) -> None:
        """`exness token`: it works at once, whatever any clock says."""
        sessions = Sessions(SECRET, self.elsewhere, days=7, remembered=1)
        async with open_auth(self.folder) as store:
            sessions.learn(await store.revocations(sessions.generation))
        self._issued(sessions.issue(email), email, self.elsewhere.now)

    def _issued(self, token: str, email: str, now: int) -> None:
        self.sessions.append(Known(token, email, now, (now // SECOND) * SECOND + LIFE))

    # --- how they end ---------------------------------------------------------------------------------------------

    async def log_out(self, session: Known) -> None:
        assert (await self.trader(session).request("POST", "/logout")).status == 200
        session.ended = True

    async def revoke(self, email: str) -> None:
        """`exness token --revoke`, in a process of its own."""
        async with open_auth(self.folder) as store:
            await store.end_sessions_of(email, self.elsewhere.now, self.elsewhere.now + LIFE)
        for session in self.sessions:
            session.ended |= session.email == email

    # --- what should be -------------------------------------------------------------------------------------------

    def good(self) -> list[Known]:
        return [session for session in self.sessions if session.is_good(self.wall.now)]

    def trader(self, session: Known) -> Trader:
        trader = Trader(self.app, session.email)
        trader.token = session.token
        return trader

    async def check(self) -> None:
        """Ask with each session, by request and on the stream."""
        looked_at = self.sessions[-LOOKED_AT:]
        expected = [session.is_good(self.wall.now) for session in looked_at]
        over_http = [(await self.trader(session).get("/balance")).status == 200 for session in looked_at]
        async with listening(self.app) as client:
            answers = [await client.asked("auth", token=session.token) for session in looked_at]
        on_stream = [answer["type"] == "authenticated" for answer in answers]
        told = "; ".join(self.done)
        assert over_http == expected, told
        assert on_stream == expected, told


@asynccontextmanager
async def world(folder: Path, exchange_at: int, shift_s: int) -> AsyncIterator[World]:
    here = World(folder, exchange_at, shift_s)
    await here.start()
    try:
        yield here
    finally:
        await here.stop()


@pytest.mark.parametrize("exchange", EXCHANGE_CLOCKS)
@pytest.mark.parametrize("shift", mostly_slow(SHIFTS, quick=1))
async def test_a_session_is_good_from_its_issue_to_its_end(tmp_path: Path, exchange: str, shift: str) -> None:
    rng = random.Random(f"{exchange} {shift}")
    async with world(tmp_path, EXCHANGE_CLOCKS[exchange], SHIFTS[shift]) as here:
        for _ in range(14):
            await step(here, rng)
            await here.check()


async def step(here: World, rng: random.Random) -> None:
    """Something happens: to a session, to a clock, to the server."""
    email = rng.choice(EMAILS)
    good = here.good()
    match rng.choice(("sign in", "token", "log out", "revoke", "exchange", "wall", "restart", "stream")):
        case "sign in":
            waits = rng.choice((0, 0, LINK_LIFE - 1, LINK_LIFE, -60 * SECOND, -LINK_LIFE - 1))
            here.done.append(f"{email} signs in, after {waits} us")
            await here.sign_in(email, waits)
        case "token":
            here.done.append(f"a token for {email}")
            await here.token(email)
        case "log out" if good:
            session = rng.choice(good)
            here.done.append(f"{session.email} logs out of number {here.sessions.index(session)}")
            await here.log_out(session)
        case "stream" if good:
            await end_a_stream(here, rng, rng.choice(good))
        case "exchange":
            by = rng.choice((HOUR, 8 * DAY, 31 * DAY))
            here.done.append(f"the exchange's clock is stepped by {by} us")
            here.clock.now += by
            await here.app.quote(SOL, "200")
        case "wall":
            by = rng.choice((-2 * HOUR, -60 * SECOND, 60 * SECOND, 2 * HOUR, 3 * DAY))
            here.done.append(f"the machine's clock is set by {by} us")
            here.wall.now += by
            here.elsewhere.now += by
        case "restart":
            here.done.append("the server is restarted")
            await here.restart()
        case _:
            here.done.append(f"{email} is revoked")
            await here.revoke(email)


async def end_a_stream(here: World, rng: random.Random, session: Known) -> None:
    """One who listens is told goodbye when the session ends, however it does, and not before."""
    how = rng.choice(("log out", "revoke", "expire", "step"))
    here.done.append(f"{session.email} listens with number {here.sessions.index(session)}; then: {how}")
    async with listening(here.app, here.trader(session)) as client:
        await client.snapshot("account")
        if how == "log out":
            await here.log_out(session)
        elif how == "revoke":
            await here.revoke(session.email)
        elif how == "expire":
            here.wall.now = session.expires
            here.elsewhere.now = session.expires
        else:
            here.clock.now += 40 * DAY
        await assert_told(here, client, goodbye=how != "step")


async def assert_told(here: World, client: Client, *, goodbye: bool) -> None:
    hub_of(here.app)._look.set()  # it looks once a second; now it looks at once
    if goodbye:
        assert await client.closed() == CloseCode.SESSION_ENDED, here.done
    else:
        assert (await client.pong())["type"] == "pong"
        await client.snapshot("trades")


# --- reported -------------------------------------------------------------------------------------------------------


async def resigned(here: World, tokens: Iterable[Known]) -> list[int]:
    return [(await here.trader(session).get("/balance")).status for session in tokens]


async def test_who_was_signed_out_stays_so_when_the_first_to_ask_is_a_stream_of_an_exchange_8_days_ahead(
    tmp_path: Path,
) -> None:
    """The stream asked for ended sessions as of the exchange's time, and the store forgot what had expired by then."""
    async with world(tmp_path, WALL_START, 0) as here:
        await here.token(EMAILS[0])
        ann = here.sessions[0]
        assert await resigned(here, [ann]) == [200]
        await here.log_out(ann)
        here.clock.now += 8 * DAY
        await here.revoke(EMAILS[1])
        async with listening(here.app) as client:
            await here.token(EMAILS[1])
            assert (await client.asked("auth", token=here.sessions[1].token))["type"] == "authenticated"
        assert await resigned(here, [ann]) == [401]
        await here.restart()
        assert await resigned(here, [ann, here.sessions[1]]) == [401, 200]


async def test_a_revocation_ends_a_session_that_a_server_two_hours_ahead_has_issued(tmp_path: Path) -> None:
    async with world(tmp_path, WALL_START, -7200) as here:
        await here.sign_in(EMAILS[0])
        assert await resigned(here, here.sessions) == [200]
        await here.revoke(EMAILS[0])
        await here.token(EMAILS[0])
        await here.sign_in(EMAILS[0])
        assert await resigned(here, here.sessions) == [401, 200, 200]


@pytest.mark.parametrize("ahead_s", [30, 60, 7200, FUTURE_S])
async def test_a_server_that_is_behind_the_command_line_takes_its_tokens(tmp_path: Path, ahead_s: int) -> None:
    async with world(tmp_path, WALL_START, ahead_s) as here:
        await here.token(EMAILS[0])
        assert await resigned(here, here.sessions) == [200]
        here.elsewhere.now += 1
        await here.token(EMAILS[0])
        assert await resigned(here, here.sessions[1:]) == [200 if ahead_s < FUTURE_S else 401]


async def test_a_clock_that_was_a_month_ahead_for_a_while_brings_nobody_back(tmp_path: Path) -> None:
    """What had ended makes room when it has expired, by the clock there was; with it go the sessions of its time."""
    async with world(tmp_path, WALL_START, 0) as here:
        for email in EMAILS:
            await here.token(email)
        ann, bob = here.sessions
        await here.log_out(ann)
        for clock in (here.wall, here.elsewhere):
            clock.now += 31 * DAY
        await here.revoke("eve@example.com")
        for clock in (here.wall, here.elsewhere):
            clock.now -= 31 * DAY
        async with open_auth(tmp_path) as store:
            assert (await store.revocations(0)).sessions == {}, "there was room made"
        await here.token(EMAILS[1])
        for _ in range(2):
            assert await resigned(here, [ann, bob, here.sessions[2]]) == [401, 401, 200]
            await here.restart()
