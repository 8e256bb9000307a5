"""The accounts of an exchange, from the tables, for whoever lists them all."""

import msgspec

from exness.core.instruments import AccountId
from exness.storage.asking import Asking, one
from exness.storage.wide import joined

AT_ONCE = 500
_COLUMNS = """id, email, created_at, free, free_e18, locked, opened,
    opened - closed - liquidated, closed_pnl, closed_pnl_e18, liquidated_pnl, liquidated_pnl_e18"""
_NEXT = f"""
    SELECT {_COLUMNS}
    FROM users JOIN balances ON balances.account_id = id LEFT JOIN sums ON sums.account_id = id
    WHERE id > ? ORDER BY id LIMIT ?"""  # of constants alone  # nosec B608
_NAMED = "SELECT id FROM users WHERE email = ?"
_REACHED = "SELECT coalesce(max(seq), 0) FROM watermark"


class Listed(msgspec.Struct, frozen=True):
    """An account. `free`, `locked` and `pnl`, what its ended trades have realized, are micro-USDC."""

    id: AccountId
    email: str
    opened_at: int
    free: int
    locked: int
    trades: int
    open_trades: int
    pnl: int


def next_accounts(after: str) -> Asking[list[Listed]]:
    """Those after an id, by their ids, which is about the order they were opened in; at most AT_ONCE."""
    rows = yield _NEXT, (after, AT_ONCE)
    return [_listed(*row) for row in rows]


def _listed(
    account: str, email: str, opened_at: int, free: int, free_e18: int, locked: int, *sums: int | None
) -> Listed:
    trades, still_open, closed, closed_e18, liquidated, liquidated_e18 = (each or 0 for each in sums)
    pnl = joined(closed, closed_e18) + joined(liquidated, liquidated_e18)
    return Listed(AccountId(account), email, opened_at, joined(free, free_e18), locked, trades, still_open, pnl)


def account_named(email: str) -> Asking[AccountId | None]:
    rows = yield _NAMED, (email,)
    return AccountId(rows[0][0]) if rows else None


def reached() -> Asking[int]:
    """The last record that is in the tables."""
    return (yield from one(_REACHED, ()))
