"""What has been told on a stream, over all its connections: where to resume, what came twice, and when to give up.

No I/O. `Stream` and `AsyncStream` differ only in how they wait.
"""

import time
from collections import deque
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw
from websockets.exceptions import ConnectionClosed, InvalidStatus

from exness.client.answers import DATA, Event
from exness.client.errors import (
    NOTHING_DONE,
    CannotResume,
    ConnectionFailed,
    StreamEnded,
    WrongServer,
    refusal,
    refusal_of,
)
from exness.web.stream.protocol import CLOSE_CODES, CONTROL, PRIVATE, CloseCode, Ping, StreamError, Subscribe

QUIET_S = 5.0
"""After so long without a frame the server is asked whether it is still there, and after as long again it is not."""
TRIES = 10
"""How often a connection is tried, one after the other."""
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
STEADY_S = 1.0
"""A connection that lasts for so long has not failed."""
MOST_BYTES = 16 * 1024 * 1024
"""Of one frame: a snapshot of some 30,000 trades."""
REMEMBERED = 1000
"""Events of a channel by which one that comes twice is told from one that comes late."""
FINAL = frozenset({CloseCode.SESSION_ENDED, CloseCode.BAD_MESSAGES, CloseCode.TOO_MANY_MESSAGES, CloseCode.TOO_BIG})
"""Close codes after which connecting again is no use."""


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`timeout_s`: how long the next event may take; None: for ever. `local`: it is on this machine."""

    url: str
    token: str | None
    channels: tuple[str, ...]
    resume: int | None
    timeout_s: float | None
    open_timeout_s: float
    local: bool

    def connecting(self) -> dict[str, Any]:
        """For websockets, of both kinds."""
        return {
            "additional_headers": {} if self.token is None else {"Authorization": f"Bearer {self.token}"},
            "open_timeout": self.open_timeout_s,
            "close_timeout": 1.0,
            "ping_interval": None,  # a pong of the stream itself says more: up to where everything was told
            "compression": None,
            "max_size": MOST_BYTES,
            "proxy": None if self.local else True,
        }


class _Frame(msgspec.Struct, frozen=True):
    channel: str
    seq: int
    at: datetime
    type: str
    data: Raw


class _Error(msgspec.Struct, frozen=True):
    code: str
    message: str


_frame = msgspec.json.Decoder(_Frame).decode
PING = msgspec.json.encode(Ping()).decode()


class Told:
    """What has been told on a stream, over all its connections."""

    def __init__(self, options: StreamOptions) -> None:
        self.options = options
        self._private = [each for each in options.channels if each in PRIVATE]
        self.position: int | None = options.resume
        """Everything of `trades` and `account` up to this seq has been told. To resume another stream there."""
        self._last: dict[str, int] = {}
        self._recent: dict[str, deque[int]] = {each: deque(maxlen=REMEMBERED) for each in self._private}
        self.failures = 0
        """Connections that failed in a row, without an event in between or a second of quiet."""
        self.quiet_s = QUIET_S
        self.heard_s = 0.0
        self.pinged = False
        self._subscribed = False
        self._since_s = 0.0

    def hello(self) -> str:
        """The first message of a connection."""
        self._subscribed, self._since_s = False, time.monotonic()
        for channel in self.options.channels:
            if channel not in PRIVATE:
                self._last.pop(channel, None)  # its seq means nothing to another connection
        resume = self.position if self._private and self.position is not None else msgspec.UNSET
        return msgspec.json.encode(Subscribe(channels=list(self.options.channels), resume=resume)).decode()

    def take(self, text: str | bytes) -> Event | None:
        """The event that a frame tells; None when it tells none.

        Raises CannotResume, Refused, WrongServer, and ConnectionRefusedError when it is to be tried again later.
        """
        self.heard_s, self.pinged = time.monotonic(), False
        if self.heard_s - self._since_s >= STEADY_S:
            self.failures = 0
        try:
            return self._event(_frame(text))
        except msgspec.DecodeError as error:
            raise WrongServer(f"what answers at {self.options.url} tells no events of exness: {error}") from error

    def _event(self, frame: _Frame) -> Event | None:
        if frame.channel == CONTROL:
            self._control(frame)
            return None
        if not self._is_new(frame):
            return None
        if frame.type != "snapshot":
            self.failures = 0  # it gets on, however often it is cut
        kind = DATA.get(("".join(frame.channel.partition(".")[:2]), frame.type), Any)
        return Event(frame.channel, frame.seq, frame.at, frame.type, msgspec.json.decode(frame.data, type=kind))

    def _is_new(self, frame: _Frame) -> bool:
        """Whether it was not told before. Raises CannotResume when it should have come before others."""
        channel, seq, last, recent = frame.channel, frame.seq, self._last, self._recent.get(frame.channel)
        if frame.type != "snapshot" and seq <= last.get(channel, -1):
            if recent is not None and seq not in recent:
                raise self.lost("an event came after one that followed it")
            return False
        last[channel] = seq
        if recent is not None:
            recent.append(seq)
            if all(each in last for each in self._private):
                self.position = max(self.position or 0, min(last[each] for each in self._private))
        return True

    def _control(self, frame: _Frame) -> None:
        if frame.type == "pong" and self._private:
            self.position = max(self.position or 0, frame.seq)
        elif frame.type == "error":
            error = msgspec.json.decode(frame.data, type=_Error)
            if error.code == StreamError.RESUME_IMPOSSIBLE:
                raise self.lost(error.message)
            refused = refusal(error.code, error.message)
            if not isinstance(refused, NOTHING_DONE):
                raise refused
            if not self._subscribed:  # another connection may be luckier, a little later
                raise ConnectionRefusedError(error.message)
        elif frame.type == "subscribed":
            self._subscribed = True

    def lost(self, why: str) -> CannotResume:
        """Nothing can be resumed: snapshots come next."""
        after, self.position = self.position, None
        self._last.clear()
        for recent in self._recent.values():
            recent.clear()
        return CannotResume(after, why)

    def closed(self, error: ConnectionClosed) -> None:
        """A connection has ended. Raises StreamEnded, CannotResume where connecting again does not mend it."""
        code = error.rcvd.code if error.rcvd is not None else 1006
        if code in FINAL:
            raise StreamEnded(code, CLOSE_CODES[CloseCode(code)]) from error
        if code == CloseCode.STARTED_AFRESH and self._private:
            raise self.lost(CLOSE_CODES[CloseCode.STARTED_AFRESH]) from error
        self.failed(error)

    def failed(self, error: Exception) -> None:
        """A connection could not be made, or broke. Raises when it was one too many, or no use."""
        if isinstance(error, InvalidStatus):
            response = error.response
            refused = refusal_of(response.status_code, bytes(response.body or b""))
            if refused is not None and not isinstance(refused, NOTHING_DONE):
                raise refused from error
        self.failures += 1
        if self.failures >= TRIES:
            why = f"{self.options.url} can't be reached: {str(error) or type(error).__name__}"
            raise ConnectionFailed(f"{why}. Is the exchange running there?") from error

    @property
    def wait_s(self) -> float:
        """Before the next connection. The first is made at once, and so is the first after a break."""
        return 0 if self.failures <= 1 else min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**self.failures)

    def is_dead(self) -> bool:
        """Nothing came for a while: whether it has been asked already, and nothing came again."""
        return self.pinged and self._silent

    def is_to_be_asked(self) -> bool:
        """Whether it has been quiet for so long that it is to be asked if it is still there."""
        if self.pinged or not self._silent:
            return False
        self.pinged, self.heard_s = True, time.monotonic()
        return True

    @property
    def _silent(self) -> bool:
        return time.monotonic() - self.heard_s >= self.quiet_s


class Timer:
    """How long something may still take."""

    def __init__(self, seconds: float | None) -> None:
        self._ends_s = None if seconds is None else time.monotonic() + seconds

    def left_s(self, at_most: float) -> float:
        """Raises TimeoutError when nothing is left."""
        if self._ends_s is None:
            return at_most
        left = self._ends_s - time.monotonic()
        if left <= 0:
            raise TimeoutError("no event came in time")
        return min(left, at_most)
