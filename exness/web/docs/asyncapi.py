"""The AsyncAPI document: what is said on /stream, made from the structs that read and write it. And its part of /docs.

The tables here are what code can't tell: which channel carries which frame, and what for. A test holds a real
conversation against them.
"""

from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from exness.runtime.candles import Interval
from exness.web.docs.openapi import schemas_of
from exness.web.http.browser_rules import COOKIE
from exness.web.stream.protocol import (
    ACCOUNT,
    CLOCK,
    CLOSE_CODES,
    CONTROL,
    ORDERS,
    PRICES,
    STREAM_ERRORS,
    TRADES,
    Auth,
    AuthenticatedData,
    ClockData,
    ErrorData,
    Ping,
    PongData,
    Subscribe,
    SubscribedData,
    Unsubscribe,
    UnsubscribedData,
)
from exness.web.stream.weights import message_weight
from exness.web.v1 import PREFIX
from exness.web.v1.account_frames import (
    BalanceData,
    ChangedData,
    ClosedData,
    IncreasedData,
    LiquidatedData,
    OrderEndedData,
    OrderTriggeredData,
    ReducedData,
)
from exness.web.v1.errors import ERRORS
from exness.web.v1.models import KlineRow, PriceAnswer
from exness.web.v1.order_models import OrderRow
from exness.web.v1.trade_models import OpenedData, OpenTradeRow

ADDRESS = f"{PREFIX}/stream"
_ASSET = "[A-Z0-9]{1,10}"
_INTERVALS = "|".join(Interval)


class ChannelRow(NamedTuple):
    """A kind of channel, as a client names it."""

    name: str
    pattern: str
    """Of its names, a regular expression."""
    needs: str
    seq: str
    summary: str


class MessageRow(NamedTuple):
    """What a client may say."""

    body: type[msgspec.Struct]
    example: str
    summary: str


class FrameRow(NamedTuple):
    """What the server may say: a type of frame on a kind of channel."""

    channel: str
    type: str
    data: Any
    summary: str

    @property
    def name(self) -> str:
        word = self.channel.partition(".")[0]
        return f"{word}{'One' if self.channel == 'prices.<ASSET>' else ''}{self.type.capitalize()}"


_MARKET_SEQ = "counts what this process has told of the market: it grows, with gaps"
_JOURNAL_SEQ = "the journal's: a snapshot shows everything up to its own, an event is the record of that number"

CHANNELS = (
    ChannelRow(PRICES, "prices", "-", _MARKET_SEQ, "Every asset's price"),
    ChannelRow("prices.<ASSET>", rf"prices\.{_ASSET}", "-", _MARKET_SEQ, "One asset's price"),
    ChannelRow(
        "candles.<INTERVAL>.<ASSET>",
        rf"candles\.({_INTERVALS})\.{_ASSET}",
        "-",
        _MARKET_SEQ,
        f"The newest candle as it grows; intervals {', '.join(Interval)}",
    ),
    ChannelRow(CLOCK, CLOCK, "dev control and a manual feed", _MARKET_SEQ, "The exchange's time, and who holds it how"),
    ChannelRow(TRADES, TRADES, "session", _JOURNAL_SEQ, "One's own trades: opened, changed, closed"),
    ChannelRow(ORDERS, ORDERS, "session", _JOURNAL_SEQ, "One's own orders that wait, and exits that are orders"),
    ChannelRow(ACCOUNT, ACCOUNT, "session", _JOURNAL_SEQ, "One's own balance"),
    ChannelRow(
        CONTROL,
        CONTROL,
        "-",
        "0, but a pong's: the journal's seq up to which this connection has been told all it listens to",
        "Answers to one's messages; nobody subscribes to it",
    ),
)

MESSAGES = (
    MessageRow(
        Subscribe,
        '{"op": "subscribe", "channels": ["prices", "candles.1m.SOL", "trades", "orders", "account"], "resume": 4711}',
        "Listen to channels. `resume` is for trades, orders and account and may be left out",
    ),
    MessageRow(Unsubscribe, '{"op": "unsubscribe", "channels": ["prices"]}', "Listen to channels no more"),
    MessageRow(Ping, '{"op": "ping"}', "Ask for a pong"),
    MessageRow(Auth, '{"op": "auth", "token": "..."}', "Bring a session, unless cookie or Authorization brought one"),
)

FRAMES = (
    FrameRow(PRICES, "snapshot", dict[str, PriceAnswer], "Every price by asset, as GET /prices"),
    FrameRow(PRICES, "price", PriceAnswer, "A new price, or a new state of one"),
    FrameRow("prices.<ASSET>", "snapshot", PriceAnswer, "The price, as GET /prices/{asset}"),
    FrameRow("prices.<ASSET>", "price", PriceAnswer, "A new price, or a new state of it"),
    FrameRow("candles.<INTERVAL>.<ASSET>", "snapshot", KlineRow | None, "The newest candle, null when there is none"),
    FrameRow("candles.<INTERVAL>.<ASSET>", "candle", KlineRow, "The newest candle has grown, or begun"),
    FrameRow(CLOCK, "snapshot", ClockData, "The exchange's time, whether it is paused, and how fast it runs"),
    FrameRow(CLOCK, "clock", ClockData, "It was moved, paused or runs at another rate, or scripted prices have come"),
    FrameRow(TRADES, "snapshot", list[OpenTradeRow], "Open trades, as `data` of GET /trade/open"),
    FrameRow(TRADES, "opened", OpenedData, "A trade was opened"),
    FrameRow(TRADES, "increased", IncreasedData, "A net position has grown"),
    FrameRow(TRADES, "reduced", ReducedData, "A part of a trade was closed"),
    FrameRow(TRADES, "changed", ChangedData, "Exits, margin or leverage of a trade have changed, or it paid funding"),
    FrameRow(TRADES, "closed", ClosedData, "A trade was closed, and its exits are gone with it"),
    FrameRow(TRADES, "liquidated", LiquidatedData, "A trade was liquidated"),
    FrameRow(ORDERS, "snapshot", list[OrderRow], "What waits, as `data` of GET /order/open"),
    FrameRow(ORDERS, "placed", OrderRow, "An order was placed, or an exit added that is one"),
    FrameRow(ORDERS, "amended", OrderRow, "It was changed"),
    FrameRow(ORDERS, "triggered", OrderTriggeredData, "Its stop was reached: it waits as a limit"),
    FrameRow(ORDERS, "ended", OrderEndedData, "It waits no longer"),
    FrameRow(ACCOUNT, "snapshot", BalanceData, "Free balance, locked margin, what is reserved for orders"),
    FrameRow(ACCOUNT, "balance", BalanceData, "The same after something happened to the account"),
    FrameRow(CONTROL, "subscribed", SubscribedData, "What comes next is of these channels"),
    FrameRow(CONTROL, "unsubscribed", UnsubscribedData, "Nothing more comes of these channels"),
    FrameRow(CONTROL, "pong", PongData, "Here we are"),
    FrameRow(CONTROL, "authenticated", AuthenticatedData, "The session is good"),
    FrameRow(CONTROL, "error", ErrorData, "The message was refused, and nothing of it done"),
)

ERROR_CODES = ("invalid_request", "unauthorized", "rate_limited", "overloaded", "shutting_down", *STREAM_ERRORS)


def document(version: str, *, public_url: str = "") -> dict[str, Any]:
    """The AsyncAPI 3.0 document."""
    types = list(
        {str(each): each for each in (*(row.body for row in MESSAGES), *(row.data for row in FRAMES))}.values()
    )
    schemas, components = schemas_of(types)
    said = {row.body.__name__: _message(row, schemas[str(row.body)]) for row in MESSAGES}
    told = {row.name: _frame(row, schemas[str(row.data)]) for row in FRAMES}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "exness stream",
            "version": version,
            "description": "Prices, candles, and one's own trades, orders and balance as they change.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": _server(public_url)
            | {"security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("bearer", "cookie")]}
        },
        "channels": {
            "stream": {
                "address": ADDRESS,
                "title": "One WebSocket for everything",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in said | told},
            }
        },
        "operations": {
            "say": _operation("receive", "What a client says", said),
            "tell": _operation("send", "What the server says", told),
        },
        "components": {
            "messages": said | told,
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "httpApiKey", "in": "cookie", "name": COOKIE},
            },
        },
        "x-channels": {
            row.name: {"needs": row.needs, "seq": row.seq, "description": row.summary, "pattern": f"^{row.pattern}$"}
            for row in CHANNELS
        },
        "x-close-codes": {str(int(code)): meaning for code, meaning in CLOSE_CODES.items()},
        "x-error-codes": {str(code): _meaning(code) for code in ERROR_CODES},
    }


def _server(public_url: str) -> dict[str, Any]:
    """Where users are, when that is known. A host can't be relative, so else it is for the reader to fill in."""
    if not public_url:
        where = {"default": "localhost:8002", "description": "Where this document came from"}
        return {"host": "{host}", "protocol": "ws", "variables": {"host": where}}
    parts = urlsplit(public_url)
    server = {"host": parts.netloc, "protocol": "wss" if parts.scheme == "https" else "ws"}
    return server | ({"pathname": parts.path} if parts.path else {})


def _message(row: MessageRow, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row.body.__name__,
        "summary": row.summary,
        "description": f"Weight {message_weight(row.body)}, of the rate for reading.",
        "payload": schema,
        "examples": [{"payload": msgspec.json.decode(row.example)}],
    }


def _frame(row: FrameRow, data: dict[str, Any]) -> dict[str, Any]:
    (channel,) = [each for each in CHANNELS if each.name == row.channel]
    payload = {
        "type": "object",
        "required": ["channel", "seq", "at", "type", "data"],
        "additionalProperties": False,
        "properties": {
            "channel": {"type": "string", "pattern": f"^{channel.pattern}$"},
            "seq": {"type": "integer", "minimum": 0, "description": channel.seq},
            "at": {"type": "string", "format": "date-time"},
            "type": {"const": row.type},
            "data": data,
        },
    }
    return {"name": row.name, "summary": row.summary, "payload": payload}


def _operation(action: str, summary: str, messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/stream"},
        "messages": [{"$ref": f"#/channels/stream/messages/{name}"} for name in messages],
    }


def _meaning(code: str) -> str:
    return STREAM_ERRORS.get(code) or ERRORS[code][1]


# --- its part of the page -----------------------------------------------------------------------------------------


def section() -> str:
    """The stream on /docs, as HTML."""
    return "".join(
        (
            f'<h2 id="stream">The stream: <code>{escape(ADDRESS)}</code></h2>',
            "<p>A WebSocket. Every frame of the server is <code>{channel, seq, at, type, data}</code>.</p>",
            _table("You say", [(f"<code>{escape(row.example)}</code>", escape(row.summary)) for row in MESSAGES]),
            _table(
                "Channels",
                [
                    (f"<code>{escape(row.name)}</code>", escape(f"{row.summary}. seq: {row.seq}"), escape(row.needs))
                    for row in CHANNELS
                ],
            ),
            _table(
                "Frames",
                [
                    (f"<code>{escape(row.channel)}</code>", f"<code>{row.type}</code>", escape(row.summary))
                    for row in FRAMES
                ],
            ),
            _table("Error codes", [(f"<code>{code}</code>", escape(_meaning(code))) for code in ERROR_CODES]),
            _table("Close codes", [(str(int(code)), escape(meaning)) for code, meaning in CLOSE_CODES.items()]),
        )
    )


def _table(title: str, rows: list[tuple[str, ...]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h3>{title}</h3><table>{body}</table>"
