"""`Client` and `AsyncClient`: the calls around httpx, waited for and awaited. What is asked is in `calls`."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx
from tenacity import AsyncRetrying, Retrying

from exness.client import calls
from exness.client.base import Base
from exness.client.calls import Call
from exness.client.streams import AsyncStream, Stream

P = ParamSpec("P")
T = TypeVar("T")


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
    leaderboard = _Now(calls.leaderboard)
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
    sessions = _Now(calls.sessions)
    end_session = _Now(calls.end_session)
    end_other_sessions = _Now(calls.end_other_sessions)
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
    leaderboard = _Awaited(calls.leaderboard)
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
    sessions = _Awaited(calls.sessions)
    end_session = _Awaited(calls.end_session)
    end_other_sessions = _Awaited(calls.end_other_sessions)
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
