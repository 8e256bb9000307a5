"""What the messages of the stream weigh, beside what GET /stream does."""

from msgspec import Struct

from exness.web.http.weights import Weight
from exness.web.stream.protocol import Auth, Ping, Subscribe, Unsubscribe

MESSAGE = Weight(1)
CHANNELS = Weight(0, 6, "channels")
SNAPSHOT = Weight(0, 14, "open trades that a snapshot of `trades` shows")
RESUME = Weight(0, 8, "records of yours that a resume reads (`account` reads them twice)")

STREAM_WEIGHTS: dict[type[Struct], tuple[Weight, ...]] = {
    Subscribe: (MESSAGE, CHANNELS, SNAPSHOT, RESUME),
    Unsubscribe: (MESSAGE, CHANNELS),
    Ping: (MESSAGE,),
    Auth: (MESSAGE,),
}
"""What each of the stream's messages weighs, together. All of them count as reading."""


def message_weight(message: type[Struct]) -> str:
    """What a message of the stream weighs, for the documents."""
    return " + ".join(map(str, STREAM_WEIGHTS[message]))
