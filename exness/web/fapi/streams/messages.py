"""What is said on the sockets of the face: requests, their answers, and the events of the market.

Fields are named as they go over the wire, which is what their readers look for.
"""

import msgspec

from exness.web.fapi.market.texts import Level
from exness.web.stream.protocol import text_frame

encode = msgspec.json.Encoder().encode

MessageId = int | str | None


class Result(msgspec.Struct, frozen=True):
    """The answer to a request that was understood: null, or the names that are followed."""

    result: list[str] | None
    id: MessageId


class Wrong(msgspec.Struct, frozen=True):
    code: int
    msg: str


class Refused(msgspec.Struct, frozen=True):
    error: Wrong
    id: MessageId


class Event(msgspec.Struct, frozen=True, tag_field="e"):
    """`E` is when it is told, by the exchange's time (milliseconds), as is every other time."""

    E: int


class BookTicker(Event, frozen=True, tag="bookTicker"):
    u: int
    T: int
    s: str
    b: str
    B: str
    a: str
    A: str


class AggTrade(Event, frozen=True, tag="aggTrade"):
    s: str
    a: int
    p: str
    q: str
    nq: str
    f: int
    l: int  # noqa: E741 - its name on the wire
    T: int
    m: bool


class Trade(Event, frozen=True, tag="trade"):
    T: int
    s: str
    t: int
    p: str
    q: str
    X: str
    m: bool


class MarkPrice(Event, frozen=True, tag="markPriceUpdate"):
    s: str
    p: str
    ap: str
    i: str
    P: str
    r: str
    T: int


class KlineData(msgspec.Struct, frozen=True):
    t: int
    T: int
    s: str
    i: str
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - its name on the wire
    v: str
    n: int
    x: bool
    q: str
    V: str
    Q: str
    B: str


class Kline(Event, frozen=True, tag="kline"):
    s: str
    k: KlineData


class ContinuousKline(Event, frozen=True, tag="continuous_kline"):
    ps: str
    ct: str
    k: KlineData


class DepthUpdate(Event, frozen=True, tag="depthUpdate"):
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[Level]
    a: list[Level]


class Ticker(Event, frozen=True, tag="24hrTicker"):
    s: str
    p: str
    P: str
    w: str
    c: str
    Q: str
    o: str
    h: str
    l: str  # noqa: E741 - its name on the wire
    v: str
    q: str
    O: int  # noqa: E741 - its name on the wire
    C: int
    F: int
    L: int
    n: int


class MiniTicker(Event, frozen=True, tag="24hrMiniTicker"):
    s: str
    c: str
    o: str
    h: str
    l: str  # noqa: E741 - its name on the wire
    v: str
    q: str


class Liquidation(msgspec.Struct, frozen=True):
    s: str
    S: str
    o: str
    f: str
    q: str
    p: str
    ap: str
    X: str
    l: str  # noqa: E741 - its name on the wire
    z: str
    T: int


class ForceOrder(Event, frozen=True, tag="forceOrder"):
    o: Liquidation


def frame(data: object) -> bytes:
    """As it goes over the wire, on /ws."""
    return text_frame(encode(data))


def wrapped(name: str, payload: bytes) -> bytes:
    """An encoded event on /stream: it names its stream."""
    return text_frame(b'{"stream":%b,"data":%b}' % (encode(name), payload))
