"""What a venue's frame means, and everything that means nothing."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exness.core.money import MAX_SCALED
from exness.feeds.decode import MAX_DETAIL, MAX_FRAME_BYTES, Ignored, Quote, Reason, decode_frame

DECIMALS = {"SOL_USDC": 6, "BTC_USDC": 4, "ROUND_USDC": 0}

DOCUMENTED = (
    b'{"stream":"bookTicker.SOL_USDC","data":{"A":"12.50","B":"40.11","E":1760130912345678,"T":1760130912344001,'
    b'"a":"188.42","b":"188.40","e":"bookTicker","s":"SOL_USDC","u":"4227701917"}}'
)


def frame(stream: str = "bookTicker.SOL_USDC", without: str = "", **changed: object) -> bytes:
    data: dict[str, object] = {"T": 1_760_130_912_344_001, "a": "188.42", "b": "188.40", "e": "bookTicker"}
    data |= {"s": "SOL_USDC", "u": "4227701917"} | changed
    data.pop(without, None)
    return json.dumps({"stream": stream, "data": data}).encode()


def test_the_documented_frame_is_a_quote() -> None:
    assert decode_frame(DOCUMENTED, DECIMALS) == Quote(
        "SOL_USDC", 188_400_000, 188_420_000, 4_227_701_917, 1_760_130_912_344_001
    )


def test_text_and_bytes_mean_the_same() -> None:
    assert decode_frame(DOCUMENTED.decode(), DECIMALS) == decode_frame(DOCUMENTED, DECIMALS)


def test_keys_count_and_their_order_does_not() -> None:
    envelope = json.loads(DOCUMENTED)
    data = dict(reversed(envelope["data"].items())) | {"new": {"deep": [1, 2.5, None]}}
    turned = json.dumps({"more": [], "data": data, "stream": envelope["stream"]})
    assert decode_frame(turned, DECIMALS) == decode_frame(DOCUMENTED, DECIMALS)


@pytest.mark.parametrize(
    ("symbol", "bid", "ask", "expected"),
    [
        ("SOL_USDC", "188.4000009", "188.4200001", (188_400_000, 188_420_001)),
        ("BTC_USDC", "100000.12349", "100000.12341", (1_000_001_234, 1_000_001_235)),
        ("BTC_USDC", "100000.12341", "100000.12349", (1_000_001_234, 1_000_001_235)),
        ("BTC_USDC", "100000.12341", "100000.1233", None),  # crossed at our decimals too
        ("SOL_USDC", "188.42000000000002", "188.42", (188_420_000, 188_420_000)),
        ("ROUND_USDC", "99.9", "100.1", (99, 101)),
        ("SOL_USDC", "1", "1.000000000000000000", (1_000_000, 1_000_000)),
        ("SOL_USDC", "0.000001", "0.000001", (1, 1)),
        ("SOL_USDC", "007.5", "7.50", (7_500_000, 7_500_000)),
    ],
)
def test_the_bid_is_rounded_down_and_the_ask_up(
    symbol: str, bid: str, ask: str, expected: tuple[int, int] | None
) -> None:
    decoded = decode_frame(frame(f"bookTicker.{symbol}", s=symbol, b=bid, a=ask), DECIMALS)
    if expected is None:
        assert decoded == Ignored(Reason.CROSSED)
    else:
        assert isinstance(decoded, Quote)
        assert (decoded.bid, decoded.ask) == expected


def test_a_bid_equal_to_the_ask_is_a_quote() -> None:
    assert isinstance(decode_frame(frame(b="188.42"), DECIMALS), Quote)


def test_a_numeric_update_id_and_a_missing_time_are_taken() -> None:
    decoded = decode_frame(frame(u=17, without="T"), DECIMALS)
    assert decoded == Quote("SOL_USDC", 188_400_000, 188_420_000, 17, 0)


DEEP = b"[" * 5_000 + b"]" * 5_000

IGNORED: list[tuple[str, bytes | str, Reason]] = [
    ("empty", b"", Reason.MALFORMED),
    ("blank", b"  \n", Reason.MALFORMED),
    ("no json", b"hello", Reason.MALFORMED),
    ("cut off", DOCUMENTED[:-2], Reason.MALFORMED),
    ("two in one", DOCUMENTED + DOCUMENTED, Reason.MALFORMED),
    ("array", b"[1,2]", Reason.MALFORMED),
    ("null", b"null", Reason.MALFORMED),
    ("number", b"188.42", Reason.MALFORMED),
    ("text", b'"bookTicker"', Reason.MALFORMED),
    ("not utf-8", DOCUMENTED.replace(b"SOL", b"S\xffL"), Reason.MALFORMED),
    ("binary", bytes(range(256)), Reason.MALFORMED),
    ("byte order mark", b"\xef\xbb\xbf" + DOCUMENTED, Reason.MALFORMED),
    ("lone surrogate", '{"stream":"\ud800"}', Reason.MALFORMED),
    ("half an escape", rb'{"stream":"\ud800"}', Reason.MALFORMED),
    ("NaN literal", DOCUMENTED.replace(b'"188.40"', b"NaN"), Reason.MALFORMED),
    ("deep nesting", b'{"q":' + DEEP[: len(DEEP) // 2], Reason.MALFORMED),  # Python 3.13 goes deep, to no end here
    ("deep data", b'{"stream":"bookTicker.SOL_USDC","data":' + DEEP + b"}", Reason.MALFORMED),
    ("stream is a number", b'{"stream":1,"data":{}}', Reason.MALFORMED),
    ("no data", b'{"stream":"bookTicker.SOL_USDC"}', Reason.MALFORMED),
    ("data is null", b'{"stream":"bookTicker.SOL_USDC","data":null}', Reason.MALFORMED),
    ("data is text", b'{"stream":"bookTicker.SOL_USDC","data":"{}"}', Reason.MALFORMED),
    ("data is empty", b'{"stream":"bookTicker.SOL_USDC","data":{}}', Reason.MALFORMED),
    ("another event", frame(e="trade"), Reason.MALFORMED),
    ("no event", frame(without="e"), Reason.MALFORMED),
    ("no symbol", frame(without="s"), Reason.MALFORMED),
    ("no update id", frame(without="u"), Reason.MALFORMED),
    ("update id is words", frame(u="next"), Reason.MALFORMED),
    ("update id is negative", frame(u="-1"), Reason.MALFORMED),
    ("update id is a fraction", frame(u=1.5), Reason.MALFORMED),
    ("update id is a boolean", frame(u=True), Reason.MALFORMED),
    ("update id is huge", frame(u="9" * 5_000), Reason.MALFORMED),
    ("update id is a huge number", frame(u=10**4_000), Reason.MALFORMED),
    ("update id in other digits", frame(u="٤٢"), Reason.MALFORMED),
    ("time is text", frame(T="1760130912344001"), Reason.MALFORMED),
    ("time is negative", frame(T=-1), Reason.MALFORMED),
    ("time is huge", frame(T=2**63), Reason.MALFORMED),
    ("price is a number", frame(b=188.4), Reason.MALFORMED),
    ("price is an object", frame(b={"p": "188.4"}), Reason.MALFORMED),
    ("too long", frame(pad="x" * MAX_FRAME_BYTES), Reason.OVERSIZED),
    ("error frame", b'{"id":null,"error":{"code":4006,"message":"Invalid stream"}}', Reason.VENUE_ERROR),
    ("error of unknown form", b'{"error":"no"}', Reason.VENUE_ERROR),
    ("acknowledgement", b'{"id":1,"result":null}', Reason.NO_STREAM),
    ("no error", b'{"id":1,"error":null}', Reason.NO_STREAM),
    ("empty object", b"{}", Reason.NO_STREAM),
    ("trade stream", frame("trade.SOL_USDC", e="trade"), Reason.OTHER_STREAM),
    ("stream without a symbol", b'{"stream":"liquidation","data":{}}', Reason.OTHER_STREAM),
    ("stream almost ours", frame("bookTickers.SOL_USDC"), Reason.OTHER_STREAM),
    ("unknown symbol", frame("bookTicker.DOGE_USDC", s="DOGE_USDC"), Reason.UNKNOWN_SYMBOL),
    ("symbol in small letters", frame("bookTicker.sol_usdc", s="sol_usdc"), Reason.UNKNOWN_SYMBOL),
    ("stream and data differ", frame(s="BTC_USDC"), Reason.SYMBOL_MISMATCH),
    ("no bid", frame(without="b"), Reason.ONE_SIDED),
    ("no ask", frame(without="a"), Reason.ONE_SIDED),
    ("bid is null", frame(b=None), Reason.ONE_SIDED),
    ("price is empty", frame(b=""), Reason.NOT_A_NUMBER),
    ("price is words", frame(a="cheap"), Reason.NOT_A_NUMBER),
    ("price is NaN", frame(b="NaN"), Reason.NOT_A_NUMBER),
    ("price is infinite", frame(a="Infinity"), Reason.NOT_A_NUMBER),
    ("price has an exponent", frame(b="1e2"), Reason.NOT_A_NUMBER),
    ("price has a comma", frame(b="188,40"), Reason.NOT_A_NUMBER),
    ("price has spaces", frame(b=" 188.40"), Reason.NOT_A_NUMBER),
    ("price has a line end", frame(b="188.40\n"), Reason.NOT_A_NUMBER),
    ("price has a plus", frame(b="+188.40"), Reason.NOT_A_NUMBER),
    ("price has no whole part", frame(b=".5"), Reason.NOT_A_NUMBER),
    ("price has no fraction", frame(b="188."), Reason.NOT_A_NUMBER),
    ("price in other digits", frame(b="١٨٨"), Reason.NOT_A_NUMBER),
    ("price has underscores", frame(b="1_88"), Reason.NOT_A_NUMBER),
    ("price is hexadecimal", frame(b="0x10"), Reason.NOT_A_NUMBER),
    ("price of 5000 digits", frame(a="9" * 5_000), Reason.OUT_OF_RANGE),
    ("price of 5000 decimals", frame(b="1." + "1" * 5_000), Reason.OUT_OF_RANGE),
    ("price beyond the largest", frame(a=str(MAX_SCALED)), Reason.OUT_OF_RANGE),
    ("bid is zero", frame(b="0"), Reason.NOT_POSITIVE),
    ("bid is zero with decimals", frame(b="0.000000"), Reason.NOT_POSITIVE),
    ("bid is negative", frame(b="-188.40"), Reason.NOT_POSITIVE),
    ("both are negative", frame(b="-188.42", a="-188.40"), Reason.NOT_POSITIVE),
    ("bid rounds down to zero", frame(b="0.0000009"), Reason.NOT_POSITIVE),
    ("crossed", frame(b="188.43"), Reason.CROSSED),
    ("crossed by one of our steps", frame(b="188.420001", a="188.42"), Reason.CROSSED),
]


@pytest.mark.parametrize(("raw", "reason"), [row[1:] for row in IGNORED], ids=[row[0] for row in IGNORED])
def test_what_is_no_sound_quote_is_ignored_for_its_reason(raw: bytes | str, reason: Reason) -> None:
    decoded = decode_frame(raw, DECIMALS)
    assert isinstance(decoded, Ignored)
    assert decoded.reason is reason


def test_every_reason_a_frame_can_have_is_in_the_table() -> None:
    of_the_guard = {Reason.SPREAD_TOO_WIDE, Reason.OUT_OF_ORDER, Reason.DUPLICATE, Reason.JUMP}
    assert {row[2] for row in IGNORED} == set(Reason) - of_the_guard


def test_the_venues_own_words_are_kept_and_bounded() -> None:
    said = decode_frame(b'{"id":null,"error":{"code":4006,"message":"Invalid stream"}}', DECIMALS)
    long = decode_frame(json.dumps({"error": {"code": "X", "message": "no " * 2_000}}), DECIMALS)
    assert said == Ignored(Reason.VENUE_ERROR, "4006 Invalid stream")
    assert isinstance(long, Ignored)
    assert len(long.detail) == MAX_DETAIL


def assert_sound(raw: bytes | str) -> None:
    decoded = decode_frame(raw, DECIMALS)
    if isinstance(decoded, Quote):
        assert 0 < decoded.bid <= decoded.ask <= MAX_SCALED
        assert decoded.symbol in DECIMALS


@given(st.binary(max_size=400))
def test_no_bytes_raise_or_make_an_unsound_quote(raw: bytes) -> None:
    assert_sound(raw)


@given(st.text(max_size=400))
def test_no_text_raises_or_makes_an_unsound_quote(raw: str) -> None:
    assert_sound(raw)


@given(st.data())
def test_no_damage_to_a_good_frame_raises_or_makes_an_unsound_quote(data: st.DataObject) -> None:
    damaged = bytearray(DOCUMENTED)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert_sound(bytes(damaged))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PRICES = st.from_regex(r"-?[0-9]{1,22}(\.[0-9]{1,22})?", fullmatch=True) | st.text(max_size=12)
VALUES: dict[str, Callable[[], st.SearchStrategy[object]]] = {
    "b": lambda: PRICES | JSON,
    "a": lambda: PRICES | JSON,
    "u": lambda: st.integers().map(str) | JSON,
    "T": lambda: st.integers() | JSON,
    "s": lambda: st.sampled_from([*DECIMALS, "X"]) | JSON,
    "e": lambda: st.just("bookTicker") | JSON,
}


@given(st.fixed_dictionaries({}, optional={key: make() for key, make in VALUES.items()}))
@example({"b": "1.0000009", "a": "1.0000001"})
def test_no_values_of_the_keys_raise_or_make_an_unsound_quote(changed: dict[str, object]) -> None:
    data = json.loads(DOCUMENTED)["data"] | changed
    assert_sound(json.dumps({"stream": f"bookTicker.{data['s']}", "data": data}))
