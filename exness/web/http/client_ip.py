"""Who is on the other end of the connection: the client IP that limits are counted for, and whether it is one of ours.

Behind a proxy every connection comes from the proxy; its X-Forwarded-For is believed when, and only when, the proxy is
configured as trusted. Each proxy appends whom it was asked by, so the list is read from the right, and the first
address that is no trusted proxy's is the client: whatever stands left of it the client may have made up. Where an entry
can't be read, the client is not known, and its requests count for the proxy that wrote the entry.

A request that some proxy has passed on and whose client is not known is none of ours, whatever address its connection
comes from: see `ip_of`. The other headers of proxies (Forwarded, X-Real-IP, ...) are never believed, as a client can
send them through a proxy that does not know them; they only tell that a request was passed on.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

import structlog
from aiohttp import hdrs, web
from multidict import istr

from exness.web.http.security_log import SecurityLog

_log = structlog.get_logger()

IPAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
FORWARDED = istr("X-Forwarded-For")
REAL_IP = istr("X-Real-IP")
IPV6_CUSTOMER_BITS = 64
"""A customer gets at least a /64 and may use any address in it, so that is what is counted."""
UNTRUSTED, UNREADABLE = "forwarded_untrusted", "forwarded_unreadable"
"""Counted requests: passed on by a proxy that is not trusted; by a trusted one, without telling whose they are."""
_MOST_HOPS = 32
_MOST_TOLD = 20
"""Proxies that are warned of. Anybody can send such a header, so the log must have a bound."""
_UNKNOWN = "unknown"

_OTHER_SIGNS = frozenset(
    {
        "forwarded",
        "forwarded-for",
        "via",
        "cdn-loop",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "proxy-client-ip",
        "true-client-ip",
        "wl-proxy-client-ip",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-azure-socketip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-nf-client-connection-ip",
        "x-original-forwarded-for",
        "x-originating-ip",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
    }
)
"""Headers by which proxies and CDNs tell that they pass a request on, beside those that begin with X-Forwarded."""

_PORT = re.compile(r":\d{1,5}", re.ASCII)


class _Client(NamedTuple):
    """`counted`: what limits count it by. `ip`: whose request it is, None when that is not known."""

    counted: str
    ip: IPAddress | None


class ClientIps:
    """Finds the client of a request."""

    def __init__(
        self,
        trusted_proxies: Sequence[Network] = (),
        *,
        metrics_networks: Sequence[Network] = LOOPBACK,
        security_log: SecurityLog | None = None,
    ) -> None:
        self._trusted = plain_networks(trusted_proxies)
        self._watching = plain_networks(metrics_networks)
        self._security_log = security_log or SecurityLog()
        self._told: set[tuple[str, str]] = set()

    def of(self, request: web.BaseRequest) -> str:
        """What the limits count this request by. Counts it, and warns once, when a proxy is not set up right."""
        peer, headers = request.remote or _UNKNOWN, request.headers
        if self._trusted and self.is_proxy(peer):
            client = self._behind(peer, request)
            if client.ip is None:
                self._warn(UNREADABLE, peer, headers.getall(FORWARDED, ()))
            return client.counted
        if FORWARDED in headers or hdrs.FORWARDED in headers or REAL_IP in headers or hdrs.VIA in headers:
            self._warn(UNTRUSTED, peer, ())
        return counted(peer)

    def ip_of(self, request: web.BaseRequest) -> IPAddress | None:
        """The client's own address, never a /64. None when it is not known: a proxy has passed the request on that is
        not trusted or does not say for whom."""
        peer = request.remote or _UNKNOWN
        if self._trusted and self.is_proxy(peer):
            return self._behind(peer, request).ip
        return None if passed_on(request.headers) else parsed(peer)

    def may_watch(self, request: web.BaseRequest) -> bool:
        """Whether the client is of the networks that may see what is of all users, or of the machine: /metrics, and
        where prices come from."""
        ip = self.ip_of(request)
        return ip is not None and is_within(ip, self._watching)

    def is_proxy(self, address: str) -> bool:
        """Whether this peer is a trusted proxy."""
        if not self._trusted:
            return False
        ip = parsed(address)
        return ip is not None and is_within(ip, self._trusted)

    def _behind(self, peer: str, request: web.BaseRequest) -> _Client:
        """The client behind a trusted proxy: the rightmost entry that is no trusted proxy's."""
        headers = request.headers
        if FORWARDED not in headers:  # the proxy's own request, or one whose client it does not tell in our way
            return _Client(counted(peer), None if passed_on(headers) else parsed(peer))
        told_by = peer
        hops = [hop for header in headers.getall(FORWARDED) for hop in header.split(",")]
        for hop in reversed(hops[-_MOST_HOPS:]):
            ip = hop_address(hop)
            if ip is None:
                return _Client(counted(told_by), None)
            if not is_within(ip, self._trusted):
                return _Client(counted(str(ip)), ip)
            told_by = str(ip)
        return _Client(counted(peer), parsed(peer))

    def _warn(self, what: str, peer: str, forwarded: Sequence[str]) -> None:
        self._security_log.counters[what] += 1
        if (what, peer) in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add((what, peer))
        if what == UNTRUSTED:
            _log.warning(
                "a proxy that is not trusted passes requests on: all its users count as one, and as none of ours",
                proxy=peer,
                remedy=f'set server.trusted_proxies = ["{peer}"], or EXNESS_SERVER_TRUSTED_PROXIES={peer}',
            )
        else:
            _log.warning(
                "a trusted proxy does not tell whom it passes on: such requests count as the proxy's own",
                proxy=peer,
                forwarded_for=ascii(", ".join(forwarded)[-200:]),
                remedy="let it append the client's address to X-Forwarded-For",
            )


def passed_on(headers: Iterable[str]) -> bool:
    """Whether headers tell that some proxy has passed this request on, in any spelling of theirs."""
    names = [name.lower().replace("_", "-") for name in headers]
    return any(name.startswith("x-forwarded") or name in _OTHER_SIGNS for name in names)


def hop_address(text: str) -> IPAddress | None:
    """An entry of X-Forwarded-For: an address, in quotes or not, with a port or not. None when it is none of these.

    `203.0.113.3`, `203.0.113.3:51000`, `2001:db8::1`, `[2001:db8::1]`, `"[2001:db8::1]:51000"`.
    """
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        ip = parsed(inside) if bracket and (not rest or _PORT.fullmatch(rest)) else None
        return ip if ":" in inside else None
    if text.count(":") == 1 and _PORT.fullmatch(text[text.index(":") :]):
        text = text.partition(":")[0]
    return parsed(text)


@lru_cache(maxsize=10_000)
def parsed(address: str) -> IPAddress | None:
    """An address; an IPv4 one that is written as IPv6 (::ffff:1.2.3.4) is the IPv4 one. None when it is none."""
    try:
        ip = ip_address(address.partition("%")[0])  # without the zone of a link-local one
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def is_within(ip: IPAddress, networks: Collection[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)


def plain_networks(networks: Sequence[Network]) -> tuple[Network, ...]:
    """Networks as `is_within` wants them: one of IPv4 addresses that are written as IPv6 is the IPv4 one."""
    return tuple(_plain(network) for network in networks)


def _plain(network: Network) -> Network:
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


@lru_cache(maxsize=10_000)
def counted(address: str) -> str:
    """An IPv4 address as it is, an IPv6 address as its /64 network, anything else (a Unix socket) as it is."""
    ip = parsed(address)
    if ip is None:
        return address[:64]
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(IPv6Network((int(ip), IPV6_CUSTOMER_BITS), strict=False))
