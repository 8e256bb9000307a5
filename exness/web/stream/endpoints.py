"""The stream's endpoint."""

from exness.web.http.endpoint import BUSY, GET, Endpoint, OtherAnswer
from exness.web.http.weights import Weight
from exness.web.stream.socket import stream

ENDPOINTS = (
    Endpoint(
        GET, "/stream", stream, Weight(8), "The stream, a WebSocket: see /asyncapi.json", None,
        errors=("unauthorized", "forbidden_origin", "upgrade_required", *BUSY),
        others={101: OtherAnswer("Switching to WebSocket")},
    ),
)  # fmt: skip
"""Below the prefix of our dialect."""
