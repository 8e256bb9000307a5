"""web/http/listening.py: one port on every address that was asked for, and an address that leads there."""

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exness.web.http.listening import Listening, bind

HAS_IPV6 = socket.has_dualstack_ipv6()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="there is no IPv6 here")


@asynccontextmanager
async def bound(host: str, port: int = 0) -> AsyncIterator[Listening]:
    listening = await bind(host, port)
    try:
        for each in listening.sockets:
            each.listen()
        yield listening
    finally:
        for each in listening.sockets:
            each.close()


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "url", "describes", "reached", "not_reached"),
    [
        ("127.0.0.1", "http://localhost:{}", "127.0.0.1, port {}", ["127.0.0.1"], ["127.0.0.2", "::1"]),
        ("127.0.0.2", "http://127.0.0.2:{}", "127.0.0.2, port {}", ["127.0.0.2"], ["127.0.0.1", "::1"]),
        ("0.0.0.0", "http://localhost:{}", "0.0.0.0, port {}: every IPv4 address", ["127.0.0.1", "127.0.0.2"], ["::1"]),
        ("localhost", "http://localhost:{}", None, ["127.0.0.1"], ["127.0.0.2"]),
        pytest.param("::1", "http://localhost:{}", "[::1], port {}", ["::1"], ["127.0.0.1"], marks=needs_ipv6),
        pytest.param(
            "::",
            "http://localhost:{}",
            "[::], port {}: every IPv6 and IPv4 address",
            ["::1", "127.0.0.1", "127.0.0.2"],
            [],
            marks=needs_ipv6,
        ),
        pytest.param(
            "*",
            "http://localhost:{}",
            "[::], port {}: every IPv6 and IPv4 address",
            ["::1", "127.0.0.1", "127.0.0.2"],
            [],
            marks=needs_ipv6,
        ),
        pytest.param(
            "0:0::0",
            "http://localhost:{}",
            "[::], port {}: every IPv6 and IPv4 address",
            ["::1", "127.0.0.1"],
            [],
            marks=needs_ipv6,
        ),
    ],
)
async def test_it_listens_where_it_says_and_its_address_is_one_that_people_can_open(
    host: str, url: str, describes: str | None, reached: list[str], not_reached: list[str]
) -> None:
    async with bound(host) as listening:
        port = listening.port
        assert {each.getsockname()[1] for each in listening.sockets} == {port}, "one port"
        assert listening.url == url.format(port)
        if describes is not None:
            assert listening.describe() == describes.format(port)
        assert listening.everywhere == (host in ("0.0.0.0", "::", "*", "0:0::0"))
        assert [address for address in reached if not answers(address, port)] == []
        assert [address for address in not_reached if answers(address, port)] == []


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("0.0.0.0", "127.0.0.1"),
        ("*", "127.0.0.1"),
        pytest.param("::", "127.0.0.1", marks=needs_ipv6),
        pytest.param("::1", "[::1]", marks=needs_ipv6),
    ],
)
async def test_programs_get_an_address_that_they_can_connect_to(host: str, local: str) -> None:
    async with bound(host) as listening:
        assert listening.local_url == f"http://{local}:{listening.port}"
        assert answers(local.strip("[]"), listening.port)


def resolving(*addresses: str) -> Callable[..., list[Any]]:
    """A getaddrinfo that knows one name."""

    def found(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)[: 2 if family == socket.AF_INET else 4])
            for family, address in zip(families, addresses, strict=True)
        ]

    return found


@needs_ipv6
async def test_a_name_of_both_families_is_listened_to_on_both_with_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving("::1", "127.0.0.1", "127.0.0.1"))
    async with bound("localhost") as listening:
        assert listening.addresses == ["::1", "127.0.0.1"]
        assert {each.getsockname()[1] for each in listening.sockets} == {listening.port}
        assert listening.describe() == f"[::1], 127.0.0.1, port {listening.port}"
        assert listening.url == f"http://localhost:{listening.port}"
        monkeypatch.undo()
        assert answers("::1", listening.port)
        assert answers("127.0.0.1", listening.port)


async def test_a_machines_own_name_stays_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.0.3"))
    async with bound("trade.example") as listening:
        assert listening.url == f"http://trade.example:{listening.port}"
        assert listening.local_url == f"http://127.0.0.3:{listening.port}"


class NoIPv6(socket.socket):
    """As on a machine that has none: either no such socket can be made, or none can be bound."""

    def __init__(self, family: int = -1, *rest: Any, **options: Any) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *rest, **options)


class NoIPv6Address(socket.socket):
    def bind(self, address: Any) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        super().bind(address)


@pytest.mark.parametrize("kind", [NoIPv6, NoIPv6Address])
async def test_without_ipv6_every_address_is_every_ipv4_address_and_that_is_said(
    kind: type[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exness.web.http.listening.socket.socket", kind)
    for host in ("::", "*"):
        async with bound(host) as listening:
            port = listening.port
            assert listening.addresses == ["0.0.0.0"]
            assert listening.describe() == f"0.0.0.0, port {port}: every IPv4 address; this machine has no IPv6"
            assert listening.url == f"http://localhost:{port}"
    monkeypatch.setattr(socket, "getaddrinfo", resolving("::1", "127.0.0.1"))
    async with bound("localhost") as listening:
        assert listening.addresses == ["127.0.0.1"]
    monkeypatch.setattr(socket, "getaddrinfo", resolving("::1"))
    with pytest.raises(OSError, match=r"Address family not supported|Cannot assign requested address"):
        await bind("::1", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "::", "localhost"])
async def test_a_port_that_is_taken_is_no_second_try_elsewhere(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="Address already in use") as refused:
            await bind(host, taken.getsockname()[1])
        assert refused.value.errno == errno.EADDRINUSE


@needs_ipv6
async def test_a_free_port_is_free_on_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        offered = iter([taken.getsockname()[1], 0])

        class Chosen(socket.socket):
            def bind(self, address: Any) -> None:
                port = next(offered) if self.family == socket.AF_INET6 else address[1]
                super().bind((address[0], port, *address[2:]))

        monkeypatch.setattr("exness.web.http.listening.socket.socket", Chosen)
        monkeypatch.setattr(socket, "getaddrinfo", resolving("::1", "127.0.0.1"))
        async with bound("localhost") as listening:
            assert listening.addresses == ["::1", "127.0.0.1"]
            assert listening.port != taken.getsockname()[1]


async def test_a_name_that_leads_nowhere_is_an_error_of_the_name() -> None:
    with pytest.raises(socket.gaierror):
        await bind("no.such.host.invalid", 0)
