"""What the simulator has found, each as a small history of its own."""

from typing import Any

import msgspec

from exness.core.capture import digest_of
from exness.core.engine import Done
from exness.core.state import State
from exness.core.views import BalanceOf
from exness.runtime.clock import SystemClock
from exness.runtime.ticks import TickQueue
from tests.simulation.loop import SimLoop
from tests.support.books import (
    ANN,
    SOL,
    START,
    Desk,
    assert_books_balance,
    deposit,
    make_engine,
    open_account,
    price_of,
    tick,
)
from tests.support.exchange import make_parts
from tests.support.memory_storage import MemoryJournal


def test_the_last_accepted_price_is_not_shed_for_the_suspect_one_behind_it() -> None:
    """Seed 7, once: a full queue kept low, high and last; the last was suspect, so trades closed at the high."""
    ticks = TickQueue(3)
    for price in ("100", "90", "120", "101"):
        ticks.put(tick(SOL, price))
    ticks.put(msgspec.structs.replace(tick(SOL, "101"), suspect=True))
    ticks.put(msgspec.structs.replace(tick(SOL, "101"), suspect=True))
    desk = Desk()
    while ticks:
        desk.do(ticks.pop())
    last = desk.state.price(SOL)
    assert last is not None
    assert (last.mark, last.suspect) == (price_of(SOL, "101"), True)
    assert ticks.shed == 2


def test_a_reader_who_is_overtaken_after_the_commit_sees_what_it_waited_for() -> None:
    """Seed 0, once: between the commit a reader waited for and the reader's turn, the account changed again, and the
    reader was shown a balance that was not on the disk. It sees what was taken before the wait, and waits once."""
    loop, engine = SimLoop(), make_engine()
    journal = MemoryJournal()
    parts = make_parts(engine, journal, SystemClock())
    writer = parts.writer

    def execute(command: Any) -> None:
        outcome = engine.execute(command, START)
        assert isinstance(outcome, Done)
        writer.put(outcome.records)

    def overtake() -> None:
        """As the sequencer does, which may have its turn before the reader has."""
        if writer.commits == 1:
            journal.disk.clear()
            loop.call_later(0.5, journal.disk.set)
            execute(deposit(ANN, "1"))

    writer.call_on_progress(overtake)
    execute(open_account(ANN))
    account = engine.state.accounts[ANN]
    seen: list[tuple[int, int, int]] = []

    async def read() -> None:
        balance = await parts.exchange.see(BalanceOf(ANN))
        seen.append((balance.seq, writer.durable_seq, account.seq))

    reading, _ = loop.spawn(read()), loop.spawn(writer.run())
    loop.run_until(reading.done, limit_s=1)
    loop.drop()
    assert seen == [(1, 1, 2)]
    assert_books_balance(engine.state)


def test_sums_beyond_64_bits_do_not_keep_the_exchange_from_starting() -> None:
    """Seed 3281, once: after prices of one unit the shortfalls added up to more than msgpack holds, and the digest
    that every recovery ends with could not be made."""
    state = State()
    digests = set()
    for shortfall in (2**63 - 1, 2**63, 2**64, 2**64 + 1):
        state.shortfall = shortfall
        digests.add(digest_of(state))
    assert len(digests) == 4
