"""A spread-out exchange on virtual time, with all that can go wrong.

Two servers, engines that die, are paused and overtaken, a processor, a poller, users; a wire that loses, repeats and
forgets, a database that is slow, away, or silent about what it did. Then everything is mended, and it is held against
one another what was answered, what is in the journal, and what everybody shows.

    python -m tests.spread.world --seeds 1000         # from a seed on, until one fails
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import structlog
from tqdm import tqdm

from exness.core.commands import CloseTrade, Command, OpenAccount, PriceTick
from exness.core.engine import Engine
from exness.core.events import TradeClosed
from exness.core.evolve import evolve
from exness.core.instruments import AccountId, TradeId
from exness.core.margin import mark_price
from exness.core.outcomes import Done
from exness.core.state import State
from exness.core.trades import Trade
from exness.runtime.assembly import Bounds
from exness.runtime.bus import Bus
from exness.runtime.inbox import NotTaken
from exness.runtime.parts import assemble_engine
from exness.runtime.ports.journal import StorageError
from exness.runtime.projector import Projector
from exness.runtime.replica import Replica
from exness.runtime.writer import Halted
from exness.spread.desk import Desk
from exness.spread.engine import EngineEnd, Memory, Positions
from exness.spread.keys import OF_SERVERS, Keys
from exness.spread.prices import PriceReader, Publisher
from exness.spread.records import RecordReader
from exness.spread.wire import read_ticks
from tests.simulation.loop import SimLoop
from tests.spread.simulated import Gate, LoopClock, ProcessWire, SimDatabase, SimJournal, SimWire
from tests.support.books import LISTINGS, LONG, SHORT, SOL, assert_books_balance, digest_and_interest, make_rules
from tests.support.books import open_trade as trade_of
from tests.support.exchange import SilentFeed
from tests.support.memory_storage import MemoryTables

RULES = make_rules()
BOUNDS = Bounds(
    inbox_size=500,
    inbox_wait_s=1.0,
    slice_commands=20,
    tick_queue=100,
    subscriber_queue=10_000,
    writer_queue=2_000,
    writer_batch=100,
    read_queue=100,
)
TIMEOUT_S = 5.0
PLAYED_S = 12.0
MENDED_S = 60.0
LIFE_US = 30_000_000
ON_THE_WAY_US = 10_000_000


class Asked(msgspec.Struct):
    """A command of a user, and what the server said: done, refused, not taken, or not known."""

    trade: TradeId
    opens: bool
    answer: str = ""
    records: list[int] = []


class Process:
    """Tasks that live and die together."""

    def __init__(self, main: Callable[["Process"], Awaitable[None]]) -> None:
        self.gate = Gate()
        self.task = asyncio.ensure_future(main(self))

    @property
    def ended(self) -> bool:
        return self.task.done()

    def kill(self) -> None:
        self.gate.dead = True
        self.gate.go_on()
        self.task.cancel()


class Server:
    """What a user can ask while it lives."""

    def __init__(self, desk: Desk, replica: Replica, state: State) -> None:
        self.desk = desk
        self.replica = replica
        self.state = state


class World:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.may_forget = seed % 2 == 1
        self.wire = SimWire(random.Random(seed + 1))
        self.database = SimDatabase(random.Random(seed + 2))
        self.keys = Keys("sim")
        self.tables = MemoryTables(LISTINGS)
        self.ahead = 0
        self.engines: list[Process] = []
        self.others: dict[str, Process] = {}
        self.servers: dict[str, Server] = {}
        self.asked: list[Asked] = []
        self.acknowledged_seq = 0
        self.stopping = False
        self.mid = 200_000_000
        self.counts: Counter[str] = Counter()
        self.stale_reads = 0
        self.numbers = iter(range(1, 10**9))

    # --- processes ----------------------------------------------------------------------------------------------------

    def start_engine(self) -> None:
        self.engines.append(Process(self._engine))

    async def _engine(self, process: Process) -> None:
        await process.gate.through()
        await asyncio.sleep(0.05)
        epoch, positions, database = self.database.take(), Positions(), self.database
        positions.begin(database.position)
        position = database.position
        journal = SimJournal(database, process.gate, positions.of)
        state = await self._replayed(journal)
        memory = Memory(2 * TIMEOUT_S)
        memory.rebuild(database.records[-2_000:], asyncio.get_running_loop().time())
        clock, ends = LoopClock(), list[EngineEnd]()
        parts = assemble_engine(
            Engine(RULES, state),
            BOUNDS,
            journal=journal,
            clock=clock,
            followers=[lambda records: ends[0].take(records)],
        )
        end = EngineEnd(
            ProcessWire(self.wire, process.gate),
            self.keys,
            epoch,
            parts.sequencer,
            parts.writer,
            memory,
            positions,
            clock,
            position,
            journal.is_ours,
        )
        ends.append(end)
        parts.sequencer.watchers.append(lambda tick, at: end.watch(parts.seq, tick))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.writer.run())
            tasks.create_task(parts.sequencer.run())
            tasks.create_task(end.run())
            tasks.create_task(self._watch(int(epoch.partition("-")[0])))

    async def _watch(self, epoch: int) -> None:
        while True:
            await asyncio.sleep(0.5)
            if self.database.epoch != epoch:
                break
        raise StorageError("another process is the engine now")

    async def _replayed(self, journal: SimJournal) -> State:
        state = State()
        async for records in journal.read():
            for record in records:
                evolve(state, record)
        return state

    async def _server(self, process: Process, name: str) -> None:
        journal = SimJournal(self.database, process.gate)
        state = await self._replayed(journal)
        replica = Replica(Engine(RULES, state), Bus(10_000), journal)
        clock = LoopClock(self.chance.randrange(-20_000, 20_000))
        prices = PriceReader(self.keys, replica.tick, clock)
        server = f"{name}{next(self.numbers):x}"
        wire = ProcessWire(self.wire, process.gate)
        desk = Desk(wire, self.keys, server, replica, prices, bound=500, timeout_s=TIMEOUT_S)
        self.servers[name] = Server(desk, replica, state)
        try:
            await desk.run()
        finally:
            self.servers.pop(name, None)

    async def _processor(self, process: Process) -> None:
        journal = SimJournal(self.database, process.gate)
        seq = self.tables.mark.seq
        projector = Projector(self.tables, journal, seq=seq, durable_seq=await journal.last_seq(), gather_s=0.02)
        reader = RecordReader(ProcessWire(self.wire, process.gate), self.keys, projector.take, projector.heard)

        async def looked_at() -> None:
            while True:
                await asyncio.sleep(0.05)
                self.ahead += projector.seq > self.tables.mark.seq or self.tables.mark.seq > len(self.database.records)

        async with asyncio.TaskGroup() as tasks:
            for work in (projector.run(), reader.run(), looked_at()):
                tasks.create_task(work)

    async def _poller(self, process: Process) -> None:
        clock = LoopClock()
        publisher = Publisher(ProcessWire(self.wire, process.gate), self.keys, SilentFeed(), clock, LISTINGS)

        async def emitted() -> None:
            while True:
                await asyncio.sleep(self.chance.uniform(0.01, 0.1))
                self.mid = max(50_000_000, round(self.mid * self.chance.gauss(1, 0.001)))
                wick = self.chance.choice((0, 0, 0, 0, 0, 0, -4, 4))  # percent, of one tick alone
                price = self.mid + self.mid * wick // 100
                publisher.emit(PriceTick(SOL, price, price, LIFE_US))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publisher.run())
            tasks.create_task(emitted())

    def start(self, name: str) -> None:
        mains: dict[str, Callable[[Process], Coroutine[Any, Any, None]]] = {
            "processor": self._processor,
            "poller": self._poller,
            "one": lambda process: self._server(process, "one"),
            "two": lambda process: self._server(process, "two"),
        }
        self.others[name] = Process(mains[name])

    # --- users --------------------------------------------------------------------------------------------------------

    async def _user(self, account: AccountId, mine: list[TradeId]) -> None:
        opened = False
        while not self.stopping:
            await asyncio.sleep(self.chance.expovariate(1 / 0.05))
            server = self.servers.get(self.chance.choice(("one", "two")))
            if server is None:
                continue
            if not opened:
                opened = await self._opened(server, account)
                continue
            await self._read(server)
            if mine and self.chance.random() < 0.5:
                trade = mine.pop(self.chance.randrange(len(mine)))
                await self._ask(server, CloseTrade(account, trade), Asked(trade, opens=False))
                continue
            trade = TradeId(f"t{next(self.numbers)}")
            margin = self.chance.choice(("1", "2", "4", "8"))  # often more than there is at this moment
            side, leverage = self.chance.choice((LONG, SHORT)), self.chance.choice(("2", "50", "100"))
            command = trade_of(trade, SOL, side, account=account, margin=margin, leverage=leverage)
            asked = Asked(trade, opens=True)
            await self._ask(server, command, asked)
            if asked.answer != "refused":
                mine.append(trade)

    async def _opened(self, server: Server, account: AccountId) -> bool:
        try:
            await server.desk.submit(OpenAccount(account, f"{account}@example.com", 20_000_000))
        except (Halted, NotTaken):
            return False
        return account in server.state.accounts

    async def _ask(self, server: Server, command: Command, asked: Asked) -> None:
        self.asked.append(asked)
        try:
            outcome = await server.desk.submit(command)
        except Halted:
            asked.answer = "unknown"
        except NotTaken:
            asked.answer = "not taken"
        else:
            asked.answer = "refused"
            if isinstance(outcome, Done):
                asked.answer = "done"
                asked.records = [record.seq for record in outcome.records]
                self.acknowledged_seq = max(self.acknowledged_seq, *asked.records)
                assert server.replica.durable_seq >= asked.records[-1], "it does not show what it has acknowledged"
        self.counts[asked.answer] += 1

    async def _read(self, server: Server) -> None:
        before = self.acknowledged_seq
        try:
            await server.desk.latest()
        except (NotTaken, Halted):
            return
        self.counts["read"] += 1
        self.stale_reads += server.state.seq < before

    # --- faults -------------------------------------------------------------------------------------------------------

    async def _fault(self) -> None:
        match self.chance.randrange(10):
            case 0:
                self.counts["engine killed"] += 1
                self.engines[-1].kill()
                self.start_engine()
            case 1 | 2:
                self.counts["engine paused and overtaken"] += 1
                old = self.engines[-1]
                old.gate.pause()
                self.start_engine()
                self.database.slow_s = self.chance.choice((0.002, 0.2))
                await asyncio.sleep(self.chance.choice((0.1, 0.2, 0.4, 3.0)))
                old.gate.go_on()
                await asyncio.sleep(0.2)
                self.database.slow_s = 0.002
            case 3:
                self.counts["two engines at once"] += 1
                self.start_engine()
            case 4:
                self.counts["server killed"] += 1
                name = self.chance.choice(("one", "two"))
                self.others[name].kill()
                self.start(name)
            case 5 | 6 if not self.may_forget:
                self.counts["engine killed at a slow commit"] += 1
                self.database.slow_s = 0.3
                await asyncio.sleep(self.chance.uniform(0.1, 0.8))
                self.engines[-1].kill()
                self.start_engine()
                self.database.slow_s = 0.002
            case 5:
                self.counts["wire forgets"] += 1
                self.wire.forget()
            case 6:
                self.counts["wire killed"] += 1
                self.wire.crash()
            case 7:
                self.counts["commits unseen"] += 1
                self.database.unseen = 0.3
                await asyncio.sleep(0.5)
                self.database.unseen = 0.0
            case 8:
                self.counts["slow, or away"] += 1
                self.database.slow_s = self.chance.choice((0.1, 0.5))
                self.database.away = self.chance.random() < 0.3
                await asyncio.sleep(self.chance.uniform(0.2, 2))
                self.database.slow_s, self.database.away = 0.002, False
            case _:
                self.counts["processor and poller killed"] += 1
                for name in ("processor", "poller"):
                    self.others[name].kill()
                    self.start(name)

    async def _supervise(self) -> None:
        """Whoever ends is started again."""
        while True:
            await asyncio.sleep(0.1)
            if self.engines[-1].ended:
                self.start_engine()
            for name, process in list(self.others.items()):
                if process.ended and not (name == "poller" and self.stopping):
                    self.start(name)

    # --- all together -------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        self.start_engine()
        for name in ("processor", "poller", "one", "two"):
            self.start(name)
        supervising = asyncio.ensure_future(self._supervise())
        accounts = [(AccountId(f"u{number}"), list[TradeId]()) for number in range(4)]
        users = [asyncio.ensure_future(self._user(*account)) for account in accounts * 3]
        self.wire.trouble = self.chance.choice((0.0, 0.01, 0.03))
        until = asyncio.get_running_loop().time() + PLAYED_S
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self.chance.uniform(0.3, 2.5))
            await self._fault()
        self.wire.trouble = 0.0
        self.stopping = True
        for process in self.engines:
            process.gate.go_on()
        await asyncio.gather(*users)
        await self._settled()
        await self._no_more_prices()
        supervising.cancel()
        self.check()
        for process in (*self.engines, *self.others.values()):
            process.kill()

    async def _settled(self) -> None:
        for _ in range(round(MENDED_S / 0.1)):
            if self._is_settled():
                return
            await asyncio.sleep(0.1)
        raise AssertionError("it does not come to rest")

    def _is_settled(self) -> bool:
        last = len(self.database.records)
        shown = [server.replica.durable_seq for server in self.servers.values()]
        known = [server.desk.epoch.partition("-")[0] for server in self.servers.values()]
        return (
            len(shown) == 2
            and all(seq == last for seq in shown)
            and all(epoch == str(self.database.epoch) for epoch in known)
            and self.tables.mark.seq == last
        )

    async def _no_more_prices(self) -> None:
        """Let the last tick be worked off."""
        self.others["poller"].kill()
        await asyncio.sleep(3)
        await self._settled()

    def check(self) -> None:
        state, opened, opened_at = State(), dict[TradeId, Trade](), dict[TradeId, int]()
        for record in self.database.records:
            evolve(state, record)
            trade = getattr(record.event, "trade", None)
            if trade is not None and trade.id not in opened_at:
                opened_at[trade.id], opened[trade.id] = record.at, trade
        assert_books_balance(state)
        closed = {record.event.trade_id for record in self.database.records if hasattr(record.event, "trade_id")}
        for asked in self.asked:
            happened = asked.trade in (opened_at if asked.opens else closed)
            if asked.answer == "done":
                assert happened, ("acknowledged and lost", asked)
                for seq in asked.records:
                    assert self.database.records[seq - 1].cause.startswith(OF_SERVERS)
            elif asked.answer in ("refused", "not taken") and asked.opens:
                assert not happened, ("refused, and yet done", asked)
        assert self.database.caught == 0, "a command was decided twice: only the last net has caught it"
        assert self.stale_reads == 0, "a read was older than what was acknowledged before it"
        assert self.ahead == 0, "the tables are said to be further than they are"
        digest = digest_and_interest(state)
        for server in self.servers.values():
            assert digest_and_interest(server.state) == digest, "a server shows another state"
        if not self.may_forget:
            self._check_liquidations(state, opened, opened_at)

    def _check_liquidations(self, state: State, opened: dict[TradeId, Trade], opened_at: dict[TradeId, int]) -> None:
        """The first tick after its opening that reaches a trade's liquidation ends it, at the price of that tick: none
        is lost on the way from one engine to the next. (One that was on its way at the opening may do so as well.)"""
        told = [read_ticks(payload) for _, payload in self.wire.streams.get(self.keys.prices, ())]
        ticks = [(each.at, mark_price(tick.bid, tick.ask)) for each in told for tick in each.ticks]
        still = {trade.id for account in state.accounts.values() for trade in account.trades.values()}
        ended = {
            record.event.trade_id: record.event.price
            for record in self.database.records
            if isinstance(record.event, TradeClosed) and record.event.liquidated
        }
        for id, at in opened_at.items():  # noqa: A001
            if id not in still and id not in ended:
                continue
            trade, is_long = opened[id], opened[id].side is LONG
            reached = [
                (told_at, mark)
                for told_at, mark in ticks
                if told_at > at - ON_THE_WAY_US
                and (mark <= trade.liquidation if is_long else mark >= trade.liquidation)
            ]
            first = next((number for number, (told_at, _) in enumerate(reached) if told_at > at), len(reached))
            if id in still:
                assert first == len(reached), ("should have been liquidated", trade, reached[first])
            else:
                assert ended[id] in [mark for _, mark in reached[: first + 1]], ("a tick was lost", trade, ended[id])


def play(seed: int) -> Counter[str]:
    """One world. Raises AssertionError for what must not be."""
    loop = SimLoop()
    try:
        worlds: list[World] = []

        async def main() -> None:
            worlds.append(World(seed))
            await worlds[0].play()

        task = loop.spawn(main())
        loop.run_until(task.done, limit_s=1_000)
        task.result()
        counts = worlds[0].counts
        counts["records"] = len(worlds[0].database.records)
        return counts
    finally:
        loop.drop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.spread.world", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    counts: Counter[str] = Counter()
    began = time.monotonic()
    for seed in tqdm(range(options.first, options.first + options.seeds), unit=" worlds", mininterval=5):
        try:
            counts += play(seed)
        except Exception:
            print(f"in the world of seed {seed}:", flush=True)
            raise
    print(f"{options.seeds} worlds from seed {options.first} in {time.monotonic() - began:,.0f} s, no failure")
    for what, count in sorted(counts.items()):
        print(f"  {what:<30} {count:>10,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
