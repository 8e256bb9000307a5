"""One row an endpoint: all that is said of it. Routes, weights, the fast path and the documents are made from rows."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exness.access.sessions import Session
from exness.runtime.inbox import Busy
from exness.web.http.errors import ErrorRenderer
from exness.web.http.weights import OTHER, Budget, Weight

GET, POST, PUT, DELETE = hdrs.METH_GET, hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_DELETE
JSON_TYPE, CSV_TYPE = "application/json", "text/csv"
_PARAMETER = re.compile(r"\{(\w+)\}")
BUSY: tuple[str, ...] = (Busy.OVERLOADED, Busy.SHUTTING_DOWN)


class Auth(StrEnum):
    """Who may ask."""

    NONE = "none"
    """Anybody."""
    SESSION = "session"
    """Who is signed in; no API key."""
    KEY = "session or key"
    """Who is signed in, or has an API key: what is of the budget for trading asks for one that may trade."""
    DEV = "dev"
    """Programs on this machine, where dev control is on."""


class OtherAnswer(NamedTuple):
    """An answer beside 200 that is no error. `body` is its type; None: it has none."""

    description: str
    body: Any = None


@dataclass(frozen=True)
class Endpoint:
    """One row. `answer` is the type of the body of a 200; None: there is no such answer."""

    method: str
    path: str
    """`{name}` stands for its last part, or its last two. Whole once the row is mounted; in the tables it begins below
    the prefix."""
    handler: Handler
    weight: Weight
    summary: str
    answer: Any
    auth: Auth = Auth.NONE
    body: type[msgspec.Struct] | None = None
    example: str = ""
    """Of a body."""
    query: type[msgspec.Struct] | None = None
    errors: tuple[str, ...] = ()
    """Error codes beside those that every such endpoint has."""
    others: Mapping[int, OtherAnswer] = field(default_factory=dict)
    """By status."""
    media_type: str = JSON_TYPE
    """Of `answer`."""
    has_csv: bool = False
    """Its rows can be had as CSV, too."""
    fast: bool = False
    """Asked so often that it goes past aiohttp's router (5 us a request): its handler has no `match_info`, no `app`."""
    policy: str = ""
    """Its Content-Security-Policy, where that of every answer does not do."""
    tail: bool = False
    """Its last parameter takes all that is left of the path, slashes too."""
    tag: str = ""
    """The name of its table, once it is mounted."""

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    @property
    def parameters(self) -> list[str]:
        """The names of what its path leaves open, in their order."""
        return _PARAMETER.findall(self.path)

    @property
    def route(self) -> str:
        """Its path as the router has it."""
        return f"{self.path.removesuffix('}')}:.*}}" if self.tail else self.path

    @property
    def error_codes(self) -> frozenset[str]:
        """Every code that it may answer."""
        codes = {"invalid_request", "headers_too_large", "internal_error", "rate_limited", *map(str, self.errors)}
        if self.method in (POST, DELETE):
            codes.add("forbidden_origin")
        if self.auth in (Auth.SESSION, Auth.KEY):
            codes |= {"unauthorized", *map(str, BUSY)}
        if self.auth is Auth.KEY and self.weight.budget is Budget.TRADE:
            codes.add("key_not_allowed")
        if self.auth is Auth.DEV:
            codes |= {"local_only", "forbidden_origin"}
        if self.body is not None:
            codes |= {"body_too_large", "unsupported_media_type", "request_timeout"}
        return frozenset(codes)


class Dialect(NamedTuple):
    """What is needed of a dialect beside its handlers, which read requests as it does."""

    prefix: str
    """Of its paths."""
    render: ErrorRenderer
    session_of: Callable[[web.Request], Awaitable[Session]]
    """Who asks. Raises ApiError(unauthorized)."""
    roots: tuple[str, ...] = ()
    """Below which all paths are answered in its words. Empty: below its prefix."""

    def speaks(self, path: str) -> bool:
        """Whether a path is answered in its words."""
        return any(path == root or path.startswith(f"{root}/") for root in self.roots or (self.prefix,))


class Mount(NamedTuple):
    """A table, what the documents call it, and the dialect below whose prefix it stands. None: below no prefix."""

    name: str
    dialect: Dialect | None
    rows: Sequence[Endpoint]
    served: bool = True
    """False: there is nothing at these paths, though asking for them weighs the same."""


class Endpoints:
    """The tables of a server, joined. What lies outside of every dialect is answered in the words of the first."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        mounts = tuple(mounts)
        self.dialects = tuple(dict.fromkeys(each.dialect for each in mounts if each.dialect is not None))
        self.prefixes = tuple(each.prefix for each in self.dialects if each.prefix)
        mounted = [(each.served, _mounted(each, row)) for each in mounts for row in each.rows]
        self.rows = tuple(row for served, row in mounted if served)
        self.fast = {row.key: row.handler for row in self.rows if row.fast}
        self.weights = {row.key: row.weight for _, row in mounted}
        self._below = {
            (row.method, _parent(_PARAMETER.sub("{}", row.path))): row.weight for _, row in mounted if row.parameters
        }
        self._rows = {row.key: row for row in self.rows}
        self._rows_below = {(row.method, _parent(row.path)): row for row in self.rows if row.parameters}
        assert len(self.weights) == len(mounted), "two rows have the same method and path"

    def weight_of(self, method: str, path: str) -> Weight:
        """Of any request, also of one that there is no row for. HEAD weighs what GET does."""
        method = GET if method == hdrs.METH_HEAD else method
        found = self.weights.get((method, path)) or self._below.get((method, _parent(path)))
        return found or self._below.get((method, _parent(_parent(path)) + "/{}"), OTHER)

    def row_of(self, method: str, path: str) -> Endpoint | None:
        """The endpoint that a request is for, None when there is none. A path may also be as its row has it."""
        return self._rows.get((method, path)) or self._rows_below.get((method, _parent(path)))

    def dialect_of(self, path: str) -> Dialect:
        """Whose words a path is answered in."""
        return next((each for each in self.dialects if each.speaks(path)), self.dialects[0])

    def local(self, path: str) -> str:
        """A path without the prefix that it stands below."""
        return path.removeprefix(next((each for each in self.prefixes if path.startswith(f"{each}/")), ""))


ENDPOINTS = web.AppKey("endpoints", Endpoints)


def _mounted(mount: Mount, row: Endpoint) -> Endpoint:
    prefix = mount.dialect.prefix if mount.dialect is not None else ""
    return replace(row, path=prefix + row.path, tag=mount.name)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
