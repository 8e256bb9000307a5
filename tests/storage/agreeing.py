"""A directory in which everything agrees, for what `verify` must pass and find. The fixtures are in conftest.py."""

from pathlib import Path

import pytest

from exness.storage.verify_tables import Difference
from tests.contracts.trading import random_trading
from tests.storage.damage import checked

DESK = random_trading(21)
"""Read only. Its records are the journal of most directories here."""
LAST = DESK.state.seq
MIDDLE = LAST // 2
SNAPSHOTS_AT = (1, MIDDLE, LAST - 1, LAST)


def difference(data_dir: Path) -> Difference:
    with pytest.raises(Difference) as found:
        checked(data_dir)
    assert "\n" not in str(found.value)
    return found.value
