"""JSON bodies into their structs, and all that is wrong with one told at once.

A good body is decoded by msgspec straight into its struct. Only when that fails is the body looked at field by field,
to tell the client everything that is wrong with it.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Raw, UnsetType

from exness.access.emails import AddressError, normalised
from exness.core.money import AmountError, TooLarge, parse_scaled
from exness.web.http.errors import MOST_DETAILS, FieldError, InvalidRequest

SALVAGED_BYTES = 4096
"""Four times what the longest good body of a few short fields has."""
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`", re.DOTALL)

Body = TypeVar("Body", bound=msgspec.Struct)
Decoded = TypeVar("Decoded")

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_nothing = msgspec.json.Decoder(msgspec.defstruct("AnyObject", [])).decode
_decode_string = msgspec.json.Decoder(str).decode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what is expected. RecursionError: nested thousands of levels deep."""


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


@cache
def _decoder(kind: type[Body]) -> msgspec.json.Decoder[Body]:
    return msgspec.json.Decoder(kind)


def read_body(body: bytes, kind: type[Body], problems: Problems, *, is_small: bool = False) -> Body:
    """The body as its struct; what can't be read is reported and None, and what is neither a string nor a boolean may
    be left Raw. `is_small`: it has a few short fields, so that a long one is told its first error only, since to take
    it apart would take milliseconds.

    Raises InvalidRequest for what is no JSON object.
    """
    try:
        decoded: Body = _decoder(kind).decode(body)
        return decoded
    except _UNREADABLE as error:
        if is_small and len(body) > SALVAGED_BYTES:
            _as_object(_decode_nothing, body)
            raise InvalidRequest([_first_error(str(error))]) from None
    raw = _as_object(_decode_fields, body)
    fields = msgspec.structs.fields(kind)
    hints = get_type_hints(kind)
    values = {
        field.name: _salvaged_field(field, hints[field.name], raw.pop(field.encode_name, None), problems)
        for field in fields
    }
    problems.unknown(raw, "is not a known field")
    return kind(**values)


def _as_object(decode: Callable[[bytes], Decoded], body: bytes) -> Decoded:
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


_SIMPLE = {str: "a string", bool: "true or false"}


def _salvaged_field(field: msgspec.structs.FieldInfo, hint: Any, raw: Raw | None, problems: Problems) -> Any:
    """The field of a bad body. None, which the checks skip, if it can't be read."""
    name = field.encode_name
    if not field.required and given(raw) is None:
        return field.default
    if raw is None:
        problems.malformed(name, f"{name} is required")
        return None
    kind = next((kind for kind in _SIMPLE if kind is hint or kind in get_args(hint)), None)
    if kind is None:
        return raw
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNREADABLE:
        problems.malformed(name, f"{name} must be {_SIMPLE[kind]}")
        return None


# --- fields -------------------------------------------------------------------------------------------------------


def given(raw: Raw | UnsetType | None) -> Raw | None:
    """What an optional field holds, None when it is left out. Many clients write null for that."""
    if raw is None or isinstance(raw, UnsetType) or bytes(raw) == b"null":
        return None
    return raw


def scaled(
    raw: Raw | None, field: str, decimals: int, problems: Problems, *, beyond: int | None = None, whole: str = ""
) -> int | None:
    """A JSON number or decimal string, scaled; None is one that is not given, or no number, which is reported.
    `beyond` stands for one too large to be held, to be told its bounds like any other beyond them. `whole`: the
    sentence about what is no number of this kind, in place of its own."""
    if raw is None:
        return None
    try:
        return parse_scaled(_amount_text(raw), decimals)
    except AmountError as error:
        if beyond is not None and isinstance(error, TooLarge):
            return beyond
        problems.malformed(field, whole or f"{field} {error}")
        return None


def _amount_text(raw: Raw) -> str:
    """The text of a JSON number or string, untouched. Raises AmountError for any other JSON."""
    text = bytes(raw)
    if text[:1] in b"-0123456789":
        return text.decode("ascii")
    try:
        return _decode_string(text)
    except _UNREADABLE:
        raise AmountError("must be a number or a decimal string") from None


def email_address(text: str | None, problems: Problems) -> str:
    """A mail address in the spelling that its account is kept under; "" for none, or a bad one, which is reported."""
    try:
        return "" if text is None else normalised(text)
    except AddressError:
        problems.not_allowed("email", "email must be a mail address like you@example.com")
        return ""
