"""What a good number of histories must have reached, by the name of its counter: a path that nobody takes is not
tested."""

from collections import Counter

from exness.core.rejects import Reject
from exness.runtime.inbox import Busy
from tests.simulation.disk import CommitFault, Decay, Outage

PATHS = (
    "events",
    "ticks",
    "commands",
    "trades opened",
    "trades closed",
    "trades closed with everything lost",
    "trades closed with a shortfall",
    "trades liquidated",
    "liquidated with a shortfall",
    "liquidated without a shortfall",
    "tick done in steps",
    "ticks shed",
    "ticks drained",
    "suspect ticks",
    "repeats answered",
    "client order ids forgotten",
    *(f"refused: {reject}" for reject in Reject),
    f"refused: {Reject.PRICE_UNAVAILABLE}, down",
    f"refused: {Reject.PRICE_UNAVAILABLE}, stale",
    f"refused: {Reject.PRICE_UNAVAILABLE}, suspect",
    f"refused: {Reject.POSITION_LIMIT}, max_open_trades_per_account",
    f"refused: {Reject.POSITION_LIMIT}, max_notional_per_account",
    f"refused: {Reject.POSITION_LIMIT}, max_open_interest_per_asset",
    f"not taken: {Busy.OVERLOADED}",
    f"not taken: {Busy.OVERLOADED}, after waiting",
    f"not taken: {Busy.SHUTTING_DOWN}",
    f"not taken: {Busy.SHUTTING_DOWN}, after waiting",
    "told that it is not known",
    "client left before their turn",
    "client left, already executed",
    "signed in",
    "looked at an account",
    "records broadcast",
    "subscriber cut off",
    "slow disk",
    "clock stepped back",
    "clock stepped forward",
    *(f"commit failed {fault}" for fault in CommitFault),
    "process halted",
    "graceful stops",
    "final snapshot failed",
    "crashes",
    "crashes in recovery",
    *(f"crash in a commit: {outage}" for outage in Outage),
    "crash after a commit, before its answer",
    "crash while a snapshot is written",
    "crash while the tables are behind",
    "tables set back",
    "tables lost",
    "tables failed",
    "looked at the tables",
    "records lost that nobody was told of",
    "records replayed",
    "recovered from a snapshot",
    "recovered without a snapshot",
    "snapshots taken",
    "snapshot failed",
    "snapshot torn",
    "snapshot fallback",
    "snapshot ahead of the journal refused",
    "snapshot of another journal refused",
    *(f"snapshots: {decay}" for decay in Decay if decay is not Decay.NONE),
    "damage refused",
)


def never_reached(counters: Counter[str]) -> list[str]:
    return [path for path in PATHS if not counters[path]]
