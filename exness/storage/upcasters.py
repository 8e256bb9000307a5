"""What older releases stored in the journal, lifted to today's events: one step from each version to the next.

A kind's version is how many steps lead to its form of today, counted from 1: who changes a form adds a step, and so its
version. Rows are never rewritten.
"""

from collections.abc import Callable
from typing import Any

Payload = dict[str, Any]
Step = Callable[[Payload], Payload]


def _trade_has_an_id_and_a_size(payload: Payload) -> Payload:
    trade = payload["trade"]
    return payload | {"trade": trade | {"id": trade["order"], "size": trade["margin"] * trade["leverage"]}}


def _closed_by_its_owner(payload: Payload) -> Payload:
    return payload | {"trade_id": payload["order"], "reason": "user"}


def _liquidation_closes(payload: Payload) -> Payload:
    """It was at the mark, and lost the margin."""
    margin = payload["margin"]
    return payload | {
        "trade_id": payload["order"],
        "reason": "liquidation",
        "price": payload["mark"],
        "pnl": -margin,
        "returned": 0,
    }


def _same(payload: Payload) -> Payload:
    return payload


STEPS: dict[str, tuple[Step, ...]] = {
    "trade_opened": (_trade_has_an_id_and_a_size,),
    "trade_closed": (_closed_by_its_owner,),
}
"""By kind; a step may leave what the form before had beside what it adds. A kind without a step is as it always was."""

RETIRED: dict[str, tuple[str, int, Step]] = {
    "trade_liquidated": ("trade_closed", 2, _liquidation_closes),
    "started_afresh": ("exchange_reset", 1, _same),
}
"""Kinds that are written no more: which version of which kind their newest form is lifted to, and how."""


def cause_of(kind: str, request: str) -> str:
    """The cause of a record from before there were causes: a tick liquidates, and a replay wrote where it was in place
    of a request's id."""
    if kind == "trade_liquidated":
        return "feed"
    return request if request.startswith("replay:") else ""


def newest(kind: str) -> int:
    """The newest version of a kind, retired ones too."""
    return 1 + len(STEPS.get(kind, ()))


def lift(kind: str, version: int, payload: Payload) -> Payload:
    """A payload in its form of today, whose `type` says what it has become. Raises KeyError where it is not what its
    kind and version say."""
    while True:
        for step in STEPS.get(kind, ())[version - 1 :]:
            payload = step(payload)
        if kind not in RETIRED:
            return payload | {"type": kind}
        kind, version, step = RETIRED[kind]
        payload = step(payload)
