"""What a setting may be: one small rule per kind of value.

A rule knows how to say what it allows (`allowed`), how to take a value of TOML (`read`) and how to take text, as
the environment gives it (`read_text`). Reading is strict: text is no number, a boolean is no integer. A rule
raises `Refused`; the loader, which knows the key and the source, makes the sentence.

Money and leverage are read exactly from their text and never pass through a float.
"""

import ipaddress
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from email.utils import parseaddr
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import limits

from exness.runtime.moments import looks_like, parse_time
from exness.runtime.web_urls import parse_web_url

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
NUMBER = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?")
LONGEST_NUMBER = 100
LONGEST_SHOWN = 60
SHORTEST_SECRET = 32
_WEB_URL = "a URL that begins with http:// or https://"
MOST_COUNTED = 1_000_000_000
"""Requests, bytes, snapshots: more would overflow in SQLite, in the system or in a library, and that much later."""


class ConfigError(Exception):
    """The settings cannot be used. The message is one sentence for whoever wrote them."""


class UsageError(ConfigError):
    """A flag has a value that cannot be used."""


class Refused(Exception):
    """This value is not what the rule allows. A message, if there is one, says more of it and ends the sentence."""


class FloatText(str):
    """A number with a point, as it stands in the file: nobody has rounded it yet."""


class Rule(Protocol[T_co]):
    @property
    def allowed(self) -> str:
        """Ends the sentence 'the key must be ...'."""
        ...

    def read(self, value: object) -> T_co:
        """Raises Refused."""
        ...

    def read_text(self, text: str) -> T_co:
        """Raises Refused."""
        ...


@dataclass(frozen=True)
class Boolean:
    allowed: str = "true or false"

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Refused
        return value

    def read_text(self, text: str) -> bool:
        match text.strip().lower():
            case "true":
                return True
            case "false":
                return False
            case _:
                raise Refused


@dataclass(frozen=True)
class Integer:
    """What is counted ends at MOST_COUNTED, unless a setting says otherwise; None is no end."""

    at_least: int
    at_most: int | None = MOST_COUNTED

    @property
    def allowed(self) -> str:
        if self.at_most is None:
            return f"an integer of at least {self.at_least}"
        return f"an integer from {self.at_least} to {self.at_most}"

    def read(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused
        if value < self.at_least or (self.at_most is not None and value > self.at_most):
            raise Refused
        return value

    def read_text(self, text: str) -> int:
        if not INTEGER.fullmatch(text.strip()):
            raise Refused
        return self.read(int(text))


@dataclass(frozen=True)
class Number:
    """A float above 0. An integer will do as well; NaN and infinity will not."""

    at_most: float | None = None

    @property
    def allowed(self) -> str:
        return "a number greater than 0" + ("" if self.at_most is None else f" and at most {self.at_most:g}")

    def read(self, value: object) -> float:
        if isinstance(value, FloatText):
            return self.read_text(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Refused
        return self._bounded(value)

    def read_text(self, text: str) -> float:
        text = text.strip().replace("_", "") if isinstance(text, FloatText) else text.strip()
        if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text):
            raise Refused
        return self._bounded(float(text))

    def _bounded(self, value: float) -> float:
        try:
            number = float(value)
        except OverflowError:
            raise Refused from None
        if not math.isfinite(number) or number <= 0 or (self.at_most is not None and number > self.at_most):
            raise Refused
        return number


@dataclass(frozen=True)
class Speed:
    """How many times as fast as it was recorded; `max` is infinity: as fast as it goes."""

    allowed: str = 'a number greater than 0, or "max"'

    def read(self, value: object) -> float:
        return math.inf if value == "max" else Number().read(value)

    def read_text(self, text: str) -> float:
        return math.inf if text.strip() == "max" else Number().read_text(text)


def scaled(text: str, decimals: int) -> int:
    """`text` times 10**decimals, exactly. Raises Refused for more decimals than that, or for no number."""
    match = NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if match is None:
        raise Refused
    sign, whole, fraction, exponent = match.groups(default="")
    shift = decimals + int(exponent or 0) - len(fraction)
    if shift < 0:
        raise Refused
    unit: int = 10**shift
    return int(f"{sign}{whole}{fraction}") * unit


@dataclass(frozen=True)
class Scaled:
    """A decimal number as a scaled integer: `at_least` and `at_most` are whole units, the value read is not."""

    unit: str
    decimals: int
    at_least: int
    at_most: int
    zero: bool = True

    @property
    def allowed(self) -> str:
        bounds = f"from {self.at_least}" if self.zero else "greater than 0 and up"
        return f"{self.unit} {bounds} to {self.at_most} with at most {self.decimals} decimals"

    def read(self, value: object) -> int:
        if isinstance(value, str):
            return self.read_text(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused
        return self._bounded(value * 10**self.decimals)

    def read_text(self, text: str) -> int:
        text = text.strip().replace("_", "") if isinstance(text, FloatText) else text.strip()
        return self._bounded(scaled(text, self.decimals))

    def _bounded(self, value: int) -> int:
        if not self.at_least * 10**self.decimals <= value <= self.at_most * 10**self.decimals:
            raise Refused
        if value == 0 and not self.zero:
            raise Refused
        return value


def usdc(*, zero: bool) -> Scaled:
    """An amount of money in micro-USDC. Well below what an account can hold (`core.ceilings`), so that it can win."""
    return Scaled("an amount of USDC", decimals=6, at_least=0, at_most=1_000_000_000_000, zero=zero)


def leverage() -> Scaled:
    """Hundredths: 40.99 is 4099."""
    return Scaled("a leverage", decimals=2, at_least=1, at_most=100)


def share() -> Scaled:
    """Hundredths of a percent: 0.2 is 2000."""
    return Scaled("a share", decimals=4, at_least=0, at_most=1)


def volatility() -> Scaled:
    """Hundredths: 1.5 is 150."""
    return Scaled("a factor", decimals=2, at_least=0, at_most=100)


@dataclass(frozen=True)
class Text(Generic[T]):
    """Text that `convert` can make a T of; it raises ValueError for what it cannot."""

    allowed: str
    convert: Callable[[str], T]

    def read(self, value: object) -> T:
        if not isinstance(value, str) or isinstance(value, FloatText):
            raise Refused
        return self.read_text(value)

    def read_text(self, text: str) -> T:
        try:
            return self.convert(text)
        except ValueError:
            raise Refused from None


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list; as text, its items stand between commas."""

    item: Rule[T]

    @property
    def allowed(self) -> str:
        return f"a list in which each item is {self.item.allowed}"

    def read(self, value: object) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise Refused
        return tuple(self.item.read(each) for each in value)

    def read_text(self, text: str) -> tuple[T, ...]:
        return tuple(self.item.read_text(each.strip()) for each in text.split(",") if each.strip())


def one_of(choices: Sequence[str]) -> Text[str]:
    """One of these words. Members of a StrEnum come back as such."""
    by_word = {str(choice): choice for choice in choices}

    def convert(text: str) -> str:
        _must(text in by_word)
        return by_word[text]

    *others, last = (f'"{word}"' for word in by_word)
    return Text(f"{', '.join(others)} or {last}", convert)


def text(allowed: str = "text on one line", *, at_least: int = 0) -> Text[str]:
    def convert(text: str) -> str:
        _must(len(text.strip()) >= at_least and text.isprintable())
        return text

    return Text(allowed, convert)


def path() -> Text[Path]:
    def convert(text: str) -> Path:
        _must(text.strip() != "" and "\0" not in text)
        return Path(text).expanduser()

    return Text("a path", convert)


def optional_path() -> Text[Path | None]:
    """A path; "" stands for none."""

    def convert(text: str) -> Path | None:
        return path().convert(text) if text else None

    return Text('a path, or "" for none', convert)


@dataclass(frozen=True)
class Moment:
    """A time of a recording in microseconds since the epoch, as text, as such a number or as TOML's own date or time;
    "" stands for none."""

    allowed: str = (
        "a time from 2005-01-01 to 2100-01-01 like 2024-08-05T06:00:00Z, "
        'or in microseconds since the epoch, or "" for none'
    )

    def read(self, value: object) -> int | None:
        if isinstance(value, date):  # a datetime is one, too
            return self.read_text(value.isoformat())
        if isinstance(value, FloatText | bool) or not isinstance(value, str | int):
            raise Refused
        if isinstance(value, int) and value.bit_length() > 64:
            raise Refused
        return self.read_text(str(value))

    def read_text(self, text: str) -> int | None:
        if not text.strip():
            return None
        try:
            return parse_time(text.strip())
        except ValueError:
            raise Refused(looks_like(text.strip())) from None


def url(*schemes: str, empty: bool = False) -> Text[str]:
    """An address with a host. With `empty`, "" stands for none."""

    def convert(text: str) -> str:
        if empty and not text:
            return text
        _must_be_url(text, schemes)
        return text

    allowed = "a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes)
    return Text(allowed + (', or "" for none' if empty else ""), convert)


def origin() -> Text[str]:
    """What a browser sends as `Origin`: scheme, host, port. Comes back in the spelling in which it is sent."""

    def convert(text: str) -> str:
        url = parse_web_url(text)
        _must(url.path in ("", "/") and not url.rest)
        return url.origin

    return Text("an origin like http://localhost:3000, without a path, a user or a wildcard", convert)


def page_url() -> Text[str]:
    """Where a browser is sent; "" stands for none. Comes back in ASCII."""

    def convert(text: str) -> str:
        return str(parse_web_url(text)) if text else ""

    return Text(f'{_WEB_URL} and names no user, or "" for our own page', convert)


def base_url() -> Text[str]:
    """What other addresses are made from by adding a path; "" stands for none. Comes back in ASCII, without a slash at
    its end."""

    def convert(text: str) -> str:
        if not text:
            return ""
        url = parse_web_url(text)
        _must(not url.rest)
        return url.origin + url.path.rstrip("/")

    return Text(f'{_WEB_URL} and has no user, query or fragment, or "" for none', convert)


def network() -> Text[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return Text("an IP address or a network like 10.0.0.0/8", ipaddress.ip_network)


def rate() -> Text[str]:
    def convert(text: str) -> str:
        _must(all(item.amount > 0 for item in limits.parse_many(text)))
        return text

    return Text('a rate like "100/second" or "20/minute;500/hour"', convert)


def secret() -> Text[str]:
    """HMAC-SHA256 wants a key at least as long as its hash: 32 bytes."""

    def convert(text: str) -> str:
        _must(text == "" or (len(text) >= SHORTEST_SECRET and text.isprintable()))
        return text

    return Text('text of at least 32 characters, or "" to have one made at first start', convert)


def mail_address() -> Text[str]:
    def convert(text: str) -> str:
        local, _, domain = parseaddr(text)[1].partition("@")
        _must(text.isprintable() and local != "" and domain != "")
        return text

    return Text("a mail address like no-reply@example.com or Name <no-reply@example.com>", convert)


def _must(condition: bool) -> None:
    if not condition:
        raise ValueError


def _must_be_url(text: str, schemes: Sequence[str]) -> None:
    parts = urlsplit(text)
    # Reading the port checks it: it raises ValueError for one that is no number from 0 to 65535.
    _must(parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0))
    _must(text.isprintable() and " " not in text)


def shown(value: object) -> str:
    """How a refused value appears in the sentence: as in TOML, on one line, cut when long."""
    if isinstance(value, bool):
        written = str(value).lower()
    elif isinstance(value, int) and value.bit_length() > 200:
        written = "a very large number"
    elif isinstance(value, FloatText | int | float):
        written = str(value)
    elif isinstance(value, str):
        written = json.dumps(value, ensure_ascii=not value.isprintable())
    elif isinstance(value, list | tuple):
        written = "[" + ", ".join(shown(item) for item in value[:10]) + (", ...]" if len(value) > 10 else "]")
    elif isinstance(value, dict):
        written = "a section"
    else:
        written = str(value)
    return written if len(written) <= LONGEST_SHOWN else written[:LONGEST_SHOWN] + "..."
