"""`python -m tests.faults.buggy_server`: `python -m exness` with a bug in its core, which a price of 13, or a margin of
13, brings to light. What it was about is then half done in memory."""

import sys

from exness.__main__ import main
from exness.core import engine
from exness.core.events import Record, TradeClosed, TradeOpened
from exness.core.evolve import evolve
from exness.core.state import State

SIGN = 13_000_000


def half(state: State, record: Record) -> None:
    match record.event:
        case TradeOpened(trade) if trade.margin == SIGN:
            state.accounts[trade.account].free -= trade.margin
            raise AssertionError("this bug was planted by a test")
        case TradeClosed() as event if event.liquidated and event.price == SIGN:
            state.free += 1
            raise AssertionError("this bug was planted by a test")
    evolve(state, record)


if __name__ == "__main__":
    setattr(engine, "evolve", half)  # noqa: B010 - mypy knows it as not exported
    sys.exit(main())
