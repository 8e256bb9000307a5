"""Every parameter that the face knows, by name: how it is written, and what it means where the name does not say.

A row names its parameters, apart by spaces: `symbol limit?` (`?`: it may be left out), and `type:order_type` where a
name means another thing than elsewhere.
"""

from typing import NamedTuple

from exness.web.fapi.countdowns import LONGEST_MS
from exness.web.fapi.general import TIMES_IN_FORCE
from exness.web.fapi.market.handlers import DEPTHS
from exness.web.fapi.market.intervals import KlineInterval
from exness.web.fapi.schemas import OPTIONAL, Schema
from exness.web.fapi.signing import DEFAULT_WINDOW_MS, MOST_WINDOW_MS
from exness.web.fapi.wishes import CONDITIONAL, LATEST_MS

_MOST_ID = 2**53 - 1
_MOST_TIME_MS = 10**14


def _word(*words: str, default: str | None = None, said: str = "") -> Schema:
    schema: dict[str, object] = {"type": "string", "enum": list(words)}
    if default is not None:
        schema["default"] = default
    return schema | ({"description": said} if said else {})


def _flag(said: str = "") -> Schema:
    return _word("true", "false", default="false", said=said)


def _decimal(said: str = "") -> Schema:
    return {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$", "description": said or "A decimal number."}


def _integer(least: int, most: int, said: str = "") -> Schema:
    schema: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return {**schema, "description": said} if said else schema


def _name(said: str) -> Schema:
    return {"type": "string", "pattern": "^[.A-Z:/a-z0-9_-]{1,36}$", "description": said}


_TIME = _integer(0, _MOST_TIME_MS, "Milliseconds.")
_ID = _integer(0, _MOST_ID)
_LIST: Schema = {"type": "string", "description": "A JSON array.", "contentMediaType": "application/json"}

PARAMETERS: dict[str, Schema] = {
    "activatePrice": _decimal("From where a trailing stop follows; without it, from the mark of now."),
    "algoId": _ID,
    "algoType": _word("CONDITIONAL"),
    "amount": _decimal(),
    "autoCloseType": _word("LIQUIDATION", "ADL"),
    "batchOrders": {**_LIST, "description": "A JSON array of one to five objects, each an order's parameters."},
    "callbackRate": _decimal("Of a trailing stop, in percent: 0.1 to 10."),
    "clientAlgoId": _name("A name of the client's for a conditional order."),
    "closePosition": _flag("It closes all that there is, and has no quantity."),
    "contractType": _word("PERPETUAL"),
    "countdownTime": _integer(0, LONGEST_MS, "Milliseconds; 0 stops the countdown."),
    "depth_limit": {"type": "integer", "enum": list(DEPTHS), "default": 500},
    "dualSidePosition": _word("true", "false"),
    "endTime": _TIME,
    "feeBurn": _word("true", "false"),
    "fromId": _ID,
    "goodTillDate": _integer(0, LATEST_MS, "Milliseconds; `timeInForce` GTD needs it, more than 600 s ahead."),
    "incomeType": {"type": "string", "description": "Only rows of this type."},
    "interval": _word(*KlineInterval),
    "leverage": _integer(1, 1000),
    "limit": _integer(1, 10**6, "How many rows; beyond what there can be, as many as there can be."),
    "listenKey": {"type": "string", "description": "The key's own, else there is none such."},
    "margin_way": {"type": "integer", "enum": [1, 2], "description": "1 adds margin, 2 takes some."},
    "marginType": _word("ISOLATED", "CROSSED"),
    "multiAssetsMargin": _word("true", "false"),
    "newClientOrderId": _name("A name of the client's for an order."),
    "newOrderRespType": _word("ACK", "RESULT", default="ACK"),
    "orderId": _ID,
    "orderIdList": {**_LIST, "description": "A JSON array of one to ten ids."},
    "order_type": _word("MARKET", "LIMIT", said="The others are conditional orders: -4120."),
    "algo_type": _word(*CONDITIONAL),
    "origClientOrderId": _name("The client's name for the order; counts where no `orderId` is given."),
    "origClientOrderIdList": {**_LIST, "description": "A JSON array of one to ten names."},
    "pair": {"type": "string"},
    "positionSide": _word("BOTH"),
    "price": _decimal("On a tick; what has a limit needs it."),
    "priceMatch": _word("NONE"),
    "priceProtect": _flag("Taken, and changes nothing."),
    "quantity": _decimal("On a step."),
    "reduceOnly": _flag("It reduces a position and opens none."),
    "side": _word("BUY", "SELL"),
    "startTime": _TIME,
    "symbol": {"type": "string"},
    "timeInForce": _word(*TIMES_IN_FORCE, said="A limit order needs it."),
    "triggerPrice": _decimal("Where it fires; all but a trailing stop need it."),
    "workingType": _word("MARK_PRICE", "CONTRACT_PRICE", said="Taken, and changes nothing."),
    "timestamp": {**_TIME, "description": "The time of the request, in milliseconds."},
    "recvWindow": {**_integer(0, MOST_WINDOW_MS, "For how long it is good."), "default": DEFAULT_WINDOW_MS},
}
SYMBOLS = ("symbol", "pair")
"""Those that name a symbol."""
SIGNED = "timestamp recvWindow?"
"""What a signed request has beside its own and its signature."""


class Parameter(NamedTuple):
    name: str
    schema: Schema
    is_required: bool


def parameters_of(names: str) -> list[Parameter]:
    found = []
    for each in names.split():
        name, _, kind = each.removesuffix(OPTIONAL).partition(":")
        found.append(Parameter(name, PARAMETERS[kind or name], not each.endswith(OPTIONAL)))
    return found
