"""What every endpoint of the Binance face stands on: a row says its path, its weight and who may ask; `Ask` is one
request that has been read, signed and counted. A handler takes it and returns what JSON is made of."""

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, NamedTuple

from aiohttp import web

from exness.access.api_keys import ApiKey
from exness.access.sessions import Session
from exness.core.instruments import AccountId
from exness.runtime.exchange import Exchange
from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.params import Params
from exness.web.fapi.schemas import Schema
from exness.web.fapi.signing import check_signature, check_time
from exness.web.http.endpoint import Auth, Endpoint
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE, RequestState, received_body
from exness.web.http.response import answer
from exness.web.http.weights import Budget, Weight
from exness.web.services import Fapi, Services, services_of

KEY_HEADER = "X-MBX-APIKEY"
_KEY = re.compile(r"[A-Za-z0-9]{64}", re.ASCII)
_MINUTE_S = 60


class Security(StrEnum):
    """Who may ask."""

    NONE = "none"
    """Anybody."""
    KEY = "key"
    """Who brings an API key; nothing is signed."""
    SIGNED = "signed"
    """Whose request is signed with the key's secret."""
    TRADE = "trade"
    """The same, with a key that may trade."""


class Ask:
    """One request. `email` and `account` are those of its `key`; "" where there is none."""

    __slots__ = ("account", "email", "exchange", "fapi", "headers", "key", "params", "request", "services", "state")

    def __init__(self, request: web.Request, params: Params) -> None:
        self.request = request
        self.params = params
        self.state: RequestState = request[REQUEST_STATE]
        self.services: Services = services_of(request)
        self.exchange: Exchange = self.services.exchange
        assert self.services.fapi is not None, "it is mounted"
        self.fapi: Fapi = self.services.fapi
        self.key: ApiKey | None = None
        self.email = ""
        self.account = AccountId("")
        self.headers: dict[str, str] = {}

    @property
    def request_id(self) -> str:
        return self.state.request_id

    @property
    def wall_ms(self) -> int:
        """The machine's time."""
        return self.services.wall.wall_us() // 1000

    @property
    def now_ms(self) -> int:
        """The exchange's time."""
        return self.exchange.clock.now_us() // 1000

    def count_orders(self, orders: int) -> None:
        """Orders that it places. Raises TooManyOrders."""
        limits = self.services.limits
        for seconds, count in limits.hit_orders(self.email, orders, self.state.caller):
            span = f"{seconds // _MINUTE_S}M" if seconds % _MINUTE_S == 0 else f"{seconds}S"
            self.headers[f"X-MBX-ORDER-COUNT-{span}"] = str(count)


Handler = Callable[[Ask], Awaitable[Any]]


class Row(NamedTuple):
    """One endpoint. `weight` is Binance's. Its path is whole."""

    method: str
    path: str
    weight: int
    security: Security
    handler: Handler
    summary: str
    answer: Schema | None
    """Of a 200; None: there is no such answer."""
    parameters: str = ""
    """Their names: see `parameters.py`."""
    fast: bool = True
    """See `Endpoint.fast`."""


def endpoint_of(row: Row) -> Endpoint:
    """The row as the server mounts it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        state = request[REQUEST_STATE]
        headers = _used(state)
        try:
            ask = await _asked(request, row.security)
            ask.headers = headers
            return answer(await row.handler(ask), headers=headers or None)
        except ApiError as error:
            error.headers |= headers
            raise

    auth = Auth.NONE if row.security is Security.NONE else Auth.KEY
    weight = Weight(row.weight, budget=Budget.FAPI)
    return Endpoint(row.method, row.path, handle, weight, row.summary, None, auth=auth, fast=row.fast)


def _used(state: RequestState) -> dict[str, str]:
    """What of the weight is used up, unless limits are switched off."""
    allowance = state.allowance
    return {} if allowance is None else {"X-MBX-USED-WEIGHT-1M": str(allowance.limit - allowance.remaining)}


async def _asked(request: web.Request, security: Security) -> Ask:
    query = request.raw_path.partition("?")[2]
    raw = await received_body(request) if request.body_exists else b""
    body = raw.decode(errors="surrogateescape")
    ask = Ask(request, Params.read(query, body))
    if security is Security.NONE:
        return ask
    key = await _key_of(request, ask.services)
    if security is not Security.KEY:
        if security is Security.TRADE and not key.may_trade:
            raise FapiError(Code.REJECTED_KEY)
        check_signature(key.secret, query, body, ask.params)
        check_time(ask.params, ask.wall_ms)
    ask.key, ask.email, ask.state.email = key, key.email, key.email
    known = ask.exchange.known_account(key.email)
    ask.account = known if known is not None else await ask.exchange.account_of(key.email)
    return ask


async def _key_of(request: web.Request, services: Services) -> ApiKey:
    """Raises FapiError."""
    given = request.headers.get(KEY_HEADER, "")
    if not _KEY.fullmatch(given):
        raise FapiError(Code.BAD_API_KEY)
    await services.revocations.refresh()
    key = services.keys.find(given)
    if key is None:
        raise FapiError(Code.REJECTED_KEY)
    return key


async def session_of(request: web.Request) -> Session:
    """Whose key a request brings, as faults ask for it. Raises ApiError."""
    key = await _key_of(request, services_of(request))
    return Session(key.email, key.key, 0, 0, 0)
