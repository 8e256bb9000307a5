"""What is said on /stream: the client's messages, the answers to them, channels, error and close codes. No I/O.

A frame is encoded once, header and all (RFC 6455: unmasked, one fragment, no extension), and the same bytes go to
everyone who listens.
"""

from enum import IntEnum, StrEnum
from itertools import product
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exness.core.instruments import Asset
from exness.core.rules import Rules
from exness.runtime.candles import Interval

PRICES, CANDLES, TRADES, ORDERS, ACCOUNT = "prices", "candles", "trades", "orders", "account"
CLOCK = "clock"
"""The exchange's time, where dev control holds it."""
CONTROL = "control"
"""The channel of answers to the client's messages."""
PRIVATE = (TRADES, ORDERS, ACCOUNT)
"""In the order of the frames of one record."""


def prices_of(asset: Asset) -> str:
    """The channel of one asset's price."""
    return f"{PRICES}.{asset}"


def candles_of(asset: Asset, interval: Interval) -> str:
    return f"{CANDLES}.{interval.value}.{asset}"


def market_channels(rules: Rules) -> dict[str, tuple[Asset, Interval | None]]:
    """Every channel of one asset: whose, and for candles of which interval. `prices`, of all, is not among them."""
    channels: dict[str, tuple[Asset, Interval | None]] = {
        prices_of(asset): (asset, None) for asset in rules.instruments
    }
    for asset, interval in product(rules.instruments, Interval):
        channels[candles_of(asset, interval)] = (asset, interval)
    return channels


class CloseCode(IntEnum):
    """Why the server closes. 4000 and on are ours."""

    NORMAL = 1000
    GOING_AWAY = 1001
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SESSION_ENDED = 4001
    BAD_MESSAGES = 4002
    FELL_BEHIND = 4008
    NO_PONG = 4009
    STARTED_AFRESH = 4010
    TOO_MANY_MESSAGES = 4029


CLOSE_CODES: dict[CloseCode, str] = {
    CloseCode.NORMAL: "You said goodbye",
    CloseCode.GOING_AWAY: "The server is stopping: connect again and resume",
    CloseCode.TOO_BIG: "A message is larger than stream.message_bytes",
    CloseCode.INTERNAL_ERROR: "Something went wrong on our side: connect again and resume",
    CloseCode.SESSION_ENDED: "The session has ended: sign in again",
    CloseCode.BAD_MESSAGES: "Too many messages within a minute could not be read or were refused",
    CloseCode.FELL_BEHIND: "More events wait than stream.queue allows: connect again and resume",
    CloseCode.NO_PONG: "No pong came within stream.ping_timeout_s",
    CloseCode.STARTED_AFRESH: "The exchange was reset: there is nothing to resume",
    CloseCode.TOO_MANY_MESSAGES: "Messages kept coming faster than stream.messages_per_s",
}


class StreamError(StrEnum):
    """Error codes that only the stream knows. The others are those of every endpoint."""

    RESUME_IMPOSSIBLE = "resume_impossible"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"


STREAM_ERRORS: dict[str, str] = {
    StreamError.RESUME_IMPOSSIBLE: "The events after this seq can't be told any more; a snapshot follows",
    StreamError.TOO_MANY_SUBSCRIPTIONS: "This connection has too many subscriptions",
}


# --- what a client says -------------------------------------------------------------------------------------------

Channels = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=1000)]
MessageId = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[str, Meta(max_length=64)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    """`id` comes back with the answer. null of an optional field is the field left out."""

    id: MessageId | UnsetType | None = UNSET

    @property
    def own_id(self) -> MessageId | UnsetType:
        """What comes back."""
        return UNSET if self.id is None else self.id


class Subscribe(_Message, frozen=True, tag="subscribe"):
    """Begin to listen: a snapshot, then what follows it. With `resume`, `trades`, `orders` and `account` go on after
    that seq."""

    channels: Channels
    resume: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType | None = UNSET


class Unsubscribe(_Message, frozen=True, tag="unsubscribe"):
    """Listen no more."""

    channels: Channels


class Ping(_Message, frozen=True, tag="ping"):
    """Answered with `pong`, whose `seq` one may resume after."""


class Auth(_Message, frozen=True, tag="auth"):
    """Bring a session, for `trades`, `orders` and `account`."""

    token: Annotated[str, Meta(max_length=4096)]


Message = Subscribe | Unsubscribe | Ping | Auth
decode_message = msgspec.json.Decoder(Message).decode


# --- what the server says -----------------------------------------------------------------------------------------


class ClockData(msgspec.Struct, frozen=True, rename="camel"):
    """`now` is the exchange's own time, `speed` a multiple of real time, `scriptLeft` how many scripted prices are to
    come."""

    now: str
    paused: bool
    speed: int | float
    script_left: int


class SubscribedData(msgspec.Struct, frozen=True):
    """`resumed`: no snapshot of what is one's own comes, but every event after the seq that was named."""

    channels: list[str]
    resumed: bool
    id: MessageId | UnsetType = UNSET


class UnsubscribedData(msgspec.Struct, frozen=True):
    channels: list[str]
    id: MessageId | UnsetType = UNSET


class PongData(msgspec.Struct, frozen=True):
    id: MessageId | UnsetType = UNSET


class AuthenticatedData(msgspec.Struct, frozen=True, rename="camel"):
    email: str
    expires_at: str
    id: MessageId | UnsetType = UNSET


class ErrorData(msgspec.Struct, frozen=True):
    """`code` as in every error answer, or one of the stream's own."""

    code: str
    message: str
    id: MessageId | UnsetType = UNSET


_TEXT = 0x81
"""FIN, and the opcode of text."""
_PING = b"\x89\x00"


def text_frame(payload: bytes) -> bytes:
    """A whole WebSocket message of a server."""
    length = len(payload)
    if length < 126:
        head = bytes((_TEXT, length))
    elif length < 1 << 16:
        head = bytes((_TEXT, 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_TEXT, 127)) + length.to_bytes(8, "big")
    return head + payload


def ping_frame() -> bytes:
    return _PING
