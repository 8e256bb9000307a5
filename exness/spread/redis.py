"""The wire over Redis or Valkey.

Each connection does one thing at a time and is never given up in the middle of a call, which would leave the next
caller with its answer. redis-py sends nothing again by itself: who repeats what is decided by its caller.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from exness.process.errors import OperatorError
from exness.spread.streams import Entries, Entry, Streams, WireLost

CONNECT_S = 2.0
ANSWER_S = 5.0
"""A server that does not answer for so long is lost: one whose machine is gone says nothing, and the system would
believe in the connection for hours."""
PAYLOAD = b"p"
"""The one field of an entry."""
OLDEST_SERVER = (6, 2)
"""It has NOMKSTREAM, MINID and ids that are open at one end."""
HOSTS = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?")


class WireRefused(OperatorError):
    """This Redis can't be used as it is."""


class RedisWire:
    """`url` is a secret."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __repr__(self) -> str:
        return f"RedisWire({self.describe()!r})"

    def describe(self) -> str:
        hosts = urlsplit(self._url).netloc.rpartition("@")[2]
        return f"Redis at {hosts}" if HOSTS.fullmatch(hosts) else "Redis"

    async def connect(self) -> Streams:
        """Raises WireLost, and WireRefused for a server that can't be used."""
        try:
            client = Redis.from_url(
                self._url,
                single_connection_client=True,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=CONNECT_S,
                socket_timeout=None,
                socket_keepalive=True,
                health_check_interval=0,
            )
        except ValueError as error:  # its words may repeat parts of the URL
            raise WireRefused("deploy.bus can't be read as the URL of a Redis") from error
        streams = RedisStreams(client)
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.initialize()
                found = await client.info("server")
        except AuthenticationError as error:
            await streams.close()
            raise WireRefused(f"{self.describe()} refuses user or password of deploy.bus") from error
        except (RedisError, OSError, TimeoutError) as error:
            await streams.close()
            raise WireLost(str(error) or f"it does not answer within {CONNECT_S:g} s") from error
        except BaseException:
            await streams.close()
            raise
        version = tuple(int(part) for part in re.findall(r"\d+", str(found.get("redis_version", "0")))[:2])
        if version < OLDEST_SERVER:
            await streams.close()
            raise WireRefused(f"{self.describe()} is release {found['redis_version']}: exness needs 6.2 or newer")
        return streams


class RedisStreams:
    """Implements `Streams`."""

    def __init__(self, client: Any) -> None:
        self._client = client  # its types tell of every protocol and of text as well
        self._calls = asyncio.Lock()

    async def send(self, entries: Sequence[Entry]) -> list[bool]:
        pipeline = self._client.pipeline(transaction=False)
        for entry in entries:
            trimmed: dict[str, Any] = {"maxlen": entry.keep, "approximate": True} if entry.keep else {}
            pipeline.xadd(entry.stream, {PAYLOAD: entry.payload}, nomkstream=entry.only_existing, **trimmed)
        return [added is not None for added in await self._call(pipeline.execute())]

    async def read(self, after: Mapping[str, str], wait_s: float, most: int) -> dict[str, Entries]:
        found = await self._call(
            self._client.xread(dict(after), count=most, block=max(1, round(wait_s * 1000))), wait_s + ANSWER_S
        )
        return {stream.decode(): _entries(entries) for stream, entries in found or ()}

    async def newest(self, stream: str, most: int, up_to: str = "+") -> Entries:
        return _entries(reversed(await self._call(self._client.xrevrange(stream, up_to, "-", count=most))))

    async def drop_before(self, stream: str, entry: str) -> None:
        await self._call(self._client.xtrim(stream, minid=entry, approximate=True))

    async def put(self, key: str, value: bytes, life_s: float) -> None:
        await self._call(self._client.set(key, value, px=round(life_s * 1000)))

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._call(self._client.get(key))
        return value

    async def expire(self, stream: str, life_s: float) -> bool:
        return bool(await self._call(self._client.pexpire(stream, round(life_s * 1000))))

    async def delete(self, pattern: str, is_over: Callable[[str], bool]) -> None:
        cursor = 0
        while True:
            cursor, found = await self._call(self._client.scan(cursor, match=_literal(pattern), count=1000))
            over = [key for key in found if is_over(key.decode())]
            if over:
                await self._call(self._client.unlink(*over))
            if not cursor:
                return

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._client.aclose()
        except (RedisError, OSError, TimeoutError):
            pass

    async def _call(self, call: Awaitable[Any], within_s: float = ANSWER_S) -> Any:
        """To its end, also when the caller is cancelled: the connection is of no use in between."""
        running = asyncio.ensure_future(self._alone(call, within_s))
        running.add_done_callback(_hear_out)
        return await asyncio.shield(running)

    async def _alone(self, call: Awaitable[Any], within_s: float) -> Any:
        async with self._calls:
            try:
                async with asyncio.timeout(within_s):
                    return await call
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError) and str(error).startswith(("WRONGTYPE", "NOPERM")):
                    raise WireRefused(f"Redis refuses what the exchange asks: {error}") from error
                raise WireLost(str(error) or f"it does not answer within {within_s:g} s") from error


def _hear_out(running: "asyncio.Future[Any]") -> None:
    """Its caller may have gone, and the connection with it: its error is then nobody's, and no news."""
    if not running.cancelled():
        running.exception()


def _entries(entries: Any) -> Entries:
    return [(entry.decode(), fields.get(PAYLOAD, b"")) for entry, fields in entries]


def _literal(pattern: str) -> str:
    """Only its stars mean anything."""
    return re.sub(r"([?\[\]\\^])", r"\\\1", pattern)
