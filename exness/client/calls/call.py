"""One thing that somebody wants done, and what amounts, times and changes look like on the way there."""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Generic, Literal, TypeAlias, TypedDict, TypeVar, overload
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, Raw, UnsetType

from exness.client.errors import Refused

T = TypeVar("T")
Read: TypeAlias = Callable[[bytes], T]
Amount: TypeAlias = Decimal | int | str
Moment: TypeAlias = datetime | str
Side: TypeAlias = Literal["long", "short"]
TimeInForce: TypeAlias = Literal["gtc", "gtt", "ioc"]
API = "/api/v1"
JSON = {"Content-Type": "application/json"}
_NULL = Raw(b"null")


class TrailingStop(TypedDict, total=False):
    """It follows the best price at a `distance` in USDC, or at so many hundredths of a `percent` of it: from now on, or
    once `activation` is reached."""

    distance: Amount
    percent: int
    activation: Amount


class Call(Generic[T]):
    """One thing that somebody wants done. It may be asked several times, and is the same each time.

    `again`: asking again when no answer came does no harm, because it changes nothing twice. `settled`: what a refusal
    answers when an earlier try may have been done.
    """

    __slots__ = ("again", "content", "headers", "maybe_done", "method", "path", "read", "settled")

    def __init__(
        self,
        method: str,
        path: str,
        read: Read[T],
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        again: bool = True,
        settled: Callable[[Refused], T | None] | None = None,
    ) -> None:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        self.method = method
        self.path = f"{path}?{urlencode(asked)}" if asked else path
        self.read = read
        self.content = None if body is None else msgspec.json.encode(given(body))
        self.headers = JSON if body is not None else {}
        self.again = again
        self.settled = settled
        self.maybe_done = False
        """A try of it was sent and not answered."""


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@overload
def reader(kind: type[T]) -> Read[T]: ...
@overload
def reader(kind: UnionType) -> Read[Any]: ...
def reader(kind: Any) -> Read[Any]:
    return msgspec.json.Decoder(kind).decode


def changes(**fields: Any) -> dict[str, Any]:
    """Of a body in which null removes something: what is UNSET stays, and is left out."""
    return {name: _NULL if value is None else value for name, value in fields.items() if value is not UNSET}


def new_client_order_id() -> str:
    return secrets.token_hex(16)


def in_path(name: str) -> str:
    return quote(name, safe="")


def truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def date(value: Moment | None) -> str | None:
    """A time without a zone is UTC, as in the exchange's own dates."""
    if not isinstance(value, datetime):
        return value
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()


def changed_date(value: Moment | UnsetType | None) -> str | UnsetType | None:
    return value if isinstance(value, UnsetType) else date(value)


def seconds(value: datetime | int | None) -> int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else value
