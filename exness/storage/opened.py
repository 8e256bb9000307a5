"""What a database holds of an exchange, by its ports."""

from typing import NamedTuple

from exness.runtime.ports.candles import CandleStore
from exness.runtime.ports.journal import Journal
from exness.runtime.ports.snapshots import Snapshots
from exness.runtime.ports.tables import History, Tables


class Storage(NamedTuple):
    """All of it, open."""

    journal: Journal
    tables: Tables
    history: History
    candles: CandleStore
    snapshots: Snapshots
