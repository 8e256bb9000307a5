"""web/stream/accounts.py and market.py: between a snapshot and the events after it nothing is missing and
nothing comes twice, however the disk, the engine, the bus and a slow wire take turns. Neither when a stream is resumed.

Random interleavings; each reader's frames are then held against the journal.
"""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from exness.core.events import AccountEvent, Record, TradeClosed, TradeOpened
from exness.core.money import format_usdc
from exness.runtime.bus import Bus
from exness.web.services import StreamBounds
from exness.web.stream.hub import Hub
from exness.web.stream.protocol import CloseCode
from exness.web.stream.subscriber import Subscriber
from exness.web.v1.frames import Frames
from tests.support.app import App, Trader, running_app
from tests.support.books import SOL, tick
from tests.support.lanes import mostly_slow
from tests.support.waiting import until
from tests.web.streams import Json, hub_of

RECORD_OF = {"opened": TradeOpened, "closed": TradeClosed, "liquidated": TradeClosed}


class Wire:
    """A Line that keeps what it is given, and takes nothing while it is `clogged`. What it gets must be durable."""

    def __init__(self, app: App, trader: Trader) -> None:
        self.app = app
        self.trader = trader
        self.channels: list[str] = []
        self.resume: int | None = None
        self.clogged = False
        self.room = 0
        """How many more writes it takes while it is clogged."""
        self.frames: list[Json] = []
        self.reader: Subscriber | None = None

    @property
    def writable(self) -> bool:
        return not self.clogged or self.room > 0

    def write(self, data: bytes, /) -> None:
        self.room -= 1
        for frame in unpacked(data):
            if frame["channel"] in ("trades", "account"):
                assert frame["seq"] <= self.app.writer.durable_seq, "it could be taken back"
            self.frames.append(frame)

    def abort(self) -> None:
        raise AssertionError("nothing cuts it")

    def stall(self) -> None:
        raise AssertionError("nothing stalls it")


def unpacked(data: bytes) -> Iterator[Json]:
    while data:
        assert data[0] == 0x81
        size, begin = data[1], 2
        if size == 126:
            size, begin = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(data[2:10], "big"), 10
        yield msgspec.json.decode(data[begin : begin + size])
        data = data[begin + size :]


class World:
    """One app, some traders, readers that come at any time, and dice."""

    def __init__(self, app: App, traders: list[Trader], seed: int) -> None:
        self.app = app
        self.traders = traders
        self.dice = random.Random(seed)
        self.wires: list[Wire] = []
        self.asked: list[asyncio.Task[Any]] = []

    async def step(self) -> None:
        action = self.dice.choice(
            [self.trade, self.trade, self.trade, self.listen, self.listen, self.tick, self.disk, self.wire, self.turn]
        )
        action()
        for _ in range(self.dice.choice((0, 0, 1, 2, 5, 20))):
            await asyncio.sleep(0)

    def trade(self) -> None:
        trader = self.dice.choice(self.traders)
        for _ in range(self.dice.choice((1, 1, 3))):
            if trader.account.trades and self.dice.random() < 0.4:
                asking = trader.close(self.dice.choice(list(trader.account.trades)))
                self.asked.append(asyncio.create_task(ignoring_refusals(asking)))
            else:
                leverage = self.dice.choice((2, 50, 100))
                self.asked.append(asyncio.create_task(trader.create(margin=1, leverage=leverage)))

    def tick(self) -> None:
        self.app.sequencer.tick(tick(SOL, self.dice.choice(("200", "200", "196", "204"))))

    def disk(self) -> None:
        if self.app.journal.disk.is_set():
            self.app.hold_disk()
        else:
            self.app.release_disk()

    def wire(self) -> None:
        if self.wires:
            wire = self.dice.choice(self.wires)
            wire.clogged, wire.room = self.dice.random() < 0.5, self.dice.choice((0, 1, 2))
            assert wire.reader is not None
            wire.reader.flush()

    def turn(self) -> None:
        """Nothing but time."""

    def listen(self) -> None:
        hub, wire = hub_of(self.app), Wire(self.app, self.dice.choice(self.traders))
        wire.channels = self.dice.choice((["trades"], ["account"], ["trades", "account"], ["account", "trades"]))
        if self.dice.random() < 0.5:
            wire.resume = self.dice.randint(1, max(1, self.app.writer.durable_seq))
        wire.reader = hub.join(wire, "192.0.2.1")
        wire.reader.session = self.app.sessions.check(wire.trader.token)
        self.wires.append(wire)
        subscribing = hub.subscribe(wire.reader, wire.channels, wire.trader.account.id, wire.resume)
        self.asked.append(asyncio.create_task(subscribing))

    async def settle(self) -> None:
        """Until everything asked for is done and told."""
        self.app.release_disk()
        for wire in self.wires:
            wire.clogged = False
        while not all(asked.done() for asked in self.asked):
            for wire in self.wires:
                assert wire.reader is not None
                wire.reader.flush()
            await asyncio.sleep(0.0005)
        await asyncio.gather(*self.asked)
        await until(lambda: hub_of(self.app).accounts.routed == self.app.state.seq)
        for wire in self.wires:
            assert wire.reader is not None
            wire.reader.flush()


async def ignoring_refusals(asking: Any) -> None:
    try:
        await asking
    except AssertionError:
        return  # it was liquidated or closed meanwhile


async def journal_of(app: App) -> list[Record]:
    return [record async for records in app.stores.journal.read() for record in records]


def assert_whole(wire: Wire, journal: list[Record]) -> None:
    """Everything after the snapshot, or after the seq that was named, and nothing else."""
    own = [record for record in journal if getattr(record.event, "account", None) == wire.trader.account.id]
    told = {channel: [frame for frame in wire.frames if frame["channel"] == channel] for channel in wire.channels}
    assert {frame["channel"] for frame in wire.frames} <= {*wire.channels, "control"}
    if wire.resume is None:
        begin = {channel: frames.pop(0) for channel, frames in told.items()}
        assert {frame["type"] for frame in begin.values()} == {"snapshot"}
        (after,) = {frame["seq"] for frame in begin.values()}
        before = [record for record in own if record.seq <= after]
        if "account" in begin:
            assert begin["account"]["data"] == balance_after(before)
        if "trades" in begin:
            assert {row["orderId"] for row in begin["trades"]["data"]} == open_after(before)
    else:
        after = wire.resume
    events = [record for record in own if record.seq > after]
    if "account" in told:
        assert [(frame["seq"], frame["data"]) for frame in told["account"]] == [
            (record.seq, balance_after([each for each in own if each.seq <= record.seq])) for record in events
        ]
    if "trades" in told:
        assert [(frame["seq"], RECORD_OF[frame["type"]], frame["data"]["orderId"]) for frame in told["trades"]] == [
            (record.seq, type(record.event), order_of(record)) for record in events if order_of(record)
        ]
    if set(wire.channels) == {"trades", "account"} and events:
        pairs = [(frame["seq"], frame["channel"]) for frame in wire.frames if frame["type"] != "snapshot"]
        pairs = [pair for pair in pairs if pair[1] != "control"]
        assert pairs == sorted(pairs, key=lambda pair: (pair[0], pair[1] != "trades")), "in the journal's order"


def order_of(record: Record) -> str:
    event = record.event
    return event.trade.id if isinstance(event, TradeOpened) else getattr(event, "trade_id", "")


def open_after(own: list[Record]) -> set[str]:
    orders: set[str] = set()
    for record in own:
        if isinstance(record.event, TradeOpened):
            orders.add(order_of(record))
        else:
            orders.discard(order_of(record))
    return orders


def balance_after(own: list[Record]) -> Json:
    free, locked = 0, 0
    for record in own:
        event = record.event
        assert isinstance(event, AccountEvent)
        free = event.balance
        if isinstance(event, TradeOpened):
            locked += event.trade.margin
        elif isinstance(event, TradeClosed):
            locked -= event.margin
    held = {"balance": format_usdc(free), "lockedMargin": format_usdc(locked), "reserved": "0.000000"}
    return held | {"openTrades": len(open_after(own))}


async def interleaved(seed: int, steps: int, bus_bound: int | None = None) -> None:
    async with running_app() as app:
        if bus_bound is not None:
            app.parts.bus._bound = bus_bound  # the hub falls behind all the time
            for subscription in app.parts.bus._subscriptions:
                subscription._bound = bus_bound
        await app.quote_all()
        world = World(app, await app.known("ann", "bob"), seed)
        for _ in range(steps):
            await world.step()
        await world.settle()
        journal = await journal_of(app)
        assert len(world.wires) > 3
        for wire in world.wires:
            assert wire.reader is not None
            assert wire.reader.close_code is None
            assert_whole(wire, journal)
        for wire in world.wires:
            assert wire.reader is not None
            hub_of(app).leave(wire.reader)
        assert hub_of(app).accounts._accounts == {}, "nothing is kept of who has gone"


@pytest.mark.parametrize("seed", mostly_slow(range(12), quick=3))
async def test_nothing_is_missing_and_nothing_comes_twice(seed: int) -> None:
    await interleaved(seed, steps=150)


@pytest.mark.parametrize("seed", mostly_slow(range(100, 104), quick=1))
async def test_neither_when_the_bus_can_not_keep_up(seed: int) -> None:
    await interleaved(seed, steps=100, bus_bound=2)


async def test_a_snapshot_in_the_middle_of_a_broadcast_is_not_followed_by_what_it_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exness.web.stream.market.SUBSCRIBERS_PER_TURN", 1)
    async with running_app() as app:
        await app.quote_all()
        hub, (ann,) = hub_of(app), await app.known("ann")
        wires = [Wire(app, ann) for _ in range(20)]
        for wire in wires:
            wire.reader = hub.join(wire, "192.0.2.1")
            await hub.subscribe(wire.reader, ["prices.SOL"], None)
        for wire in wires:
            wire.frames.clear()
        app.sequencer.tick(tick(SOL, "201"))
        await until(lambda: wires[0].frames, pause_s=0)
        last = wires[-1]
        assert last.frames == [], "its turn has not come"
        assert last.reader is not None
        await hub.subscribe(last.reader, ["prices.SOL"], None)
        await until(lambda: wires[-2].frames)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [frame["type"] for frame in last.frames] == ["subscribed", "snapshot"]
        assert last.frames[1]["data"]["mark"] == "201.000000"
        await app.quote(SOL, "202")
        await until(lambda: len(last.frames) == 3)
        assert last.frames[2]["data"]["mark"] == "202.000000"


async def test_one_tick_that_liquidates_more_than_the_bus_holds_is_told_whole() -> None:
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        app.parts.bus._bound = 10
        for subscription in app.parts.bus._subscriptions:
            subscription._bound = 10
        await asyncio.gather(*(ann.create(margin=1, leverage=100) for _ in range(100)))
        wire = Wire(app, ann)
        wire.channels = ["trades", "account"]
        wire.reader = hub_of(app).join(wire, "192.0.2.1")
        wire.reader.session = app.sessions.check(ann.token)
        await hub_of(app).subscribe(wire.reader, wire.channels, ann.account.id)
        await app.quote(SOL, "100")
        await until(lambda: hub_of(app).accounts.routed == app.state.seq)
        assert app.parts.bus.cut_off == 0, "nothing waited for the hub: it was not behind"
        assert_whole(wire, await journal_of(app))
        assert sum(frame["type"] == "liquidated" for frame in wire.frames) == 100


async def test_a_journal_that_can_not_be_read_says_so_and_shows_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        await asyncio.gather(*(ann.create(margin=1) for _ in range(5)))
        damaged = list(app.journal.rows[3])
        damaged[3] = "{}"
        good = app.journal.rows[3]
        app.journal.rows[3] = tuple(damaged)  # type: ignore[assignment]
        wire = Wire(app, ann)
        wire.reader = hub_of(app).join(wire, "192.0.2.1")
        wire.reader.session = app.sessions.check(ann.token)
        await hub_of(app).subscribe(wire.reader, ["trades"], ann.account.id, resume=1)
        assert [frame["type"] for frame in wire.frames][-2:] == ["error", "snapshot"]
        assert wire.frames[-2]["data"]["code"] == "resume_impossible"
        assert len(wire.frames[-1]["data"]) == 5
        app.journal.rows[3] = good


async def test_a_hub_whose_bus_fell_behind_and_whose_journal_is_damaged_lets_its_readers_go() -> None:
    async with running_app() as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        hub = Hub(app.exchange, app.sessions, app.services.revocations, StreamBounds(), Frames())
        wire = Wire(app, ann)
        wire.reader = hub.join(wire, "192.0.2.1")
        wire.reader.session = app.sessions.check(ann.token)
        await hub.subscribe(wire.reader, ["trades"], ann.account.id)
        await ann.create()
        good = app.journal.rows[-1]
        app.journal.rows[-1] = (*good[:3], "{}", *good[4:])
        async with hub.running():  # it starts behind the journal
            await until(lambda: hub.accounts.routed == app.state.seq)
            assert wire.reader.close_code is CloseCode.FELL_BEHIND
        app.journal.rows[-1] = good


def test_the_bus_of_these_tests_has_the_fields_they_set() -> None:
    bus = Bus(3)
    assert (bus._bound, bus.subscribe()._bound) == (3, 3)
