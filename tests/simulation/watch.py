"""Watches everything the exchange does and holds it against the twin and against its promises.

It sees: every command the engine executes, every commit and snapshot at the moment it is on the disk, every answer at
the moment it is given, every record that is broadcast, and what comes back after a crash.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from exness.core.audit import audit
from exness.core.capture import Restorer, digest_of
from exness.core.commands import Command, OpenTrade, PriceTick
from exness.core.engine import Engine
from exness.core.events import (
    Record,
    TradeClosed,
    TradeOpened,
)
from exness.core.instruments import AccountId, Asset
from exness.core.outcomes import Done, Outcome, Repeated
from exness.core.rejects import NoPrice, OverLimit, Refusal
from exness.core.rules import Rules
from exness.core.state import BooksError, State
from exness.runtime.inbox import Busy
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.snapshots import SnapshotDamaged
from exness.runtime.recovery import Recovered, recover
from exness.storage.codec import Row, encode
from exness.storage.rows import BALANCES, HOUSE
from tests.reference.twin import Prediction, Twin
from tests.simulation.actions import Bounds
from tests.simulation.disk import (
    Disk,
    SimJournal,
    SimSnapshots,
    Snapshot,
    damaged,
    decode_row,
    header_of,
    tables_of,
)
from tests.simulation.loop import run_alone
from tests.support.books import is_liquidation
from tests.support.memory_storage import MemoryTables

_NOTES = {"snapshot ": "snapshot fallback"}
"""What recovery says of what was not as it should be, by a sign of it."""


class Broken(AssertionError):
    """A promise is broken. `what` names the promise, `why` shows how."""

    def __init__(self, what: str, why: object = "") -> None:
        super().__init__(f"{what}: {why}")
        self.what = what


class _Offer(NamedTuple):
    """A tick that has come, when `seq` was the last record and so many requests had been served."""

    tick: PriceTick
    seq: int
    served: int


class WatchedEngine(Engine):
    """The engine, with someone looking."""

    def __init__(self, rules: Rules, state: State, liquidations_per_step: int, watch: "Watch") -> None:
        super().__init__(rules, state, liquidations_per_step)
        self._watch = watch

    def steps(self, command: Command, at: int, request: str = "", cause: str = "") -> Iterator[list[Record] | Outcome]:
        """Each is looked at by itself."""
        steps, done, more = super().steps(command, at, request, cause), 0, True
        while more:
            prediction = self._watch.predict(command, at, request)
            step = next(steps)
            more = isinstance(step, list)
            outcome: Outcome
            match step:
                case list(records) | Done(records):
                    outcome, done = Done(records[done:]), len(records)
                case _:
                    outcome = step
            self._watch.check(more == prediction.more, "an answer is what it must be", f"{more}, {prediction}")
            self._watch.executed(command, at, request, cause, outcome, prediction, self.state)
            yield step


class Watch:
    """One history's witness. `trace` is told one line for everything that happens; its hash is `fingerprint`."""

    def __init__(self, bounds: Bounds, disk: Disk, trace: Callable[[str], None]) -> None:
        self.bounds = bounds
        self.disk = disk
        self.twin = Twin(bounds.rules, bounds.liquidations_per_step)
        self.counters: Counter[str] = Counter()
        self.broken: Broken | None = None
        self.now: Callable[[], float] = lambda: 0.0
        self._trace = trace
        self._sha256 = hashlib.sha256()
        self._random = Random(f"probes {disk.random.random()}")
        self._log: list[Record] = []
        self._rows: list[Row] = []
        self._promised = 0
        self._outcomes: dict[str, Outcome] = {}
        self._asked: dict[str, float] = {}
        self._left: set[str] = set()
        self._refused: set[str] = set()
        self.ticks_waiting: Callable[[], list[PriceTick]] = list
        self._offered: list[_Offer] = []
        self._served = 0
        self._in_tick: PriceTick | None = None
        self._last_at = 0
        disk.on_commit = self.committed
        disk.on_snapshot = self.snapshot_kept
        disk.on_tables = self.tables_written
        disk.reached = self.reached

    @property
    def fingerprint(self) -> str:
        return self._sha256.hexdigest()

    def reached(self, what: str) -> None:
        self.counters[what] += 1
        self.note(what)

    def note(self, line: str) -> None:
        line = f"{self.now():.6f} {line}"
        self._sha256.update(line.encode())
        self._trace(line)

    def check(self, holds: bool, what: str, why: object = "") -> None:
        """A promise must hold. The first that does not is kept, whoever swallows the exception."""
        if holds:
            return
        broken = Broken(what, why)
        self.broken = self.broken or broken
        raise broken

    # --- commands -------------------------------------------------------------------------------------------------

    def offered(self, tick: PriceTick) -> None:
        """A price has come in."""
        self.counters["ticks"] += 1
        self._offered.append(_Offer(tick, self.twin.seq, self._served))

    def predict(self, command: Command, at: int, request: str) -> Prediction:
        """Before a command is executed: what must come of it."""
        self.check(at >= self._last_at, "time does not go back", at - self._last_at)
        self._last_at = at
        self.check(request not in self._left, "who has gone before their turn is not served", request)
        self.check(request not in self._refused, "what was refused as overloaded is not executed", request)
        self.check(request == "" or request not in self._outcomes, "a request is executed once", request)
        self._in_time(request)
        if not isinstance(command, PriceTick):
            self.check(self._in_tick is None, "nothing comes between the steps of a tick", command)
            self._no_tick_waits_for_long()
            self._served += 1
        return self.twin.predict(command, at)

    def executed(
        self,
        command: Command,
        at: int,
        request: str,
        cause: str,
        outcome: Outcome,
        prediction: Prediction,
        state: State,
    ) -> None:
        """After it: what came of it."""
        self.note(f"{request} {command} at {at} -> {outcome}")
        self._count(command, outcome)
        self._compare(command, at, request, cause, outcome, prediction)
        if request:
            self._outcomes[request] = outcome
        if isinstance(command, PriceTick):
            self._after_tick(command, prediction, state)
        self._every_tick_was_checked(state)
        self._compare_totals(state)

    def asked(self, request: str) -> None:
        self._asked[request] = self.now()

    def _in_time(self, request: str) -> None:
        """Nobody is kept in the inbox for much longer than is allowed."""
        waited_s = self.now() - self._asked.get(request, self.now())
        limit_s = 1.25 * self.bounds.inbox_wait_s + 0.02
        self.check(waited_s <= limit_s, "nobody waits in the inbox for longer than is allowed", waited_s)

    def _compare(
        self, command: Command, at: int, request: str, cause: str, outcome: Outcome, prediction: Prediction
    ) -> None:
        expected = prediction.answer
        if not isinstance(expected, list):
            self.check(outcome == expected, "an answer is what it must be", f"{outcome}, must be {expected}")
            return
        at = max(at, self.twin.at)
        if isinstance(command, PriceTick):
            cause = "feed"
        records = [Record(self.twin.seq + n, at, event, request, cause) for n, event in enumerate(expected, 1)]
        whole = Done(records)
        if isinstance(command, PriceTick):
            self.check(_orders(outcome) == _orders(whole), "a tick liquidates what is due", f"{outcome}, {whole}")
        self.check(outcome == whole, "an answer is what it must be", f"{outcome}, must be {whole}")
        for record in records:
            self.twin.apply(record.event, at)
            self._log.append(record)
            self._rows.append(encode(record))

    def _after_tick(self, tick: PriceTick, prediction: Prediction, state: State) -> None:
        self._in_tick = tick if prediction.more else None
        if prediction.more:
            self.reached("tick done in steps")
            return
        overdue = [lot.trade.id for lot in self.twin.due(tick)]
        self.check(not overdue, "nothing is overdue after a tick", overdue)
        known = [trade.id for account in state.account_list for trade in account.trades.values()]
        self.check(len(known) == len(self.twin.lots), "the open trades are what they must be", known)

    def _no_tick_waits_for_long(self) -> None:
        """A tick that has come waits for one slice of requests, at most."""
        waiting = {id(tick) for tick in self.ticks_waiting()}
        for offer in self._offered:
            if id(offer.tick) in waiting:
                served = self._served - offer.served
                self.check(served < self.bounds.slice_commands, "ticks go before requests", f"{offer.tick}: {served}")

    def _every_tick_was_checked(self, state: State) -> None:
        """Once no tick waits any more, whatever any that came would have set off is set off, also if it was shed; and
        the price is the last one accepted."""
        if self._in_tick is not None or self.ticks_waiting() or not self._offered:
            return
        last: dict[Asset, PriceTick] = {}
        for tick, seq, _ in self._offered:
            missed = [lot.trade.id for lot in self.twin.due(tick) if lot.trade.seq <= seq]
            self.check(not missed, "no tick is missed", f"{tick} would have liquidated {missed}")
            if not tick.suspect:
                last[tick.asset] = tick
        for asset, tick in last.items():
            price = state.price(asset)
            known = price and (price.bid, price.ask)
            self.check(known == (tick.bid, tick.ask), "the price is the last one accepted", f"{known}, not {tick}")
        self._offered.clear()
        self.counters["ticks drained"] += 1

    def _compare_totals(self, state: State) -> None:
        twin = self.twin
        free, locked = sum(each.free for each in twin.wallets.values()), sum(x.margin for x in twin.lots.values())
        real = state.seq, state.free, state.locked, state.house.pnl, state.deposits, state.shortfall
        expected = (
            twin.seq,
            *(int(money * 10**6) for money in (free, locked, twin.house, twin.deposits, twin.shortfall)),
        )
        self.check(real == expected, "the totals are what they must be", f"{real}, must be {expected}")

    def _count(self, command: Command, outcome: Outcome) -> None:
        counters = self.counters
        counters["commands"] += not isinstance(command, PriceTick)
        match outcome:
            case Refusal(reject, figures):
                counters[f"refused: {reject}"] += 1
                match figures:
                    case NoPrice(_, word) | OverLimit(word):
                        counters[f"refused: {reject}, {word}"] += 1
                    case _:
                        pass
            case Repeated():
                counters["repeats answered"] += 1
            case Done(records):
                counters["events"] += len(records)
                for record in records:
                    self._count_event(record)

    def _count_event(self, record: Record) -> None:
        match record.event:
            case TradeOpened() as event:
                self.counters["trades opened"] += 1
                self.counters["client order ids forgotten"] += len(event.forgets)
            case TradeClosed() as event if not event.liquidated:
                self.counters["trades closed"] += 1
                self.counters["trades closed with everything lost"] += event.pnl == -event.margin
                self.counters["trades closed with a shortfall"] += event.shortfall > 0
            case TradeClosed() as event:
                self.counters["trades liquidated"] += 1
                self.counters["liquidated with a shortfall"] += event.shortfall > 0
                self.counters["liquidated without a shortfall"] += event.shortfall == 0
            case _:
                pass

    # --- disk -----------------------------------------------------------------------------------------------------

    def committed(self, rows: list[Row]) -> None:
        """Rows are on the disk: the next ones, as they were executed."""
        self.note(f"committed {rows[0][0]} to {rows[-1][0]}")
        end = len(self.disk.rows)
        expected = self._rows[end - len(rows) : end]
        self.check(rows == expected, "the journal holds what was executed", f"{rows}, must be {expected}")

    def tables_written(self, tables: MemoryTables) -> None:
        """The tables have come further: never ahead of the journal, and each account's balance is of that moment."""
        seq = tables.mark.seq
        self.note(f"tables at {seq}")
        self.check(seq <= len(self.disk.rows), "no tables are ahead of the journal", seq)
        if self._random.random() > 0.1:
            return
        wallets = self._twin_at(seq).wallets
        found = {name: row.free for name, row in tables.rows[BALANCES].items() if name != HOUSE}  # type: ignore[attr-defined]
        expected = {account: int(wallet.free * 10**6) for account, wallet in wallets.items()}
        self.check(found == expected, "the tables are of one moment", f"{found}, must be {expected}")
        whole = tables_of(self.disk.rows[:seq])
        self.check((tables.rows, tables.mark) == (whole.rows, whole.mark), "tables are what the journal makes", seq)

    def in_tables(self, account: AccountId, seq: int) -> None:
        """Somebody has waited until the tables hold the record `seq` of this account."""
        tables = self.disk.tables
        self.check(tables.mark.seq >= seq, "who waited for the tables sees what was done", f"{seq}, {tables.mark}")
        self.check(account in tables.rows[BALANCES], "who waited for the tables sees what was done", account)
        self.reached("looked at the tables")

    def snapshot_kept(self, snapshot: Snapshot) -> None:
        """A snapshot is on the disk: of a moment that was, and not ahead of the journal."""
        self.reached("snapshots taken")
        self.check(snapshot.seq <= len(self.disk.rows), "no snapshot is ahead of the journal", snapshot.seq)
        restorer = Restorer(header_of(snapshot))
        for account in snapshot.accounts:
            restorer.add(account)
        try:
            state = restorer.finish()
        except (BooksError, ValueError) as error:
            self.check(False, "a snapshot is of one moment", error)
            raise
        difference = self._twin_at(snapshot.seq).difference(state)
        self.check(difference is None, "a snapshot is of one moment", difference)
        self.check(digest_of(state) == snapshot.digest, "a snapshot's digest is its state's", snapshot.seq)

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, request: str, command: Command, outcome: Outcome) -> None:
        """Somebody was told this outcome. From now on it must be true for ever."""
        self.note(f"{request} answered")
        self.check(self._outcomes.get(request) == outcome, "the answer is that of the engine", request)
        match outcome:
            case Done(records):
                for record in records:
                    self._promise(record)
            case Repeated(seen):
                first = self._log[seen.seq - 1]
                assert isinstance(command, OpenTrade)
                told = isinstance(first.event, TradeOpened) and first.event.trade
                named = told and (told.id, told.account, told.client_order)
                asked = (seen.trade_id, command.account, command.client_order)
                self.check(named == asked, "a repeat gets the first answer", seen)
                self._promise(first)
            case Refusal():
                pass

    def _promise(self, record: Record) -> None:
        on_disk = self.disk.rows[record.seq - 1 : record.seq]
        self.check(on_disk == [encode(record)], "no answer before it is durable", record)
        self._promised = max(self._promised, record.seq)

    def not_taken(self, request: str, why: Busy, waited_s: float, inbox_full: bool) -> None:
        self.reached(f"not taken: {why}" + (", after waiting" if waited_s else ""))
        self._in_time(request)
        self.check(request not in self._outcomes, "what was not taken was not executed", request)
        self._refused.add(request)
        if why is Busy.OVERLOADED:
            fair = waited_s >= self.bounds.inbox_wait_s if waited_s else inbox_full
            self.check(fair, "overloaded is said for a reason", f"{request} after {waited_s} s")

    def left(self, request: str) -> None:
        """Whoever asked has gone away."""
        served = request in self._outcomes
        self.reached("client left, already executed" if served else "client left before their turn")
        if not served:
            self._left.add(request)

    def shown(self, account: AccountId, seq: int, free: int) -> None:
        """Somebody sees what this account had after the record `seq`."""
        self.check(seq <= len(self.disk.rows), "nobody sees what a crash could take back", account)
        self._promised = max(self._promised, seq)
        wallet = self._twin_at(seq).wallets.get(account)
        self.check(wallet is not None and wallet.free * 10**6 == free, "what is shown is of one moment", account)

    def broadcast(self, record: Record, expected_seq: int) -> None:
        """A subscriber got this record."""
        self.check(record.seq == expected_seq, "a broadcast has no gap", f"{record.seq}, must be {expected_seq}")
        on_disk = self.disk.rows[record.seq - 1 : record.seq]
        self.check(on_disk == [encode(record)], "only what is durable is broadcast", record)
        self.counters["records broadcast"] += 1

    # --- recovery -------------------------------------------------------------------------------------------------

    def recovered(self, recovered: Recovered) -> None:
        """A process has come back: with everything that was promised, and with what was executed, in that order."""
        rows, state = self.disk.rows, recovered.state
        self.note(f"recovered {recovered.digest} from {recovered.snapshot_seq}, {recovered.notes}")
        self._count_notes(recovered)
        self.check(len(rows) >= self._promised, "what was promised is there", f"{len(rows)} of {self._promised}")
        self.check(rows == self._rows[: len(rows)], "the journal holds what was executed")
        self.check(state.seq == len(rows), "all of the journal is recovered", f"{state.seq} of {len(rows)}")
        self._go_back_to(len(rows))
        difference = self.twin.difference(state)
        self.check(difference is None, "what is recovered is what was durable", difference)
        self._sound(state)
        self._probe(recovered)

    def _twin_at(self, seq: int) -> Twin:
        """As it was after this record."""
        return Twin.after(self._log[:seq], self.bounds.rules, self.bounds.liquidations_per_step)

    def _go_back_to(self, seq: int) -> None:
        self.counters["records lost that nobody was told of"] += len(self._log) - seq
        del self._log[seq:], self._rows[seq:]
        self.twin = self._twin_at(seq)
        self._offered.clear()
        self._in_tick, self._last_at = None, 0
        # A request of the life before can come to nothing any more.
        self._outcomes.clear()

    def _sound(self, state: State) -> None:
        try:
            audit(state)
        except BooksError as error:
            self.check(False, "the books balance", error)
        self.check(all(market.price is None for market in state.markets.values()), "prices are not recovered")

    def _count_notes(self, recovered: Recovered) -> None:
        self.reached("recovered from a snapshot" if recovered.snapshot_seq else "recovered without a snapshot")
        self.counters["records replayed"] += recovered.replayed
        for note in recovered.notes:
            self.reached(_NOTES[next(sign for sign in _NOTES if sign in note)])

    def _probe(self, recovered: Recovered) -> None:
        """Copies of the disk are opened in other ways. A replay from the first event is the same; so is a second
        restart; damage in the middle is refused."""
        without = self.disk.copy()
        without.snapshots.clear()
        again = self._open(without)
        self.check(again.digest == recovered.digest, "a full replay gives the same state")
        again = self._open(self.disk.copy())
        self.check(again.digest == recovered.digest, "a second restart changes nothing")
        if len(self.disk.rows) > 1 and self._random.random() < 0.5:
            self._probe_damage(without)
        if len(self.disk.rows) > 1 and self._random.random() < 0.5:
            self._probe_shorter(self.disk.copy())
        if self.disk.rows and self._random.random() < 0.5:
            self._probe_other(self.disk.copy())

    def _open(self, disk: Disk) -> Recovered:
        try:
            return run_alone(recover(SimJournal(disk), SimSnapshots(disk)))
        except Exception as error:
            self.check(False, "what was recovered can be opened again", error)
            raise

    def _probe_damage(self, disk: Disk) -> None:
        place = self._random.randrange(len(disk.rows))
        if place == len(disk.rows) - 1 or self._random.random() < 0.8:
            disk.rows[place] = damaged(disk.rows[place], self._random)
        else:
            del disk.rows[place]
        refused = ""
        try:
            run_alone(recover(SimJournal(disk), SimSnapshots(disk)))
        except StorageError as error:
            refused = str(error)
        self.check(f"record {place + 1} " in refused, "damage is refused by name", refused)
        self.reached("damage refused")

    def _probe_shorter(self, disk: Disk) -> None:
        """An older journal, as from a copy without its log: a newer snapshot proves that it once went further."""
        del disk.rows[self._random.randrange(1, len(disk.rows)) :]
        ahead = [seq for seq, snapshot in disk.snapshots.items() if seq > len(disk.rows) and _is_whole(snapshot)]
        if ahead:
            self._probe_refusal(disk, f"there is a snapshot of record {max(ahead)}, which was on disk before it")
            self.counters["snapshot ahead of the journal refused"] += 1
            return
        difference = self._twin_at(len(disk.rows)).difference(self._open(disk).state)
        self.check(difference is None, "an older journal is what it was", difference)

    def _probe_other(self, disk: Disk) -> None:
        """Snapshots beside a journal of equal length that went another way."""
        place = self._random.randrange(len(disk.rows))
        for number in range(place, len(disk.rows)):
            record = decode_row(disk.rows[number])
            disk.rows[number] = encode(replace(record, request=f"another {record.request}"))
        newest = max((seq for seq, snapshot in disk.snapshots.items() if _is_whole(snapshot)), default=0)
        if newest > place:
            self._probe_refusal(disk, f"snapshot {newest} is of another journal")
            self.counters["snapshot of another journal refused"] += 1

    def _probe_refusal(self, disk: Disk, why: str) -> None:
        rows, kept, refused = list(disk.rows), dict(disk.snapshots), ""
        try:
            run_alone(recover(SimJournal(disk), SimSnapshots(disk)))
        except StorageError as error:
            refused = str(error)
        self.check(why in refused, "proof of loss is refused", refused)
        self.check((disk.rows, disk.snapshots) == (rows, kept), "a refused start changes nothing")


def _is_whole(snapshot: Snapshot) -> bool:
    try:
        header_of(snapshot)
    except SnapshotDamaged:
        return False
    return True


def _orders(outcome: Outcome) -> list[str]:
    assert isinstance(outcome, Done), outcome
    return [record.event.trade_id for record in outcome.records if is_liquidation(record.event)]
