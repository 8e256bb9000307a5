"""Expected refusals, as values. The web maps each `Reject` to a status and a message in one table."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Reject(StrEnum):
    """Why a command was refused. Nothing changed."""

    ACCOUNT_EXISTS = "account_exists"
    ACCOUNT_NOT_FOUND = "account_not_found"
    CLIENT_ORDER_ID_CONFLICT = "client_order_id_conflict"
    PRICE_UNAVAILABLE = "price_unavailable"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    WOULD_LIQUIDATE = "would_liquidate"
    SLIPPAGE_EXCEEDED = "slippage_exceeded"
    POSITION_LIMIT = "position_limit"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    TRADE_NOT_FOUND = "trade_not_found"


class Refusal(msgspec.Struct, frozen=True):
    """A Reject with its figures, ready to show: money and prices are decimal strings."""

    reject: Reject
    details: Mapping[str, str | int] = {}
