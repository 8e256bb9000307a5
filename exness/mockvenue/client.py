"""One WebSocket connection to the venue: what waits for it, and what goes wrong on it."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import cast

import msgspec
from aiohttp import WSMsgType, web

from exness.mockvenue.faults import Fault, bad_frame
from exness.mockvenue.market import Json

FRAMES_WAITING = 10_000
"""Frames that may wait for one reader."""


class Frame(msgspec.Struct, frozen=True):
    """A data frame, encoded, and what it was made of."""

    stream: str
    data: Json
    encoded: str


class Client:
    """One WebSocket connection: what it asked for, what waits for it, and how it is treated."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport, faults: Sequence[Fault]
    ) -> None:
        self.socket = socket
        # Another loop's transports are no subclass of asyncio's, they only look like them.
        self._transport = cast(asyncio.Transport, transport)
        self.streams: set[str] = set()
        self.ponged_s = time.monotonic()
        self._faults = faults
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(FRAMES_WAITING)
        self._sent = 0
        self._bad = 0
        self._held: Frame | None = None

    def put(self, frame: Frame) -> None:
        """Send a frame in its turn. Who reads too slowly is cut off."""
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    async def send_all(self) -> None:
        """Send what comes until the connection ends or a fault ends it."""
        with contextlib.suppress(ConnectionError, RuntimeError):  # RuntimeError: it has been closed meanwhile
            while await self._send(await self._frames.get()):
                pass

    def abort(self) -> None:
        """End the connection without a goodbye."""
        self._transport.abort()

    async def _send(self, frame: Frame) -> bool:
        """Send one frame, well or badly. False when the connection is not to be used any more."""
        self._sent += 1
        striking = {fault.kind for fault in self._faults if self._sent % fault.every == 0}
        if "drop" in striking:
            self.abort()
            return False
        if "stall" in striking:
            self.streams.clear()  # nothing more gathers for it; without a pong it is cut off in the end
            self._transport.pause_reading()
            return False
        if "malformed" in striking:
            await self._send_bad(bad_frame(self._bad, frame.stream, frame.data))
            self._bad += 1
        if "reorder" in striking and self._held is None:
            self._held = frame
            return True
        await self.socket.send_str(frame.encoded)
        if "duplicate" in striking:
            await self.socket.send_str(frame.encoded)
        await self._send_held(frame.stream)
        return True

    async def _send_held(self, stream: str) -> None:
        held = self._held
        if held is not None and held.stream == stream:
            self._held = None
            await self.socket.send_str(held.encoded)

    async def _send_bad(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            await self.socket.send_str(frame)
        else:  # as a text frame, which bytes that are no text must not be
            await self.socket.send_frame(frame, WSMsgType.TEXT)
