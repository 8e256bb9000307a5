"""Web addresses as browsers write them.

A browser sends the origin of a page in one spelling only: lower case, no default port, a name in its ASCII form, an IP
address in its shortest. An address that people write in another way is brought to that spelling here, as the URL
standard has it (https://url.spec.whatwg.org/#host-parsing); one that no browser can send or open is a ValueError.
"""

import re
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ZEROS = re.compile(r"(?:(?<=:)|^)0(?::0)+(?=:|$)")


class WebUrl(NamedTuple):
    """`origin` is scheme, host and port, `path` begins with a slash or is empty, `rest` is query and fragment."""

    origin: str
    path: str
    rest: str

    def __str__(self) -> str:
        return self.origin + self.path + self.rest


def parse_web_url(text: str) -> WebUrl:
    """An http or https URL in browsers' spelling. Raises ValueError, also for one with a user or a wildcard in it."""
    from yarl import URL  # 40 ms to import, which `--help` need not pay

    if not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("spaces, backslashes and control characters")
    parts = urlsplit(text)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError("no address of a web server")
    try:
        url = URL(text)
    except TypeError as error:
        raise ValueError(str(error)) from error
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    query = f"?{url.raw_query_string}" if "?" in text.partition("#")[0] else ""
    fragment = f"#{url.raw_fragment}" if "#" in text else ""
    path = url.raw_path if parts.path else ""
    host = _ipv6(parts.hostname) if "[" in parts.netloc else _name(url.raw_host or "")
    return WebUrl(f"{parts.scheme}://{host}{port}", path, query + fragment)


def _name(host: str) -> str:
    """A name in ASCII or an IPv4 address, as it stands in an origin. Raises ValueError."""
    host = host.lower()
    if _NAME.fullmatch(host) is None:
        raise ValueError("no host name")
    last = host.removesuffix(".").rpartition(".")[2]
    if _NUMBER.fullmatch(last):  # browsers take 127.1 and 0x7f000001 for 127.0.0.1
        try:
            return str(IPv4Address(socket.inet_aton(host.removesuffix("."))))
        except OSError:
            raise ValueError("no IPv4 address") from None
    return host


def _ipv6(text: str) -> str:
    """As RFC 5952, all in hexadecimal: the longest run of zeros, the first of equal ones, becomes `::`."""
    address = IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError("a zone has no place in a URL")
    groups = ":".join(f"{int(address) >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
    runs = sorted(_ZEROS.finditer(groups), key=lambda run: run.start() - 1000 * len(run[0]))
    if not runs:
        return f"[{groups}]"
    before, after = groups[: runs[0].start()].removesuffix(":"), groups[runs[0].end() :].removeprefix(":")
    return f"[{before}::{after}]"
