"""Live prices from the Backpack venue over its public WebSocket.

Promises: as long as it runs it tries to be connected and subscribed; each update of the venue is emitted at most
once and in the venue's order; whatever the venue sends or does, it neither raises nor emits an unsound price (see
`guard`). A silent venue emits nothing: prices then grow stale by their own life, the feed invents no time.

Silence is not death: a quiet market sends nothing for as long as it is quiet. A dead socket is noticed by our pings,
and a symbol that alone is silent while others tick is subscribed to again.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from exness.core.commands import PriceTick
from exness.feeds.decode import MAX_FRAME_BYTES, Ignored, Quote, Reason, decode_frame
from exness.feeds.guard import Guard, pass_on
from exness.runtime.listings import Listing

PING_INTERVAL_S = 8.0
PING_TIMEOUT_S = 8.0
"""Together they notice a dead socket within 16 s: well inside a price's 30 s life."""

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
BACKOFF_INITIAL_S = 0.25
BACKOFF_MAX_S = 10.0
RESUBSCRIBE_AFTER_S = 60.0

# A frame of up to this size is counted as oversized and the connection lives; a larger one costs the connection.
_SOCKET_MAX_BYTES = 16 * MAX_FRAME_BYTES
_LOGGED_ERRORS = 5
_FRAMES_BEFORE_YIELD = 100
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

# What a venue, or the way to it, can do to a connection attempt: refuse, not answer, answer nonsense, redirect badly.
_CONNECT_FAILURES = (OSError, WebSocketException, EOFError, ValueError)

_log = structlog.get_logger("exness.feeds.backpack")


class Backoff:
    """How long to wait before the next attempt: doubling up to a bound, half of it by chance.

    The chance keeps many clients from coming back at the same moment; the other half keeps the wait from being none.
    """

    def __init__(self, initial_s: float, max_s: float, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives a number in [0, 1)."""
        if not 0 < initial_s <= max_s:
            raise ValueError(f"backoff must grow from above 0 up to its maximum, not from {initial_s} to {max_s} s")
        self._initial_s = initial_s
        self._max_s = max_s
        self._chance = chance
        self._next_s = initial_s

    def next_delay_s(self) -> float:
        whole, self._next_s = self._next_s, min(self._next_s * 2, self._max_s)
        return whole / 2 + self._chance() * whole / 2

    def reset(self) -> None:
        self._next_s = self._initial_s


class BackpackFeed:
    """A PriceFeed on `bookTicker` of every instrument. Run it once at a time."""

    simulated = False

    def __init__(
        self,
        url: str,
        instruments: Sequence[Listing],
        life_us: int,
        *,
        guard: Guard | None = None,
        resubscribe_after_s: float = RESUBSCRIBE_AFTER_S,
        backoff_initial_s: float = BACKOFF_INITIAL_S,
        backoff_max_s: float = BACKOFF_MAX_S,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        ping_interval_s: float = PING_INTERVAL_S,
        ping_timeout_s: float = PING_TIMEOUT_S,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        """`life_us`: how long a price may be traded on. `resubscribe_after_s`: how long one symbol may be silent while
        others tick. Raises ValueError when `url` is no WebSocket address."""
        _check_url(url)
        self.counters: Counter[str] = Counter()
        self.connected = False
        """True while subscribed on an open connection. Says nothing of prices: a quiet market sends none."""
        self.connections = 0
        """Connections made so far: one more than reconnects."""
        self._url = url
        self._life_us = life_us
        self._assets = {instrument.symbol: instrument.asset for instrument in instruments}
        self._decimals = {instrument.symbol: instrument.decimals for instrument in instruments}
        self._guard = guard or Guard(instruments)
        self._resubscribe_after_s = resubscribe_after_s
        self._backoff = Backoff(backoff_initial_s, backoff_max_s)
        self._open_timeout_s = open_timeout_s
        self._ping_interval_s = ping_interval_s
        self._ping_timeout_s = ping_timeout_s
        self._close_timeout_s = close_timeout_s
        self._heard: dict[str, float] = {}
        """When each symbol was heard of last, or asked for: seconds of the monotonic clock."""
        self._silent_from = 0.0
        """Before then no symbol has been silent for too long."""
        self._errors_logged: set[str] = set()
        self._said_down = False

    def describe(self) -> str:
        return f"live prices from {self._url}: {', '.join(self._assets)}"

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Emit ticks until cancelled. Raises only what `emit` raises."""
        while True:
            await self._one_connection(emit)
            await asyncio.sleep(self._backoff.next_delay_s())

    async def _one_connection(self, emit: Callable[[PriceTick], None]) -> None:
        socket = await self._connect()
        if socket is None:
            return
        async with socket:
            try:
                if await self._subscribe(socket):
                    self._note_up()
                    await self._consume(socket, emit)
            finally:
                self.connected = False

    async def _connect(self) -> ClientConnection | None:
        try:
            return await connect(
                self._url,
                open_timeout=self._open_timeout_s,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._ping_timeout_s,
                close_timeout=self._close_timeout_s,
                max_size=_SOCKET_MAX_BYTES,
                # The environment's proxy is for the outside: a venue on this machine is not behind it.
                proxy=None if urlsplit(self._url).hostname in _LOOPBACK else True,
            )
        except _CONNECT_FAILURES as failure:
            self._note_down(failure)
            return None

    async def _subscribe(self, socket: ClientConnection) -> bool:
        # One message per symbol: should the venue not know one of them, it refuses that one and not all.
        try:
            for symbol in self._assets:
                await socket.send(_request("SUBSCRIBE", symbol))
        except ConnectionClosed as closed:
            self._note_down(closed)
            return False
        return True

    async def _consume(self, socket: ClientConnection, emit: Callable[[PriceTick], None]) -> None:
        """Take frames until the connection ends. Updates are in order within one connection; a venue that
        restarted may count from the beginning, so order starts afresh with each."""
        self._guard.forget_order()
        self._heard = dict.fromkeys(self._assets, time.monotonic())
        self._silent_from = 0.0
        self._errors_logged.clear()
        frames = 0
        try:
            while True:
                # Undecoded, so that bad UTF-8 is a bad message and no broken connection.
                heard = self._take(await socket.recv(decode=False), emit)
                if heard > self._silent_from:
                    await self._ask_again(socket, heard)
                frames += 1
                # `recv` does not give way while frames are waiting.
                if frames % _FRAMES_BEFORE_YIELD == 0:
                    await asyncio.sleep(0)
        except ConnectionClosed as closed:
            self._note_down(closed)

    def _take(self, frame: bytes, emit: Callable[[PriceTick], None]) -> float:
        """When the frame brought something new of a symbol, be it believed or not; 0 when it did not."""
        decoded = decode_frame(frame, self._decimals)
        if isinstance(decoded, Ignored):
            self._note_ignored(decoded)
            return 0.0
        suspected = self._guard.suspects(decoded.symbol)
        verdict = self._guard.take(decoded, self._life_us)
        pass_on(verdict, self.counters, emit)
        if verdict.tick is None:
            return 0.0
        # Only a quote shows that the venue works; to be let in is not enough to come back faster.
        self._backoff.reset()
        now = self._heard[decoded.symbol] = time.monotonic()
        if suspected != self._guard.suspects(decoded.symbol):
            self._note_jump(decoded, verdict.tick)
        return now

    async def _ask_again(self, socket: ClientConnection, now: float) -> None:
        """Subscribe anew to each symbol that alone has been silent for too long. Raises ConnectionClosed.

        Called when another one ticks: when all are silent, the market is quiet or the socket is dead, and the pings
        tell which. What came out of order counts as silence, so a symbol whose update ids went astray is cured too.
        """
        for symbol, heard in self._heard.items():
            if now - heard <= self._resubscribe_after_s:
                continue
            self._heard[symbol] = now
            self._guard.forget_order(symbol)
            self.counters["resubscribed"] += 1
            _log.warning("feed_symbol_silent", url=self._url, symbol=symbol, silent_s=round(now - heard, 1))
            await socket.send(_request("UNSUBSCRIBE", symbol))
            await socket.send(_request("SUBSCRIBE", symbol))
        self._silent_from = min(self._heard.values()) + self._resubscribe_after_s

    def _note_ignored(self, ignored: Ignored) -> None:
        self.counters[ignored.reason] += 1
        if ignored.reason is not Reason.VENUE_ERROR or ignored.detail in self._errors_logged:
            return
        if len(self._errors_logged) < _LOGGED_ERRORS:
            self._errors_logged.add(ignored.detail)
            _log.warning("feed_venue_error", url=self._url, said=ignored.detail)

    def _note_jump(self, quote: Quote, tick: PriceTick) -> None:
        """Once when a suspicion begins and once when it ends, whichever way."""
        event = "feed_price_suspect" if tick.suspect else "feed_price_believed"
        _log.warning(event, url=self._url, symbol=quote.symbol, bid=quote.bid, ask=quote.ask)

    def _note_up(self) -> None:
        self.connected = True
        self.connections += 1
        self._said_down = False
        _log.info("feed_connected", url=self._url, symbols=list(self._assets))

    def _note_down(self, why: Exception) -> None:
        """Once per change: the attempts of a long outage are not logged one by one."""
        self.connected = False
        if not self._said_down:
            self._said_down = True
            _log.warning("feed_disconnected", url=self._url, reason=str(why) or type(why).__name__)


def _request(method: str, symbol: str) -> str:
    return msgspec.json.encode({"method": method, "params": [f"bookTicker.{symbol}"]}).decode()


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"feed url must be a WebSocket address such as wss://ws.backpack.exchange, not {url!r}")
