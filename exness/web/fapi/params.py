"""What is asked: parameters from query, form body or both, on every verb. Unknown ones are ignored."""

from collections.abc import Collection, Iterable
from typing import TypeVar, cast
from urllib.parse import unquote_plus

import msgspec

from exness.core.money import AmountError, Rounding, TooLarge, format_scaled, parse_rounded, parse_scaled
from exness.web.fapi.errors import Code, FapiError

MOST_PARAMETERS = 200
MOST_INTEGER = 10**18 - 1
_BOOLEANS = {"true": True, "false": False}
_NOTHING = {"", "null"}
T = TypeVar("T", bound=str)


class Params:
    """The parameters of one request, as text. What is empty was not sent. Every `need_*` refuses where it is missing,
    and each refuses what it can't read, as -1102 or as its docstring says."""

    __slots__ = ("_given",)

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given

    @classmethod
    def read(cls, query: str, body: str) -> "Params":
        """Of a parameter that is sent twice, the first counts, and the query before the body. Bytes that are no UTF-8
        (as `surrogateescape` has them) are read as U+FFFD: nothing that takes text takes those."""
        given: dict[str, str] = {}
        for part in (query, body):  # by hand: parse_qsl takes 13 us for an order instead of 4
            if not part:
                continue
            if part.count("&") >= MOST_PARAMETERS:
                raise FapiError(Code.TOO_MANY_PARAMETERS)
            if not part.isascii():
                part = part.encode(errors="surrogateescape").decode(errors="replace")
            encoded = "%" in part or "+" in part
            for pair in part.split("&"):
                name, _, value = pair.partition("=")
                if encoded:
                    name, value = unquote_plus(name), unquote_plus(value)
                given.setdefault(name, value)
        return cls(given)

    def text(self, name: str) -> str | None:
        value = self._given.get(name)
        return None if value is None or value in _NOTHING else value

    def need(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def integer(self, name: str, least: int = 0, most: int = MOST_INTEGER) -> int | None:
        """A whole number, also one written as 5.0. Out of its bounds: -1130."""
        text = self.text(name)
        if text is None:
            return None
        try:
            value = parse_scaled(text, 0)
        except TooLarge:
            raise invalid(name) from None
        except AmountError:
            raise missing(name) from None
        if not least <= value <= most:
            raise invalid(name)
        return value

    def need_integer(self, name: str, least: int = 0, most: int = MOST_INTEGER) -> int:
        value = self.integer(name, least, most)
        if value is None:
            raise missing(name)
        return value

    def limit(self, default: int, most: int) -> int:
        """How many rows: more than there can be are as many as there can be."""
        value = self.integer("limit", 1)
        return default if value is None else min(value, most)

    def number(self, name: str, decimals: int, beyond: Code = Code.INVALID_PARAMETER) -> int | None:
        """In units of so many decimals, by its value: 1e-3, 0.001 and 0.00100 are one. More decimals: -1111; more than
        is taken in: `beyond`. It may be below 0."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse_scaled(text, decimals)
        except TooLarge:
            raise FapiError(beyond, name=name) from None
        except AmountError:
            pass
        try:
            parse_rounded(text, 0, Rounding.FLOOR)
        except TooLarge:
            pass  # so it is a number
        except AmountError:
            raise missing(name) from None
        raise FapiError(Code.BAD_PRECISION)

    def boolean(self, name: str, default: bool = False) -> bool:
        """In any case."""
        text = self.text(name)
        if text is None:
            return default
        value = _BOOLEANS.get(text.lower())
        if value is None:
            raise missing(name)
        return value

    def need_boolean(self, name: str) -> bool:
        self.need(name)
        return self.boolean(name)

    def word(self, name: str, words: Iterable[T], code: Code = Code.INVALID_PARAMETER) -> T | None:
        """One of these. Another one: `code`."""
        text = self.text(name)
        if text is None:
            return None
        for word in words:
            if word == text:
                return word
        raise FapiError(code, name=name)

    def need_word(self, name: str, words: Iterable[T], code: Code = Code.INVALID_PARAMETER) -> T:
        self.need(name)
        return cast(T, self.word(name, words, code))

    def array(self, *names: str) -> list[object] | None:
        """A JSON array, under the first of these names that was sent."""
        for name in names:
            text = self.text(name)
            if text is None:
                continue
            try:
                return msgspec.json.decode(text, type=list[object])
            except (msgspec.DecodeError, RecursionError):
                raise missing(name) from None
        return None

    def refuse(self, names: Collection[str]) -> None:
        """Those that must not be sent: -1106."""
        for name in names:
            if self.text(name) is not None:
                raise FapiError(Code.UNREAD_PARAMETER, name=name)


def params_of(fields: object) -> Params:
    """Of one order of a batch: a JSON object of texts, numbers and booleans."""
    if not isinstance(fields, dict):
        raise missing("batchOrders")
    given = {}
    for name, value in fields.items():
        match value:
            case str():
                given[name] = value
            case bool():
                given[name] = str(value).lower()
            case int() | float():
                given[name] = repr(value)
            case _:
                continue
    return Params(given)


def missing(name: str) -> FapiError:
    return FapiError(Code.MANDATORY, name=name)


def invalid(name: str) -> FapiError:
    return FapiError(Code.INVALID_PARAMETER, name=name)


def trimmed(value: int, decimals: int) -> str:
    """A figure without the zeros at its end: 5 and 0.00001."""
    text = format_scaled(value, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text
