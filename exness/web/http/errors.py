"""Every error a client can get: one table from code to status and message, one way to raise it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from exness.core.rejects import Reject
from exness.runtime.sequencer import Busy

RETRY_AFTER_S = 1

ERRORS: dict[str, tuple[int, str]] = {
    "rate_limited": (429, "Too many requests; wait and try again"),
    "unauthorized": (401, "Sign in first: the session is missing, invalid, expired or ended"),
    "forbidden_origin": (403, "This page may not do that with your session: its origin is not allowed"),
    "request_timeout": (408, "The request did not arrive in time"),
    "body_too_large": (413, "The request body is too large"),
    "unsupported_media_type": (415, "The request body must be application/json"),
    "invalid_request": (400, "The request is invalid"),
    Reject.CLIENT_ORDER_ID_CONFLICT: (409, "This clientOrderId was used before with another body"),
    Reject.PRICE_UNAVAILABLE: (503, "There is no fresh price for this asset; try again shortly"),
    Reject.AMOUNT_OUT_OF_RANGE: (422, "An amount is out of range"),
    Reject.WOULD_LIQUIDATE: (422, "At this price and leverage the current mark would liquidate the trade at once"),
    Reject.SLIPPAGE_EXCEEDED: (422, "The price has moved further than the slippage you allow"),
    Reject.POSITION_LIMIT: (422, "This trade would exceed a position limit"),
    Reject.INSUFFICIENT_MARGIN: (422, "The margin is more than your free balance"),
    Busy.OVERLOADED: (503, "The exchange is overloaded; nothing was done, try again shortly"),
    Busy.SHUTTING_DOWN: (503, "The exchange is shutting down; nothing was done, try again shortly"),
    Reject.TRADE_NOT_FOUND: (404, "There is no such trade"),
    "trade_already_closed": (409, "This trade is already closed"),
    Reject.ACCOUNT_NOT_FOUND: (404, "There is no such account"),
    Reject.ACCOUNT_EXISTS: (409, "There is such an account already"),
    "local_only": (403, "Dev control answers only to this machine itself"),
    "not_manual": (409, "Price and clock can only be set when the feed is manual: serve --feed manual"),
    "prefetch_refused": (403, "A sign-in link is for opening and not for fetching ahead; nothing was used up"),
    "headers_too_large": (431, "The request line or a header is too long"),
    "upgrade_required": (426, "This address speaks WebSocket: ask for the upgrade"),
    "not_found": (404, "There is nothing at this address"),
    "method_not_allowed": (405, "This method is not allowed here"),
    "not_ready": (503, "The exchange is not ready"),
    "internal_error": (500, "Something went wrong on our side"),
}

_RETRYABLE = {"rate_limited", Reject.PRICE_UNAVAILABLE, Busy.OVERLOADED, Busy.SHUTTING_DOWN, "not_ready"}


MOST_DETAILS = 20
"""Bad fields that a client is told of, at most."""


class FieldError(msgspec.Struct, frozen=True):
    """One bad field. `message` is a whole sentence."""

    field: str
    message: str


Details = Mapping[str, Any] | Sequence[FieldError] | Sequence[str]


class ErrorBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of every error answer. `moreDetails`: how many more there would be than `details` lists."""

    success: bool
    code: str
    message: str
    details: Any | UnsetType = UNSET
    more_details: int | UnsetType = UNSET


class ApiError(Exception):
    """An answer other than success. `code` is a row of ERRORS."""

    def __init__(
        self, code: str, message: str | None = None, details: Details | None = None, retry_after_s: int = RETRY_AFTER_S
    ) -> None:
        super().__init__(code)
        self.code = str(code)
        self.status, standard = ERRORS[code]
        self.message = message or standard
        self.details = details
        self.more_details = 0
        self.headers: dict[str, str] = {"Retry-After": str(retry_after_s)} if code in _RETRYABLE else {}

    def body(self) -> ErrorBody:
        return ErrorBody(False, self.code, self.message, self.details or UNSET, self.more_details or UNSET)


class InvalidRequest(ApiError):
    """Bad input. The message is the first field's; details has them all, up to a bound. `left_out`: how many more there
    are than `errors`."""

    def __init__(self, errors: Sequence[FieldError], left_out: int = 0) -> None:
        super().__init__("invalid_request", errors[0].message, errors[:MOST_DETAILS])
        self.errors = errors[:MOST_DETAILS]
        self.more_details = len(errors) - len(self.errors) + left_out
