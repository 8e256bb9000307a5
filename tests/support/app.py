"""The real application over real HTTP, with a clock and prices that the test sets.

    async with running_app() as app:
        await app.quote(SOL, "200")
        ann = app.trader("ann")
        trade = await ann.create(margin="100")          # asserts 200
        app.clock.advance(31)                           # now every price is stale; no session is any older
        app.wall.advance(8 * 86_400)                    # now every session has expired; no price is any older
        refused = await ann.post("/trade/close", {"orderId": trade["orderId"]})

Storage is the shipped one in memory; `Stores.sqlite(...)` puts the same app on disk. At the end everything drains, the
books are audited and the journal is replayed: it must give the state that was served.
"""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from exness.access.api_keys import ApiKeys, Sealer
from exness.access.live_sessions import LiveSessions
from exness.access.magic_links import MagicLinks
from exness.access.ports import AuthStore, Mail
from exness.access.pseudonyms import Pseudonyms
from exness.access.revocations import LOOK_S, RevocationWatch
from exness.access.sessions import Sessions
from exness.core.engine import Engine
from exness.core.instruments import Asset
from exness.core.money import format_usdc
from exness.core.rules import Rules
from exness.core.state import Account, State
from exness.observability.metrics import RequestMeter
from exness.runtime.assembly import Parts
from exness.runtime.candles import CandleBook
from exness.runtime.clock import WallClock
from exness.runtime.day import Days
from exness.runtime.exchange import Exchange
from exness.runtime.leaderboard import Leaderboard
from exness.runtime.meters import LoopWatch
from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.journal import Journal, StorageError
from exness.runtime.ports.snapshots import Snapshots
from exness.runtime.ports.tables import History, Tables
from exness.runtime.recovery import recover
from exness.runtime.sequencer import Sequencer
from exness.runtime.writer import Writer
from exness.storage.sqlite import open_storage
from exness.web.app import endpoints_of, make_runner
from exness.web.http.browser_rules import BrowserRules
from exness.web.http.client_ip import ClientIps
from exness.web.http.connection_limits import Connections
from exness.web.http.rate_limits import RateLimits
from exness.web.http.security_log import SecurityLog
from exness.web.services import Services, StreamBounds
from exness.web.stream.hub import HUB, Hub
from exness.web.v1 import PREFIX
from exness.web.v1.leaderboard import ShownLeaderboard
from exness.web.v1.price_cache import PriceCache
from tests.support.books import (
    BTC,
    ETH,
    LISTINGS,
    PRICE_LIFE,
    SECOND,
    SOL,
    START,
    assert_books_balance,
    digest_and_interest,
    make_rules,
    tick,
)
from tests.support.exchange import SetClock, make_parts
from tests.support.memory_auth import MemoryAuth
from tests.support.memory_storage import MemoryCandles, MemoryJournal, MemorySnapshots, MemoryTables
from tests.support.waiting import until

SECRET = b"a secret of thirty-two bytes or more"
WALL_START = START + 500 * 86_400 * SECOND
"""The wall clock is far from the exchange's, so that no test passes in which one is taken for the other."""
API = PREFIX
ROOTS = ("/healthz", "/readyz", "/metrics", "/api", "/nowhere", "/fapi", "/futures", "/dapi", "/sapi")
"""What paths begin with that are whole."""
OF_THE_EXCHANGE = inspect.signature(make_parts).parameters.keys()
"""Options of `make_parts`."""


class SetWallClock(WallClock):
    """The same of the machine."""

    def __init__(self, start_us: int = WALL_START) -> None:
        self.now = start_us

    def wall_us(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


class MailBox:
    """LinkMails that keeps what it was given: `mails` were posted; `written` holds those thrown away as well."""

    def __init__(self) -> None:
        self.written: list[Mail] = []
        self.mails: list[Mail] = []

    def write(self, purpose: str, email: str, token: str) -> Mail:
        self.written.append(Mail(to=email, subject=purpose, text="", html="", link=token))
        return self.written[-1]

    def post(self, mail: Mail) -> bool:
        self.mails.append(mail)
        return True


class Stores(NamedTuple):
    journal: Journal
    tables: Tables
    history: History
    candles: CandleStore
    snapshots: Snapshots

    @classmethod
    def memory(cls) -> "Stores":
        tables = MemoryTables(LISTINGS)
        return cls(MemoryJournal(), tables, tables, MemoryCandles(), MemorySnapshots())

    @classmethod
    @asynccontextmanager
    async def sqlite(cls, data_dir: Path) -> AsyncIterator["Stores"]:
        async with open_storage(data_dir, LISTINGS) as storage:
            yield cls(*storage)


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """Decoded JSON. A number with a decimal point stays text, as a float could hide what was sent."""
        return json.loads(self.raw, parse_float=str)

    @property
    def code(self) -> str:
        return self.body["code"]

    @property
    def message(self) -> str:
        return self.body["message"]

    @property
    def details(self) -> Any:
        return self.body["details"]


NO_DETAILS = object()
JSON = "application/json; charset=utf-8"


def assert_error(
    answer: Answer,
    status: int,
    code: str,
    message: str | None = None,
    *,
    details: Any = NO_DETAILS,
    retry: bool = False,
) -> None:
    """A whole error answer: status, code, message (if given), details, headers, and not a field more."""
    body = answer.body
    assert (answer.status, body["code"]) == (status, code), answer
    assert body["success"] is False
    assert body.keys() == {"success", "code", "message"} | ({"details"} if details is not NO_DETAILS else set()), body
    if message is not None:
        assert body["message"] == message
    assert isinstance(body["message"], str)
    assert body["message"]
    if details is not NO_DETAILS:
        assert body["details"] == details
    assert answer.headers["Content-Type"] == JSON
    assert answer.headers["X-Request-ID"]
    assert ("Retry-After" in answer.headers) == retry
    if retry:
        assert int(answer.headers["Retry-After"]) >= 1


def bad(field: str, message: str) -> list[dict[str, str]]:
    """The details of an invalid_request with one bad field."""
    return [{"field": field, "message": message}]


ENDPOINTS = endpoints_of(dev=True)
"""Every endpoint, dev control's too."""
TRADE_WEIGHT = ENDPOINTS.weights["POST", f"{API}/trade/create"].base
ORDER = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}
"""A body of /trade/create that is good."""


def order(**changed: Any) -> dict[str, Any]:
    """ORDER with some fields changed; one that is None is left out."""
    return {name: value for name, value in (ORDER | changed).items() if value is not None}


class Trader:
    """One signed-in user of the app."""

    def __init__(self, app: "App", email: str) -> None:
        self.app = app
        self.email = email
        self.token = app.sessions.issue(email)

    @property
    def account(self) -> Account:
        """What the engine has of this user, who must have made a request before."""
        return self.app.state.accounts[self.app.state.by_email[self.email]]

    @property
    def free(self) -> str:
        """The free balance in decimal USDC, straight from the engine."""
        return format_usdc(self.account.free)

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return await self.app.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Answer:
        return await self.request("POST", path, body=body, **options)

    async def try_create(self, **changed: Any) -> Answer:
        """POST /trade/create with a good body but for what is changed."""
        return await self.post("/trade/create", order(**changed))

    async def create(self, **changed: Any) -> dict[str, Any]:
        """Open a trade; it must not be refused."""
        answer = await self.try_create(**changed)
        assert answer.status == 200, answer
        return answer.body

    async def try_close(self, order_id: str) -> Answer:
        return await self.post("/trade/close", {"orderId": order_id})

    async def close(self, order_id: str) -> dict[str, Any]:
        """Close a trade; it must not be refused."""
        answer = await self.try_close(order_id)
        assert answer.status == 200, answer
        return answer.body

    async def open_trades(self) -> list[dict[str, Any]]:
        answer = await self.get("/trade/open")
        assert answer.status == 200, answer
        return answer.body["data"]


class App:
    """A running exchange with its address."""

    def __init__(
        self,
        services: Services,
        parts: Parts,
        state: State,
        clock: SetClock,
        wall: SetWallClock,
        stores: Stores,
        auth: AuthStore,
    ) -> None:
        self.services = services
        self.parts = parts
        self.state = state
        """What the engine works on. This is the one door to it for tests of what stands before the port: to read."""
        self.exchange = services.exchange
        self.sessions = services.sessions
        self.clock = clock
        """The exchange's: prices and trades go by it."""
        self.wall = wall
        """The machine's: sessions and links go by it."""
        self.auth = auth
        self.mailbox = MailBox()
        self.stores = stores
        self.url = ""
        self.runner: web.AppRunner
        self.http: aiohttp.ClientSession | None = None
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def hub(self) -> Hub:
        """Of /stream."""
        return self.runner.app[HUB]

    def connections(self) -> int:
        """How many clients are connected."""
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    @property
    def sequencer(self) -> Sequencer:
        return self.parts.sequencer

    @property
    def writer(self) -> Writer:
        return self.parts.writer

    @property
    def journal(self) -> MemoryJournal:
        """The journal in memory, whose disk a test can stop and break."""
        assert isinstance(self.stores.journal, MemoryJournal)
        return self.stores.journal

    def trader(self, name: str) -> Trader:
        return Trader(self, f"{name}@example.com")

    async def revoke(self, email: str, auth: AuthStore | None = None) -> None:
        """What `exness token --revoke` does, through the server's store or another process's."""
        await (auth or self.auth).end_sessions_of(email, self.wall.now, self.wall.now + self.sessions.life_us)

    async def known(self, *names: str) -> list[Trader]:
        """Traders whose accounts are open already, so that nothing but their next request changes anything."""
        traders = [self.trader(name) for name in names]
        for trader in traders:
            assert (await trader.get("/balance")).status == 200
        return traders

    async def quote(self, asset: Asset, bid: str, ask: str | None = None) -> None:
        """A price, checked by the engine when this returns."""
        checked = self.sequencer.ticks_checked
        self.sequencer.tick(tick(asset, bid, ask))
        await until(lambda: self.sequencer.ticks_checked > checked, "for a tick to be checked")

    async def quote_all(self, sol: str = "200", eth: str = "3000", btc: str = "100000") -> None:
        for asset, price in ((SOL, sol), (ETH, eth), (BTC, btc)):
            await self.quote(asset, price)

    def let_prices_age(self) -> None:
        """Until one microsecond after every price has ended."""
        self.clock.now += PRICE_LIFE + 1

    def everything(self) -> tuple[object, ...]:
        """All that a refused request must leave as it was: accounts, trades, books, and what has been journaled."""
        return (digest_and_interest(self.state), self.state.seq, self.writer.durable_seq, self.writer.queued)

    async def request(self, method: str, path: str, *, body: Any = None, **options: Any) -> Answer:
        """One request; `body` is sent as JSON, `data` as it is. Paths without a known root are under /api/v1."""
        assert self.http is not None
        url = self.url + (path if path.startswith(ROOTS) else API + path)
        if body is not None:
            options["data"] = json.dumps(body).encode()
            options["headers"] = {"Content-Type": "application/json"} | options.get("headers", {})
        async with self.http.request(method, url, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.request("POST", path, body=body, **options)

    async def all_waiting(self, requests: int) -> None:
        """Until so many requests wait in the inbox."""
        await until(lambda: len(self.sequencer.inbox) == requests, f"for {requests} waiting requests")

    # --- a disk that stands still ---------------------------------------------------------------------------------

    def hold_disk(self) -> None:
        """From now on no commit ends."""
        self.journal.disk.clear()

    def release_disk(self) -> None:
        self.journal.disk.set()


@contextmanager
def unchanged(app: App) -> Iterator[None]:
    """What happens inside must change nothing: no balance, no trade, no record."""
    before = app.everything()
    yield
    assert app.everything() == before, "a refused request changed something"


@asynccontextmanager
async def running_app(
    stores: Stores | None = None,
    *,
    rules: Rules | None = None,
    clock: SetClock | None = None,
    wall: SetWallClock | None = None,
    revocations_look_s: float = LOOK_S,
    limits: RateLimits | None = None,
    history: Callable[[History], History] = lambda history: history,
    journal_fails: str | None = None,
    core_fails: str | None = None,
    auth: AuthStore | None = None,
    plain: bool = False,
    ranked: int = 0,
    **options: Any,
) -> AsyncIterator[App]:
    """Recover from the stores (empty ones, if none are given), serve on a free port, drain and audit at the end.

    `journal_fails`: what the test makes the journal fail with; the writer must then have ended with it.
    `core_fails`: likewise the bug that the test plants into the core, with which the sequencer must have ended.
    `plain`: on aiohttp as it comes. `ranked`: how many the leaderboard shows; 0: it is off. `options` of `make_parts`
    go there, all others to the Services.
    """
    sizes = {name: options.pop(name) for name in OF_THE_EXCHANGE & options.keys()}
    rules = rules or make_rules()
    stores = stores or Stores.memory()
    clock, wall = clock or SetClock(), wall or SetWallClock()
    state = (await recover(stores.journal, stores.snapshots)).state
    parts = make_parts(
        Engine(rules, state),
        stores.journal,
        clock,
        tables=stores.tables,
        tables_seq=(await stores.tables.watermark()).seq,
        history=history(stores.history),
        candles=CandleBook(await stores.candles.newest_candles()),
        candle_store=stores.candles,
        **sizes,
    )
    writer, sequencer, projector, flush = parts.writer, parts.sequencer, parts.projector, parts.flush
    mailbox, auth = MailBox(), auth or MemoryAuth()
    keys = ApiKeys(auth, wall, Sealer([SECRET]))
    sessions = Sessions(SECRET, wall, days=7, remembered=100, keys=keys)
    revocations = RevocationWatch(auth, sessions, keys, wall, look_s=revocations_look_s)
    await revocations.refresh(at_once=True)  # so that a test can issue sessions before the first request
    defaults: dict[str, Any] = {
        "version": "1.2.3",
        "max_body_bytes": 65_536,
        "body_timeout_s": 10.0,
        "frontend_url": "/",
        "public_url": "",
        "production": False,
        "client_ips": ClientIps(),
        "browser_rules": BrowserRules(),
        "connections": Connections(),
        "security_log": SecurityLog(),
        "requests": RequestMeter(),
        "access": None,
        "dev": None,
        "profile": "",
        "loop": LoopWatch(),
        "metrics": None,
        "price_cache": PriceCache(),
        "days": Days(parts.exchange),
        "wall": wall,
        "fapi": None,
        "stream": StreamBounds(),
        "leaderboard": _leaderboard(parts.exchange, ranked) if ranked else None,
    }
    services = Services(
        exchange=parts.exchange,
        listings=LISTINGS,
        sessions=sessions,
        live_sessions=LiveSessions(auth, sessions),
        keys=keys,
        magic_links=MagicLinks(auth, mailbox, wall, minutes=5),
        revocations=revocations,
        limits=limits or rate_limits(enabled=False),
        **(defaults | options),
    )
    app = App(services, parts, state, clock, wall, stores, auth)
    app.mailbox = mailbox
    async with AsyncExitStack() as stack:
        running = (writer.run(), sequencer.run(), projector.run(), flush.run())
        app.tasks = [asyncio.create_task(part) for part in running]
        stack.push_async_callback(_end, app.tasks)
        app.runner = await stack.enter_async_context(_served(services, plain=plain))
        app.url = f"http://127.0.0.1:{app.runner.addresses[0][1]}"
        # Its default resolver of names, which nobody needs here, would be set up anew for each test: some milliseconds.
        connector = aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver())
        app.http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        )
        yield app
        if isinstance(stores.journal, MemoryJournal):
            app.release_disk()
        await app.http.close()
        if core_fails is not None:
            with pytest.raises(AssertionError, match=core_fails):
                await app.tasks[1]
            await app.tasks[0]
            return
        parts.sequencer.close()
        await app.tasks[1]
        parts.writer.close()
        assert_books_balance(state)
        if journal_fails is None:
            await app.tasks[0]
            projector.close()
            flush.close()
            await asyncio.gather(*app.tasks[2:])
            await _assert_journal_tells_the_same(app)
        else:
            with pytest.raises(StorageError, match=journal_fails):
                await app.tasks[0]


def _leaderboard(exchange: Exchange, size: int) -> ShownLeaderboard:
    return ShownLeaderboard(exchange, Leaderboard(exchange, size), Pseudonyms(SECRET))


def rate_limits(
    *,
    enabled: bool = True,
    trade_per_account: str = "1000/day",
    trade_per_ip: str = "1000/day",
    read: str = "1000/day",
    read_per_account: str = "1000000/day",
    probe_per_ip: str = "1000000/day",
    mail_per_ip: str = "1000000/day",
    mail_per_address: str = "1000000/day",
    fapi_per_ip: str = "1000000/day",
    fapi_orders_per_account: str = "1000000/day",
    block_after: int = 0,
    block_s: float = 300.0,
    most: int = 1000,
    **others: Any,
) -> RateLimits:
    """Limits of which a test names the ones it is about."""
    return RateLimits(
        enabled=enabled,
        trade_per_account=trade_per_account,
        trade_per_ip=trade_per_ip,
        read_per_ip=read,
        read_per_account=read_per_account,
        probe_per_ip=probe_per_ip,
        mail_per_ip=mail_per_ip,
        mail_per_address=mail_per_address,
        fapi_per_ip=fapi_per_ip,
        fapi_orders_per_account=fapi_orders_per_account,
        block_after=block_after,
        block_s=block_s,
        most=most,
        **others,
    )


@asynccontextmanager
async def _served(services: Services, *, plain: bool) -> AsyncIterator[web.AppRunner]:
    runner = make_runner(services, shutdown_timeout_s=1, plain=plain)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner
    finally:
        await runner.cleanup()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Stop what a failed test left running. What a task failed with has been raised already, or is beside the point."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _assert_journal_tells_the_same(app: App) -> None:
    """What is on disk gives the state that was served."""
    assert app.writer.durable_seq == app.state.seq
    replayed = await recover(app.stores.journal, MemorySnapshots())
    assert replayed.notes == []
    assert digest_and_interest(replayed.state) == digest_and_interest(app.state)
