"""What a venue may do wrong, on request: one table from a fault's name to what it is, and one of bad frames.

A fault strikes on each connection by itself, at every so many data frames. Pure but for what `server` does with it.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

FAULTS: dict[str, tuple[str, int]] = {
    "drop": ("the connection ends abruptly, without a Close frame", 50),
    "stall": ("the connection stays open, but nothing is sent or read any more: not even a ping is answered", 50),
    "malformed": ("a bad frame goes out before the good one; what is bad about it goes round BAD_FRAMES", 5),
    "duplicate": ("the frame is sent twice", 5),
    "reorder": ("the frame is sent after the next one of its stream", 5),
}
"""Name -> (what happens, at every how many data frames unless told otherwise)."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong, at every `every`th data frame of a connection."""

    kind: str
    every: int


class FaultError(ValueError):
    """The text names no fault. The message is for whoever wrote it."""


def parse_fault(text: str) -> Fault:
    """`drop` or `drop:every=100`. Raises FaultError."""
    kind, _, option = text.partition(":")
    if kind not in FAULTS:
        raise FaultError(f"there is no fault {kind!r}; faults are {', '.join(FAULTS)}")
    if not option:
        return Fault(kind, FAULTS[kind][1])
    name, _, number = option.partition("=")
    if name != "every" or not number.isdecimal() or not 0 < int(number) < 10**9:
        raise FaultError(f"a fault's option is every=N with N of at least 1, not {option!r}")
    return Fault(kind, int(number))


def table() -> str:
    """Every fault with what it does, for `venue --help`."""
    return "\n".join(f"  {name:<10} {what} (every={every})" for name, (what, every) in FAULTS.items())


Data = dict[str, Any]

_INVALID_STREAM = '{"id":null,"error":{"code":4006,"message":"Invalid stream"}}'


def _with(**changes: Any) -> Callable[[str, Data], str]:
    def make(stream: str, data: Data) -> str:
        return json.dumps({"stream": stream, "data": {**data, **changes}})

    return make


def _without(key: str) -> Callable[[str, Data], str]:
    def make(stream: str, data: Data) -> str:
        return json.dumps({"stream": stream, "data": {name: value for name, value in data.items() if name != key}})

    return make


def _times(factor: float, *keys: str) -> Callable[[str, Data], str]:
    def make(stream: str, data: Data) -> str:
        moved = {key: f"{float(data[key]) * factor:.4f}" for key in keys if data.get(key)}
        return json.dumps({"stream": stream, "data": {**data, **moved}})

    return make


BAD_FRAMES: list[tuple[str, str, Callable[[str, Data], str | bytes]]] = [
    ("half a frame", "malformed", lambda stream, data: json.dumps({"stream": stream, "data": data})[:-20]),
    ("bytes that are no text", "malformed", lambda stream, data: b"\xff\xfe\x00"),
    ("an empty frame", "malformed", lambda stream, data: ""),
    ("data that is text", "malformed", lambda stream, data: json.dumps({"stream": stream, "data": "<payload>"})),
    ("a price that is a number", "malformed", _with(b=188.4)),
    ("no update id", "malformed", _without("u")),
    ("a price that is NaN", "not_a_number", _with(a="NaN")),
    ("a price with an exponent", "not_a_number", _with(b="1e3")),
    ("a price of 40 digits", "out_of_range", _with(a="9" * 40)),
    ("a bid of 0", "not_positive", _with(b="0.00")),
    ("a negative ask", "not_positive", _with(a="-1")),
    ("a bid above the ask", "crossed", _times(1.01, "b")),
    ("an ask twice the bid", "spread_too_wide", _times(2.0, "a")),
    ("no bid", "one_sided", _without("b")),
    ("another symbol in the data", "symbol_mismatch", _with(s="NONE_USDC")),
    (
        "a symbol nobody knows",
        "unknown_symbol",
        lambda stream, data: json.dumps({"stream": "bookTicker.NONE_USDC", "data": {**data, "s": "NONE_USDC"}}),
    ),
    ("a stream nobody asked for", "other_stream", lambda stream, data: json.dumps({"stream": "x.y", "data": data})),
    ("an object that is nothing", "no_stream", lambda stream, data: '{"result":null,"id":1}'),
    ("an error frame", "venue_error", lambda stream, data: _INVALID_STREAM),
    ("a frame of 20 kB", "oversized", lambda stream, data: json.dumps({"stream": stream, "data": data}) + " " * 20_000),
]
"""(what it is, the reason our feed counts it under, maker). Each is made of a good bookTicker frame."""


def bad_frame(number: int, stream: str, data: Data) -> str | bytes:
    """The bad frame of this number, made of a good one. What is no bookTicker is cut in half."""
    if not stream.startswith("bookTicker."):
        return json.dumps({"stream": stream, "data": data})[:-20]
    return BAD_FRAMES[number % len(BAD_FRAMES)][2](stream, data)
