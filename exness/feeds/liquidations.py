"""How many trades a price or time has liquidated."""

import asyncio
from collections.abc import Sequence

from exness.core.events import Record, TradeClosed

_IN_A_ROW = 5_000
"""Records looked at before the loop gets a turn: about a millisecond."""


async def liquidations_in(records: Sequence[Record]) -> int:
    found = 0
    for begin in range(0, len(records), _IN_A_ROW):
        if begin:
            await asyncio.sleep(0)
        events = (record.event for record in records[begin : begin + _IN_A_ROW])
        found += sum(isinstance(event, TradeClosed) and event.liquidated for event in events)
    return found
