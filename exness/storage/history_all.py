"""What is asked of the tables about all accounts together, a bounded part of it at a time."""

import msgspec

from exness.core.instruments import AccountId
from exness.runtime.ports.tables import ClosedTrade
from exness.storage.asking import Asking, Found
from exness.storage.wide import joined

NEXT_TRADES = """
    SELECT id, account_id, realized, closed_at, closed_seq FROM trades WHERE id > ? ORDER BY id LIMIT ?"""
DEPOSITED = """
    SELECT account_id, deposited, deposited_e18 FROM balances
    WHERE account_id IN (SELECT value FROM json_each(?))"""


def closed(rows: Found) -> list[ClosedTrade]:
    """Those of NEXT_TRADES that are not open any more."""
    return [ClosedTrade(AccountId(account), realized, at, seq) for _, account, realized, at, seq in rows if seq]


def deposited(accounts: list[AccountId]) -> Asking[dict[AccountId, int]]:
    rows = yield DEPOSITED, (msgspec.json.encode(accounts).decode(),)
    return {AccountId(account): joined(low, high) for account, low, high in rows}
