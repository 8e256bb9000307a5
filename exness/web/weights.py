"""What a request may cost: the weight of every endpoint and of every message of the stream, and what it is counted as.

Weight 1 is the cheapest request of an account, GET /balance/usd: some 40 microseconds of the process. The others are
measured against it, by CPU time of the whole process, loop and threads: `python -m tests.web.measure_weights`. Where
the cost grows with what is asked for, so does the weight: `rows` is how many rows one more unit pays for. Limits count
weights, not requests, so they bound how much of the process one client can take.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from exness.web.frames import Auth, Ping, Subscribe, Unsubscribe

API = "/api/v1"


class Budget(StrEnum):
    """Which rate a request counts against."""

    TRADE = "trade"
    """What changes something on the exchange."""
    READ = "read"
    """Everything else."""
    PROBE = "probe"
    """What watches the process. It is apart so that no load, and no block, of the same client IP makes a probe fail:
    an orchestrator would restart, or take out of service, a server that is well."""


class Weight(NamedTuple):
    """`base` of each request; `rows`: one more unit for each so many rows, 0 where there are none to count; `what`: the
    rows' name, for the documents."""

    base: int
    rows: int = 0
    what: str = ""
    budget: Budget = Budget.READ

    def of_rows(self, rows: int) -> int:
        """What so many rows weigh beside the base."""
        return rows // self.rows if self.rows else 0

    def __str__(self) -> str:
        parts = [str(self.base)] if self.base else []
        return " + ".join([*parts, f"1 for every {self.rows} {self.what}"] if self.rows else parts)


TRADE, PROBE = Budget.TRADE, Budget.PROBE

WEIGHTS: dict[tuple[str, str], Weight] = {
    ("POST", f"{API}/signup"): Weight(30),
    ("POST", f"{API}/signin"): Weight(30),
    ("GET", f"{API}/signin/post"): Weight(15),
    ("POST", f"{API}/logout"): Weight(15),
    ("POST", f"{API}/trade/create"): Weight(3, budget=TRADE),
    ("POST", f"{API}/trade/close"): Weight(3, budget=TRADE),
    ("GET", f"{API}/trade/open"): Weight(1, 16, "trades told"),
    ("GET", f"{API}/trade/history"): Weight(3, 5, "of `limit`"),
    ("GET", f"{API}/balance"): Weight(1),
    ("GET", f"{API}/balance/usd"): Weight(1),
    ("GET", f"{API}/account"): Weight(1, 64, "open trades"),
    ("GET", f"{API}/supportedAssets"): Weight(1),
    ("GET", f"{API}/prices"): Weight(1),
    ("GET", f"{API}/prices/{{asset}}"): Weight(1),
    ("GET", f"{API}/klines"): Weight(3, 8, "of `limit`"),
    ("GET", f"{API}/stream"): Weight(8),
    ("GET", "/healthz"): Weight(1, budget=PROBE),
    ("GET", "/readyz"): Weight(1, budget=PROBE),
    ("GET", "/metrics"): Weight(80, budget=PROBE),
    ("GET", "/openapi.json"): Weight(2),
    ("GET", "/asyncapi.json"): Weight(2),
    ("GET", "/docs"): Weight(2),
    ("GET", "/"): Weight(2),
    ("PUT", f"{API}/dev/prices/{{asset}}"): Weight(3, budget=TRADE),
    ("POST", f"{API}/dev/prices/script"): Weight(3, budget=TRADE),
    ("GET", f"{API}/dev/clock"): Weight(1, budget=TRADE),
    ("POST", f"{API}/dev/clock"): Weight(3, budget=TRADE),
    ("POST", f"{API}/dev/deposit"): Weight(4, budget=TRADE),
    ("POST", f"{API}/dev/reset"): Weight(3, budget=TRADE),
}
"""By method and path, as routes.py has them. HEAD weighs what GET does."""

OTHER = Weight(2)
"""What is none of them: a path or method that there is not, and a browser that asks whether it may."""

BODY_BYTES = 2048
"""Of a request's body weigh one unit more."""

MESSAGE = Weight(1)
CHANNELS = Weight(0, 6, "channels")
SNAPSHOT = Weight(0, 14, "open trades that a snapshot of `trades` shows")
RESUME = Weight(0, 8, "records of the journal that a resume reads (`account` reads them twice)")

STREAM_WEIGHTS: dict[type[Struct], tuple[Weight, ...]] = {
    Subscribe: (MESSAGE, CHANNELS, SNAPSHOT, RESUME),
    Unsubscribe: (MESSAGE, CHANNELS),
    Ping: (MESSAGE,),
    Auth: (MESSAGE,),
}
"""What each of the stream's messages weighs, together. All of them count as reading."""


def weight_of(method: str, path: str) -> Weight:
    """Of any request, also of one that there is no route for."""
    method = "GET" if method == "HEAD" else method
    found = WEIGHTS.get((method, path))
    return found or WEIGHTS.get((method, f"{path.rpartition('/')[0]}/{{asset}}"), OTHER)


def message_weight(message: type[Struct]) -> str:
    """What a message of the stream weighs, for the documents."""
    return " + ".join(map(str, STREAM_WEIGHTS[message]))
