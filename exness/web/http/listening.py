"""Sockets to listen on, all of one port, and the address that leads to them.

Where we listen is not where users are: 0.0.0.0 is nowhere one can go, and to a browser 127.0.0.1 and localhost are two
sites, of which one does not get the other's cookies. So people are given `localhost` wherever that leads to us.
"""

import asyncio
import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

EVERY_ADDRESS = "*"
LOCALHOST = frozenset({"127.0.0.1", "::1"})
"""What every machine and browser takes `localhost` for. Not 127.0.0.2: nobody gets there by that name."""
_ANY_IPV4, _ANY_IPV6 = "0.0.0.0", "::"  # nosec B104 - only where it is configured
_MISSING = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""The machine has no such address: a `localhost` that is ::1 too where there is no IPv6."""
_TRIES = 10

_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class Listening(NamedTuple):
    """Bound sockets. `host` is as configured."""

    host: str
    sockets: Sequence[socket.socket]

    @property
    def port(self) -> int:
        port: int = self.sockets[0].getsockname()[1]
        return port

    @property
    def addresses(self) -> list[str]:
        return [each.getsockname()[0] for each in self.sockets]

    @property
    def everywhere(self) -> bool:
        """On every address of a family or of both: no one address is ours."""
        return any(ip_address(address).is_unspecified for address in self.addresses)

    @property
    def url(self) -> str:
        """For people and browsers, without a slash at its end: `localhost` wherever that leads here, else `host`."""
        if self.everywhere or LOCALHOST.issuperset(self.addresses):
            return f"http://localhost:{self.port}"
        return f"http://{self._host_in_url()}:{self.port}"

    @property
    def local_url(self) -> str:
        """For programs on this machine: an address, which no list of names can lead elsewhere. To many of them
        `localhost` is one family only, and on the other another program may have the port."""
        return f"http://{'127.0.0.1' if self.everywhere else _bracketed(self.addresses[0])}:{self.port}"

    def describe(self) -> str:
        """For the operator: what it listens on."""
        bound = f"{', '.join(map(_bracketed, self.addresses))}, port {self.port}"
        if not self.everywhere:
            return bound
        if ":" in self.addresses[0]:
            return f"{bound}: every IPv6 and IPv4 address"
        fell_back = self.host == EVERY_ADDRESS or ":" in self.host
        return f"{bound}: every IPv4 address{'; this machine has no IPv6' if fell_back else ''}"

    def _host_in_url(self) -> str:
        try:
            ip_address(self.host)
        except ValueError:
            return self.host
        return _bracketed(self.addresses[0])


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


async def bind(host: str, port: int) -> Listening:
    """Sockets on every address that `host` stands for; port 0 picks one that is free on all of them.

    `*` and `::` are every address of the machine, IPv6 and IPv4, or IPv4 alone where there is no IPv6. Addresses that
    the machine does not have are left out as long as one is left. Raises OSError, socket.gaierror among them.
    """
    if host == EVERY_ADDRESS:
        addresses: list[_Address] = [(socket.AF_INET6, (_ANY_IPV6, port))]
    else:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for _ in range(_TRIES - 1):
        try:
            return Listening(host, _bind_all(addresses, port))
        except OSError as error:
            if port != 0 or error.errno != errno.EADDRINUSE:
                raise
    return Listening(host, _bind_all(addresses, port))


def _bind_all(addresses: Sequence[_Address], port: int) -> list[socket.socket]:
    """One port on each. Raises OSError, with nothing left open."""
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                each = _bind(family, (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _MISSING:
                    raise
                missing = error
                continue
            bound.append(each)
            port = each.getsockname()[1]
        if not bound:
            raise missing or OSError(errno.EADDRNOTAVAIL, "no address")
    except BaseException:
        for each in bound:
            each.close()
        raise
    return bound


def _bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    """Raises OSError."""
    if family != socket.AF_INET6 or not ip_address(address[0]).is_unspecified:
        return _bound(family, address)
    try:
        return _bound(family, address, both_families=True)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return _bound(socket.AF_INET, (_ANY_IPV4, address[1]))


def _bound(family: socket.AddressFamily, address: tuple[Any, ...], *, both_families: bool = False) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both_families)
        opened.bind(address)
    except BaseException:
        opened.close()
        raise
    return opened
