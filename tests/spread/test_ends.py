"""The two ends of the wire by themselves: what becomes of a price that the wire has lost, and of a command that is
none."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from exness.spread.engine import EngineEnd, Memory, Positions
from exness.spread.keys import Keys
from exness.spread.prices import Publisher
from exness.spread.streams import START, Entry, WireLost
from exness.spread.wire import Ask, Asks, Named, ask_of, pack, read_answers, read_ticks
from tests.runtime.running import running
from tests.simulation.loop import run_alone
from tests.spread.simulated import Gate, LoopClock, ProcessWire, SimStreams, SimWire
from tests.support.books import ANN, LISTINGS, SOL, open_trade, tick
from tests.support.exchange import SilentFeed
from tests.support.waiting import until

KEYS = Keys("x")


async def told_prices(patch: pytest.MonkeyPatch) -> list[int]:
    """What is in the stream after the wire has failed once with prices in the poller's hand."""
    wire, failures = SimWire(random.Random(1)), [WireLost("once")]
    send = SimStreams.send

    async def fails_once(streams: SimStreams, entries: Sequence[Entry]) -> list[bool]:
        if failures and any(read_ticks(entry.payload).ticks for entry in entries):
            raise failures.pop()
        return await send(streams, entries)

    patch.setattr(SimStreams, "send", fails_once)
    publisher = Publisher(ProcessWire(wire, Gate()), KEYS, SilentFeed(), LoopClock(), LISTINGS)
    for price in ("200", "150", "201"):
        publisher.emit(tick(SOL, price))
    task = asyncio.create_task(publisher.run())
    await until(lambda: publisher.published == 3, pause_s=0.1)
    task.cancel()
    return [each.bid for _, payload in wire.streams[KEYS.prices] for each in read_ticks(payload).ticks]


def test_prices_that_the_wire_did_not_take_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run_alone(told_prices(monkeypatch))
    assert told == [tick(SOL, price).bid for price in ("200", "150", "201")], "a wick is not lost with a connection"


async def test_a_command_that_can_not_be_read_takes_none_of_those_beside_it_along() -> None:
    wire = SimWire(random.Random(1))

    async def still() -> bool:
        return True

    async with running() as exchange:
        end = EngineEnd(
            *(ProcessWire(wire, Gate()), KEYS, "1-a", exchange.sequencer, exchange.writer, Memory(10), Positions()),
            *(exchange.clock, "", still),
        )
        task = asyncio.create_task(end.run())
        await until(lambda: KEYS.commands("1-a") in wire.streams)
        good = open_trade("t1", account=ANN)
        unknown = Named("CommandOfTomorrow", ask_of("", good, "").command.body)
        asks = [Ask("bus:s-1", unknown), ask_of("bus:s-2", good, "")]
        streams = await ProcessWire(wire, Gate()).connect()
        await streams.send([Entry(KEYS.replies("s"), b"")])
        await streams.send([Entry(KEYS.commands("1-a"), pack(Asks("s", asks)))])
        await until(lambda: len(wire.streams[KEYS.replies("s")]) == 2)
        ((_, payload),) = (await streams.read({KEYS.replies("s"): START}, 0.01, 10))[KEYS.replies("s")][1:]
        assert [(answer.id, answer.records) for answer in read_answers(payload).answers] == [("bus:s-2", 1)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
