"""PUT and GET /dev/faults: the rules by which requests and streams go wrong."""

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Raw
from msgspec.structs import replace

from exness.access.emails import AddressError, normalised
from exness.web.dev.access import let_in
from exness.web.http.endpoint import ENDPOINTS, Endpoints
from exness.web.http.faults import (
    BEFORE_AN_UPGRADE,
    MOST_RULES,
    OF_STREAMS,
    STATUSES,
    STREAM,
    TAKING_TIME,
    Fault,
    Faults,
    Rule,
    RuleCount,
    endpoint_of,
)
from exness.web.http.response import answer
from exness.web.v1.bodies import Problems, read_body
from exness.web.v1.requests import json_body

WHICH = ("nth", "every", "share")


class FaultsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PUT /dev/faults. These rules and no others are at work from now on; an empty list ends them all."""

    rules: Annotated[list[Rule], Meta(max_length=MOST_RULES)]


class FaultsAnswer(msgspec.Struct, frozen=True):
    """Rules in their order. The first that strikes has its way, and those after it don't see that request."""

    success: bool
    rules: list[RuleCount]


async def get_faults(request: web.Request) -> web.StreamResponse:
    """GET /dev/faults."""
    return _answer(let_in(request).faults)


async def set_faults(request: web.Request) -> web.StreamResponse:
    """PUT /dev/faults."""
    faults = let_in(request).faults
    faults.set(rules_of(await json_body(request), request.app[ENDPOINTS]))
    return _answer(faults)


def rules_of(body: bytes, endpoints: Endpoints) -> list[Rule]:
    """The rules of a FaultsBody. Raises InvalidRequest, which names the rule: `rules[3].do`."""
    problems = Problems()
    given: Any = read_body(body, FaultsBody, problems).rules
    problems.raise_if_any()
    raws = given if isinstance(given, list) else _raw_rules(given, problems)
    if len(raws) > MOST_RULES:
        problems.not_allowed("rules", f"rules can have at most {MOST_RULES} entries")
        raws = []
    rules = [_rule(each, f"rules[{number}]", endpoints, problems) for number, each in enumerate(raws)]
    problems.raise_if_any()
    return [rule for rule in rules if rule is not None]


def _raw_rules(raw: Raw, problems: Problems) -> list[Raw]:
    """The entries of a list in which at least one is bad."""
    try:
        return msgspec.json.decode(raw, type=list[Raw])
    except msgspec.DecodeError:
        problems.malformed("rules", "rules must be a list of objects, each with on and do")
        return []


def _rule(given: Rule | Raw, where: str, endpoints: Endpoints, problems: Problems) -> Rule | None:
    try:
        rule = msgspec.json.decode(given, type=Rule) if isinstance(given, Raw) else given
    except msgspec.DecodeError as error:  # "Expected `int` >= 1 - at `$.nth`"
        what, _, at = str(error).partition(" - at `$.")
        field = at.rstrip("`") or "on"
        problems.malformed(f"{where}.{field}", what if at else f"A rule is an object with on and do: {what}")
        return None
    wrong = _wrong(rule, endpoints)
    if wrong is not None:
        problems.not_allowed(f"{where}.{wrong[0]}", wrong[1])
        return None
    return rule if rule.email is None else replace(rule, email=normalised(rule.email))


def _wrong(rule: Rule, endpoints: Endpoints) -> tuple[str, str] | None:
    """The field of a rule that does not fit the others, and why."""
    allowed = OF_STREAMS
    if rule.on != STREAM:
        row = endpoint_of(rule.on, endpoints)
        if row is None:
            return "on", f"on must be {STREAM}, or the method and path of an endpoint that is not dev control's own"
        allowed = BEFORE_AN_UPGRADE if row.path.endswith("/stream") else frozenset(Fault) - OF_STREAMS
    if rule.do not in allowed:
        return "do", f"on {rule.on} it can be {_list(allowed)}"
    if sum(getattr(rule, name) is not None for name in WHICH) != 1:
        return "nth", "give one of nth, every and share"
    if (rule.do in TAKING_TIME) != (rule.delay_s is not None):
        return "delay_s", f"{_list(TAKING_TIME)} need delay_s, and nothing else has it"
    if (rule.do is Fault.STATUS) != (rule.status is not None):
        return "status", f"status needs a status of {', '.join(map(str, STATUSES))}, and nothing else has one"
    if rule.seed is not None and rule.share is None:
        return "seed", "a seed is for share only"
    try:
        normalised(rule.email or "you@example.com")
    except AddressError:
        return "email", "email must be a mail address like you@example.com"
    return None


def _list(faults: frozenset[Fault]) -> str:
    return ", ".join(fault.value for fault in Fault if fault in faults)


def _answer(faults: Faults) -> web.StreamResponse:
    return answer(FaultsAnswer(True, faults.counted))
