"""An account's statement: one entry for each part of a change of its free balance, made from the event alone.

The entries of an event add up to its change, all entries to the balance, those of `margin` to minus what is locked,
those of `reserve` to minus what is reserved.
"""

from enum import StrEnum

from exness.core.events import (
    AccountOpened,
    Deposited,
    Event,
    OrderAmended,
    OrderEnded,
    OrderPlaced,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
)

Entry = tuple["Reason", int]
"""An amount in micro-USDC, and why it moved."""


class Reason(StrEnum):
    """In the order of the entries of one event."""

    DEPOSIT = "deposit"
    RESERVE = "reserve"
    MARGIN = "margin"
    PNL = "pnl"
    COMMISSION = "commission"
    FUNDING = "funding"
    LIQUIDATION_FEE = "liquidation_fee"
    FORFEIT = "forfeit"


def entries(event: Event) -> list[Entry]:
    """What an event moves. What does not move has no entry."""
    return [entry for entry in _entries(event) if entry[1]]


def _entries(event: Event) -> list[Entry]:
    match event:
        case AccountOpened(deposit=amount) | Deposited(amount=amount):
            return [(Reason.DEPOSIT, amount)]
        case OrderPlaced(order=order):
            return [(Reason.RESERVE, -order.reserved)]
        case OrderAmended(order=order, released=released):
            return [(Reason.RESERVE, released - order.reserved)]
        case OrderEnded(released=released):
            return [(Reason.RESERVE, released)]
        case TradeOpened(trade=trade, fee=fee):
            return [(Reason.MARGIN, -trade.margin), (Reason.COMMISSION, -fee)]
        case TradeIncreased(margin=margin, fee=fee):
            return [(Reason.MARGIN, -margin), (Reason.COMMISSION, -fee)]
        case TradeReduced(margin=margin, pnl=pnl, fee=fee):
            return [(Reason.MARGIN, margin), (Reason.PNL, pnl), (Reason.COMMISSION, -fee)]
        case TradeClosed(margin=margin, pnl=pnl, fee=fee, forfeited=forfeited):
            of_fee = Reason.LIQUIDATION_FEE if event.liquidated else Reason.COMMISSION
            return [(Reason.MARGIN, margin), (Reason.PNL, pnl), (of_fee, -fee), (Reason.FORFEIT, -forfeited)]
        case TradeChanged(amount=amount, paid=paid):
            return [(Reason.MARGIN, paid - amount), (Reason.FUNDING, -paid)]
        case _:
            return []
