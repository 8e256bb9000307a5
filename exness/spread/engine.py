"""The engine's end of the wire: takes prices and commands to the sequencer, and brings answers and records back once
they may be told.

Answers leave in the order of the decisions, each when the journal is on disk up to what it shows. What was decided is
remembered, so that a command that comes again gets the first answer: for as long as a server may ask again, and after
a take-over from the journal's newest records.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import msgspec
import structlog

from exness.core.commands import PriceTick
from exness.core.events import Record
from exness.core.outcomes import Decision, Done
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.ports.clock import Clock
from exness.runtime.ports.journal import StorageError
from exness.runtime.sequencer import Sequencer
from exness.runtime.writer import Halted, Writer
from exness.spread.keys import OF_SERVERS, Keys
from exness.spread.link import Link, woken
from exness.spread.prices import life_left
from exness.spread.streams import START, Entries, Entry, Streams, Wire, going_on
from exness.spread.wire import (
    Answer,
    Answers,
    Ask,
    Asks,
    News,
    answer_of,
    command_of,
    garbled_is_passed_over,
    pack,
    pack_records,
    read_asks,
    read_ticks,
)

_log = structlog.get_logger("exness.spread")

SIGN_S = 1.0
"""How often the engine says that it is there. The sign in its own stream makes that anew where the wire has lost it."""
WAIT_S = 1.0
AT_ONCE_S = 0.001
READ_AT_ONCE = 100
EVENTS_KEPT = 1_000
"""Entries, of some records each under load: a server that is further behind reads the journal."""
REPLIES_KEPT = 10_000
RECORDS_IN_ENTRY = 1_000
MOST_UNSENT = 100_000
"""Records that wait for the wire; beyond it they are dropped, and servers read them from the journal."""
FLUSH_STEP_S = 0.01
LAST_PRICES = 300
"""Entries before the position, of which an engine that begins has its first prices."""


class Remembered(msgspec.Struct, gc=False):
    """A command that came. `answer` is None until it is decided."""

    server: str
    at_s: float
    answer: Answer | None = None


class Memory:
    """Of the commands that came: at most `most`, those of the last `for_s` seconds (of loop time) at least unless there
    are more."""

    def __init__(self, for_s: float, most: int = 500_000) -> None:
        self._for_s = for_s
        self._most = most
        self._known: OrderedDict[str, Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, id: str) -> Remembered | None:  # noqa: A002
        return self._known.get(id)

    def add(self, id: str, server: str, now_s: float) -> Remembered:  # noqa: A002
        entry = self._known[id] = Remembered(server, now_s)
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) <= self._most and oldest.at_s >= now_s - self._for_s:
                break
            self._known.popitem(last=False)
        return entry

    def rebuild(self, records: Iterable[Record], now_s: float) -> None:
        """From the journal's newest records, oldest first."""
        for record in records:
            if not record.cause.startswith(OF_SERVERS):
                continue
            known = self._known.get(record.cause)
            before = known.answer.records if known is not None and known.answer is not None else 0
            entry = known or self.add(record.cause, "", now_s)
            entry.answer = Answer(record.cause, record.seq, before + 1)


class Positions:
    """Where the price stream was, by record: how far it is worked off when the journal ends there."""

    def __init__(self) -> None:
        self._settled = ""
        self._passed: deque[tuple[int, str]] = deque()

    def begin(self, position: str) -> None:
        """Where a predecessor has come to."""
        self._settled = position

    def note(self, seq: int, position: str) -> None:
        """The tick at `position` has been executed; `seq` was the last record then. "": more of its entry come."""
        if not position:
            return
        if self._passed and self._passed[-1][0] == seq:
            self._passed.pop()
        self._passed.append((seq, position))

    def of(self, seq: int) -> str:
        """For an append that ends with this record. Asked in order."""
        while self._passed and self._passed[0][0] <= seq:
            self._settled = self._passed.popleft()[1]
        return self._settled


class EngineEnd:
    """`epoch` is the name of this engine's; `positions` are asked by the journal, `is_still_engine` asks the
    database."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        epoch: str,
        sequencer: Sequencer,
        writer: Writer,
        memory: Memory,
        positions: Positions,
        clock: Clock,
        position: str,
        is_still_engine: Callable[[], Awaitable[bool]],
    ) -> None:
        self._keys = keys
        self._epoch = epoch
        self._is_still_engine = is_still_engine
        self._sequencer = sequencer
        self._writer = writer
        self._memory = memory
        self._positions = positions
        self._clock = clock
        self._commands = keys.commands(epoch)
        self._read_up_to = START
        self._position = position or START
        """In the price stream."""
        self._line: deque[tuple[int, str, Answer]] = deque()
        """Answers in the order of the decisions: what each shows, for whom, and it."""
        self._ready: dict[str, list[Answer]] = {}
        self._asked: dict[str, int] = {}
        self._was_asked = asyncio.Event()
        self._questions: dict[str, int] = {}
        """Those that may be answered."""
        self._news: deque[Record] = deque()
        self._wake = asyncio.Event()
        self.reading, self.writing = Link(wire, "commands and prices"), Link(wire, "answers and records")
        self.commands = 0
        self.repeats = 0
        self.dropped = 0
        """Records that were too many for a wire that was gone."""
        writer.call_on_progress(self._let_go)

    def watch(self, seq: int, tick: PriceTick) -> None:
        """A tick was executed, and `seq` is the last record now."""
        self._positions.note(seq, tick.position)

    def take(self, records: Sequence[Record]) -> None:
        """A follower of the journal: records that are on disk now."""
        if len(self._news) + len(records) > MOST_UNSENT:
            self.dropped += len(self._news) + len(records)
            self._news.clear()
        else:
            self._news.extend(records)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Raises WireRefused."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.writing.run(self._write), name="answers")
            tasks.create_task(self.reading.run(self._read), name="commands")
            tasks.create_task(self._confirm(), name="questions")

    async def _confirm(self) -> None:
        """How far it is may be told once it was still the engine after it was asked: else one that was overtaken would
        tell what is no longer so. All that were asked meanwhile share one look."""
        while True:
            await self._was_asked.wait()
            self._was_asked.clear()
            asked, self._asked = self._asked, {}
            try:
                if not await self._is_still_engine():
                    return
            except StorageError:
                continue  # who asked asks again
            for server, question in asked.items():
                self._questions[server] = max(question, self._questions.get(server, 0))
            self._wake.set()

    async def flush(self, for_s: float) -> None:
        """At the end: let what is answered leave, for so long."""
        for _ in range(round(for_s / FLUSH_STEP_S)):
            if not (self._ready or self._news):
                return
            await asyncio.sleep(FLUSH_STEP_S)

    # --- what comes ---------------------------------------------------------------------------------------------------

    async def _read(self, streams: Streams) -> None:
        """On a new connection, whose server may have forgotten everything, or some of it."""
        prices = self._keys.prices
        await self._find_place(streams)
        await self._last_prices(streams)
        more = True
        while more:  # no order is decided at a price of before
            more = await self._read_prices(streams)
        while True:
            found = await streams.read({prices: self._position, self._commands: self._read_up_to}, WAIT_S, READ_AT_ONCE)
            self._take_prices_of(found)
            for entry, payload in found.get(self._commands, ()):
                self._read_up_to = entry
                self._take_asks(payload)
            await asyncio.sleep(0)

    async def _find_place(self, streams: Streams) -> None:
        prices, before = self._keys.prices, self._position
        self._position = going_on(before, await streams.newest(prices, 1))
        if before != START and not await streams.newest(prices, 1, before):
            _log.warning("the wire has lost prices: what those would have set off was not", after=before)
        self._read_up_to = going_on(self._read_up_to, await streams.newest(self._commands, 1))

    async def _read_prices(self, streams: Streams) -> bool:
        """Whether there are more."""
        found = await streams.read({self._keys.prices: self._position}, AT_ONCE_S, READ_AT_ONCE)
        self._take_prices_of(found)
        return len(found.get(self._keys.prices, ())) == READ_AT_ONCE

    def _take_prices_of(self, found: dict[str, Entries]) -> None:
        for entry, payload in found.get(self._keys.prices, ()):
            self._position = entry
            self._take_prices(entry, payload)

    async def _last_prices(self, streams: Streams) -> None:
        """Prices of before the position, as a predecessor has worked them off: they set nothing off."""
        if self._sequencer.ticks_checked or self._position == START:
            return
        now = self._clock.now_us()
        for _, payload in await streams.newest(self._keys.prices, LAST_PRICES, self._position):
            with garbled_is_passed_over("prices"):
                told = read_ticks(payload)
                for tick in told.ticks:
                    left = tick.life_us - max(0, now - told.at)
                    if left > 0:
                        await self._sequencer.perform(msgspec.structs.replace(tick, life_us=left), now, again=True)

    def _take_prices(self, entry: str, payload: bytes) -> None:
        with garbled_is_passed_over("prices"):
            told = read_ticks(payload)
            late = self._clock.now_us() - told.at if told.ticks else 0
            for place, tick in enumerate(told.ticks, 1):
                position = entry if place == len(told.ticks) else ""  # a part of an entry is done again
                self._sequencer.tick(msgspec.structs.replace(tick, life_us=life_left(tick, late), position=position))

    def _take_asks(self, payload: bytes) -> None:
        if not payload:
            return  # a sign of life
        with garbled_is_passed_over("commands"):
            asks = read_asks(payload)
            for ask in asks.asks:
                with garbled_is_passed_over("a command"):  # it alone: those beside it are of others
                    self._take_ask(asks, ask)
            if asks.question:
                self._asked[asks.server] = max(asks.question, self._asked.get(asks.server, 0))
                self._was_asked.set()

    def _take_ask(self, asks: Asks, ask: Ask) -> None:
        self.commands += 1
        known = self._memory.get(ask.id)
        if known is not None:
            self.repeats += 1
            known.server = asks.server
            if known.answer is not None:
                self._tell(known.server, known.answer)
            return
        command = command_of(ask)
        entry = self._memory.add(ask.id, asks.server, asyncio.get_running_loop().time())
        try:
            deciding = self._sequencer.offer(command, ask.request, ask.id)
        except NotTaken as refusal:
            self._not_taken(entry, ask.id, refusal.why)
        else:
            deciding.add_done_callback(partial(self._decided, entry, ask.id))

    # --- what leaves --------------------------------------------------------------------------------------------------

    def _decided(self, entry: Remembered, id: str, deciding: "asyncio.Future[Decision]") -> None:  # noqa: A002
        if deciding.cancelled():
            return
        error = deciding.exception()
        if isinstance(error, NotTaken):
            self._not_taken(entry, id, error.why)
        elif error is None:
            decision = deciding.result()
            outcome, shows = decision
            if isinstance(outcome, Done) and outcome.records:
                shows = outcome.records[-1].seq
            self._answered(entry, answer_of(id, outcome, shows))
        elif not isinstance(error, Halted):
            raise error

    def _not_taken(self, entry: Remembered, id: str, why: Busy) -> None:  # noqa: A002
        """Where it stops, nothing is answered: who asked asks the successor."""
        if why is not Busy.SHUTTING_DOWN:
            self._answered(entry, Answer(id, busy=why))

    def _answered(self, entry: Remembered, answer: Answer) -> None:
        entry.answer = answer
        self._tell(entry.server, answer)

    def _tell(self, server: str, answer: Answer) -> None:
        """What was not taken shows nothing: it waits for no commit, of which one may hang for long."""
        if answer.busy is None:
            self._line.append((answer.shows, server, answer))
            self._let_go()
        else:
            self._leave(server, answer)

    def _let_go(self) -> None:
        """Have every answer leave that may be told, and none before one that was decided earlier."""
        durable_seq, line = self._writer.durable_seq, self._line
        while line and line[0][0] <= durable_seq:
            _, server, answer = line.popleft()
            self._leave(server, answer)

    def _leave(self, server: str, answer: Answer) -> None:
        if server:
            self._ready.setdefault(server, []).append(answer)
            self._wake.set()

    async def _write(self, streams: Streams) -> None:
        """What was handed over and not sent is asked again, or read from the journal."""
        await streams.delete(self._keys.all_commands, lambda name: self._keys.is_before(name, self._epoch))
        signed_s, loop = 0.0, asyncio.get_running_loop()
        while not self._writer.failed:
            if loop.time() - signed_s >= SIGN_S:
                signed_s = loop.time()
                await self._sign(streams)
            entries = self._outgoing()
            if entries:
                await streams.send(entries)
                continue
            await woken(self._wake, max(0.01, signed_s + SIGN_S - loop.time()))

    async def _sign(self, streams: Streams) -> None:
        await streams.put(self._keys.engine, self._epoch.encode(), 10 * SIGN_S)
        last = self._writer.durable_seq
        sign = News(self._epoch, last + 1, last) if not self._news else None
        entries = [Entry(self._commands, b"")]
        if sign is not None:
            entries.append(Entry(self._keys.events, pack(sign), EVENTS_KEPT))
        await streams.send(entries)
        await streams.drop_before(self._commands, self._read_up_to)

    def _outgoing(self) -> list[Entry]:
        """Records first: an answer is told once its server has them."""
        entries: list[Entry] = []
        while self._news and len(entries) < READ_AT_ONCE:
            records = [self._news.popleft() for _ in range(min(RECORDS_IN_ENTRY, len(self._news)))]
            news = News(self._epoch, records[0].seq, records[-1].seq, pack_records(records))
            entries.append(Entry(self._keys.events, pack(news), EVENTS_KEPT))
            if len(records) == RECORDS_IN_ENTRY:
                return entries  # more in the next turn: packing takes time
        ready, self._ready = self._ready, {}
        questions, self._questions = self._questions, {}
        for server in ready.keys() | questions.keys():
            answers = Answers(self._epoch, ready.get(server, []), questions.get(server, 0), self._writer.durable_seq)
            entries.append(Entry(self._keys.replies(server), pack(answers), REPLIES_KEPT, only_existing=True))
        return entries
