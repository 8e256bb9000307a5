"""Every error that our dialect answers: one table from code to status and message, and the form of the body."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from exness.core.rejects import Reject
from exness.runtime.inbox import Busy
from exness.web.http.errors import HTTP_ERRORS, ApiError, NothingHere, OutcomeUnknown, Rendered

ERRORS: dict[str, tuple[int, str]] = HTTP_ERRORS | {
    Reject.CLIENT_ORDER_ID_CONFLICT: (409, "This clientOrderId was used before with another body"),
    Reject.PRICE_UNAVAILABLE: (503, "There is no fresh price for this asset; try again shortly"),
    Reject.AMOUNT_OUT_OF_RANGE: (422, "An amount is out of range"),
    Reject.WOULD_LIQUIDATE: (422, "At this price and leverage the current mark would liquidate the trade at once"),
    Reject.SLIPPAGE_EXCEEDED: (422, "The price has moved further than the slippage you allow"),
    Reject.POSITION_LIMIT: (422, "This trade would exceed a position limit"),
    Reject.INSUFFICIENT_MARGIN: (422, "The margin is more than your free balance"),
    "range_too_large": (422, "Too much has happened within this span to work it out; narrow it"),
    "order_already_ended": (409, "This order has ended already"),
    Reject.TRADE_NOT_FOUND: (404, "There is no such trade"),
    Reject.ORDER_NOT_FOUND: (404, "There is no such order"),
    Reject.WOULD_TAKE: (422, "The order would be filled at once, and it is post-only"),
    Reject.WOULD_REST: (422, "The order would wait, and it may not"),
    Reject.REDUCE_ONLY_REJECTED: (422, "There is no opposite position that the order could reduce"),
    Reject.WOULD_TRIGGER: (422, "The current price would set it off at once"),
    Reject.AMOUNT_TOO_SMALL: (422, "The part is too small"),
    Reject.MARGIN_TOO_LOW: (422, "So much margin can't be taken out"),
    "too_many_keys": (422, "This account has as many API keys as it can have; revoke one"),
    "key_not_found": (404, "There is no such API key"),
    "leaderboard_off": (404, "This exchange has no leaderboard"),
    "session_not_found": (404, "You have no such session"),
    "key_not_allowed": (403, "This API key may only read"),
    "trade_already_closed": (409, "This trade is already closed"),
    Reject.ACCOUNT_NOT_FOUND: (404, "There is no such account"),
    Reject.ACCOUNT_EXISTS: (409, "There is such an account already"),
    "local_only": (403, "Dev control answers only to this machine itself"),
    "not_manual": (409, "Price and clock can only be set when the feed is manual: serve --feed manual"),
    "prefetch_refused": (403, "A sign-in link is for opening and not for fetching ahead; nothing was used up"),
    "not_ready": (503, "The exchange is not ready"),
}

_RETRYABLE = {"rate_limited", Reject.PRICE_UNAVAILABLE, Busy.OVERLOADED, Busy.SHUTTING_DOWN, "not_ready"}
_OUTCOME_UNKNOWN = (
    "The exchange stopped before it was certain that this is on disk; "
    "ask again after the restart, with the same clientOrderId if there was one"
)


class ErrorBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of every error answer. `moreDetails`: how many more there would be than `details` lists."""

    success: bool
    code: str
    message: str
    details: Any | UnsetType = UNSET
    more_details: int | UnsetType = UNSET


def render(error: ApiError) -> Rendered:
    """An error as it is answered."""
    status, standard = ERRORS[error.code]
    message = error.message or standard
    if isinstance(error, OutcomeUnknown):
        message = _OUTCOME_UNKNOWN
    elif isinstance(error, NothingHere) and error.meant is not None:
        message = f"{standard}; did you mean {error.meant}?"
    body = ErrorBody(False, error.code, message, error.details or UNSET, error.more_details or UNSET)
    retry = {"Retry-After": str(error.retry_after_s)} if error.code in _RETRYABLE else {}
    return Rendered(status, body, retry | error.headers)
