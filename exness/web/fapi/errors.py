"""Every error of the Binance face: its code, its status and its text, and what becomes of the core's refusals.

Clients read both. ccxt takes its table of futures errors only for Binance's own hosts, so where the code alone would
not tell it what it should know, the text does: those texts differ from Binance's, and each such row says so.
"""

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from exness.core.rejects import Figure, Limit, OutOfRange, OverLimit, Refusal, Reject, Wrong
from exness.runtime.inbox import Busy
from exness.web.http.errors import ApiError, OutcomeUnknown, Rendered
from exness.web.http.rate_limits import Blocked, TooManyOrders


class Code(IntEnum):
    """By Binance's names, roughly."""

    UNKNOWN = -1000
    DISCONNECTED = -1001
    UNAUTHORIZED = -1002
    TOO_MANY_REQUESTS = -1003
    TIMEOUT = -1007
    OVERLOADED = -1008
    TOO_MANY_ORDERS = -1015
    INVALID_TIMESTAMP = -1021
    INVALID_SIGNATURE = -1022
    ILLEGAL = -1100
    TOO_MANY_PARAMETERS = -1101
    MANDATORY = -1102
    UNREAD_PARAMETER = -1106
    BAD_PRECISION = -1111
    INVALID_TIF = -1115
    INVALID_ORDER_TYPE = -1116
    INVALID_SIDE = -1117
    BAD_INTERVAL = -1120
    BAD_SYMBOL = -1121
    INVALID_LISTEN_KEY = -1125
    BAD_COMBINATION = -1128
    INVALID_PARAMETER = -1130
    BAD_RECV_WINDOW = -1131
    UNKNOWN_ORDER = -2011
    NO_SUCH_ORDER = -2013
    BAD_API_KEY = -2014
    REJECTED_KEY = -2015
    MARGIN_INSUFFICIENT = -2019
    WOULD_TRIGGER = -2021
    REDUCE_ONLY = -2022
    IN_LIQUIDATION = -2023
    MAX_OPEN_ORDERS = -2025
    MAX_POSITION = -2027
    LEVERAGE_TOO_SMALL = -2028
    PRICE_BELOW_ZERO = -4001
    PRICE_ABOVE_MAX = -4002
    QUANTITY_BELOW_ZERO = -4003
    QUANTITY_BELOW_MIN = -4004
    QUANTITY_ABOVE_MAX = -4005
    PRICE_BELOW_MIN = -4013
    PRICE_OFF_TICK = -4014
    BAD_CLIENT_ORDER_ID = -4015
    PRICE_ABOVE_CAP = -4016
    BAD_DEPTH_LIMIT = -4021
    QUANTITY_OFF_STEP = -4023
    PRICE_BELOW_FLOOR = -4024
    BAD_LEVERAGE = -4028
    MAX_STOP_ORDERS = -4045
    SAME_MARGIN_TYPE = -4046
    MARGIN_TYPE_WITH_ORDERS = -4047
    MARGIN_TYPE_WITH_POSITION = -4048
    NOT_ISOLATED = -4049
    CROSS_BALANCE_SHORT = -4050
    ISOLATED_BALANCE_SHORT = -4051
    NO_POSITION = -4054
    SAME_POSITION_SIDE = -4059
    BAD_POSITION_SIDE = -4061
    MODE_WITH_ORDERS = -4067
    MODE_WITH_POSITION = -4068
    BAD_BATCH_SIZE = -4082
    NOT_OFFERED = -4084
    DUPLICATE_CLIENT_ORDER_ID = -4116
    REDUCE_ONLY_OVER = -4118
    USE_ALGO = -4120
    NO_COUNTERPARTY = -4131
    CLOSE_WITH_QUANTITY = -4137
    CLOSE_WITH_REDUCE_ONLY = -4138
    LEVERAGE_DOWN = -4161
    MIN_NOTIONAL = -4164
    NO_SUCH_PATH = -5000
    FOK_REJECTED = -5021
    GTX_REJECTED = -5022
    NOTHING_TO_MODIFY = -5027
    BAD_GOOD_TILL_DATE = -5040


TEXTS: dict[Code, str] = {
    Code.UNKNOWN: "An unknown error occurred while processing the request.",
    Code.DISCONNECTED: "Internal error; unable to process your request. Please try again.",
    Code.UNAUTHORIZED: "You are not authorized to execute this request.",
    Code.TOO_MANY_REQUESTS: "Too many requests; please wait and try again.",
    Code.TIMEOUT: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    Code.OVERLOADED: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    Code.TOO_MANY_ORDERS: "Too many new orders; please wait and try again.",
    Code.INVALID_TIMESTAMP: "Timestamp for this request is outside of the recvWindow.",
    Code.INVALID_SIGNATURE: "Signature for this request is not valid.",
    Code.ILLEGAL: "The request can't be read as its headers say.",
    Code.TOO_MANY_PARAMETERS: "Too many parameters sent for this endpoint.",
    Code.MANDATORY: "Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    Code.UNREAD_PARAMETER: "Parameter '{name}' sent when not required.",
    Code.BAD_PRECISION: "Precision is over the maximum defined for this asset.",
    Code.INVALID_TIF: "Invalid timeInForce.",
    Code.INVALID_ORDER_TYPE: "Invalid orderType.",
    Code.INVALID_SIDE: "Invalid side.",
    Code.BAD_INTERVAL: "Invalid interval.",
    Code.BAD_SYMBOL: "Invalid symbol.",
    Code.INVALID_LISTEN_KEY: "This listenKey does not exist.",
    Code.BAD_COMBINATION: "Combination of optional parameters invalid.",
    Code.INVALID_PARAMETER: "Data sent for parameter '{name}' is not valid.",
    Code.BAD_RECV_WINDOW: "recvWindow must be less than 60000.",
    Code.UNKNOWN_ORDER: "Unknown order sent.",
    Code.NO_SUCH_ORDER: "Order does not exist.",
    Code.BAD_API_KEY: "API-key format invalid.",
    Code.REJECTED_KEY: "Invalid API-key, IP, or permissions for action.",
    Code.MARGIN_INSUFFICIENT: "Account has insufficient balance for requested action.",  # Margin is insufficient.
    Code.WOULD_TRIGGER: "Order would trigger immediately.",  # Order would immediately trigger.
    Code.REDUCE_ONLY: "ReduceOnly Order is rejected. (LOT_SIZE)",  # without the parentheses, as below
    Code.IN_LIQUIDATION: "User in liquidation mode now.",
    Code.MAX_OPEN_ORDERS: "Reach max open order limit.",
    Code.MAX_POSITION: "Exceeded the maximum allowable position at current leverage.",
    Code.LEVERAGE_TOO_SMALL: "Leverage is smaller than permitted: insufficient margin balance.",
    Code.PRICE_BELOW_ZERO: "Price less than 0. (PRICE_FILTER)",
    Code.PRICE_ABOVE_MAX: "Price greater than max price. (PRICE_FILTER)",
    Code.QUANTITY_BELOW_ZERO: "Quantity less than or equal to zero. (LOT_SIZE)",
    Code.QUANTITY_BELOW_MIN: "Quantity less than min quantity. (LOT_SIZE)",
    Code.QUANTITY_ABOVE_MAX: "Quantity greater than max quantity. (LOT_SIZE)",
    Code.PRICE_BELOW_MIN: "Price less than min price. (PRICE_FILTER)",
    Code.PRICE_OFF_TICK: "Price not increased by tick size. (PRICE_FILTER)",
    Code.BAD_CLIENT_ORDER_ID: "Client order id is not valid.",
    Code.PRICE_ABOVE_CAP: "Price is higher than mark price multiplier cap.",
    Code.BAD_DEPTH_LIMIT: "{limit} is not valid depth limit.",
    Code.QUANTITY_OFF_STEP: "Quantity not increased by step size. (LOT_SIZE)",
    Code.PRICE_BELOW_FLOOR: "Price is lower than mark price multiplier floor.",
    Code.BAD_LEVERAGE: "Leverage {leverage} is not valid.",
    Code.MAX_STOP_ORDERS: "Reach max stop order limit.",
    Code.SAME_MARGIN_TYPE: "No need to change margin type.",
    Code.MARGIN_TYPE_WITH_ORDERS: "Margin type cannot be changed if there exists open orders.",
    Code.MARGIN_TYPE_WITH_POSITION: "Margin type cannot be changed if there exists position.",
    Code.NOT_ISOLATED: "Add margin only support for isolated position.",
    Code.CROSS_BALANCE_SHORT: "Cross balance insufficient.",
    Code.ISOLATED_BALANCE_SHORT: "Isolated balance insufficient.",
    Code.NO_POSITION: "Cannot add position margin: position is 0.",
    Code.SAME_POSITION_SIDE: "No need to change position side.",
    Code.BAD_POSITION_SIDE: "Order's position side does not match user's setting.",
    Code.MODE_WITH_ORDERS: "Position side cannot be changed if there exists open orders.",
    Code.MODE_WITH_POSITION: "Position side cannot be changed if there exists position.",
    Code.BAD_BATCH_SIZE: "Invalid size of the batch of orders.",
    Code.NOT_OFFERED: "Method is not allowed currently.",
    Code.DUPLICATE_CLIENT_ORDER_ID: "ClientOrderId is duplicated.",
    Code.REDUCE_ONLY_OVER: "ReduceOnly Order Failed. Please check your existing position and open orders.",
    Code.USE_ALGO: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    Code.NO_COUNTERPARTY: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    Code.CLOSE_WITH_QUANTITY: "Quantity must be zero with closePosition equals true.",
    Code.CLOSE_WITH_REDUCE_ONLY: "Reduce only must be false with closePosition equals true.",
    Code.LEVERAGE_DOWN: "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    Code.MIN_NOTIONAL: "Order's notional must be no smaller than {least} (unless you choose reduce only). (LOT_SIZE)",
    Code.NO_SUCH_PATH: "The path or its method is invalid.",
    Code.FOK_REJECTED: "Due to the order could not be filled immediately, the FOK order has been rejected.",
    Code.GTX_REJECTED: "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    Code.NOTHING_TO_MODIFY: "No need to modify the order.",
    Code.BAD_GOOD_TILL_DATE: "The goodTillDate must be more than 600 seconds ahead.",
}
"""ccxt takes a text that holds LOT_SIZE or PRICE_FILTER for an invalid order, whatever its code."""

STATUSES: dict[Code, int] = {
    Code.UNKNOWN: 500,
    Code.DISCONNECTED: 408,
    Code.UNAUTHORIZED: 403,
    Code.TOO_MANY_REQUESTS: 429,
    Code.TIMEOUT: 503,
    Code.OVERLOADED: 503,
    Code.TOO_MANY_ORDERS: 429,
    Code.TOO_MANY_PARAMETERS: 413,
    Code.BAD_API_KEY: 401,
    Code.REJECTED_KEY: 401,
    Code.NO_SUCH_PATH: 404,
}
"""All others are 400."""
BANNED = 418
_OF_KEYS = {Code.INVALID_SIGNATURE, Code.BAD_API_KEY, Code.REJECTED_KEY}
"""Counted and logged as those are who are not signed in."""


class FapiError(ApiError):
    """A refusal in Binance's words. `said` fills what its text leaves open."""

    def __init__(self, number: Code, **said: object) -> None:
        super().__init__("unauthorized" if number in _OF_KEYS else str(int(number)))
        self.number = number
        self.message = TEXTS[number].format(**said)
        self.status = STATUSES.get(number, 400)


class Failure(msgspec.Struct, frozen=True):
    """The body of every error, and of every order of a batch that was refused."""

    code: int
    msg: str


def failure(error: ApiError) -> Failure:
    rendered = render(error)
    assert isinstance(rendered.body, Failure)
    return rendered.body


OF_HTTP: dict[str, Code] = {
    "rate_limited": Code.TOO_MANY_REQUESTS,
    "unauthorized": Code.REJECTED_KEY,
    "forbidden_origin": Code.UNAUTHORIZED,
    "request_timeout": Code.DISCONNECTED,
    "body_too_large": Code.TOO_MANY_PARAMETERS,
    "unsupported_media_type": Code.ILLEGAL,
    "invalid_request": Code.ILLEGAL,
    Busy.OVERLOADED: Code.OVERLOADED,
    Busy.SHUTTING_DOWN: Code.OVERLOADED,
    "upgrade_required": Code.NO_SUCH_PATH,
    "not_found": Code.NO_SUCH_PATH,
    "method_not_allowed": Code.NO_SUCH_PATH,
    "internal_error": Code.UNKNOWN,
}
_RETRIED = {Code.TOO_MANY_REQUESTS, Code.TOO_MANY_ORDERS, Code.OVERLOADED}


def render(error: ApiError) -> Rendered:
    """An error as it is answered."""
    if isinstance(error, FapiError):
        return Rendered(error.status, Failure(error.number, error.message), error.headers)
    number = OF_HTTP.get(error.code, Code.UNKNOWN)
    if isinstance(error, TooManyOrders):
        number = Code.TOO_MANY_ORDERS
    elif isinstance(error, OutcomeUnknown):
        number = Code.TIMEOUT
    status = BANNED if isinstance(error, Blocked) else STATUSES.get(number, 400)
    retry = {"Retry-After": str(error.retry_after_s)} if number in _RETRIED else {}
    return Rendered(status, Failure(number, TEXTS[number]), retry | error.headers)


# --- the core's refusals --------------------------------------------------------------------------------------------

OF_REJECTS: dict[Reject, Code] = {
    Reject.CLIENT_ORDER_ID_CONFLICT: Code.DUPLICATE_CLIENT_ORDER_ID,
    Reject.PRICE_UNAVAILABLE: Code.NO_COUNTERPARTY,
    Reject.SLIPPAGE_EXCEEDED: Code.NO_COUNTERPARTY,
    Reject.WOULD_LIQUIDATE: Code.IN_LIQUIDATION,
    Reject.POSITION_LIMIT: Code.MAX_POSITION,
    Reject.INSUFFICIENT_MARGIN: Code.MARGIN_INSUFFICIENT,
    Reject.TRADE_NOT_FOUND: Code.NO_POSITION,
    Reject.ORDER_NOT_FOUND: Code.UNKNOWN_ORDER,
    Reject.WOULD_TAKE: Code.GTX_REJECTED,
    Reject.WOULD_REST: Code.FOK_REJECTED,
    Reject.REDUCE_ONLY_REJECTED: Code.REDUCE_ONLY,
    Reject.WOULD_TRIGGER: Code.WOULD_TRIGGER,
    Reject.AMOUNT_TOO_SMALL: Code.QUANTITY_BELOW_MIN,
    Reject.MARGIN_TOO_LOW: Code.ISOLATED_BALANCE_SHORT,
}
OF_LIMITS: dict[Limit, Code] = {
    Limit.OPEN_ORDERS_PER_ACCOUNT: Code.MAX_OPEN_ORDERS,
    Limit.EXITS_PER_TRADE: Code.MAX_STOP_ORDERS,
}
_PRICES = {Figure.LIMIT, Figure.STOP, Figure.PRICE, Figure.TAKE_PROFIT, Figure.STOP_LOSS}
_NAMES: Mapping[str, str] = {
    Figure.AMOUNT: "amount",
    Figure.TRAILING_PERCENT: "callbackRate",
    Figure.ACTIVATION: "activatePrice",
    "trailing_stop": "callbackRate",
    "expires_at": "goodTillDate",
    "asset": "symbol",
}


def refused(refusal: Refusal) -> FapiError:
    """The engine's refusal as an answer."""
    match refusal.figures:
        case OverLimit(limit=limit):
            return FapiError(OF_LIMITS.get(limit, Code.MAX_POSITION))
        case OutOfRange(figure=Figure.LEVERAGE, given=given):
            return FapiError(Code.BAD_LEVERAGE, leverage=given // 100)
        case OutOfRange(figure=figure, given=given, most=most) if figure in _PRICES:
            return FapiError(Code.PRICE_ABOVE_MAX if given > most else Code.PRICE_BELOW_MIN)
        case OutOfRange(figure=Figure.QUANTITY | Figure.SIZE | Figure.COST, given=given, most=most):
            return FapiError(Code.QUANTITY_ABOVE_MAX if given > most else Code.QUANTITY_BELOW_MIN)
        case OutOfRange(figure=figure):
            return FapiError(Code.INVALID_PARAMETER, name=_NAMES.get(figure, figure.value))
        case Wrong(field=field):
            return FapiError(Code.INVALID_PARAMETER, name=_NAMES.get(field, field))
        case _:
            return FapiError(OF_REJECTS.get(refusal.reject, Code.UNKNOWN))
