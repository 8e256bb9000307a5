"""Runs worked examples ("vectors"; the head of orders.json explains their form) on anything that an adapter is written
for: see `Adapter` and `Play`. What is compared is all that a vector says; what an adapter says beside it is passed
over, but for a part of an event that is only there when there is something to tell (see TOLD_IF_ANY).
"""

import json
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import pytest

HERE = Path(__file__).parent
FOLDER = "ORDER_VECTORS"
"""The environment variable that names a folder of further files."""

Vector = dict[str, Any]
Events = list[dict[str, Any]]

TOLD_IF_ANY = ("by", "reason", "take_profit", "stop_loss")
"""A vector that leaves one of these out says that there is none, except that an opening tells no exits."""


class Play(Protocol):
    """One scenario under way. Accounts are there from the start, without money; a vector's seconds are the adapter's
    to turn into its own time, and no price grows old."""

    def do(self, step: dict[str, Any]) -> Events:
        """The events of one step, in the words and units of the vectors: first what time brought, at last {"refused":
        code} for what was refused. A step without `at` happens at the time of the one before."""

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Of each: free, locked, reserved and `ledger`, the sums of its statement by reason."""

    def house(self) -> dict[str, int]:
        """The four accounts."""

    def shortfall(self) -> int:
        """What nobody covered."""


class Adapter(Protocol):
    """What stands between a vector and what it is run on."""

    def reckon(self, op: str, given: dict[str, Any]) -> dict[str, Any]:
        """What one operation comes to; `given` is the vector's."""

    def play(self, rules: dict[str, Any]) -> Play:
        """An exchange with these rules, and nothing in it."""


def vectors() -> list[Any]:
    """Ours, then those of every file in the folder that the environment names. Parameters of a test: their ids are the
    vectors' names."""
    files = [HERE / "orders.json"]
    if folder := os.environ.get(FOLDER):
        more = sorted(Path(folder).glob("*.json"))
        assert more, f"{FOLDER} names {folder}, where there is no *.json"
        files += more
    found: dict[str, Vector] = {}
    for file in files:
        for vector in _read(file):
            if found.setdefault(vector["name"], vector) == vector:
                continue
            found[f"{file.stem}:{vector['name']}"] = vector
    return [pytest.param(vector, id=name) for name, vector in found.items()]


def _read(file: Path) -> list[Vector]:
    content = json.loads(file.read_text())
    named: list[Vector] = content["vectors"]
    assert content.get("count", len(named)) == len(named)
    return named


def run(adapter: Adapter, vector: Vector) -> None:
    """Fails with what differs."""
    given, expected = vector["given"], vector["expect"]
    if vector["op"] == "scenario":
        _run_scenario(adapter, given, expected)
        return
    real = adapter.reckon(vector["op"], given)
    assert _said(real, expected) == expected
    if "published" in vector:
        hold_against_the_published(vector["published"], real)


def _run_scenario(adapter: Adapter, given: dict[str, Any], expected: dict[str, Any]) -> None:
    play = adapter.play(given["rules"])
    assert len(given["steps"]) == len(expected["events"])
    for number, (step, events) in enumerate(zip(given["steps"], expected["events"], strict=True)):
        real = play.do(step)
        where = f"step {number}, {step}"
        assert [_name(each) for each in real] == [_name(each) for each in events], where
        for said, told in zip(events, real, strict=True):
            assert _said(told, said) == said, where
            assert _untold(told, said) == {}, where
    assert _said(play.accounts(), expected["accounts"]) == expected["accounts"]
    assert _said(play.house(), expected["house"]) == expected["house"]
    assert play.shortfall() == expected["shortfall"]


def _name(event: dict[str, Any]) -> object:
    return event.get("event", event.get("refused"))


def _said(real: Any, expected: Any) -> Any:
    """As much of it as the vector speaks of. The sums of a ledger are compared whole."""
    if not isinstance(real, dict) or not isinstance(expected, dict):
        return [_said(*each) for each in zip(real, expected, strict=True)] if _are_lists(real, expected) else real
    return {key: real.get(key) if key == "ledger" else _said(real.get(key), expected[key]) for key in expected}


def _are_lists(real: Any, expected: Any) -> bool:
    return isinstance(real, list) and isinstance(expected, list) and len(real) == len(expected)


def _untold(real: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """What there should have been nothing of."""
    if expected.get("event") not in ("trade_changed", "trade_reduced", "trade_closed", "order_ended"):
        return {}
    if expected.get("why") == "funding":
        return {}
    return {key: real[key] for key in TOLD_IF_ANY if key not in expected and real.get(key) is not None}


def hold_against_the_published(published: dict[str, Any], real: dict[str, Any]) -> None:
    """A venue's own figures: decimals, of which ours are the integers in the smallest unit."""
    unit = 10 ** int(published.get("decimals", 6))
    for key in published.keys() - {"decimals", "within", "relative", "source"}:
        ours = real[key] if key in real else real[f"{key}_floor"]
        if isinstance(published[key], list):
            assert ours[: len(published[key])] == published[key]
            continue
        theirs = _exact(published[key])
        allowed = max(_exact(published["within"]), abs(theirs) * _exact(published.get("relative", "0")))
        assert abs(Fraction(ours, unit) - theirs) <= allowed, f"{key}: {published['source']}"


def _exact(text: str) -> Fraction:
    return Fraction(Decimal(text))
