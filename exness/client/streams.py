"""Streams as iterators. They connect again by themselves, resume where they were, and say when they could not."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from exness.client.answers import Event
from exness.client.errors import ExnessError
from exness.client.told import PING, StreamOptions, Timer, Told

BROKEN = (OSError, WebSocketException, EOFError)


class Stream(Iterator[Event]):
    """Events, one after the other: `for event in stream`. It connects when it is entered or first asked.

    Raises StreamEnded when the server will not have it any more, CannotResume when events are missing (going on is fine
    then), TimeoutError when no event comes in time (likewise), Refused for channels that there are not.
    """

    def __init__(self, options: StreamOptions) -> None:
        self._told = Told(options)
        self._connection: ClientConnection | None = None
        self._open = ExitStack()
        """Of the connection, as websockets want to be used."""

    @property
    def position(self) -> int | None:
        """Everything of `trades` and `account` up to this seq has been told; to resume another stream with."""
        return self._told.position

    def __enter__(self) -> Self:
        while self._connection is None:
            self._connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._connection = None
        self._open.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return self.next(self._told.options.timeout_s)

    def next(self, timeout_s: float | None) -> Event:
        """The next event, which may take so long."""
        timer = Timer(timeout_s)
        while True:
            left_s = timer.left_s(self._told.quiet_s)
            if self._connection is None:
                self._connect()
            elif (event := self._step(self._connection, left_s)) is not None:
                return event

    def wait_for(self, type: str, channel: str | None = None, timeout_s: float = 10.0) -> Event:  # noqa: A002
        """The next event of a type, over whatever others come before it."""
        timer = Timer(timeout_s)
        while True:
            event = self.next(timer.left_s(timeout_s))
            if event.type == type and channel in (None, event.channel):
                return event

    def _connect(self) -> None:
        told = self._told
        time.sleep(told.wait_s)
        try:
            opening = connect(told.options.url, **told.options.connecting())
            connection = self._connection = self._open.enter_context(opening)
            connection.send(told.hello())
            told.take(connection.recv(timeout=told.options.open_timeout_s))
        except BROKEN as error:
            self.close()
            told.failed(error)
        except ExnessError:
            self.close()
            raise

    def _step(self, connection: ClientConnection, wait_s: float) -> Event | None:
        """One thing that happens: a frame, or a silence."""
        told = self._told
        try:
            return told.take(connection.recv(timeout=wait_s))
        except TimeoutError as error:
            if told.is_dead():
                self.close()
                told.failed(error)
            elif told.is_to_be_asked():
                with suppress(ConnectionClosed):  # which the next frame will say
                    connection.send(PING)
        except ConnectionClosed as error:
            self.close()
            told.closed(error)
        except ExnessError:
            self.close()
            raise
        return None


class AsyncStream(AsyncIterator[Event]):
    """The same, awaited: `async for event in stream`."""

    def __init__(self, options: StreamOptions) -> None:
        self._told = Told(options)
        self._connection: AsyncConnection | None = None

    @property
    def position(self) -> int | None:
        """Everything of `trades` and `account` up to this seq has been told; to resume another stream with."""
        return self._told.position

    async def __aenter__(self) -> Self:
        while self._connection is None:
            await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await self.next(self._told.options.timeout_s)

    async def next(self, timeout_s: float | None) -> Event:
        """The next event, which may take so long."""
        timer = Timer(timeout_s)
        while True:
            left_s = timer.left_s(self._told.quiet_s)
            if self._connection is None:
                await self._connect()
            elif (event := await self._step(self._connection, left_s)) is not None:
                return event

    async def wait_for(self, type: str, channel: str | None = None, timeout_s: float = 10.0) -> Event:  # noqa: A002
        """The next event of a type, over whatever others come before it."""
        timer = Timer(timeout_s)
        while True:
            event = await self.next(timer.left_s(timeout_s))
            if event.type == type and channel in (None, event.channel):
                return event

    async def _connect(self) -> None:
        told = self._told
        await asyncio.sleep(told.wait_s)
        try:
            connection = self._connection = await connect_async(told.options.url, **told.options.connecting())
            await connection.send(told.hello())
            told.take(await asyncio.wait_for(connection.recv(), told.options.open_timeout_s))
        except BROKEN as error:
            await self.close()
            told.failed(error)
        except ExnessError:
            await self.close()
            raise

    async def _step(self, connection: AsyncConnection, wait_s: float) -> Event | None:
        """One thing that happens: a frame, or a silence."""
        told = self._told
        try:
            return told.take(await asyncio.wait_for(connection.recv(), wait_s))
        except TimeoutError as error:
            if told.is_dead():
                await self.close()
                told.failed(error)
            elif told.is_to_be_asked():
                with suppress(ConnectionClosed):  # which the next frame will say
                    await connection.send(PING)
        except ConnectionClosed as error:
            await self.close()
            told.closed(error)
        except ExnessError:
            await self.close()
            raise
        return None
