"""What a setting may be: one `Kind` per kind of value. It says what it allows, reads a value, and writes it as TOML.

A value is read from its text, whether TOML or the environment has it. Reading is strict: in the file, text is no number
and a boolean is no integer. Money and leverage are read exactly, never through a float.
"""

import ipaddress
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from email.utils import parseaddr
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import limits

from exness.runtime.moments import looks_like, parse_time, show_moment
from exness.runtime.web_urls import parse_web_url

T = TypeVar("T")

INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
NUMBER = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?")
LONGEST_NUMBER = 100
LONGEST_SHOWN = 60
SHORTEST_SECRET = 32
"""Characters: HMAC-SHA256 wants a key at least as long as its hash."""
MOST_COUNTED = 1_000_000_000
"""Requests, bytes, snapshots: more would overflow in SQLite, in the system or in a library, and that much later."""


class Refused(ValueError):
    """This value is not allowed. The message, if there is one, says more of it and ends the sentence."""


class FloatText(str):
    """A number with a point, as it stands in the file: nobody has rounded it yet."""


def literal(value: object) -> str:
    """A value as TOML has it; None is ""."""
    match value:
        case bool():
            return str(value).lower()
        case int() if value.bit_length() > 10_000:
            return "a very large number"
        case int() | float():
            return repr(value)
        case FloatText() | date() | time():
            return str(value)
        case list() | tuple():
            return f"[{', '.join(literal(item) for item in value)}]"
        case dict():
            return "a section"
        case _:
            text = "" if value is None else str(value)
            return json.dumps(text, ensure_ascii=not text.isprintable()).replace("\x7f", "\\u007f")


def shown(value: object) -> str:
    """How a refused value appears in the sentence: as in TOML, on one line, cut when long."""
    written = literal(value)
    return written if len(written) <= LONGEST_SHOWN else written[:LONGEST_SHOWN] + "..."


@dataclass(frozen=True)
class Kind:
    """One kind of value."""

    allowed: str
    """Ends the sentence `<key> must be ...`."""
    parse: Callable[[str], Any]
    """From text. Raises ValueError."""
    taken: tuple[object, ...] = (str,)
    """The types that TOML may give, and single values beside them."""
    write: Callable[[Any], str] = literal
    choices: tuple[str, ...] | None = None
    is_secret: bool = False
    """Never shown, neither in a repr nor in an error nor by `exness config`."""

    def read(self, value: object, *, is_text: bool = False) -> Any:
        """Raises ValueError. `is_text`: the source knows only text, "5" may mean the number 5."""
        if not is_text and type(value) not in self.taken and value not in self.taken:
            raise Refused
        return self.parse(value.replace("_", "") if isinstance(value, FloatText) else str(value))


class ListOf(Kind):
    """A list of values of the kind; as text, its items stand between commas."""

    def read(self, value: object, *, is_text: bool = False) -> tuple[Any, ...]:
        if is_text:
            return tuple(self.parse(each.strip()) for each in str(value).split(",") if each.strip())
        if not isinstance(value, list):
            raise Refused
        return tuple(Kind.read(self, each) for each in value)


def _if(condition: bool, value: T) -> T:
    if not condition:
        raise Refused
    return value


# Numbers


def integer(at_least: int = 1, at_most: int | None = MOST_COUNTED) -> Kind:
    """What is counted ends at MOST_COUNTED, unless a setting says otherwise; None is no end."""

    def parse(text: str) -> int:
        value = int(_if(INTEGER.fullmatch(text.strip()) is not None, text))
        return _if(value >= at_least and (at_most is None or value <= at_most), value)

    bounds = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
    return Kind(f"an integer {bounds}", parse, (int,))


def number(at_most: float) -> Kind:
    """A float above 0. An integer will do as well; NaN and infinity will not."""
    allowed = f"a number greater than 0 and at most {at_most:g}"
    return Kind(allowed, lambda text: _positive(text.strip(), at_most), (int, float, FloatText))


def _positive(text: str, at_most: float = math.inf) -> float:
    value = float(_if(len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) is not None, text))
    return _if(0 < value <= at_most and value < math.inf, value)


SPEED = Kind(
    'a number greater than 0, or "max"',
    lambda text: math.inf if text.strip() == "max" else _positive(text.strip()),
    (int, float, FloatText, "max"),
    lambda value: '"max"' if value == math.inf else literal(value),
)
"""How many times as fast as it was recorded; "max" is infinity: as fast as it goes."""


def scaled(text: str, decimals: int) -> int:
    """`text` times 10**decimals, exactly. Raises Refused for more decimals than that, or for no number."""
    match = NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if match is None:
        raise Refused
    sign, whole, fraction, exponent = match.groups(default="")
    shift = decimals + int(exponent or 0) - len(fraction)
    return int(f"{sign}{whole}{fraction}") * int(10 ** _if(shift >= 0, shift))


def decimal(what: str, decimals: int, at_least: int, at_most: int, *, zero: bool = True) -> Kind:
    """A decimal number as a scaled integer: `at_least` and `at_most` are whole units, the value read is not."""

    def parse(text: str) -> int:
        value = scaled(text.strip(), decimals)
        return _if(at_least * 10**decimals <= value <= at_most * 10**decimals and (zero or value != 0), value)

    def write(value: int) -> str:
        return f"{Decimal(value).scaleb(-decimals).normalize():f}"

    bounds = f"from {at_least}" if zero else "greater than 0 and up"
    allowed = f"{what} {bounds} to {at_most} with at most {decimals} decimals"
    return Kind(allowed, parse, (int, str, FloatText), write)


def usdc(*, zero: bool) -> Kind:
    """An amount of money in micro-USDC. Well below what an account can hold (`core.ceilings`), so that it can win."""
    return decimal("an amount of USDC", 6, 0, 1_000_000_000_000, zero=zero)


LEVERAGE = decimal("a leverage", 2, 1, 100)
SHARE = decimal("a share", 4, 0, 1)
FACTOR = decimal("a factor", 2, 0, 100)


def _moment(text: str) -> int | None:
    try:
        return parse_time(text.strip()) if text.strip() else None
    except ValueError:
        raise Refused(looks_like(text.strip())) from None


MOMENT = Kind(
    "a time from 2005-01-01 to 2100-01-01 like 2024-08-05T06:00:00Z, "
    'or in microseconds since the epoch, or "" for none',
    _moment,
    (str, int, date, datetime),
    lambda value: literal(None if value is None else show_moment(value)),
)
"""Microseconds since the epoch, from text, from such a number or from TOML's own date or time."""


# Text


def one_of(choices: Sequence[str]) -> Kind:
    """One of these words. Members of a StrEnum come back as such."""
    by_word = {str(choice): choice for choice in choices}
    *others, last = (f'"{word}"' for word in by_word)
    return Kind(
        f"{', '.join(others)} or {last}", lambda text: by_word[_if(text in by_word, text)], choices=tuple(by_word)
    )


def text(allowed: str = "text on one line", *, at_least: int = 0) -> Kind:
    return Kind(allowed, lambda text: _if(len(text.strip()) >= at_least and text.isprintable(), text))


def optional(kind: Kind, what: str = "none", empty: object = None) -> Kind:
    """The same, or "", which stands for `what` and comes back as `empty`."""
    return replace(
        kind,
        allowed=f'{kind.allowed}, or "" for {what}',
        parse=lambda text: kind.parse(text) if text else empty,
        write=lambda value: literal("") if value == empty else kind.write(value),
    )


def secret(kind: Kind) -> Kind:
    return replace(kind, is_secret=True)


QUOTE = Kind(
    "1 to 10 uppercase letters and digits like USDC",
    lambda text: _if(re.fullmatch("[A-Z0-9]{1,10}", text) is not None, text),
)
STEP_DECIMALS = 12
"""Of steps of prices and quantities."""
STEP = decimal("a step", STEP_DECIMALS, 0, 1_000_000, zero=False)

QUANTITY_DECIMALS = replace(optional(integer(0, 11), "9 less decimals, at least 0"), taken=(int, ""))


def list_of(item: Kind) -> Kind:
    def write(values: Sequence[object]) -> str:
        return f"[{', '.join(item.write(value) for value in values)}]"

    return ListOf(f"a list in which each item is {item.allowed}", item.parse, item.taken, write)


def url(*schemes: str) -> Kind:
    """A URL with a host."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        # Reading the port checks it: it raises ValueError for one that is no number from 0 to 65535.
        is_whole = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        return _if(is_whole and text.isprintable() and " " not in text, text)

    return Kind("a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes), parse)


def _database(text: str) -> str:
    """Several hosts are allowed, which no URL has."""
    scheme, _, rest = text.partition("://")
    server, _, path = rest.partition("/")
    is_whole = scheme in ("postgresql", "postgres") and (server != "" or path != "") and "@" not in path
    return _if(is_whole and text.isprintable() and " " not in text, text)


def _bus(text: str) -> str:
    scheme, _, rest = text.partition("://")
    server, _, path = rest.partition("/")
    is_whole = scheme in ("redis", "rediss") and server != "" and "@" not in path and text.isprintable()
    return _if(is_whole and " " not in text, text)


def _origin(text: str) -> str:
    url = parse_web_url(text)
    return _if(url.path in ("", "/") and not url.rest, url.origin)


def _base_url(text: str) -> str:
    url = parse_web_url(text)
    return _if(not url.rest, url.origin + url.path.rstrip("/"))


def _mail_address(text: str) -> str:
    local, _, domain = parseaddr(text)[1].partition("@")
    return _if(text.isprintable() and local != "" and domain != "", text)


BOOLEAN = Kind("true or false", lambda text: one_of(("true", "false")).parse(text.strip().lower()) == "true", (bool,))
PATH = Kind("a path", lambda text: Path(_if(text.strip() != "" and "\0" not in text, text)).expanduser())
ORIGIN = Kind("an origin like http://localhost:3000, without a path, a user or a wildcard", _origin)
"""What a browser sends as `Origin`: scheme, host, port, in the spelling in which it is sent."""
PAGE_URL = Kind(f"{url('http', 'https').allowed} and names no user", lambda text: str(parse_web_url(text)))
"""Where a browser is sent, in ASCII."""
BASE_URL = Kind(f"{url('http', 'https').allowed} and has no user, query or fragment", _base_url)
"""What other URLs are made from by adding a path: in ASCII, without a slash at its end."""
NETWORK = Kind("an IP address or a network like 10.0.0.0/8", ipaddress.ip_network)
RATE = Kind(
    'a rate like "100/second" or "20/minute;500/hour"',
    lambda text: _if(all(item.amount > 0 for item in limits.parse_many(text)), text),
)
MAIL_ADDRESS = Kind("a mail address like no-reply@example.com or Name <no-reply@example.com>", _mail_address)
DATABASE = Kind("a URL like postgresql://user:password@host:5432/database", _database, is_secret=True)
BUS = Kind("a URL like redis://user:password@host:6379/0", _bus, is_secret=True)
DATABASE_NAME = Kind(
    "1 to 31 lowercase letters, digits and _, the first a letter",
    lambda text: _if(re.fullmatch("[a-z][a-z0-9_]{0,30}", text) is not None, text),
)
SIGNING_SECRET = Kind(
    f'text of at least {SHORTEST_SECRET} characters, or "" to have one made at first start',
    lambda text: _if(text == "" or (len(text) >= SHORTEST_SECRET and text.isprintable()), text),
    is_secret=True,
)
