"""One frame of the Backpack venue as a quote, or as the reason why it is none.

Pure: bytes in, a value out. Nothing a venue can put in a frame raises here, and what is no sound best bid
and ask never becomes a `Quote`. Order, duplicates, spread and jumps are a matter of what came before: see `guard`.

The protocol: text frames `{"stream": "bookTicker.SOL_USDC", "data": {...}}` read by key, unknown keys ignored;
an error frame has `error` and no stream.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from exness.core.money import AmountError, Rounding, parse_rounded

MAX_FRAME_BYTES = 16_384
"""A book ticker takes about 200 bytes. What is longer is not read at all."""

MAX_DETAIL = 200
"""Characters of an error frame's text that are kept."""

_BOOK_TICKER = "bookTicker"
_PLAIN_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_UPDATE_ID = re.compile(r"\d{1,20}", re.ASCII)
_MAX_TIME_US = 2**63 - 1


class Reason(StrEnum):
    """Why a frame moved no price. The value is the name it is counted under."""

    OVERSIZED = "oversized"
    """Longer than MAX_FRAME_BYTES."""
    MALFORMED = "malformed"
    """Not JSON, not an object, or a book ticker with a missing key or a key of another type."""
    VENUE_ERROR = "venue_error"
    """The venue's own error frame; its text is the detail."""
    NO_STREAM = "no_stream"
    """An object that is neither data nor an error, such as an acknowledgement."""
    OTHER_STREAM = "other_stream"
    """Data of a stream that is no book ticker."""
    UNKNOWN_SYMBOL = "unknown_symbol"
    SYMBOL_MISMATCH = "symbol_mismatch"
    """The stream names one symbol, its data another."""
    ONE_SIDED = "one_sided"
    """A book without a bid or without an ask: it has no mid."""
    NOT_A_NUMBER = "not_a_number"
    """A price that is no plain decimal text."""
    OUT_OF_RANGE = "out_of_range"
    """A price beyond the largest there is (`core.ceilings`), or of too many digits."""
    NOT_POSITIVE = "not_positive"
    """A price that is 0 or less, at the asset's decimals."""
    CROSSED = "crossed"
    """The bid is above the ask, by more than what lies beyond the asset's decimals."""
    SPREAD_TOO_WIDE = "spread_too_wide"
    """Bid and ask further apart than `feed.max_spread`. This and the following are found by the guard."""
    OUT_OF_ORDER = "out_of_order"
    """An older update than the last one of this symbol."""
    DUPLICATE = "duplicate"
    """The same update as the last one of this symbol."""
    JUMP = "jump"
    """Further from the last accepted mark than `jump_share`, and not confirmed yet."""


class Quote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask, scaled by the asset's decimals: 0 < bid <= ask."""

    symbol: str
    bid: int
    ask: int
    update_id: int
    """Grows with every update of this symbol."""
    engine_time_us: int
    """When the venue's matching engine made it, microseconds since the epoch; 0 when it does not say."""


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """A frame that is no quote."""

    reason: Reason
    detail: str = ""
    """What the venue said, for the log."""


class _Envelope(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _BookTicker(msgspec.Struct):
    e: str
    s: str
    u: str | int
    b: str | None = None
    a: str | None = None
    T: int = 0


class _Error(msgspec.Struct):
    code: int | str = ""
    message: str = ""


_envelopes = msgspec.json.Decoder(_Envelope)
_book_tickers = msgspec.json.Decoder(_BookTicker)
_errors = msgspec.json.Decoder(_Error)

# msgspec reports bad text with the errors of `str`, and deep nesting with the interpreter's.
_NOT_DECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def decode_frame(raw: str | bytes, decimals: Mapping[str, int]) -> Quote | Ignored:
    """The quote in a frame. `decimals` gives each known symbol (`SOL_USDC`) the decimals of its price.

    The bid is rounded down and the ask up where the venue is finer than the asset: never better than the market.
    """
    if len(raw) > MAX_FRAME_BYTES:
        return Ignored(Reason.OVERSIZED)
    try:
        envelope = _envelopes.decode(raw)
    except _NOT_DECODABLE:
        return Ignored(Reason.MALFORMED)
    if envelope.stream is None:
        return _without_stream(envelope.error)
    kind, _, symbol = envelope.stream.partition(".")
    if kind != _BOOK_TICKER:
        return Ignored(Reason.OTHER_STREAM)
    try:
        ticker = _book_tickers.decode(envelope.data)
    except _NOT_DECODABLE:
        return Ignored(Reason.MALFORMED)
    return _quote(ticker, symbol, decimals)


def _quote(ticker: _BookTicker, symbol: str, decimals: Mapping[str, int]) -> Quote | Ignored:
    update_id = str(ticker.u)
    if ticker.e != _BOOK_TICKER or not _UPDATE_ID.fullmatch(update_id) or not 0 <= ticker.T <= _MAX_TIME_US:
        return Ignored(Reason.MALFORMED)
    if ticker.s != symbol:
        return Ignored(Reason.SYMBOL_MISMATCH)
    if symbol not in decimals:
        return Ignored(Reason.UNKNOWN_SYMBOL)
    if ticker.b is None or ticker.a is None:
        return Ignored(Reason.ONE_SIDED)
    prices = _prices(ticker.b, ticker.a, decimals[symbol])
    if isinstance(prices, Reason):
        return Ignored(prices)
    bid, ask = prices
    return Quote(symbol, bid, ask, int(update_id), ticker.T)


def _prices(bid_text: str, ask_text: str, decimals: int) -> tuple[int, int] | Reason:
    if not (_PLAIN_DECIMAL.fullmatch(bid_text) and _PLAIN_DECIMAL.fullmatch(ask_text)):
        return Reason.NOT_A_NUMBER
    try:
        bid = parse_rounded(bid_text, decimals, Rounding.FLOOR)
        ask = parse_rounded(ask_text, decimals, Rounding.CEILING)
    except AmountError:
        return Reason.OUT_OF_RANGE
    if bid <= 0 or ask <= 0:
        return Reason.NOT_POSITIVE
    if bid > ask:
        return Reason.CROSSED
    return bid, ask


def _without_stream(error: msgspec.Raw) -> Ignored:
    if bytes(error) in (b"", b"null"):
        return Ignored(Reason.NO_STREAM)
    try:
        said = _errors.decode(error)
    except _NOT_DECODABLE:
        return Ignored(Reason.VENUE_ERROR, "an error of unknown form")
    return Ignored(Reason.VENUE_ERROR, f"{said.code} {said.message}".strip()[:MAX_DETAIL])
