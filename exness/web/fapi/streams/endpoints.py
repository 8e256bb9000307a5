"""The sockets' paths: all streams are on each."""

from itertools import product

from exness.web.fapi.streams.socket import stream
from exness.web.http.endpoint import BUSY, GET, Endpoint, OtherAnswer
from exness.web.http.weights import Weight

PREFIXES = ("", "/public", "/market", "/private")
ROOTS = tuple(prefix + root for prefix, root in product(PREFIXES, ("/ws", "/stream")))
_WEIGHT = Weight(8)
_ERRORS = ("upgrade_required", *BUSY)

ENDPOINTS = tuple(
    Endpoint(
        GET, path, stream, _WEIGHT, "Streams of the market and of users, a WebSocket", None,
        errors=_ERRORS, others={101: OtherAnswer("Switching to WebSocket")}, tail=path.endswith("}"),
    )
    for prefix in PREFIXES
    for path in (f"{prefix}/ws", f"{prefix}/ws/{{streams}}", f"{prefix}/stream")
)  # fmt: skip
