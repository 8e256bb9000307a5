"""The server's end of the wire: sends what is asked to the engine, again until it is answered, and keeps the replica
up with what the engine tells.

A command counts as not taken as long as nothing of it can have left; after that it is not known what became of it
until the engine says so.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec
import structlog

from exness.core.commands import Command
from exness.core.events import Record
from exness.core.outcomes import Done, Outcome, Repeated
from exness.core.rules import Rules
from exness.runtime.clock import CommandIds
from exness.runtime.inbox import Busy, NotTaken
from exness.runtime.meters import Histogram
from exness.runtime.ports.engine import Watcher
from exness.runtime.replica import Replica
from exness.runtime.writer import Halted
from exness.spread.keys import OF_SERVERS, Keys, epoch_number
from exness.spread.link import Link, woken
from exness.spread.prices import PriceReader
from exness.spread.streams import START, Entry, Streams, Wire
from exness.spread.wire import (
    Answer,
    Answers,
    Ask,
    Asks,
    ask_of,
    garbled_is_passed_over,
    pack,
    read_answers,
    read_news,
    records_of,
    refusal_of,
)

_log = structlog.get_logger("exness.spread")

AGAIN_S = 1.0
"""What is not answered for so long is sent again."""
LOOK_S = 0.25
WAIT_S = 1.0
READ_AT_ONCE = 500
ASKS_AT_ONCE = 500
REPLIES_LIVE_S = 60.0
SILENT_S = 3.0
"""An engine that has not given a sign of life for so long does not answer."""


class Pending(msgspec.Struct, gc=False):
    """A command on its way. `epoch` is that of the engine it was last sent to, "" before; `sent_s` is loop time."""

    ask: Ask
    answer: "asyncio.Future[Answer]"
    records: list[Record]
    epoch: str = ""
    sent_s: float = 0.0
    began_s: float = 0.0


class Desk:
    """Implements `ports.engine.Desk`. `server` is a random name of this process, `bound` how many commands may be on
    their way, `timeout_s` how long it asks."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        server: str,
        replica: Replica,
        prices: PriceReader,
        *,
        bound: int,
        timeout_s: float,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._server = server
        self._replica = replica
        self._prices = prices
        self._bound = bound
        self._timeout_s = timeout_s
        self._ids = CommandIds(OF_SERVERS.removesuffix(":"), server)
        self._pending: dict[str, Pending] = {}
        self._outgoing: deque[Pending] = deque()
        self._wake = asyncio.Event()
        self._epoch = ""
        self._no_such: str = ""
        """An epoch whose stream is gone."""
        self._questions: OrderedDict[int, asyncio.Future[int]] = OrderedDict()
        self._question = 0
        self._unsent_question = False
        self._question_sent_s = 0.0
        self._heard_s = 0.0
        self._after = {keys.replies(server): START, keys.events: START}
        self._told_by = ""
        """The engine, by its epoch, whose records were taken last."""
        self.reading, self.writing = Link(wire, "answers and records"), Link(wire, "commands")
        self.watchers: list[Watcher] = replica.watchers
        self.ack_s = Histogram()
        """From a command until its answer."""
        self.overloads = 0
        self.resent = 0
        replica.followers.append(self._applied)

    @property
    def rules(self) -> Rules:
        return self._replica.rules

    @property
    def waiting(self) -> int:
        return len(self._pending)

    @property
    def bound(self) -> int:
        return self._bound

    @property
    def epoch(self) -> str:
        """The engine's, as far as it is known."""
        return self._epoch

    def describe(self) -> str:
        """For the banner, without secrets."""
        return self._wire.describe()

    def troubles(self) -> list[str]:
        if not self.reading.is_up or not self.writing.is_up:
            return ["the wire is gone"]
        if self._is_silent:
            return ["the engine does not answer"]
        return []

    @property
    def _is_silent(self) -> bool:
        """The engine has not given a sign of life for long."""
        return asyncio.get_running_loop().time() - self._heard_s > SILENT_S

    async def submit(self, command: Command, request: str = "") -> Outcome:
        """See `ports.engine.Desk`. Raises Halted when it was sent and nobody answered in time."""
        if len(self._pending) >= self._bound:
            self.overloads += 1
            raise NotTaken(Busy.OVERLOADED)
        loop = asyncio.get_running_loop()
        pending = Pending(ask_of(self._ids.new(), command, request), loop.create_future(), [], began_s=loop.time())
        self._pending[pending.ask.id] = pending
        self._outgoing.append(pending)
        self._wake.set()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await pending.answer
                await self._replica.durable(answer.shows)
        except TimeoutError:
            if not pending.epoch:
                self.overloads += 1
                raise NotTaken(Busy.OVERLOADED) from None
            raise Halted from None
        finally:
            del self._pending[pending.ask.id]
        self.ack_s.note(loop.time() - pending.began_s)
        return self._outcome(pending, answer)

    async def latest(self) -> int:
        """How far the engine's journal is, asked after this was called, once the copy here is as far. Raises NotTaken,
        Halted."""
        if not self._unsent_question:
            if len(self._questions) >= self._bound:
                self.overloads += 1
                raise NotTaken(Busy.OVERLOADED)
            self._question += 1
            self._questions[self._question] = asyncio.get_running_loop().create_future()
            self._unsent_question = True
            self._wake.set()
        answer = self._questions[self._question]
        try:
            async with asyncio.timeout(self._timeout_s):
                seq = await asyncio.shield(answer)
                await self._replica.durable(seq)  # its records may be lost on the way, with the wire
                return seq
        except TimeoutError:
            self.overloads += 1
            raise NotTaken(Busy.OVERLOADED) from None

    async def run(self) -> None:
        """Until cancelled. Raises WireRefused, StorageError."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.reading.run(self._read), name="answers")
            tasks.create_task(self.writing.run(self._write), name="commands")
            tasks.create_task(self._look(), name="commands again")

    def _outcome(self, pending: Pending, answer: Answer) -> Outcome:
        if answer.busy is not None:
            self.overloads += 1
            raise NotTaken(answer.busy)
        if answer.reject is not None:
            return refusal_of(answer)
        if answer.repeated is not None:
            return Repeated(answer.repeated)
        if len(pending.records) != answer.records:
            _log.error("an answer without its records", command=pending.ask.id, has=len(pending.records))
            raise Halted
        return Done(pending.records)

    def _applied(self, records: Sequence[Record]) -> None:
        """Records of commands that are on their way."""
        pending = self._pending
        if pending:
            for record in records:
                known = pending.get(record.cause)
                if known is not None:
                    known.records.append(record)

    # --- what leaves --------------------------------------------------------------------------------------------------

    async def _write(self, streams: Streams) -> None:
        """On a new connection everything is sent again: what was under way may be lost."""
        self._send_again()
        if not self._epoch:
            await self._find_epoch(streams)
        while True:
            if not (self._outgoing or self._unsent_question) or not self._epoch:
                await woken(self._wake, LOOK_S)
                if not self._epoch or self._is_silent:
                    await self._find_epoch(streams)
                continue
            await self._send(streams)

    async def _send(self, streams: Streams) -> None:
        going: list[Pending] = []
        now_s, epoch = asyncio.get_running_loop().time(), self._epoch
        while self._outgoing and len(going) < ASKS_AT_ONCE:
            pending = self._outgoing.popleft()
            if not self._is_over(pending):
                pending.epoch, pending.sent_s = epoch, now_s
                going.append(pending)
        question = self._question if self._questions else 0
        self._unsent_question, self._question_sent_s = False, now_s
        if not going and not question:
            return
        asks = Asks(self._server, [pending.ask for pending in going], question)
        entry = Entry(self._keys.commands(epoch), pack(asks), only_existing=True)
        (arrived,) = await streams.send([entry])
        if not arrived:
            self._outgoing.extendleft(reversed(going))
            self._unsent_question = bool(self._questions)
            if self._epoch == epoch:
                self._epoch, self._no_such = "", epoch
            await self._find_epoch(streams)
            await asyncio.sleep(0 if self._epoch not in ("", epoch) else AGAIN_S / 20)

    async def _find_epoch(self, streams: Streams) -> None:
        found = await streams.get(self._keys.engine)
        if found:
            self._is_epoch(found.decode(), told_by_key=True)

    def _is_epoch(self, epoch: str, *, told_by_key: bool = False) -> None:
        """A newer one. An earlier one only where the key names it and this one is silent: after the loss of a database
        numbers come again."""
        if epoch == self._epoch:
            return
        newer = epoch_number(epoch) > epoch_number(self._epoch)
        if newer or not self._epoch or (told_by_key and self._is_silent):
            self._epoch, self._no_such = epoch, ""
            self._send_again()

    def _send_again(self) -> None:
        """All that was sent and is not answered."""
        waiting = {pending.ask.id for pending in self._outgoing}
        for id, pending in self._pending.items():  # noqa: A001
            if id not in waiting and not pending.answer.done():
                self._again(pending)
        self._unsent_question = bool(self._questions)
        self._wake.set()

    def _is_over(self, pending: Pending) -> bool:
        return pending.answer.done() or pending.ask.id not in self._pending

    def _again(self, pending: Pending) -> None:
        self.resent += bool(pending.epoch)
        self._outgoing.append(pending)

    async def _look(self) -> None:
        """At what is silent for too long."""
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = asyncio.get_running_loop().time()
            while self._outgoing and self._is_over(self._outgoing[0]):
                self._outgoing.popleft()  # nobody waits for it any more
            for pending in self._pending.values():  # bounded
                if pending.epoch and pending.sent_s <= now_s - AGAIN_S and not pending.answer.done():
                    pending.sent_s = now_s
                    self._again(pending)
            if self._questions and self._question_sent_s < now_s - AGAIN_S:
                self._unsent_question = True
            if self._outgoing or self._unsent_question:
                self._wake.set()

    # --- what comes ---------------------------------------------------------------------------------------------------

    async def _read(self, streams: Streams) -> None:
        """On a new connection from the beginning of every stream: after a failover new ids can be smaller."""
        replies, events, prices = self._keys.replies(self._server), self._keys.events, self._keys.prices
        await streams.send([Entry(replies, pack(Answers("")))])  # it must be there to be written to
        newest = await streams.newest(events, 1)
        self._after = {replies: START, events: newest[-1][0] if newest else START}
        await self._prices.begin(streams)
        await self._catch_up(newest[-1][1] if newest else b"")
        kept_s = 0.0
        while True:
            now_s = asyncio.get_running_loop().time()
            if now_s - kept_s > WAIT_S:
                kept_s = now_s
                if not await streams.expire(replies, REPLIES_LIVE_S):  # the wire has forgotten it
                    await streams.send([Entry(replies, pack(Answers("")))])
            found = await streams.read({**self._after, prices: self._prices.position}, WAIT_S, READ_AT_ONCE)
            for entry, payload in found.get(prices, ()):
                self._prices.take(entry, payload)
            for entry, payload in found.get(events, ()):
                self._after[events] = entry
                await self._take_news(payload)
            for entry, payload in found.get(replies, ()):
                self._after[replies] = entry
                self._take_answers(payload)
            await asyncio.sleep(0)

    async def _catch_up(self, payload: bytes) -> None:
        """What was told while nobody listened here is in the journal."""
        if not payload:
            return
        with garbled_is_passed_over("records"):
            await self._replica.catch_up(read_news(payload).last)

    async def _take_news(self, payload: bytes) -> None:
        with garbled_is_passed_over("records"):
            news = read_news(payload)
            if epoch_number(news.epoch) >= epoch_number(self._epoch or self._no_such) and news.epoch != self._no_such:
                self._heard_s = asyncio.get_running_loop().time()
                self._is_epoch(news.epoch)
            if news.epoch != self._told_by:
                await self._replica.refuse_lost()
                self._told_by = news.epoch
            if news.last > self._replica.durable_seq:
                await self._replica.take(records_of(news))
                await self._replica.catch_up(news.last)

    def _take_answers(self, payload: bytes) -> None:
        with garbled_is_passed_over("answers"):
            answers = read_answers(payload)
            for answer in answers.answers:
                pending = self._pending.get(answer.id)
                if pending is not None and pending.epoch == answers.epoch and not pending.answer.done():
                    pending.answer.set_result(answer)
            if answers.question and answers.epoch == self._epoch:
                self._answer_questions(answers)

    def _answer_questions(self, answers: Answers) -> None:
        while self._questions and next(iter(self._questions)) <= answers.question:
            _, asked = self._questions.popitem(last=False)
            if not asked.done():
                asked.set_result(answers.seq)
        self._unsent_question = self._unsent_question and bool(self._questions)  # it was to be asked again
