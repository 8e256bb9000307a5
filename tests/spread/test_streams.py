"""What a wire must be: the one that the tests simulate, and Redis."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from exness.spread.keys import Keys
from exness.spread.redis import RedisWire, WireRefused
from exness.spread.streams import START, Entry, Streams, Wire, WireLost, is_before
from tests.spread.simulated import Gate, ProcessWire, SimWire
from tests.support.redis import RedisServer, a_redis, skip_or_fail
from tests.support.waiting import until

pytest.importorskip("redis", reason="redis is not installed (pip install 'exness[spread]')")

pytestmark = pytest.mark.slow

A, B = "a", "b"


@pytest.fixture(params=["simulated", "redis"])
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        server.command("FLUSHALL")
        yield RedisWire(server.url)
    else:
        yield ProcessWire(SimWire(random.Random(1)), Gate())


@pytest.fixture
async def streams(wire: Wire) -> AsyncIterator[Streams]:
    connection = await wire.connect()
    yield connection
    await connection.close()


async def payloads(streams: Streams, stream: str, after: str = START) -> list[bytes]:
    return [payload for _, payload in (await streams.read({stream: after}, 0.01, 100)).get(stream, ())]


async def test_entries_are_read_in_order_from_where_one_was(streams: Streams) -> None:
    assert await streams.send([Entry(A, b"1"), Entry(B, b"other"), Entry(A, b"2"), Entry(A, b"3")]) == [True] * 4
    assert await payloads(streams, A) == [b"1", b"2", b"3"]
    found = await streams.read({A: START, B: START}, 0.01, 2)
    assert [payload for _, payload in found[A]] == [b"1", b"2"], "at most so many of each"
    assert [payload for _, payload in found[B]] == [b"other"]
    assert await payloads(streams, A, found[A][-1][0]) == [b"3"]
    ids = [entry for entry, _ in (await streams.read({A: START}, 0.01, 100))[A]]
    assert all(is_before(one, other) for one, other in pairwise(ids))


async def test_a_reader_is_woken_by_what_comes_and_by_the_end_of_its_time(wire: Wire, streams: Streams) -> None:
    assert await streams.read({A: START}, 0.01, 10) == {}
    other = await wire.connect()
    reading = asyncio.create_task(streams.read({A: START}, 30, 10))
    await other.send([Entry(A, b"news")])
    assert [payload for _, payload in (await reading)[A]] == [b"news"]
    await other.close()


async def test_what_is_for_nobody_goes_nowhere(streams: Streams) -> None:
    assert await streams.send([Entry(A, b"lost", only_existing=True)]) == [False]
    assert await streams.send([Entry(A, b"1"), Entry(A, b"2", only_existing=True)]) == [True, True]
    assert await payloads(streams, A) == [b"1", b"2"]


async def test_the_newest_are_found_also_up_to_an_entry(streams: Streams) -> None:
    assert list(await streams.newest(A, 5)) == []
    await streams.send([Entry(A, b"%d" % number) for number in range(10)])
    newest = await streams.newest(A, 3)
    assert [payload for _, payload in newest] == [b"7", b"8", b"9"]
    assert [payload for _, payload in await streams.newest(A, 2, newest[0][0])] == [b"6", b"7"]


async def test_keys_end_and_streams_can_be_told_to(streams: Streams) -> None:
    await streams.put("key", b"value", 0.05)
    await streams.put("stays", b"value", 60)
    assert await streams.get("stays") == b"value"

    async def gone() -> bool:
        return await streams.get("key") is None

    await until(gone)
    assert await streams.get("never") is None
    assert not await streams.expire(A, 60)
    await streams.send([Entry(A, b"1")])
    assert await streams.expire(A, 60)


async def test_the_streams_of_earlier_epochs_are_deleted(streams: Streams) -> None:
    names = [Keys("x").commands("1-a"), Keys("x").commands("2-b"), Keys("x").events, Keys("y").commands("1-a")]
    await streams.send([Entry(name, b"1") for name in names])
    keys = Keys("x")
    await streams.delete(keys.all_commands, lambda name: keys.is_before(name, "2-b"))
    assert [bool(await payloads(streams, name)) for name in names] == [False, True, True, True]


async def test_what_is_behind_its_reader_may_go(streams: Streams) -> None:
    await streams.send([Entry(A, b"%d" % number) for number in range(500)])
    ids = [entry for entry, _ in await streams.newest(A, 10)]
    await streams.drop_before(A, ids[0])
    left = await payloads(streams, A)
    assert left[-10:] == [b"%d" % number for number in range(490, 500)]


async def test_a_redis_that_dies_or_does_not_let_us_in_is_told_apart() -> None:
    skip_or_fail()
    with a_redis() as server:
        with pytest.raises(WireRefused) as refused:
            await RedisWire(server.url.replace("quite-secret", "guessed-secret")).connect()
        assert "refuses user or password" in str(refused.value)
        assert "secret" not in str(refused.value) + repr(RedisWire(server.url))
        streams = await RedisWire(server.url).connect()
        reading = asyncio.create_task(streams.read({A: START}, 30, 10))
        await asyncio.sleep(0)
        server.kill()
        with pytest.raises(WireLost):
            await reading
        with pytest.raises(WireLost):
            await streams.send([Entry(A, b"1")])
        await streams.close()
        with pytest.raises(WireLost):
            await RedisWire(server.url).connect()
        server.start()
        again = await RedisWire(server.url).connect()
        assert await again.send([Entry(A, b"1")]) == [True]
        await again.close()


@pytest.mark.parametrize("url", ["redis://u:quite-secret@h:many/0", "valkey://u:quite-secret@h:1/0"])
async def test_what_is_no_url_of_a_redis_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(WireRefused) as refused:
        await RedisWire(url).connect()
    assert str(refused.value) == "deploy.bus can't be read as the URL of a Redis"


async def test_a_reader_that_is_cancelled_leaves_no_answer_to_the_next_caller(wire: Wire) -> None:
    streams, other = await wire.connect(), await wire.connect()
    reading = asyncio.create_task(streams.read({A: START}, 0.2, 10))
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await other.send([Entry(A, b"1")])
    assert await streams.get("never") is None
    for each in (streams, other):
        await each.close()
