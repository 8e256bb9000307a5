"""Who is on the other end of the wire: the address that limits are counted for.

Behind a proxy every connection comes from the proxy; its X-Forwarded-For is believed when, and only when, the proxy is
configured as trusted. Each proxy appends whom it was asked by, so the list is read from the right, and the first
address that is no trusted proxy's is the caller: whatever stands left of it the caller may have made up.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network

FORWARDED = "X-Forwarded-For"
IPV6_CUSTOMER_BITS = 64
"""A customer gets at least a /64 and may use any address in it, so that is what is counted."""
_MOST_HOPS = 32
_UNKNOWN = "unknown"


class Callers:
    """Finds the address that a request is counted for."""

    def __init__(self, trusted_proxies: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted_proxies)

    def of(self, request: web.Request) -> str:
        peer = request.remote or _UNKNOWN
        if not self._trusted or not self.is_proxy(peer):
            return counted(peer)
        return self._forwarded(request.headers.getall(FORWARDED, ())) or counted(peer)

    def is_proxy(self, address: str) -> bool:
        """Whether this peer is a trusted proxy."""
        if not self._trusted:
            return False
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        ip = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
        return any(ip.version == network.version and ip in network for network in self._trusted)

    def _forwarded(self, headers: Sequence[str]) -> str | None:
        """The rightmost address that is no proxy of ours. None when there is none or the header is malformed."""
        hops = [hop.strip() for header in headers for hop in header.split(",")]
        for hop in reversed(hops[-_MOST_HOPS:]):
            if not _is_address(hop):
                return None
            if not self.is_proxy(hop):
                return counted(hop)
        return None


@lru_cache(maxsize=10_000)
def counted(address: str) -> str:
    """An IPv4 address as it is, an IPv6 address as its /64 network, anything else (a Unix socket) as it is."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:64]
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(IPv6Network((int(ip), IPV6_CUSTOMER_BITS), strict=False))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
