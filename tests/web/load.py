"""Raw HTTP/1.1 for measurements: a connection that asks and waits, with as little of its own as possible."""

import asyncio
import time

HEAD_END = b"\r\n\r\n"


def get(path: str, token: str = "") -> bytes:
    session = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{session}\r\n".encode()


def post(path: str, body: str, token: str = "") -> bytes:
    session = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return f"{head}{session}\r\n{body}".encode()


class Line:
    """One connection, kept open. `address` is the local one."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        self._port = int(url.rpartition(":")[2])
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, float]:
        """Status and seconds."""
        began = time.perf_counter()
        status, _ = await self.answer(request)
        return status, time.perf_counter() - began

    async def answer(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(HEAD_END)
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head[9:12]), await reader.readexactly(int(length))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
