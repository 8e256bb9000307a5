"""web/http/client_ip.py: whose request it is, behind proxies or not, and what was passed on is not taken for local."""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st

from exness.web.http.client_ip import UNREADABLE, UNTRUSTED, ClientIps, counted, hop_address, passed_on
from exness.web.http.security_log import SecurityLog
from exness.web.services import Dev
from tests.support.app import App, assert_error, rate_limits, running_app
from tests.web.test_metrics import measured_app

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
LOOPBACK = [ip_network("127.0.0.0/8")]


def asked(peer: str, forwarded: Sequence[str] = (), **others: str) -> web.Request:
    headers = [("X-Forwarded-For", each) for each in forwarded] + list(others.items())
    return make_mocked_request("GET", "/", headers=headers).clone(remote=peer)


# --- the client behind a trusted proxy ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("1.2.3.4", [], "1.2.3.4"),
        ("1.2.3.4", ["9.9.9.9"], "1.2.3.4"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["6.6.6.6, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["6.6.6.6", "9.9.9.9, 10.0.0.2"], "9.9.9.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [","], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6,"], "10.0.0.1"),
        ("10.0.0.1", ["' OR 1=1"], "10.0.0.1"),
        ("10.0.0.1", [", ".join(["6.6.6.6"] * 900)], "6.6.6.6"),
        ("10.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", ["::ffff:9.9.9.9"], "9.9.9.9"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::/64"),
        ("10.0.0.1", ["203.0.113.3:51000"], "203.0.113.3"),
        ("10.0.0.1", ["[2001:db8::1]:51000"], "2001:db8::/64"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::/64"),
        ("10.0.0.1", ['"203.0.113.3:51000"'], "203.0.113.3"),
        ("10.0.0.1", ['"[2001:db8::1]:51000"'], "2001:db8::/64"),
        ("10.0.0.1", [" \t203.0.113.3 \t,  10.0.0.7:443 "], "203.0.113.3"),
        ("10.0.0.1", ["fe80::1%eth0"], "fe80::/64"),
    ],
)
def test_the_caller_is_the_last_hop_that_is_no_proxy_of_ours(peer: str, forwarded: list[str], caller: str) -> None:
    assert ClientIps(PROXIES).of(asked(peer, forwarded)) == caller


SPELLINGS = ["{}", "{}:{port}", '"{}"', '"{}:{port}"', " {} ", "\t{}:{port}  ", '" {} "']
V6_SPELLINGS = [spelling.replace("{}", "[{}]") for spelling in SPELLINGS] + [
    "{}",
    '"{}"',
    "{}%eth0",
    "[{}%25eth0]:{port}",
]
FORMS = [str, lambda ip: ip.exploded.upper()]


@given(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.sampled_from(SPELLINGS), st.just(str)),
        st.tuples(st.ip_addresses(v=6), st.sampled_from(V6_SPELLINGS), st.sampled_from(FORMS)),
    ),
    st.integers(0, 65535),
)
def test_every_spelling_of_an_address_is_that_address(wish: tuple, port: int) -> None:  # type: ignore[type-arg]
    ip, spelling, form = wish
    expected = ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
    assert hop_address(spelling.format(form(ip), port=port)) == expected


NO_ADDRESSES = [
    *("", " ", "unknown", "_hidden", '""', '"', "for=1.2.3.4", "1.2.3.4;proto=http", "unix:", "localhost", "'1.2.3.4'"),
    *("1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4:", "1.2.3.4:http", "1.2.3.4:123456", "1.2.3.4 5.6.7.8"),
    *("[1.2.3.4]", "[1.2.3.4]:80", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]80", "[]", "[]:80", "\u0661.2.3.4"),
]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_none(text: str) -> None:
    assert hop_address(text) is None


TRUSTED_HOPS = ["10.0.0.2", "10.9.9.9:8080", "[fd00::2]:443"]
FOREIGN_HOPS = ["9.9.9.9", "6.6.6.6:51000", '"[2001:db8::1]"', "127.0.0.1"]
BROKEN_HOPS = ["unknown", "", "nonsense"]


@given(st.lists(st.sampled_from(TRUSTED_HOPS + FOREIGN_HOPS + BROKEN_HOPS), min_size=1, max_size=8))
@example(["127.0.0.1", "unknown"])
def test_whatever_stands_left_of_the_client_or_of_what_cant_be_read_is_never_believed(hops: list[str]) -> None:
    """Against the rule said the other way round: cut off the trusted hops at the end, and look at what is then last."""
    rest = list(hops)
    while rest and rest[-1] in TRUSTED_HOPS:
        rest.pop()
    client_ips, request = ClientIps(PROXIES), asked("10.0.0.1", [", ".join(hops)])
    writer = hop_address(hops[len(rest)]) if len(rest) < len(hops) else ip_address("10.0.0.1")
    if not rest:
        assert (client_ips.of(request), client_ips.ip_of(request)) == ("10.0.0.1", ip_address("10.0.0.1"))
    elif rest[-1] in BROKEN_HOPS:
        assert (client_ips.of(request), client_ips.ip_of(request)) == (counted(str(writer)), None)
    else:
        client = hop_address(rest[-1])
        assert (client_ips.of(request), client_ips.ip_of(request)) == (counted(str(client)), client)


async def test_users_behind_a_proxy_that_writes_ports_are_counted_apart() -> None:
    limits = rate_limits(mail_per_ip="1/minute", block_after=1)
    async with running_app(limits=limits, client_ips=ClientIps(LOOPBACK)) as app:
        for number, entry in enumerate(("203.0.113.3:51000", "203.0.113.4:51001", "[2001:db8:5::1]:51000")):
            body = {"email": f"user{number}@example.com"}
            assert (await app.post("/signup", body, headers={"X-Forwarded-For": entry})).status == 200
        again = await app.post("/signup", {"email": "x@example.com"}, headers={"X-Forwarded-For": "203.0.113.3:9"})
        assert_error(again, 429, "rate_limited", retry=True)


def test_without_a_trusted_proxy_nobody_chooses_an_address() -> None:
    assert ClientIps().of(asked("127.0.0.1", ["9.9.9.9"])) == "127.0.0.1"


def test_the_addresses_of_one_ipv6_customer_count_as_one() -> None:
    assert counted("2001:db8:1:2::1") == counted("2001:db8:1:2:ffff::9") != counted("2001:db8:1:3::1")


# --- a proxy that is not set up right is told of ------------------------------------------------------------------


def test_a_proxy_that_is_not_trusted_is_warned_of_once_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    security_log = SecurityLog()
    client_ips = ClientIps(security_log=security_log)
    for _ in range(3):
        assert client_ips.of(asked("172.17.0.1", ["9.9.9.9"])) == "172.17.0.1"
    client_ips.of(asked("172.17.0.2", Forwarded="for=9.9.9.9"))
    client_ips.of(asked("172.17.0.3"))
    assert security_log.counters == {UNTRUSTED: 4}
    log = capsys.readouterr().out
    assert re.findall(r'trusted_proxies = \["([^"]+)"\]', log) == ["172.17.0.1", "172.17.0.2"]
    assert "EXNESS_SERVER_TRUSTED_PROXIES=172.17.0.1" in log


def test_a_trusted_proxy_that_tells_no_client_is_warned_of_once_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    security_log = SecurityLog()
    client_ips = ClientIps(PROXIES, security_log=security_log)
    for request in (asked("10.0.0.1", ["unknown"]), asked("10.0.0.1", ["\x1b[31m"]), asked("10.0.0.1", Via="1.1 x")):
        assert client_ips.of(request) == "10.0.0.1"
    client_ips.of(asked("10.0.0.1"))
    client_ips.of(asked("10.0.0.1", ["9.9.9.9"]))
    assert security_log.counters == {UNREADABLE: 3}
    log = capsys.readouterr().out
    assert log.count("a trusted proxy does not tell") == 1
    assert "'unknown'" in log


def test_who_makes_proxies_up_does_not_fill_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    client_ips = ClientIps()
    for number in range(200):
        client_ips.of(asked(f"9.9.9.{number}", ["1.1.1.1"]))
    assert capsys.readouterr().out.count("trusted_proxies") == 20


# --- local is who comes straight from here ------------------------------------------------------------------------

SIGNS = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("x-forwarded-for", ""),
    ("X-FORWARDED-FOR", "unknown"),
    ("X-Forwarded-For", "garbage"),
    ("X_Forwarded_For", "203.0.113.9"),
    ("X-Forwarded-Host", "example.com"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded", "for=203.0.113.9"),
    ("Forwarded", "for=127.0.0.1"),
    ("Forwarded-For", "203.0.113.9"),
    ("Via", "1.1 proxy"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Client-IP", "203.0.113.9"),
    ("X-Cluster-Client-IP", "203.0.113.9"),
    ("True-Client-IP", "203.0.113.9"),
    ("CF-Connecting-IP", "203.0.113.9"),
    ("Fastly-Client-IP", "203.0.113.9"),
    ("CDN-Loop", "cloudflare"),
]
FORWARDED_LOCAL = {("X-Forwarded-For", "127.0.0.1")}
"""What a trusted proxy may say of a client on this machine."""


async def seen_as_local(app: App, headers: dict[str, str]) -> dict[str, bool]:
    """Which endpoints take a request for one of this machine."""
    metrics = await app.request("GET", "/metrics", headers=headers)
    clock = await app.get("/dev/clock", headers=headers)
    readiness = await app.get("/readyz", headers=headers)
    assert metrics.status in (200, 404)
    assert clock.code in ("not_manual", "local_only")
    assert readiness.body["feed"] in ("prices set by a test", "simulated prices: no real market")
    return {
        "metrics": metrics.status == 200,
        "dev control": clock.code == "not_manual",
        "readiness": readiness.body["feed"] == "prices set by a test",
    }


@pytest.mark.parametrize("trusted", [False, True], ids=["untrusted", "trusted"])
async def test_what_a_proxy_passes_on_is_never_local_in_any_spelling(trusted: bool) -> None:
    client_ips = ClientIps(LOOPBACK if trusted else ())
    async with measured_app(client_ips=client_ips, dev=Dev()) as app:
        assert set((await seen_as_local(app, {})).values()) == {True}
        for name, value in SIGNS:
            believed = trusted and (name, value) in FORWARDED_LOCAL
            expected = {"metrics": believed, "dev control": False, "readiness": believed}
            assert await seen_as_local(app, {name: value}) == expected, (name, value)


async def test_metrics_behind_a_proxy_on_the_same_machine_are_not_public() -> None:
    async with measured_app() as app:
        refused = await app.request("GET", "/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
        assert_error(refused, 404, "not_found")
        assert (await app.request("GET", "/metrics")).status == 200


@pytest.mark.parametrize(
    ("network", "client", "may"),
    [
        ("::1/128", "::1", True),
        ("::1/128", "::2", False),
        ("::/64", "::1", True),
        ("2001:db8::8/125", "2001:db8::9", True),
        ("2001:db8::8/125", "2001:db8::1", False),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("::ffff:127.0.0.0/104", "127.0.0.1", True),
        ("10.0.0.7/32", "10.0.0.7", True),
        ("10.0.0.7/32", "10.0.0.8", False),
        ("::/0", "127.0.0.1", False),
    ],
)
def test_a_network_is_compared_with_the_whole_address(network: str, client: str, may: bool) -> None:
    client_ips = ClientIps(metrics_networks=[ip_network(network)])
    assert client_ips.may_watch(asked(client)) is may


@given(st.ip_addresses(v=6), st.integers(0, 128))
def test_a_client_is_of_every_network_around_it_and_of_none_beside(ip: IPv6Address, bits: int) -> None:
    if ip.ipv4_mapped is not None:
        return
    around = IPv6Network((int(ip), bits), strict=False)
    assert ClientIps(metrics_networks=[around]).may_watch(asked(str(ip)))
    if bits:
        beside = IPv6Network((int(ip) ^ (1 << (128 - bits)), bits), strict=False)
        assert not ClientIps(metrics_networks=[beside]).may_watch(asked(str(ip)))


async def test_the_readiness_that_anybody_sees_has_every_field_of_the_contract() -> None:
    async with running_app() as app:
        here, there = await app.get("/readyz"), await app.get("/readyz", headers={"X-Real-IP": "9.9.9.9"})
        assert here.body.keys() == there.body.keys()
        assert here.body | {"feed": ""} == there.body | {"feed": ""}


def test_the_headers_of_a_browser_are_no_proxys() -> None:
    names = [
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Cookie",
        "Origin",
        "Referer",
        "Sec-Fetch-Site",
        "Upgrade",
        "DNT",
        "X-Request-ID",
    ]
    assert not passed_on(names)
