"""Queries into checked values, or an InvalidRequest that names every bad field."""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from exness.core.instruments import AccountId, Asset, Side
from exness.core.rates import DAY_US
from exness.core.rules import Rules
from exness.core.statement import Reason
from exness.runtime.candles import CandleQuery, Interval
from exness.runtime.moments import is_date, looks_like, parse_rfc3339
from exness.runtime.ports.tables import OrderQuery, Place, SortBy, StatementQuery, TradeQuery
from exness.runtime.ranking import MOST_RANKED, Period
from exness.web.v1.bodies import Problems, asset_named, email_address, present, read_body
from exness.web.v1.models import (
    MAX_CANDLES,
    MAX_LIMIT,
    MAX_OFFSET,
    MAX_OPEN,
    MAX_SECOND,
    EmailBody,
    KlinesQuery,
    LeaderboardQuery,
    LinkQuery,
    names,
)
from exness.web.v1.order_models import EquityQuery, OpenOrdersQuery, OrderHistoryQuery
from exness.web.v1.order_models import StatementQuery as StatementParameters
from exness.web.v1.trade_models import HistoryQuery, OneQuery, OpenTradesQuery

_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_CURSOR = re.compile(r"(\d{1,17})-(\d{1,15})", re.ASCII)
_SIDES = {side.value: side for side in Side}
_BOOLEANS = {"true": True, "false": False}


class Page(msgspec.Struct, frozen=True):
    """Which rows of many are asked for."""

    limit: int
    offset: int


class OpenQuery(msgspec.Struct, frozen=True):
    """A query of /trade/open. None means any asset, and all rows."""

    asset: Asset | None = None
    page: Page | None = None


Query = Mapping[str, str]
"""Of a URL: `get` gives the first value of a name, `items` has all of them."""
Choice = TypeVar("Choice")


def email_of(body: bytes) -> str:
    """The body of /signup and /signin: a mail address in the spelling its account is kept under.

    Raises InvalidRequest.
    """
    problems = Problems()
    email = email_address(read_body(body, EmailBody, problems, is_small=True).email, problems)
    problems.raise_if_any()
    return email


def history_query(account: AccountId, query: Query, rules: Rules) -> TradeQuery:
    """The query of /trade/history. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, HistoryQuery, problems)
    status = _one_of(query, "status", {"open": True, "closed": False}, problems)
    checked = TradeQuery(
        account=account,
        is_open=status,
        asset=asset_named(query.get("asset"), rules, problems),
        side=_one_of(query, "tradeType", _SIDES, problems),
        profitable=_one_of(query, "profitable", _BOOLEANS, problems),
        liquidated=_one_of(query, "liquidated", _BOOLEANS, problems),
        opened_from=_moment(query, "fromDate", problems, end_of_day=False),
        opened_to=_moment(query, "toDate", problems, end_of_day=True),
        closed_from=_moment(query, "closedFrom", problems, end_of_day=False),
        closed_to=_moment(query, "closedTo", problems, end_of_day=True),
        limit=_whole(query, "limit", 50, 1, MAX_LIMIT, problems),
        offset=_whole(query, "offset", 0, 0, MAX_OFFSET, problems),
        sort_by=_one_of(query, "sortBy", {key.value: key for key in SortBy}, problems) or SortBy.CREATED_AT,
        descending=_one_of(query, "sortOrder", {"asc": False, "desc": True}, problems) is not False,
        beyond=_place(query, problems),
    )
    if checked.beyond is not None and (checked.sort_by is not SortBy.CREATED_AT or checked.offset):
        problems.not_allowed("cursor", "cursor goes with the order createdAt, and without an offset")
    problems.raise_if_any()
    return checked


def open_query(query: Query, rules: Rules) -> OpenQuery:
    """The query of /trade/open. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, OpenTradesQuery, problems)
    asset = asset_named(query.get("asset"), rules, problems)
    limit = _whole(query, "limit", MAX_OPEN, 1, MAX_OPEN, problems)
    offset = _whole(query, "offset", 0, 0, MAX_OFFSET, problems)
    problems.raise_if_any()
    return OpenQuery(asset, Page(limit, offset) if "limit" in query or "offset" in query else None)


def of_asset(query: Query, rules: Rules) -> Asset | None:
    """The query of what is listed whole, or for one asset. Raises InvalidRequest."""
    if not query:
        return None
    problems = Problems()
    _known_parameters(query, OpenOrdersQuery, problems)
    asset = asset_named(query.get("asset"), rules, problems)
    problems.raise_if_any()
    return asset


def one_query(query: Query) -> tuple[str | None, str | None]:
    """The query of /trade and /order: an id of ours or of the client's. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, OneQuery, problems)
    given = query.get("orderId"), query.get("clientOrderId")
    if sum(each is not None for each in given) != 1:
        problems.malformed("orderId", "Give orderId or clientOrderId")
    problems.raise_if_any()
    return given


def order_history_query(account: AccountId, query: Query, rules: Rules) -> OrderQuery:
    """The query of /order/history. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, OrderHistoryQuery, problems)
    checked = OrderQuery(
        account,
        asset_named(query.get("asset"), rules, problems),
        _whole(query, "limit", 50, 1, MAX_LIMIT, problems),
        _whole(query, "offset", 0, 0, MAX_OFFSET, problems),
        _whole(query, "cursor", 0, 0, 10**15 - 1, problems) if "cursor" in query else None,
    )
    if checked.below is not None and checked.offset:
        problems.not_allowed("cursor", "cursor goes without an offset")
    problems.raise_if_any()
    return checked


def statement_query(account: AccountId, query: Query, rules: Rules) -> StatementQuery:
    """The query of /account/statement. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, StatementParameters, problems)
    checked = StatementQuery(
        account,
        _one_of(query, "reason", {each.value: each for each in Reason}, problems),
        asset_named(query.get("asset"), rules, problems),
        _whole(query, "before", 0, 0, 10**15, problems) if "before" in query else None,
        _whole(query, "limit", 100, 1, MAX_LIMIT, problems),
    )
    problems.raise_if_any()
    return checked


class CourseQuery(msgspec.Struct, frozen=True):
    """Of which ends of candles an account's equity is asked. Microseconds."""

    interval: Interval
    start: int | None
    end: int | None
    limit: int


def equity_query(query: Query) -> CourseQuery:
    """The query of /account/equity. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, EquityQuery, problems)
    if "interval" not in query:
        problems.malformed("interval", "interval is required")
    interval = _one_of(query, "interval", {each.value: each for each in Interval}, problems)
    start = _moment(query, "startTime", problems, end_of_day=False)
    end = _moment(query, "endTime", problems, end_of_day=True)
    limit = _whole(query, "limit", 500, 1, MAX_CANDLES, problems)
    problems.raise_if_any()
    return CourseQuery(present(interval), start, end, limit)


def klines_query(query: Query, rules: Rules) -> CandleQuery:
    """The query of /klines. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, KlinesQuery, problems)
    for name in ("asset", "interval"):
        if name not in query:
            problems.malformed(name, f"{name} is required")
    asset = asset_named(query.get("asset"), rules, problems)
    interval = _one_of(query, "interval", {each.value: each for each in Interval}, problems)
    first = _second(query, "startTime", problems)
    end = _second(query, "endTime", problems)
    limit = _whole(query, "limit", 500, 1, MAX_CANDLES, problems)
    problems.raise_if_any()
    return CandleQuery(present(asset), present(interval), first, end, limit)


def leaderboard_query(query: Query) -> tuple[Period, int]:
    """The query of /leaderboard: which period, and how many rows. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, LeaderboardQuery, problems)
    period = _one_of(query, "period", {each.value: each for each in Period}, problems)
    limit = _whole(query, "limit", MOST_RANKED, 1, MOST_RANKED, problems)
    problems.raise_if_any()
    return period or Period.ALL, limit


def link_token(query: Query) -> str:
    """The token of /signin/post, empty when there is none. Who sends mails on may have added parameters of their own.

    Raises InvalidRequest.
    """
    problems = Problems()
    _given_once(query, names(LinkQuery), problems)
    problems.raise_if_any()
    return query.get("token", "")


def format_asked(query: Query) -> bool | None:
    """Whether the parameter `format` asks for CSV; None: it is not there. Raises InvalidRequest."""
    if "format" not in query:
        return None
    problems = Problems()
    is_csv = _one_of(query, "format", {"json": False, "csv": True}, problems)
    problems.raise_if_any()
    return is_csv


# --- parameters of queries ----------------------------------------------------------------------------------------


def _known_parameters(query: Query, kind: type[msgspec.Struct], problems: Problems) -> None:
    """Nothing but the parameters of `kind`, each once: which of two values counts, every client sees otherwise."""
    known = names(kind)
    unknown = [name for name in dict.fromkeys(query) if name not in known]
    problems.unknown(unknown, f"is not a known parameter; known are {', '.join(known)}")
    _given_once(query, known, problems)


def _given_once(query: Query, known: Sequence[str], problems: Problems) -> None:
    given_names = [name for name, _ in query.items()]
    for name in known:
        if given_names.count(name) > 1:
            problems.malformed(name, f"{name} is given more than once")


def _one_of(query: Query, name: str, choices: Mapping[str, Choice], problems: Problems) -> Choice | None:
    text = query.get(name)
    if text is None:
        return None
    choice = choices.get(text)
    if choice is None:
        problems.not_allowed(name, f"{name} must be one of {', '.join(choices)}")
    return choice


def _place(query: Query, problems: Problems) -> Place | None:
    text = query.get("cursor")
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None:
        problems.not_allowed("cursor", "cursor must be the nextCursor of the page before")
        return None
    return Place(int(match[1]), int(match[2]))


Paged = TypeVar("Paged", TradeQuery, OrderQuery)


def one_more(query: Paged) -> Paged:
    """The same with a row more: whether it is there tells whether there is a next page."""
    return msgspec.structs.replace(query, limit=query.limit + 1)


def cursor_of(place: Place) -> str:
    return f"{place.opened_at}-{place.seq}"


def _whole(query: Query, name: str, default: int, least: int, most: int, problems: Problems) -> int:
    text = query.get(name)
    if text is None:
        return default
    if _INTEGER.fullmatch(text) is None or not least <= int(text) <= most:
        problems.not_allowed(name, f"{name} must be a whole number from {least} to {most}")
        return default
    return int(text)


def _second(query: Query, name: str, problems: Problems) -> int | None:
    """Whole seconds since the epoch."""
    text = query.get(name)
    if text is None:
        return None
    if _INTEGER.fullmatch(text) is None or int(text) > MAX_SECOND:
        expected = f"{name} must be a whole number of seconds since 1970-01-01 UTC, from 0 to {MAX_SECOND}"
        problems.not_allowed(name, f"{expected}{_not_seconds(text)}")
        return None
    return int(text)


def _not_seconds(text: str) -> str:
    """What a time that is no number of seconds looks like, to be added to the sentence about it."""
    try:
        return f", not {text}, which is {parse_rfc3339(text) // 1_000_000}"
    except ValueError:
        hint = looks_like(text)
        return f", not {text}{hint}" if hint and not hint.endswith(" seconds") else ""


def _moment(query: Query, name: str, problems: Problems, *, end_of_day: bool) -> int | None:
    """A date or a time of RFC 3339, which without a zone is UTC, in microseconds. A date alone means the whole day."""
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = parse_rfc3339(text)
    except ValueError as error:
        problems.not_allowed(name, f"{name} {error}{_not_a_moment(text)}")
        return None
    return moment + DAY_US - 1 if end_of_day and is_date(text) else moment


def _not_a_moment(text: str) -> str:
    """Why a text that looks like a time is none, to be added to the sentence about it."""
    if hint := looks_like(text):
        return f", not {text}{hint}"
    time, space, offset = text.rpartition(" ")
    try:
        parse_rfc3339(f"{time}+{offset}")
    except ValueError:
        return ""
    return "; a + in a query stands for a space: write %2B before the offset" if space else ""
