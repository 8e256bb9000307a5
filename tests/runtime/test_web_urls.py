"""runtime/web_urls.py: what people write, and what browsers make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.runtime.web_urls import parse_web_url

ORIGINS = {
    "http://localhost:3000": "http://localhost:3000",
    "https://example.com": "https://example.com",
    # the default port, and none
    "https://example.com:443": "https://example.com",
    "http://localhost:80": "http://localhost",
    "http://example.com:443": "http://example.com:443",
    "https://example.com:80": "https://example.com:80",
    "https://example.com:": "https://example.com",
    "https://example.com:0443": "https://example.com",
    "http://example.com:08080": "http://example.com:8080",
    # case, and the slash that an address bar shows
    "HTTPS://Example.COM": "https://example.com",
    "https://example.com/": "https://example.com",
    # names that are not ASCII
    "https://bücher.example": "https://xn--bcher-kva.example",
    "https://BÜCHER.example:443/": "https://xn--bcher-kva.example",
    "https://bu\u0308cher.example": "https://xn--bcher-kva.example",
    "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
    "https://XN--BCHER-KVA.example": "https://xn--bcher-kva.example",
    "https://straße.example": "https://xn--strae-oqa.example",
    "https://例え。テスト": "https://xn--r8jz45g.xn--zckzah",
    "https://ｅｘａｍｐｌｅ．com": "https://example.com",
    "https://☕.example": "https://xn--53h.example",
    # names that only some would allow
    "http://my_service:8080": "http://my_service:8080",
    "http://example.com.": "http://example.com.",
    # IPv4 in other writings
    "http://127.0.0.1:8002": "http://127.0.0.1:8002",
    "http://127.1": "http://127.0.0.1",
    "http://0x7f.0.0.1": "http://127.0.0.1",
    "http://0177.0.0.1": "http://127.0.0.1",
    "http://2130706433": "http://127.0.0.1",
    "http://127.0.0.1.": "http://127.0.0.1",
    "http://１２７.0.0.1": "http://127.0.0.1",
    # IPv6
    "http://[::1]:80": "http://[::1]",
    "http://[0:0:0:0:0:0:0:1]:8002": "http://[::1]:8002",
    "https://[2001:DB8:0:0:1:0:0:1]": "https://[2001:db8::1:0:0:1]",
    "https://[1:0:0:2:0:0:0:3]": "https://[1:0:0:2::3]",
    "https://[1:0:2:3:4:5:6:7]": "https://[1:0:2:3:4:5:6:7]",
    "http://[::ffff:1.2.3.4]": "http://[::ffff:102:304]",
    "http://[::]": "http://[::]",
    "http://[1::]": "http://[1::]",
}
"""What a browser sends as `Origin` from a page at this address, by the URL standard."""


@pytest.mark.parametrize("text", ORIGINS)
def test_an_origin_is_spelt_as_a_browser_spells_it(text: str) -> None:
    assert parse_web_url(text).origin == ORIGINS[text]


@pytest.mark.parametrize("origin", dict.fromkeys(ORIGINS.values()))
def test_what_a_browser_sends_stays_as_it_is(origin: str) -> None:
    assert str(parse_web_url(origin)) == origin


NO_ORIGIN = [
    "", "null", "*", "example.com", "example.com:443", "//example.com", "ftp://example.com", "file://", "javascript:1",
    "http:", "http://", "http:/example.com", "http:example.com", "http:\\\\example.com", "http://example.com\\x",
    "https://*.example.com", "https://*", "https://exa mple.com", "https://example.com\n", "\thttps://example.com",
    "https://user@example.com", "https://user:password@example.com", "https://@example.com", "https://:@example.com",
    "https://example.com:0", "https://example.com:65536", "https://example.com:-1", "https://example.com:http",
    "https://example.com:４４３", "https://exa%6dple.com", "https://a..b", "https://.example.com", "https://.",
    "http://256.0.0.1", "http://1.2.3.4.5", "http://1.2.3.08", "http://a.1", "http://[::1", "http://::1",
    "http://[::1%25eth0]",
    "http://[v1.x]", "http://[1.2.3.4]", "http://[::g]", "http://[]", f"http://{'a' * 64}.example",
    f"http://{'a.' * 128}b",
    "http://a℀b", "http://\u202e.example",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_ORIGIN)
def test_what_no_browser_can_be_at_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_web_url(text)


@pytest.mark.parametrize(
    ("text", "path", "rest"),
    [
        ("http://a", "", ""),
        ("http://a/", "/", ""),
        ("https://a:443/exness/", "/exness/", ""),
        ("http://a/ü%20b", "/%C3%BC%20b", ""),
        ("http://a/b/../c", "/c", ""),
        ("http://a?x=ä", "", "?x=%C3%A4"),
        ("http://a/b?x=1+2%2B3#/ü", "/b", "?x=1+2%2B3#/%C3%BC"),
        ("http://a?", "", "?"),
        ("http://a#", "", "#"),
        ("http://a/#b?c", "/", "#b?c"),
    ],
)
def test_path_query_and_fragment_stay_and_become_ascii(text: str, path: str, rest: str) -> None:
    url = parse_web_url(text)
    assert (url.path, url.rest) == (path, rest)
    assert str(url) == url.origin + path + rest


@given(
    st.one_of(
        st.text(max_size=40),
        st.text("htps:/[]@%?#\\.*_-:0189abxnü。 ", max_size=40).map(lambda rest: f"http://{rest}"),
        st.from_regex(r"https?://[^\s/]{1,20}(:[0-9]{1,6})?/?", fullmatch=True),
    )
)
def test_any_text_is_an_address_in_plain_ascii_or_refused(text: str) -> None:
    try:
        url = parse_web_url(text)
    except ValueError:
        return
    assert str(url).isascii()
    assert str(url).isprintable()
    assert url.origin.lower() == url.origin
    assert str(parse_web_url(str(url))) == str(url), "it is final"
    assert not url.origin.endswith((":443",) if url.origin.startswith("https") else (":80",))
