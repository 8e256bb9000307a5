"""The two ends of the wire by themselves: what becomes of a price that the wire has lost, and of a command that is
none."""

import asyncio
import random
from collections.abc import Sequence
from unittest.mock import Mock

import msgspec
import pytest

from exness.runtime.bus import Bus
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.replica import HistoryLost, Replica
from exness.spread import link
from exness.spread.desk import AGAIN_S, LOOK_S, Desk
from exness.spread.engine import EngineEnd, Memory, Positions
from exness.spread.keys import Keys
from exness.spread.link import TELL_EVERY_S, Link
from exness.spread.prices import LATE_US, PriceReader, Publisher, life_left
from exness.spread.streams import START, Entry, WireLost
from exness.spread.wire import Answer, Answers, Ask, Asks, Named, Ticks, ask_of, pack, read_answers, read_ticks
from tests.runtime.running import running
from tests.simulation.loop import run_alone
from tests.spread.simulated import Gate, LoopClock, ProcessWire, SimStreams, SimWire
from tests.support.books import ANN, LISTINGS, SOL, known_history, make_engine, open_trade, tick
from tests.support.exchange import SilentFeed
from tests.support.memory_storage import MemoryJournal
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


async def test_a_wire_that_is_set_back_brings_nothing_a_second_time() -> None:
    """As a Redis does that comes back from an old file: its prices are of before, and its commands are forgotten."""
    wire = SimWire(random.Random(1))

    async def still() -> bool:
        return True

    def put(stream: str, payload: bytes) -> None:
        wire.append(Entry(stream, payload))
        wire.changed()

    async with running() as exchange:
        memory = Memory(0)
        end = EngineEnd(
            *(ProcessWire(wire, Gate()), KEYS, "1-a", exchange.sequencer, exchange.writer, memory, Positions()),
            *(exchange.clock, "", still),
        )
        checked = exchange.sequencer.ticks_checked
        task = asyncio.create_task(end.run())
        commands = KEYS.commands("1-a")
        await until(lambda: commands in wire.streams)
        put(KEYS.prices, pack(Ticks(exchange.clock.now_us(), [tick(SOL, "200")])))
        await until(lambda: exchange.sequencer.ticks_checked == checked + 1)
        put(commands, pack(Asks("s", [ask_of("bus:s-1", open_trade("t1", account=ANN), "")])))
        await until(lambda: end.commands == 1)
        before = {name: list(entries) for name, entries in wire.streams.items()}
        put(KEYS.prices, pack(Ticks(exchange.clock.now_us(), [tick(SOL, "201")])))
        put(commands, pack(Asks("s", [ask_of("bus:s-2", open_trade("t2", account=ANN), "")])))
        await until(lambda: end.commands == 2 and exchange.sequencer.ticks_checked == checked + 2)
        wire.streams = before
        wire.generation += 1
        wire.changed()
        await until(lambda: end.reading.lost == 1 and end.reading.is_up)
        put(KEYS.prices, pack(Ticks(exchange.clock.now_us(), [tick(SOL, "202")])))
        put(commands, pack(Asks("s", [ask_of("bus:s-3", open_trade("t3", account=ANN), "")])))
        await until(lambda: end.commands >= 3 and exchange.sequencer.ticks_checked >= checked + 3)
        await asyncio.sleep(0.05)
        assert (end.commands, exchange.sequencer.ticks_checked) == (3, checked + 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_price_that_waited_for_the_wire_is_as_old_as_it_is() -> None:
    price = tick(SOL, "200")
    assert life_left(price, LATE_US) == price.life_us
    assert life_left(price, price.life_us - 1) == 1
    assert life_left(price, 2 * price.life_us) == 0


async def test_a_server_whose_engine_is_silent_keeps_no_more_than_its_bound() -> None:
    wire = SimWire(random.Random(1))
    replica = Replica(make_engine(), Bus(10), MemoryJournal())
    prices = PriceReader(KEYS, replica.tick, LoopClock())
    desk = Desk(ProcessWire(wire, Gate()), KEYS, "s", replica, prices, bound=5, timeout_s=0.01)
    task = asyncio.create_task(desk.run())
    for _ in range(50):
        with pytest.raises(NotTaken):
            await desk.submit(open_trade("t1", account=ANN))
    await until(lambda: not desk._outgoing)
    desk._epoch = "1-a"  # one that has a stream and does not read it
    wire.append(Entry(KEYS.commands("1-a"), b""))
    for _ in range(50):
        with pytest.raises(NotTaken):
            await desk.latest()
    assert len(desk._questions) <= 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_read_waits_for_lost_records_no_longer_than_for_an_answer() -> None:
    desk = _desk_without_a_wire(timeout_s=0.01)
    reading = asyncio.create_task(desk.latest())
    await until(lambda: desk._questions, pause_s=0)
    desk._answer_questions(Answers("1-a", [], 1, seq=5))
    with pytest.raises(NotTaken):
        await reading


async def test_a_question_that_is_answered_before_it_is_asked_again_is_none_for_the_next_reader() -> None:
    desk = _desk_without_a_wire()
    for question in (1, 2):
        reading = asyncio.create_task(desk.latest())
        await until(lambda: desk._questions, pause_s=0)
        desk._send_again()
        desk._answer_questions(Answers("1-a", [], question, seq=0))
        assert await reading == 0


def _desk_without_a_wire(timeout_s: float = 60) -> Desk:
    replica = Replica(make_engine(), Bus(10), MemoryJournal())
    prices = PriceReader(KEYS, replica.tick, LoopClock())
    desk = Desk(
        ProcessWire(SimWire(random.Random(1)), Gate()), KEYS, "s", replica, prices, bound=5, timeout_s=timeout_s
    )
    desk._epoch = "1-a"
    return desk


async def _sent_again() -> tuple[float, list[str]]:
    """After how long, and which of two commands: the older one has been sent again meanwhile, the newer one never."""
    desk = _desk_without_a_wire()
    loop = asyncio.get_running_loop()
    asking = [asyncio.create_task(desk.submit(open_trade(name, account=ANN))) for name in ("t1", "t2")]
    await asyncio.sleep(0)
    older, newer = desk._outgoing
    desk._outgoing.clear()
    looking = asyncio.create_task(desk._look())
    began_s = loop.time()
    older.epoch = newer.epoch = "1-a"
    older.sent_s, newer.sent_s = began_s + AGAIN_S / 2, began_s
    await until(lambda: desk._outgoing, pause_s=0.01)
    sent = ["newer" if each is newer else "older" for each in desk._outgoing]
    for task in (looking, *asking):
        task.cancel()
    return loop.time() - began_s, sent


def test_a_command_is_sent_again_in_time_though_an_older_one_was_sent_since() -> None:
    after_s, sent = run_alone(_sent_again())
    assert sent == ["newer"]
    assert after_s <= AGAIN_S + LOOK_S + 0.05


@pytest.mark.parametrize(("why", "told"), [(Busy.OVERLOADED, ["bus:s-2"]), (Busy.SHUTTING_DOWN, [])])
async def test_what_was_not_taken_waits_for_no_commit_and_nothing_is_said_of_an_end(why: Busy, told: list[str]) -> None:
    """A commit can hang for long; and who is not answered asks the successor."""

    async def still() -> bool:
        return True

    async with running() as exchange:
        end = EngineEnd(
            *(ProcessWire(SimWire(random.Random(1)), Gate()), KEYS, "1-a", exchange.sequencer, exchange.writer),
            *(Memory(10), Positions(), exchange.clock, "", still),
        )
        waits = end._memory.add("bus:s-1", "s", 0.0)
        end._answered(waits, Answer("bus:s-1", shows=exchange.writer.durable_seq + 1))
        end._not_taken(end._memory.add("bus:s-2", "s", 0.0), "bus:s-2", why)
        assert [each.id for answers in end._ready.values() for each in answers] == told
        assert len(end._line) == 1


async def _logged(patch: pytest.MonkeyPatch) -> list[str]:
    """What a link says in half a minute in which it can connect and then can't work."""
    log = Mock()
    patch.setattr(link, "_log", log)

    async def fails(_: object) -> None:
        raise WireLost("OOM command not allowed")

    running_link = asyncio.create_task(Link(ProcessWire(SimWire(random.Random(1)), Gate()), "commands").run(fails))
    await asyncio.sleep(3 * TELL_EVERY_S - 1)
    running_link.cancel()
    return [call.args[0] for call in log.warning.mock_calls]


def test_a_link_that_connects_and_can_not_work_does_not_fill_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_alone(_logged(monkeypatch)) == ["the wire is gone"] * 3


async def test_a_copy_of_records_that_the_journal_has_lost_does_not_go_on() -> None:
    """A standby was promoted that had not got them."""
    journal, records = MemoryJournal(), known_history().records
    await journal.append(records[:4])
    replica = Replica(make_engine(), Bus(100), journal)
    await replica.take(records[:4])
    await replica.refuse_lost()
    other = msgspec.structs.replace(records[3], at=records[3].at + 1)
    lost = MemoryJournal()
    await lost.append([*records[:3], other])
    for there in (lost, MemoryJournal()):
        replica._journal = there
        with pytest.raises(HistoryLost, match="record 4, which this process has taken, is not in the journal"):
            await replica.refuse_lost()
