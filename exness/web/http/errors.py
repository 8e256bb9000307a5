"""What HTTP itself refuses, and the one way in which anything is refused: ApiError. How that looks is the dialect's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from exness.runtime.inbox import Busy

RETRY_AFTER_S = 1

HTTP_ERRORS: dict[str, tuple[int, str]] = {
    "rate_limited": (429, "Too many requests; wait and try again"),
    "unauthorized": (401, "Sign in first: the session is missing, invalid, expired or ended"),
    "forbidden_origin": (403, "This page may not do that with your session: its origin is not allowed"),
    "request_timeout": (408, "The request did not arrive in time"),
    "body_too_large": (413, "The request body is too large"),
    "unsupported_media_type": (415, "The request body must be application/json"),
    "invalid_request": (400, "The request is invalid"),
    Busy.OVERLOADED: (503, "The exchange is overloaded; nothing was done, try again shortly"),
    Busy.SHUTTING_DOWN: (503, "The exchange is shutting down; nothing was done, try again shortly"),
    "headers_too_large": (431, "The request line or a header is too long"),
    "upgrade_required": (426, "This address speaks WebSocket: ask for the upgrade"),
    "not_found": (404, "There is nothing at this address"),
    "method_not_allowed": (405, "This method is not allowed here"),
    "internal_error": (500, "Something went wrong on our side"),
}
"""Status and message by code: what any dialect may have to answer."""

MOST_DETAILS = 20
"""Bad fields that a client is told of, at most."""


class FieldError(msgspec.Struct, frozen=True):
    """One bad field. `message` is a whole sentence."""

    field: str
    message: str


Details = Mapping[str, Any] | Sequence[FieldError] | Sequence[str]


class ApiError(Exception):
    """An answer other than success. `code` is one of HTTP_ERRORS or of a dialect's own; `message` is "" where only the
    dialect has words for it. `headers` are those beside `Retry-After`."""

    def __init__(
        self, code: str, message: str | None = None, details: Details | None = None, retry_after_s: int = RETRY_AFTER_S
    ) -> None:
        super().__init__(code)
        self.code = str(code)
        self.message = message or HTTP_ERRORS.get(code, (0, ""))[1]
        self.details = details
        self.more_details = 0
        self.retry_after_s = retry_after_s
        self.headers: dict[str, str] = {}


class InvalidRequest(ApiError):
    """Bad input. The message is the first field's; details has them all, up to a bound. `left_out`: how many more there
    are than `errors`."""

    def __init__(self, errors: Sequence[FieldError], left_out: int = 0) -> None:
        super().__init__("invalid_request", errors[0].message, errors[:MOST_DETAILS])
        self.errors = errors[:MOST_DETAILS]
        self.more_details = len(errors) - len(self.errors) + left_out


class OutcomeUnknown(ApiError):
    """The exchange stopped before it was certain that what it had done is on disk."""

    def __init__(self) -> None:
        super().__init__("internal_error")


class NothingHere(ApiError):
    """There is no such path. `meant`: one that there is, and that this one nearly is."""

    def __init__(self, meant: str | None) -> None:
        super().__init__("not_found")
        self.meant = meant


class Rendered(NamedTuple):
    """An ApiError in the words of a dialect. `body` is what JSON is made of."""

    status: int
    body: Any
    headers: dict[str, str]


ErrorRenderer = Callable[[ApiError], Rendered]
