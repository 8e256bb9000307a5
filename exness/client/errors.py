"""What can go wrong, one class each: the exchange's refusals by their code, and what is between it and us."""

from typing import Any

import msgspec


class ExnessError(Exception):
    """Everything below."""


class WrongServer(ExnessError):
    """What answers there is no exness, or nothing that can be asked."""


class WrongVersion(ExnessError):
    """The server is of another minor version than this client."""


class ConnectionFailed(ExnessError):
    """The server could not be reached. Nothing was asked, so nothing was done."""


class NoAnswer(ExnessError):
    """It was asked and may have been done, but no answer came, however often it was asked again."""


class StreamEnded(ExnessError):
    """The server has closed a stream for a reason that connecting again does not mend. `code` is the close code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} (close code {code})")
        self.code = code


class CannotResume(ExnessError):
    """Events after `after` were missed, or came in a wrong order, and can't be told any more. The stream is still good:
    what comes next are snapshots of everything as it is."""

    def __init__(self, after: int | None, message: str) -> None:
        super().__init__(f"{message}; events after seq {after} are missing. Go on iterating: snapshots come next")
        self.after = after


class Refused(ExnessError):
    """The exchange has said no. `details` are figures, or the bad fields of the input; `status` is 0 on a stream."""

    code = ""

    def __init__(self, code: str, message: str, details: Any = None, status: int = 0, retry_after_s: float = 0) -> None:
        super().__init__(f"{message} ({code})" + (f": {details}" if details else ""))
        self.code = code
        self.message = message
        self.details = details
        self.status = status
        self.retry_after_s = retry_after_s


class RateLimited(Refused):
    code = "rate_limited"


class Unauthorized(Refused):
    code = "unauthorized"


class ForbiddenOrigin(Refused):
    code = "forbidden_origin"


class RequestTimeout(Refused):
    code = "request_timeout"


class BodyTooLarge(Refused):
    code = "body_too_large"


class UnsupportedMediaType(Refused):
    code = "unsupported_media_type"


class InvalidRequest(Refused):
    code = "invalid_request"


class Overloaded(Refused):
    code = "overloaded"


class ShuttingDown(Refused):
    code = "shutting_down"


class HeadersTooLarge(Refused):
    code = "headers_too_large"


class UpgradeRequired(Refused):
    code = "upgrade_required"


class NotFound(Refused):
    code = "not_found"


class MethodNotAllowed(Refused):
    code = "method_not_allowed"


class InternalError(Refused):
    code = "internal_error"


class ClientOrderIdConflict(Refused):
    code = "client_order_id_conflict"


class PriceUnavailable(Refused):
    code = "price_unavailable"


class AmountOutOfRange(Refused):
    code = "amount_out_of_range"


class WouldLiquidate(Refused):
    code = "would_liquidate"


class SlippageExceeded(Refused):
    code = "slippage_exceeded"


class PositionLimit(Refused):
    code = "position_limit"


class InsufficientMargin(Refused):
    code = "insufficient_margin"


class TradeNotFound(Refused):
    code = "trade_not_found"


class TooManyKeys(Refused):
    code = "too_many_keys"


class KeyNotFound(Refused):
    code = "key_not_found"


class LeaderboardOff(Refused):
    code = "leaderboard_off"


class SessionNotFound(Refused):
    code = "session_not_found"


class KeyNotAllowed(Refused):
    code = "key_not_allowed"


class TradeAlreadyClosed(Refused):
    code = "trade_already_closed"


class OrderNotFound(Refused):
    code = "order_not_found"


class OrderAlreadyEnded(Refused):
    code = "order_already_ended"


class WouldTake(Refused):
    code = "would_take"


class WouldRest(Refused):
    code = "would_rest"


class ReduceOnlyRejected(Refused):
    code = "reduce_only_rejected"


class WouldTrigger(Refused):
    code = "would_trigger"


class AmountTooSmall(Refused):
    code = "amount_too_small"


class MarginTooLow(Refused):
    code = "margin_too_low"


class RangeTooLarge(Refused):
    code = "range_too_large"


class AccountNotFound(Refused):
    code = "account_not_found"


class AccountExists(Refused):
    code = "account_exists"


class LocalOnly(Refused):
    code = "local_only"


class NotManual(Refused):
    code = "not_manual"


class PrefetchRefused(Refused):
    code = "prefetch_refused"


class NotReady(Refused):
    code = "not_ready"


class TooManySubscriptions(Refused):
    code = "too_many_subscriptions"


BY_CODE: dict[str, type[Refused]] = {each.code: each for each in Refused.__subclasses__()}
NOTHING_DONE = (RateLimited, Overloaded, ShuttingDown)
"""Refusals after which the same may be asked again, whatever it was."""


class _Body(msgspec.Struct):
    code: str
    message: str
    details: Any = None
    reasons: list[str] | None = None
    """Of /readyz."""


def refusal(code: str, message: str, details: Any = None, status: int = 0, retry_after_s: float = 0) -> Refused:
    """Of the class of its code; of one that is not known here, a plain Refused."""
    return BY_CODE.get(code, Refused)(code, message, details, status, retry_after_s)


def refusal_of(status: int, body: bytes, retry_after: str = "") -> Refused | None:
    """What an error answer says; None when it is none of exness."""
    try:
        told = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        return None
    wait_s = float(retry_after) if retry_after.isdecimal() else 0.0
    return refusal(told.code, told.message, told.details or told.reasons, status, wait_s)
