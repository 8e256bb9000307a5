"""Client order ids: what makes two requests equal, and which ids an account still knows.

An id remembers the records of what came of it and not the thing itself, so that what has ended leaves memory. The first
answer stands in those records.
"""

from functools import lru_cache
from typing import Protocol

import msgspec

from exness.core.commands import AddExit, ChangeMargin, CloseTrade, NetOrder, OpenTrade, PlaceOrder
from exness.core.events import Asked
from exness.core.instruments import LEVERAGE_DECIMALS, Instrument, OrderId, TradeId
from exness.core.money import USDC_DECIMALS, parse_scaled
from exness.core.outcomes import Repeated
from exness.core.rejects import Figure, OutOfRange, Refusal, Reject, UsedBefore
from exness.core.rules import CLIENT_ORDER, Rules, is_client_order
from exness.core.state import Account, SeenOrder

Named = OpenTrade | PlaceOrder | NetOrder | AddExit | CloseTrade | ChangeMargin
"""Commands that have a client order id."""

_MADE = {OpenTrade: "trade_id", PlaceOrder: "order_id", NetOrder: "order_id", AddExit: "order_id"}
"""Ids that are made for the call are no part of what is asked for."""
_NO_PART = {"account", "client_order", "label", "seen_price", "leaves_expired"}
_encode = msgspec.json.Encoder().encode


class _HasClientOrder(Protocol):
    @property
    def client_order(self) -> str | None: ...


def fingerprint(command: Named) -> str:
    """What is asked for, in one text: two requests for the same have the same. Journals hold it: it stays as it is."""
    if not isinstance(command, OpenTrade):
        asked = _encode([getattr(command, field) for field in _asked_fields(type(command))])
        return f"{type(command).__name__}{asked.decode()}"
    c = command
    asked_for = (
        f"{c.asset}|{c.side.value}|{c.margin}|{c.leverage}|{c.slippage}|{c.expected_price}"  # in one piece: half
    )
    if c.take_profit is None and c.stop_loss is None and c.trailing_stop is None:  # the time of two
        return asked_for
    return asked_for + _encode([c.take_profit, c.stop_loss, c.trailing_stop]).decode()


def repeat(account: Account, command: Named, instrument: Instrument | None = None) -> Refusal | Repeated | None:
    """What is answered to a command whose client order id was used before; None: it was not."""
    if command.client_order is None or command.client_order not in account.seen:
        return None
    seen = account.seen[command.client_order]
    if not is_repeat(seen, command, instrument):
        return Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(seen.trade_id))
    return Repeated(seen)


def is_repeat(seen: SeenOrder, command: Named, instrument: Instrument | None) -> bool:
    """Whether the command asks for what its client order id was used for."""
    asked = fingerprint(command)
    return seen.fingerprint == asked or _of_a_script(seen.fingerprint, instrument) == asked


def wrong_name(command: _HasClientOrder) -> Refusal | None:
    """A client order id that none can be: of one, its length is told."""
    name = command.client_order
    if name is None or is_client_order(name):
        return None
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(Figure.CLIENT_ORDER, len(name), *CLIENT_ORDER))


def label_taken(account: Account, label: str | None) -> Refusal | None:
    """Labels are unique among what an account has waiting. O(what waits), for whoever uses them."""
    if label is None:
        return None
    for order in account.orders.values():
        if order.label == label:
            return Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(order.id))
    for order_id, trade_id in account.exits.items():
        for each in account.trades[trade_id].exits:
            if each.order is not None and each.order.id == order_id and each.order.label == label:
                return Refusal(Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(order_id))
    return None


def asked_of(account: Account, rules: Rules, command: Named, made: OrderId | TradeId, records: int) -> Asked | None:
    """What its first event says of a command with a client order id, of which so many records come."""
    if command.client_order is None:
        return None
    forgets = forgotten(account, rules.client_order_ids_per_account)
    return Asked(command.client_order, fingerprint(command), made, forgets, records)


def forgotten(account: Account, kept: int) -> tuple[str, ...]:
    """The oldest client order ids that must go so that one more fits."""
    excess = len(account.seen) - kept + 1
    if excess <= 0:
        return ()
    return tuple(client_order for client_order, _ in zip(account.seen, range(excess), strict=False))


@lru_cache
def _asked_fields(command: type[Named]) -> tuple[str, ...]:
    return tuple(field for field in command.__struct_fields__ if field not in _NO_PART and field != _MADE.get(command))


def _of_a_script(stored: str, instrument: Instrument | None) -> str | None:
    """A fingerprint that a replay of 0.1.0 made for a scripted order, as it is made now; None for any other. It was
    `asset=SOL,type=long,margin=100,leverage=10,slippage=,expectedPrice=`, texts as they stood in the file."""
    if instrument is None or not stored.startswith("asset="):
        return None
    fields = dict(field.split("=", 1) for field in stored.split(","))

    def scaled(name: str, decimals: int) -> int | None:
        return parse_scaled(fields[name], decimals) if fields[name] else None

    figures = (
        scaled("margin", USDC_DECIMALS),
        scaled("leverage", LEVERAGE_DECIMALS),
        scaled("slippage", 0),
        scaled("expectedPrice", instrument.decimals),
    )
    return "|".join((fields["asset"], fields["type"], *map(str, figures)))
