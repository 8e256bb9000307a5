"""The statement of an account: one row for each part of a change of its free balance, made from the event alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REASONS = ("deposit", "reserve", "margin", "pnl", "commission", "funding", "liquidation_fee", "forfeit")
"""In the order of the rows of one event."""


@dataclass(frozen=True)
class Row:
    seq: int
    at: int
    reason: str
    amount: int
    balance: int
    order: str | None = None
    asset: str | None = None


def parts(event: dict[str, Any]) -> dict[str, int]:
    """What the event moved, by reason."""
    match event["event"]:
        case "account_opened" | "deposited":
            return {"deposit": event["amount"]}
        case "order_placed":
            return {"reserve": -event["reserved"]}
        case "order_amended":
            return {"reserve": event["released"] - event["reserved"]}
        case "order_ended":
            return {"reserve": event["released"]}
        case "trade_opened" | "trade_increased":
            return {"margin": -event["margin"], "commission": -event["fee"]}
        case "trade_reduced" | "trade_closed":
            return {"margin": event["margin"], "pnl": event["pnl"], "commission": -event["fee"]}
        case "trade_liquidated":
            return {
                "margin": event["margin"],
                "pnl": event["pnl"],
                "liquidation_fee": -event["fee"],
                "forfeit": -event["forfeited"],
            }
        case "trade_changed" if event["why"] == "funding":
            return {"margin": event["paid"], "funding": -event["paid"]}
        case "trade_changed":
            return {"margin": -event["added"]}
        case _:
            return {}


def add(rows: list[Row], event: dict[str, Any]) -> None:
    """What did not move has no row. The last row's balance is the event's."""
    moved = parts(event)
    balance = rows[-1].balance if rows else 0
    for reason in REASONS:
        amount = moved.get(reason, 0)
        if amount:
            balance += amount
            rows.append(Row(event["seq"], event["at"], reason, amount, balance, event.get("order"), event.get("asset")))
    if "balance" in event:
        assert balance == event["balance"], event


def sums(rows: Iterable[Row]) -> dict[str, int]:
    total: dict[str, int] = {}
    for row in rows:
        total[row.reason] = total.get(row.reason, 0) + row.amount
    return total
