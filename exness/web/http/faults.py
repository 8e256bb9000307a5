"""Faults on request: what servers and networks do wrong, so that a client can be tried on it.

A rule says which requests of an endpoint, or which events of the streams, it strikes, and what happens to them. Nothing
here knows a dialect: requests are told apart by method and path, and a refusal is an ApiError like any other. Only dev
control sets rules, and its own endpoints are never struck.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Literal, assert_never

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Meta
from msgspec.structs import asdict

from exness.access.sessions import Session
from exness.web.http.endpoint import Auth, Endpoint, Endpoints
from exness.web.http.errors import ApiError
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import JsonResponse, answer, complete

STREAM = "stream"
"""What a rule is `on` that strikes events of the streams."""
MOST_RULES = 100
LONGEST_DELAY_S = 60
STATUSES = {429: "rate_limited", 500: "internal_error", 503: "overloaded"}
"""The refusal that is answered instead of doing what was asked, by its status."""
PIECES = 10
"""In which a slow body comes."""

_log = structlog.get_logger("exness.web.faults")
SessionOf = Callable[[web.Request], Awaitable[Session]]


class Fault(StrEnum):
    """What happens to a request, or to an event on a stream."""

    DELAY = "delay"
    """It is taken `delay_s` later."""
    STATUS = "status"
    """It is refused with `status`, and never taken."""
    CUT_BEFORE = "cut_before"
    """The connection ends; it is never taken."""
    CUT_AFTER = "cut_after"
    """It is taken and done, and the connection ends instead of an answer."""
    SLOW_BODY = "slow_body"
    """The answer's body takes `delay_s` to come."""
    TWICE = "twice"
    """It is handed over twice, as by a proxy that tries again; the second answer is the one that comes."""

    CUT = "cut"
    """The connection ends instead of the event."""
    STALL = "stall"
    """The connection stays open, but nothing is sent or read any more: not even a ping is answered."""
    GAP = "gap"
    """The event does not come."""
    DUPLICATE = "duplicate"
    """It comes twice."""
    REORDER = "reorder"
    """It comes after the next one."""


OF_STREAMS = frozenset({Fault.CUT, Fault.STALL, Fault.GAP, Fault.DUPLICATE, Fault.REORDER})
TAKING_TIME = frozenset({Fault.DELAY, Fault.SLOW_BODY})
BEFORE_AN_UPGRADE = frozenset({Fault.DELAY, Fault.STATUS, Fault.CUT_BEFORE})
"""All that can happen to a request that becomes a stream."""


_Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`on` is `METHOD /path` as the request has it or as this document does, or `stream`; `email` narrows it to one
    account. One of `nth` (that one), `every` (each so many) and `share` (of all, from 0 to 1, drawn with `seed`) says
    which of them it strikes, `times` how often at most. `delay_s` is of `delay` and `slow_body`, `status` of `status`.
    null is the field left out."""

    on: str
    do: Fault
    email: str | None = None
    nth: _Count | None = None
    every: _Count | None = None
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    times: _Count | None = None
    delay_s: Annotated[float, Meta(gt=0, le=LONGEST_DELAY_S)] | None = None
    status: Literal[429, 500, 503] | None = None


class RuleCount(Rule, frozen=True, kw_only=True, omit_defaults=True):
    """A rule, how many requests or events it has `seen` since it was set, and how many of them it has `struck`."""

    seen: int
    struck: int


class _Armed:
    """A rule at work."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.seen = 0
        self.struck = 0
        # The same seed strikes the same requests.
        self._random = random.Random(rule.seed or 0)  # nosec B311

    def strikes(self) -> bool:
        """Whether it strikes the next one."""
        rule = self.rule
        self.seen += 1
        if rule.nth is not None:
            hit = self.seen == rule.nth
        elif rule.every is not None:
            hit = self.seen % rule.every == 0
        else:
            hit = self._random.random() < (rule.share or 0)
        if not hit or (rule.times is not None and self.struck >= rule.times):
            return False
        self.struck += 1
        _log.info("fault", do=rule.do.value, on=rule.on, number=self.seen)
        return True


class Faults:
    """The rules of one server, in their order. The first that strikes has its way; later ones don't see that one."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._by_target: dict[str, list[_Armed]] = {}

    def set(self, rules: Sequence[Rule]) -> None:
        """These and no others from now on, counted from 0."""
        self._armed = [_Armed(rule) for rule in rules]
        self._by_target = {}
        for armed in self._armed:
            self._by_target.setdefault(armed.rule.on, []).append(armed)

    @property
    def counted(self) -> list[RuleCount]:
        return [RuleCount(**asdict(each.rule), seen=each.seen, struck=each.struck) for each in self._armed]

    async def handle(
        self, request: web.Request, row: Endpoint | None, session_of: SessionOf, handler: Handler
    ) -> web.StreamResponse:
        """What `handler` answers, or what a rule makes of it. `row` is the endpoint's, None when there is none."""
        if not self._armed:
            return await handler(request)
        for armed in self._on(request, row):
            if armed.rule.email is not None and armed.rule.email != await _email(request, session_of):
                continue
            if armed.strikes():
                return await _struck(request, handler, armed.rule)
        return await handler(request)

    def of_event(self, email: str) -> Fault | None:
        """What happens to the next event that is told to a subscriber. `email`: of who is signed in, else ""."""
        for armed in self._by_target.get(STREAM, ()):
            if armed.rule.email in (None, email) and armed.strikes():
                return armed.rule.do
        return None

    def _on(self, request: web.Request, row: Endpoint | None) -> Iterable[_Armed]:
        targets = [f"{request.method} {request.path}"]
        if row is not None and row.parameters:
            targets.append(f"{row.method} {row.path}")
        if len(targets) == 1:
            return self._by_target.get(targets[0], ())
        return [each for each in self._armed if each.rule.on in targets]


def endpoint_of(on: str, endpoints: Endpoints) -> Endpoint | None:
    """The row that a rule's `on` names, None when nothing may be done to it: there is no such endpoint, or it is dev
    control's own."""
    method, _, path = on.partition(" ")
    row = endpoints.row_of(method, path)
    return row if row is not None and row.auth is not Auth.DEV else None


async def _email(request: web.Request, session_of: SessionOf) -> str:
    with suppress(ApiError):
        return (await session_of(request)).email
    return ""


async def _struck(request: web.Request, handler: Handler, rule: Rule) -> web.StreamResponse:
    match rule.do:
        case Fault.DELAY:
            await asyncio.sleep(rule.delay_s or 0)
            return await handler(request)
        case Fault.STATUS:
            raise ApiError(STATUSES[rule.status or 500])
        case Fault.CUT_BEFORE:
            _cut(request)
            return answer(None, 503)  # which can't be sent any more
        case Fault.CUT_AFTER:
            response = await handler(request)
            _cut(request)
            return response
        case Fault.SLOW_BODY:
            return await _slowly(request, await handler(request), rule.delay_s or 0)
        case Fault.TWICE:
            request[REQUEST_STATE].body = await request.read()
            with suppress(ApiError):
                await handler(request)
            return await handler(request)
        case Fault.CUT | Fault.STALL | Fault.GAP | Fault.DUPLICATE | Fault.REORDER:
            raise AssertionError("it strikes streams only")
        case _:
            assert_never(rule.do)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _slowly(request: web.Request, response: web.StreamResponse, over_s: float) -> web.StreamResponse:
    """Send an answer, its head at once and its body in pieces. What has no body of bytes is left as it is."""
    plain = response.plain() if isinstance(response, JsonResponse) else response
    body = getattr(plain, "body", None)
    if not isinstance(body, bytes):
        return response
    slow = web.StreamResponse(status=plain.status, headers=plain.headers)
    slow.content_length = len(body)
    await complete(request, slow)
    await slow.prepare(request)
    size = -(-len(body) // PIECES)
    for start in range(0, len(body), size or 1):
        await asyncio.sleep(over_s / PIECES)
        await slow.write(body[start : start + size])
    await slow.write_eof()
    return slow
