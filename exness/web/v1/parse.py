"""Bodies and queries into checked values, or an InvalidRequest that names every bad field.

A good body is decoded by msgspec straight into its struct. Only when that fails is the body looked at field by field,
to tell the client everything that is wrong at once.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw, UnsetType

from exness.core.commands import OpenTrade
from exness.core.instruments import LEVERAGE_DECIMALS, AccountId, Asset, Instrument, Side, TradeId
from exness.core.money import MAX_SCALED, USDC_DECIMALS, AmountError, TooLarge, parse_scaled
from exness.core.rejects import OutOfRange
from exness.core.rules import Rules, out_of_range
from exness.runtime.candles import CandleQuery, Interval
from exness.runtime.emails import AddressError, normalised
from exness.runtime.moments import is_date, looks_like, parse_rfc3339
from exness.runtime.ports import Ids, SortBy, TradeQuery
from exness.web.http.errors import MOST_DETAILS, FieldError, InvalidRequest
from exness.web.v1.models import (
    MAX_CANDLES,
    MAX_LIMIT,
    MAX_OFFSET,
    MAX_OPEN,
    MAX_SECOND,
    CloseTradeBody,
    CreateTradeBody,
    EmailBody,
    HistoryQuery,
    KlinesQuery,
    LinkQuery,
    OpenTradesQuery,
    names,
)
from exness.web.v1.refusals import field_error

MAX_ORDER_ID = 64

_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`", re.DOTALL)
SALVAGED_BYTES = 4096
"""Four times what the longest good body has."""
_DAY_US = 86_400_000_000
_SIDES = {side.value: side for side in Side}
_BOOLEANS = {"true": True, "false": False}
_CREATE_ORDER = ("margin", "asset", "type", "leverage", "slippage", "expectedPrice", "clientOrderId")
"""The order in which API.md lists what is not allowed in the fields of /trade/create."""
_BEYOND = MAX_SCALED + 1
"""Stands for a number too large to be held, which is told the bounds like any other beyond them."""


class Page(msgspec.Struct, frozen=True):
    """Which rows of many are asked for."""

    limit: int
    offset: int


class OpenQuery(msgspec.Struct, frozen=True):
    """A query of /trade/open. None means any asset, and all rows."""

    asset: Asset | None = None
    page: Page | None = None


class Problems:
    """Collects bad fields in the order of API.md: what is malformed first, then what is not allowed. It keeps as many
    of each kind as a client is told of; the others are only counted."""

    def __init__(self) -> None:
        self._malformed: list[FieldError] = []
        self._not_allowed: list[FieldError] = []
        self._left_out = 0

    def malformed(self, field: str, message: str) -> None:
        self._keep(self._malformed, FieldError(field, message))

    def not_allowed(self, field: str, message: str) -> None:
        self._keep(self._not_allowed, FieldError(field, message))

    def out_of_range(self, wrong: OutOfRange) -> None:
        """A figure of an order that is not allowed, as the core says."""
        self._keep(self._not_allowed, field_error(wrong))

    def unknown(self, names: Collection[str], message: str) -> None:
        """Names of fields or parameters that there are not. `message` goes behind each."""
        for name in islice(names, MOST_DETAILS):
            self.malformed(name[:64], f"{name[:64]} {message}")
        self._left_out += max(0, len(names) - MOST_DETAILS)

    def raise_if_any(self, order: Sequence[str] = ()) -> None:
        """Raises InvalidRequest. `order`: of the fields, among what is not allowed; else it is as it was reported."""
        if self._malformed or self._not_allowed:
            if order:
                self._not_allowed.sort(key=lambda error: order.index(error.field))
            raise InvalidRequest(self.all, self._left_out)

    def _keep(self, errors: list[FieldError], error: FieldError) -> None:
        if len(errors) < MOST_DETAILS:
            errors.append(error)
        else:
            self._left_out += 1

    @property
    def all(self) -> list[FieldError]:
        return self._malformed + self._not_allowed

    def adopt(self, where: str, errors: Sequence[FieldError], left_out: int = 0) -> None:
        """What is wrong with one entry of a list: `where` goes before the name of the field."""
        for error in errors:
            self.malformed(f"{where}.{error.field}", error.message)
        self._left_out += left_out


Query = Mapping[str, str]
"""Of a URL: `get` gives the first value of a name, `items` has all of them."""
Body = TypeVar("Body", bound=msgspec.Struct)
Choice = TypeVar("Choice")
Decoded = TypeVar("Decoded")

_decode_create = msgspec.json.Decoder(CreateTradeBody).decode
_decode_close = msgspec.json.Decoder(CloseTradeBody).decode
_decode_email = msgspec.json.Decoder(EmailBody).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_nothing = msgspec.json.Decoder(msgspec.defstruct("AnyObject", [])).decode
_decode_string = msgspec.json.Decoder(str).decode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what is expected. RecursionError: nested thousands of levels deep."""


def create_order(body: bytes, rules: Rules, account: AccountId, ids: Ids) -> OpenTrade:
    """The body of /trade/create as the command of this account. Raises InvalidRequest."""
    problems = Problems()
    try:
        fields = _decode_create(body)
    except _UNREADABLE as error:
        fields = _salvage_small(body, CreateTradeBody, problems, error)
    margin = _amount(fields.margin, "margin", USDC_DECIMALS, problems)
    asset = _asset(fields.asset, rules, problems)
    side = _side(fields.type, problems)
    instrument = rules.instruments[asset] if asset is not None else None
    leverage = _leverage(fields.leverage, problems)
    slippage = _slippage(fields.slippage, problems)
    expected_price = _expected_price(fields.expected_price, instrument, problems)
    client_order = None if isinstance(fields.client_order_id, UnsetType) else fields.client_order_id
    for wrong in out_of_range(instrument, margin, leverage, slippage, expected_price, client_order):
        problems.out_of_range(wrong)
    problems.raise_if_any(_CREATE_ORDER)
    return OpenTrade(
        account=account,
        trade_id=TradeId(ids.new()),
        asset=_present(asset),
        side=_present(side),
        margin=_present(margin),
        leverage=_present(leverage),
        slippage=slippage,
        expected_price=expected_price,
        client_order=client_order,
    )


def _present(value: Choice | None) -> Choice:
    """What no problem was reported of is there."""
    assert value is not None
    return value


def close_order(body: bytes) -> TradeId:
    """The body of /trade/close. Raises InvalidRequest."""
    problems = Problems()
    try:
        fields = _decode_close(body)
    except _UNREADABLE as error:
        fields = _salvage_small(body, CloseTradeBody, problems, error)
    order_id: str | None = fields.order_id
    if order_id is not None and not 1 <= len(order_id) <= MAX_ORDER_ID:
        problems.not_allowed("orderId", f"orderId must have 1 to {MAX_ORDER_ID} characters")
    problems.raise_if_any()
    return TradeId(fields.order_id)


def email_of(body: bytes) -> str:
    """The body of /signup and /signin: a mail address in the spelling its account is kept under.

    Raises InvalidRequest.
    """
    problems = Problems()
    try:
        fields = _decode_email(body)
    except _UNREADABLE as error:
        fields = _salvage_small(body, EmailBody, problems, error)
    given: str | None = fields.email
    email = None
    if given is not None:
        try:
            email = normalised(given)
        except AddressError:
            problems.not_allowed("email", "email must be a mail address like you@example.com")
    problems.raise_if_any()
    return _present(email)


def asset_filter(name: str | None, rules: Rules, problems: Problems) -> Asset | None:
    return None if name is None else _asset(name, rules, problems)


def history_query(account: AccountId, query: Query, rules: Rules) -> TradeQuery:
    """The query of /trade/history. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, HistoryQuery, problems)
    status = _one_of(query, "status", {"open": True, "closed": False}, problems)
    checked = TradeQuery(
        account=account,
        is_open=status,
        asset=asset_filter(query.get("asset"), rules, problems),
        side=_one_of(query, "tradeType", {side.value: side for side in Side}, problems),
        profitable=_one_of(query, "profitable", _BOOLEANS, problems),
        liquidated=_one_of(query, "liquidated", _BOOLEANS, problems),
        opened_from=_moment(query, "fromDate", problems, end_of_day=False),
        opened_to=_moment(query, "toDate", problems, end_of_day=True),
        limit=_whole(query, "limit", 50, 1, MAX_LIMIT, problems),
        offset=_whole(query, "offset", 0, 0, MAX_OFFSET, problems),
        sort_by=_one_of(query, "sortBy", {key.value: key for key in SortBy}, problems) or SortBy.CREATED_AT,
        descending=_one_of(query, "sortOrder", {"asc": False, "desc": True}, problems) is not False,
    )
    problems.raise_if_any()
    return checked


def open_query(query: Query, rules: Rules) -> OpenQuery:
    """The query of /trade/open. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, OpenTradesQuery, problems)
    asset = asset_filter(query.get("asset"), rules, problems)
    limit = _whole(query, "limit", MAX_OPEN, 1, MAX_OPEN, problems)
    offset = _whole(query, "offset", 0, 0, MAX_OFFSET, problems)
    problems.raise_if_any()
    return OpenQuery(asset, Page(limit, offset) if "limit" in query or "offset" in query else None)


def klines_query(query: Query, rules: Rules) -> CandleQuery:
    """The query of /klines. Raises InvalidRequest."""
    problems = Problems()
    _known_parameters(query, KlinesQuery, problems)
    for name in ("asset", "interval"):
        if name not in query:
            problems.malformed(name, f"{name} is required")
    asset = asset_filter(query.get("asset"), rules, problems)
    interval = _one_of(query, "interval", {each.value: each for each in Interval}, problems)
    first = _second(query, "startTime", problems)
    end = _second(query, "endTime", problems)
    limit = _whole(query, "limit", 500, 1, MAX_CANDLES, problems)
    problems.raise_if_any()
    return CandleQuery(_present(asset), _present(interval), first, end, limit)


def link_token(query: Query) -> str:
    """The token of /signin/post, empty when there is none. Who sends mails on may have added parameters of their own.

    Raises InvalidRequest.
    """
    problems = Problems()
    _given_once(query, names(LinkQuery), problems)
    problems.raise_if_any()
    return query.get("token", "")


def read_body(body: bytes, kind: type[Body], problems: Problems) -> Body:
    """The body as its struct; what can't be read is reported and None, and what is no string may be left Raw.

    Raises InvalidRequest for what is no JSON object.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE:
        return _salvage(body, kind, problems)


# --- fields of bodies ---------------------------------------------------------------------------------------------


def _salvage_small(body: bytes, kind: type[Body], problems: Problems, error: Exception) -> Body:
    """`_salvage` for bodies of a few short fields. One that is far too long is not taken apart into its fields, which
    would take milliseconds: msgspec stops at the first one that is wrong, its `error`, and that is all that is told.

    Raises InvalidRequest.
    """
    if len(body) <= SALVAGED_BYTES:
        return _salvage(body, kind, problems)
    _as_object(_decode_nothing, body)
    raise InvalidRequest([_first_error(str(error))])


def _as_object(decode: Callable[[bytes], Decoded], body: bytes) -> Decoded:
    """Raises InvalidRequest for what is no JSON object."""
    try:
        return decode(body)
    except msgspec.ValidationError:
        raise InvalidRequest([FieldError("body", "The body must be a JSON object")]) from None
    except _UNREADABLE:
        raise InvalidRequest([FieldError("body", "The body is not valid JSON")]) from None


def _first_error(why: str) -> FieldError:
    """What msgspec says of a body that is too long to be looked at."""
    unknown = _UNKNOWN_FIELD.search(why)
    if unknown is not None:
        name = unknown[1][:64]
        return FieldError(name, f"{name} is not a known field; the body is too long to say what else is wrong with it")
    return FieldError("body", f"The body is too long to say all that is wrong with it; first: {why[:200]}")


def _salvage(body: bytes, kind: type[Body], problems: Problems) -> Body:
    """Decode a bad body field by field and report what is wrong. What can't be read is None, which the checks skip."""
    raw = _as_object(_decode_fields, body)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = _salvaged_field(field, raw.pop(field.encode_name, None), problems)
    problems.unknown(raw, "is not a known field")
    return kind(**values)


def _salvaged_field(field: msgspec.structs.FieldInfo, raw: Raw | None, problems: Problems) -> Any:
    name = field.encode_name
    if not field.required and given(raw) is None:
        return field.default
    if raw is None:
        problems.malformed(name, f"{name} is required")
        return None
    if field.type is not str and str not in get_args(field.type):
        return raw
    try:
        return _decode_string(raw)
    except _UNREADABLE:
        problems.malformed(name, f"{name} must be a string")
        return None


def given(raw: Raw | UnsetType | None) -> Raw | None:
    """What an optional field holds, None when it is left out. Many clients write null for that."""
    if raw is None or isinstance(raw, UnsetType) or bytes(raw) == b"null":
        return None
    return raw


def amount_text(raw: Raw) -> str:
    """The text of a JSON number or string, untouched. Raises AmountError for any other JSON."""
    text = bytes(raw)
    if text[:1] in b"-0123456789":
        return text.decode("ascii")
    try:
        return _decode_string(text)
    except _UNREADABLE:
        raise AmountError("must be a number or a decimal string") from None


def _amount(raw: Raw | None, field: str, decimals: int, problems: Problems) -> int | None:
    if raw is None:
        return None
    try:
        return parse_scaled(amount_text(raw), decimals)
    except AmountError as error:
        problems.malformed(field, f"{field} {error}")
        return None


def _asset(name: str | None, rules: Rules, problems: Problems) -> Asset | None:
    if name is None:
        return None
    instrument = rules.instruments.get(Asset(name))
    if instrument is not None:
        return instrument.asset  # not the string that came: trades would each keep a copy
    problems.not_allowed("asset", f"Invalid asset. Supported assets are {', '.join(rules.instruments)}")
    return None


def _side(name: str | None, problems: Problems) -> Side | None:
    if name is None:
        return None
    side = _SIDES.get(name)
    if side is None:
        problems.not_allowed("type", "Invalid trade type. Supported types are long and short")
    return side


def _leverage(raw: Raw | None, problems: Problems) -> int | None:
    """In hundredths."""
    if raw is None:
        return None
    try:
        return parse_scaled(amount_text(raw), LEVERAGE_DECIMALS)
    except TooLarge:
        return _BEYOND
    except AmountError as error:
        problems.malformed("leverage", f"leverage {error}")
        return None


def _slippage(raw: Raw | UnsetType | None, problems: Problems) -> int | None:
    """In hundredths of a percent."""
    raw = given(raw)
    if raw is None:
        return None
    try:
        return parse_scaled(amount_text(raw), 0)
    except TooLarge:
        return _BEYOND
    except AmountError:
        problems.malformed("slippage", "slippage must be a whole number of hundredths of a percent")
        return None


def _expected_price(raw: Raw | UnsetType | None, instrument: Instrument | None, problems: Problems) -> int | None:
    decimals = instrument.decimals if instrument is not None else USDC_DECIMALS
    return _amount(given(raw), "expectedPrice", decimals, problems)


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
    return moment + _DAY_US - 1 if end_of_day and is_date(text) else moment


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
