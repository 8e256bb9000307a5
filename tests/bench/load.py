"""The load generator: a process of its own that asks over raw HTTP/1.1 as fast as it is answered.

Each connection has one request in flight (a closed loop), asks with preformatted bytes and looks at an answer's status,
length and `orderId` only, so that it costs far less than any server. A line of JSON in (`Plan`) is one round, a line of
JSON out (`Run`) is what came of it; the latencies lie in a file, as nanoseconds in an array of 64-bit integers.
"""

import asyncio
import gc
import sys
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import cast

import msgspec

HEAD_END = b"\r\n\r\n"
LENGTH = b"Content-Length: "
ORDER = b'"orderId":"'
GRACE_S = 15.0
"""How long a round may take beyond its time before it counts as failed."""


class Plan(msgspec.Struct):
    """One round. Connection `n` sends `requests[n % len(requests)]`; where `closes` are given, it is a create, and what
    it opened is closed next with `closes[n % ...]`, in which `{order}`, if it is there, becomes the order's id."""

    port: int
    connections: int
    seconds: float
    latencies: str
    requests: list[str]
    closes: list[str] = []
    warm_s: float = 0.3
    per_second: float = 0.0
    """Requests a second over all connections, each counted from when it was due, so that a stall shows in all that it
    delays; 0: as fast as they are answered."""


class Run(msgspec.Struct):
    """`requests` were timed; `answered` are all, those before and after the measured time too. `cpu_share` is how much
    of a core the generator itself used: well below 1, or it was what bounded the round."""

    requests: int
    answered: int
    seconds: float
    cpu_share: float
    errors: dict[str, int]


def get(path: str, token: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: exness\r\nAuthorization: Bearer {token}\r\n\r\n"


def post(path: str, token: str, body: str, length: int | None = None) -> str:
    """`length`: of the body as it will be sent."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: exness\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n{body}"
    )


class Lines:
    """What the connections of one round share."""

    def __init__(self, per_second: float) -> None:
        self.latencies = array("q")
        self.answered = 0
        self._gap_s = 1 / per_second if per_second else 0.0
        self._due = 0.0
        self.errors: Counter[str] = Counter()
        self.stopping = False
        self.open = 0
        self.idle = asyncio.Event()

    def wait_s(self) -> float:
        """How long until the next request is due; below 0 when it is late. Takes that place in the row."""
        if not self._gap_s:
            return 0.0
        now = time.perf_counter()
        self._due = self._due + self._gap_s if self._due else now
        return self._due - now

    def left(self) -> None:
        self.open -= 1
        if self.open == 0:
            self.idle.set()


class Line(asyncio.Protocol):
    """One connection. What is open when the round ends is closed unmeasured, so that no round leaves a trade behind."""

    def __init__(self, lines: Lines, request: bytes, close: bytes) -> None:
        self._lines = lines
        self._request = request
        self._close_head, self._by_id, self._close_tail = close.partition(b"{order}")
        self._closing = False
        self._gone = False
        self._began = 0
        self._rest = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass of it

    def ask(self, request: bytes) -> None:
        wait_s = self._lines.wait_s()
        self._began = time.perf_counter_ns() + int(wait_s * 1e9)
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._transport.write, request)
        else:
            self._transport.write(request)

    def start(self) -> None:
        self._lines.open += 1
        self.ask(self._request)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        head_end = data.find(HEAD_END)
        at = data.find(LENGTH) + len(LENGTH)
        if head_end < 0 or len(data) < head_end + 4 + int(data[at : data.find(b"\r\n", at)]):
            self._rest = data
            return
        self._rest = b""
        self._answered(data, time.perf_counter_ns() - self._began)

    def _answered(self, data: bytes, took_ns: int) -> None:
        ok = data[9:12] == b"200"
        self._lines.answered += 1
        if not ok:
            self._lines.errors[data[9:12].decode(errors="replace")] += 1
        elif not self._lines.stopping:
            self._lines.latencies.append(took_ns)
        if ok and self._close_head and not self._closing:
            self._closing = True
            begin = data.find(ORDER) + len(ORDER)
            order = data[begin : data.find(b'"', begin)] if self._by_id else b""
            self.ask(self._close_head + order + self._close_tail)
            return
        self._closing = False
        if self._lines.stopping:
            self._leave()
        else:
            self.ask(self._request)

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._transport.close()
            self._lines.left()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._gone:
            self._lines.errors["connection lost"] += 1
            self._leave()


async def run(plan: Plan) -> Run:
    """One round: connect, warm up, measure, take leave."""
    lines, loop = Lines(plan.per_second), asyncio.get_running_loop()
    connections = [await _connect(loop, lines, plan, number) for number in range(plan.connections)]
    for line in connections:
        line.start()
    await asyncio.sleep(plan.warm_s)
    lines.latencies = array("q")
    lines.errors.clear()
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(plan.seconds)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    lines.stopping = True
    try:
        async with asyncio.timeout(GRACE_S):
            await lines.idle.wait()
    except TimeoutError:
        lines.errors["unanswered"] += lines.open
    with Path(plan.latencies).open("wb") as file:  # noqa: ASYNC230 - the round is over
        lines.latencies.tofile(file)
    return Run(len(lines.latencies), lines.answered, seconds, cpu / seconds, dict(lines.errors))


async def _connect(loop: asyncio.AbstractEventLoop, lines: Lines, plan: Plan, number: int) -> Line:
    request = plan.requests[number % len(plan.requests)].encode()
    close = plan.closes[number % len(plan.closes)].encode() if plan.closes else b""
    _, line = await loop.create_connection(lambda: Line(lines, request, close), "127.0.0.1", plan.port)
    return line


def main() -> None:
    import uvloop

    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for text in sys.stdin:
            done = runner.run(run(msgspec.json.decode(text, type=Plan)))
            print(msgspec.json.encode(done).decode(), flush=True)
            gc.collect()


if __name__ == "__main__":
    main()
