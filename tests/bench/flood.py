"""A venue that floods: `python -m tests.bench.flood FRAMES` prints its port.

Speaks just enough of the WebSocket protocol for a client that subscribes to be sent FRAMES book tickers of three
assets, encoded beforehand, as fast as it takes them. So the sender costs a copy, and the receiver sets the pace.
"""

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

import msgspec

from tests.bench.running import QUOTES
from tests.support.venue import book_ticker

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = re.compile(rb"sec-websocket-key:\s*(\S+)", re.IGNORECASE)
TEXT, CLOSE = 0x81, 0x88
PIECE = 1 << 18
START_AFTER_S = 0.05
"""Between a client's first word and the flood, so that it has said all it has to say."""
STEPS = (0, 2, 1, -1, -2, 1, 0, -1)
"""Hundred-thousandths by which the quotes wander: no jump, never twice the same in a row."""


def frames(count: int) -> bytes:
    """So many text frames, the assets in turn."""
    symbols, encoded = list(QUOTES), bytearray()
    for number in range(count):
        symbol = symbols[number % len(symbols)]
        price = QUOTES[symbol] * (1 + STEPS[number // len(symbols) % len(STEPS)] / 100_000)
        data = book_ticker(symbol, f"{price * 0.9999:.3f}", f"{price * 1.0001:.3f}", 1 + number)
        payload = msgspec.json.encode({"stream": f"bookTicker.{symbol}", "data": data})
        assert 126 <= len(payload) < 1 << 16
        encoded += bytes((TEXT, 126)) + len(payload).to_bytes(2) + payload
    return bytes(encoded)


class Flood(asyncio.Protocol):
    """One client."""

    everything = b""

    def __init__(self) -> None:
        self._welcome = False
        self._started = False
        self._sent = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._welcome:
            self._welcome = True
            key = KEY.search(data)
            assert key is not None, data
            accept = base64.b64encode(hashlib.sha1(key[1] + GUID, usedforsecurity=False).digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self._transport.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        elif not self._started:
            self._started = True
            asyncio.get_running_loop().call_later(START_AFTER_S, self._send)
        elif data[0] == CLOSE:
            self._transport.write(bytes((CLOSE, 0)))
            self._transport.close()

    def _send(self) -> None:
        while not self._paused and self._sent < len(self.everything) and not self._transport.is_closing():
            piece = self.everything[self._sent : self._sent + PIECE]
            self._sent += len(piece)
            self._transport.write(piece)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()


async def serve(count: int) -> None:
    Flood.everything = frames(count)
    server = await asyncio.get_running_loop().create_server(Flood, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
