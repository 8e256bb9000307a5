"""What 1,000 readers of every price cost: `python -m tests.web.measure_stream [SECONDS] [READERS]`.

The real process with the simulated feed at 10 ticks a second and asset; the readers in another process, as light
as they can be, one of them never reads. A few more readers in a process of their own take the times: frames
carry when the engine took the tick, on the clock that the reader asks too.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from tests.support.process import ROOT, UNLIMITED, Server
from tests.web.load import percentile

READERS = 1000
SECONDS = 20.0
TICKS_PER_S = 10
SETTLE_S = 3.0
TIMED = 5
_AT = re.compile(rb'"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z","type":"price"')
_UPGRADE = (
    b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_SUBSCRIBE = b'{"op":"subscribe","channels":["prices"]}'


class LightReader(asyncio.Protocol):
    """Counts frames, and takes their times if it is told to."""

    def __init__(self, takes_times: bool, frames: list[int], delays_ms: list[float]) -> None:
        self._takes_times = takes_times
        self._frames = frames
        self._delays_ms = delays_ms

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(_UPGRADE)  # type: ignore[attr-defined]
        transport.write(bytes((0x81, 0x80 | len(_SUBSCRIBE))) + bytes(4) + _SUBSCRIBE)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if b"\x89\x00" in data:
            self.transport.write(b"\x8a\x80" + bytes(4))  # type: ignore[attr-defined]
        self._frames[0] += data.count(b'"type":"price"')
        if self._takes_times:
            for match in _AT.finditer(data):
                at = datetime.fromisoformat(match[1].decode()).replace(tzinfo=UTC).timestamp()
                self._delays_ms.append((now - at) * 1000)


async def read(port: int, seconds: float, subscribers: int) -> None:
    """The other process: connect, settle, count. Prints JSON."""
    frames, delays_ms = [0], list[float]()
    loop = asyncio.get_running_loop()
    lines, takes_times = [], subscribers <= TIMED
    for _ in range(subscribers):
        lines.append(
            await loop.create_connection(lambda: LightReader(takes_times, frames, delays_ms), "127.0.0.1", port)
        )
    if not takes_times:
        lines[0][0].pause_reading()
    await asyncio.sleep(SETTLE_S)
    print("settled", flush=True)
    frames[0] = 0
    delays_ms.clear()
    await asyncio.sleep(seconds)
    print(json.dumps({"frames": frames[0], "delays_ms": delays_ms}), flush=True)
    for transport, _ in lines:
        transport.abort()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


async def reading(port: str, seconds: float, subscribers: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.web.measure_stream", "read", port, str(seconds), str(subscribers),
        cwd=ROOT, stdout=subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip


async def main(seconds: float, subscribers: int) -> None:
    env = {
        **UNLIMITED,
        "PYTHONPATH": str(ROOT),
        "EXNESS_FEED_TICKS_PER_S": str(TICKS_PER_S),
        "EXNESS_LIMITS_CONNECTIONS_PER_IP": "9999",
    }
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder) / "data", env=env) as server:
            await asyncio.sleep(1)
            idle_cpu, idle_at, idle_mb = cpu_s(server.pid), time.monotonic(), memory_mb(server.pid)
            await asyncio.sleep(3)
            idle = (cpu_s(server.pid) - idle_cpu) / (time.monotonic() - idle_at)
            port = server.url.rpartition(":")[2]
            other, timed = await reading(port, seconds, subscribers), await reading(port, seconds, TIMED)
            assert other.stdout is not None
            assert timed.stdout is not None
            for process in (other.stdout, timed.stdout):
                assert (await process.readline()).strip() == b"settled"
            cpu, at, settled_mb = cpu_s(server.pid), time.monotonic(), memory_mb(server.pid)
            seen = json.loads(await other.stdout.readline())
            share = (cpu_s(server.pid) - cpu) / (time.monotonic() - at)
            end_mb = memory_mb(server.pid)
            delays = json.loads(await timed.stdout.readline())["delays_ms"]
            await asyncio.gather(other.wait(), timed.wait())
    print(
        f"{subscribers} readers, one of them stalled, {TICKS_PER_S} ticks/s and asset, {seconds:.0f} s: "
        f"{seen['frames'] / seconds:.0f} frames/s (of {(subscribers - 1) * 3 * TICKS_PER_S} at most)\n"
        f"CPU of the server: {share:.0%} of one core, {idle:.0%} without readers\n"
        f"tick to frame: p50 {percentile(delays, 0.5):.2f} ms, p99 {percentile(delays, 0.99):.2f} ms, "
        f"longest {max(delays):.2f} ms ({len(delays)} taken)\n"
        f"memory: {idle_mb:.0f} MB before, {settled_mb:.0f} MB with readers, {end_mb:.0f} MB at the end"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        uvloop.run(read(int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
    else:
        given = sys.argv[1:]
        asyncio.run(main(float(given[0]) if given else SECONDS, int(given[1]) if given[1:] else READERS))
