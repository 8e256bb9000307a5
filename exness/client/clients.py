"""`Client` and `AsyncClient`: sessions, retries and the version check around httpx. What is asked is in `calls`."""

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from exness import __version__
from exness.client import calls
from exness.client.answers import Health
from exness.client.calls import Call
from exness.client.errors import (
    NOTHING_DONE,
    ConnectionFailed,
    InternalError,
    NoAnswer,
    Refused,
    WrongServer,
    WrongVersion,
    refusal_of,
)
from exness.client.streams import AsyncStream, Stream
from exness.client.told import StreamOptions

P = ParamSpec("P")
T = TypeVar("T")

TRIES = 8
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
TIMEOUT_S = 10.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For addresses with http: to load every certificate there is takes longer than a hundred requests."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Base:
    """What both clients are made of. `url` is where the exchange is, `token` a session; both may be changed.

    `timeout_s` is of one try, `tries` how often something is tried, `longest_wait_s` the most that is waited between
    two tries, also when the exchange asks for more.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        longest_wait_s: float = LONGEST_WAIT_S,
        check_version: bool = True,
    ) -> None:
        parsed = _parsed(url)
        self.url = str(parsed).rstrip("/")
        self.token = token
        self._timeout_s = timeout_s
        self._tries = tries
        self._longest_wait_s = longest_wait_s
        self._checked = not check_version
        self._backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=longest_wait_s)
        # What is on this machine is never reached by a proxy, whatever the environment says.
        self.local = parsed.host in ("localhost", "::1") or parsed.host.startswith("127.")
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout_s,
            "trust_env": not self.local,
            "verify": _NO_TLS if parsed.scheme == "http" else True,
        }

    def _headers(self, call: Call[Any]) -> dict[str, str]:
        return call.headers if self.token is None else {**call.headers, "Authorization": f"Bearer {self.token}"}

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        """The answer. Raises Refused, WrongServer."""
        status, body = response.status_code, response.content
        if status == httpx.codes.OK:
            try:
                return call.read(body)
            except msgspec.DecodeError as error:
                raise _no_exness(self.url, f"{call.method} {call.path} was answered with something else") from error
        refused = refusal_of(status, body, response.headers.get("Retry-After", ""))
        if refused is None:
            raise _no_exness(self.url, f"{call.method} {call.path} was answered with status {status}")
        settled = call.settled(refused) if call.maybe_done and call.settled is not None else None
        if settled is None:
            raise refused
        return settled

    def _failed(self, call: Call[Any], error: httpx.TransportError) -> ConnectionFailed | NoAnswer:
        """What a failure on the way means."""
        why = str(error) or type(error).__name__
        if isinstance(error, _NOT_SENT):
            return ConnectionFailed(f"{self.url} can't be reached: {why}. Is the exchange running there?")
        call.maybe_done = True
        asked = f"{call.method} {call.path}" + (f" with {call.content.decode()}" if call.content else "")
        return NoAnswer(f"{asked} was not answered ({why}): it may have been done or not. Look before you ask again")

    def _retry(self, call: Call[Any]) -> dict[str, Any]:
        def may_be_asked_again(error: BaseException) -> bool:
            if isinstance(error, (ConnectionFailed, *NOTHING_DONE)):
                return True
            return call.again and isinstance(error, NoAnswer | InternalError)

        return {
            "stop": stop_after_attempt(self._tries),
            "wait": self._wait_s,
            "retry": retry_if_exception(may_be_asked_again),
            "reraise": True,
        }

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_for_s = error.retry_after_s if isinstance(error, Refused) else 0
        return max(self._backoff(state), min(asked_for_s, self._longest_wait_s))

    def _check(self, health: Health) -> None:
        """Raises WrongVersion."""
        if _minor(health.version) != _minor(__version__):
            raise WrongVersion(
                f"{self.url} is exness {health.version}, and this client is of {__version__}: "
                f"install exness {_minor(health.version)}.* to talk to it"
            )
        self._checked = True

    def _stream_options(self, channels: tuple[str, ...], resume: int | None, timeout_s: float | None) -> StreamOptions:
        return StreamOptions(
            url=f"ws{self.url.removeprefix('http')}{calls.API}/stream",
            token=self.token,
            channels=channels,
            resume=resume,
            timeout_s=timeout_s,
            open_timeout_s=self._timeout_s,
            local=self.local,
        )


class _Now(Generic[P, T]):
    """A method of Client: does a call and returns its answer."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, T]: ...
    def __get__(self, client: "Client | None", owner: type) -> Callable[P, Call[T]] | Callable[P, T]:
        if client is None:
            return self._call

        def do(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.do(self._call(*args, **kwargs))

        do.__doc__ = self.__doc__
        return do


class _Awaited(Generic[P, T]):
    """A method of AsyncClient."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(
        self, client: "AsyncClient | None", owner: type
    ) -> Callable[P, Call[T]] | Callable[P, Coroutine[Any, Any, T]]:
        if client is None:
            return self._call

        def do(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            return client.do(self._call(*args, **kwargs))

        do.__doc__ = self.__doc__
        return do


class Client(Base):
    """A client that waits. Close it, or use it in a `with`. One client may be used by several threads."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._http = httpx.Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def do(self, call: Call[T]) -> T:
        """Do a call, and again where that is safe. Raises ExnessError."""
        if not self._checked:
            self._check(self._once(calls.healthz()))
        answer: T = Retrying(sleep=time.sleep, **self._retry(call))(self._once, call)
        return answer

    def _once(self, call: Call[T]) -> T:
        try:
            response = self._http.request(call.method, call.path, content=call.content, headers=self._headers(call))
        except httpx.TransportError as error:
            raise self._failed(call, error) from error
        return self._read(call, response)

    def stream(self, *channels: str, resume: int | None = None, timeout_s: float | None = None) -> Stream:
        """Events of channels, see `Stream`. `timeout_s`: how long the next event may take, else TimeoutError."""
        return Stream(self._stream_options(channels, resume, timeout_s))

    create_trade = _Now(calls.create_trade)
    close_trade = _Now(calls.close_trade)
    close_all_trades = _Now(calls.close_all_trades)
    trade = _Now(calls.trade)
    set_exits = _Now(calls.set_exits)
    add_exit = _Now(calls.add_exit)
    change_margin = _Now(calls.change_margin)
    change_leverage = _Now(calls.change_leverage)
    quote = _Now(calls.quote)
    open_trades = _Now(calls.open_trades)
    open_trades_page = _Now(calls.open_trades_page)
    history = _Now(calls.history)
    create_order = _Now(calls.create_order)
    amend_order = _Now(calls.amend_order)
    cancel_order = _Now(calls.cancel_order)
    cancel_all_orders = _Now(calls.cancel_all_orders)
    open_orders = _Now(calls.open_orders)
    order = _Now(calls.order)
    order_history = _Now(calls.order_history)
    net_order = _Now(calls.net_order)
    net_quote = _Now(calls.net_quote)
    net_leverage = _Now(calls.net_leverage)
    net = _Now(calls.net)
    balance = _Now(calls.balance)
    balance_usd = _Now(calls.balance_usd)
    account = _Now(calls.account)
    statement = _Now(calls.statement)
    equity = _Now(calls.equity)
    time = _Now(calls.time)
    supported_assets = _Now(calls.supported_assets)
    rates = _Now(calls.rates)
    prices = _Now(calls.prices)
    price = _Now(calls.price)
    ticker = _Now(calls.ticker)
    klines = _Now(calls.klines)
    signup = _Now(calls.signup)
    signin = _Now(calls.signin)
    signin_post = _Now(calls.signin_post)
    logout = _Now(calls.logout)
    create_api_key = _Now(calls.create_api_key)
    api_keys = _Now(calls.api_keys)
    revoke_api_key = _Now(calls.revoke_api_key)
    healthz = _Now(calls.healthz)
    readyz = _Now(calls.readyz)
    dev_set_price = _Now(calls.dev_set_price)
    dev_script = _Now(calls.dev_script)
    dev_clock = _Now(calls.dev_clock)
    dev_set_clock = _Now(calls.dev_set_clock)
    dev_deposit = _Now(calls.dev_deposit)
    dev_session = _Now(calls.dev_session)
    dev_set_rates = _Now(calls.dev_set_rates)
    dev_set_profile = _Now(calls.dev_set_profile)
    dev_house = _Now(calls.dev_house)
    dev_books = _Now(calls.dev_books)
    dev_faults = _Now(calls.dev_faults)
    dev_set_faults = _Now(calls.dev_set_faults)
    dev_reset = _Now(calls.dev_reset)


class AsyncClient(Base):
    """The same, awaited. It belongs to the event loop in which it is first used."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def do(self, call: Call[T]) -> T:
        """Do a call, and again where that is safe. Raises ExnessError."""
        if not self._checked:
            self._check(await self._once(calls.healthz()))
        return await AsyncRetrying(sleep=asyncio.sleep, **self._retry(call))(self._once, call)

    async def _once(self, call: Call[T]) -> T:
        headers = self._headers(call)
        try:
            response = await self._http.request(call.method, call.path, content=call.content, headers=headers)
        except httpx.TransportError as error:
            raise self._failed(call, error) from error
        return self._read(call, response)

    def stream(self, *channels: str, resume: int | None = None, timeout_s: float | None = None) -> AsyncStream:
        """Events of channels, see `AsyncStream`."""
        return AsyncStream(self._stream_options(channels, resume, timeout_s))

    create_trade = _Awaited(calls.create_trade)
    close_trade = _Awaited(calls.close_trade)
    close_all_trades = _Awaited(calls.close_all_trades)
    trade = _Awaited(calls.trade)
    set_exits = _Awaited(calls.set_exits)
    add_exit = _Awaited(calls.add_exit)
    change_margin = _Awaited(calls.change_margin)
    change_leverage = _Awaited(calls.change_leverage)
    quote = _Awaited(calls.quote)
    open_trades = _Awaited(calls.open_trades)
    open_trades_page = _Awaited(calls.open_trades_page)
    history = _Awaited(calls.history)
    create_order = _Awaited(calls.create_order)
    amend_order = _Awaited(calls.amend_order)
    cancel_order = _Awaited(calls.cancel_order)
    cancel_all_orders = _Awaited(calls.cancel_all_orders)
    open_orders = _Awaited(calls.open_orders)
    order = _Awaited(calls.order)
    order_history = _Awaited(calls.order_history)
    net_order = _Awaited(calls.net_order)
    net_quote = _Awaited(calls.net_quote)
    net_leverage = _Awaited(calls.net_leverage)
    net = _Awaited(calls.net)
    balance = _Awaited(calls.balance)
    balance_usd = _Awaited(calls.balance_usd)
    account = _Awaited(calls.account)
    statement = _Awaited(calls.statement)
    equity = _Awaited(calls.equity)
    time = _Awaited(calls.time)
    supported_assets = _Awaited(calls.supported_assets)
    rates = _Awaited(calls.rates)
    prices = _Awaited(calls.prices)
    price = _Awaited(calls.price)
    ticker = _Awaited(calls.ticker)
    klines = _Awaited(calls.klines)
    signup = _Awaited(calls.signup)
    signin = _Awaited(calls.signin)
    signin_post = _Awaited(calls.signin_post)
    logout = _Awaited(calls.logout)
    create_api_key = _Awaited(calls.create_api_key)
    api_keys = _Awaited(calls.api_keys)
    revoke_api_key = _Awaited(calls.revoke_api_key)
    healthz = _Awaited(calls.healthz)
    readyz = _Awaited(calls.readyz)
    dev_set_price = _Awaited(calls.dev_set_price)
    dev_script = _Awaited(calls.dev_script)
    dev_clock = _Awaited(calls.dev_clock)
    dev_set_clock = _Awaited(calls.dev_set_clock)
    dev_deposit = _Awaited(calls.dev_deposit)
    dev_session = _Awaited(calls.dev_session)
    dev_set_rates = _Awaited(calls.dev_set_rates)
    dev_set_profile = _Awaited(calls.dev_set_profile)
    dev_house = _Awaited(calls.dev_house)
    dev_books = _Awaited(calls.dev_books)
    dev_faults = _Awaited(calls.dev_faults)
    dev_set_faults = _Awaited(calls.dev_set_faults)
    dev_reset = _Awaited(calls.dev_reset)


def _parsed(url: str) -> httpx.URL:
    """Raises WrongServer."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise WrongServer(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise WrongServer(f"{url!r} is no URL of an exchange: those begin with http:// or https://")
    return parsed


def _no_exness(url: str, what: str) -> WrongServer:
    return WrongServer(f"what answers at {url} is no exness: {what}. Is the URL right, without /api/v1?")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
