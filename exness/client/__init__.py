"""The exchange from a program: `Client` and `AsyncClient`.

    with Client("http://localhost:8002", token=token) as client:
        trade = client.create_trade("SOL", "long", margin=100, leverage=10)
        with client.stream("trades") as events:
            client.close_trade(trade.order_id)
            closed = events.wait_for("closed")

Money and prices are `Decimal`, times aware datetimes. This room stands beside the server and imports nothing of it but
what both sides of the stream say; a test holds answers and errors against the server's own.
"""

from exness.client.answers import Event
from exness.client.clients import AsyncClient, Client
from exness.client.errors import (
    CannotResume,
    ConnectionFailed,
    ExnessError,
    NoAnswer,
    Refused,
    StreamEnded,
    WrongServer,
    WrongVersion,
)
from exness.client.streams import AsyncStream, Stream

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "CannotResume",
    "Client",
    "ConnectionFailed",
    "Event",
    "ExnessError",
    "NoAnswer",
    "Refused",
    "Stream",
    "StreamEnded",
    "WrongServer",
    "WrongVersion",
]
