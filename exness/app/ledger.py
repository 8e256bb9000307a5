"""The commands `accounts` and `statement`: what the tables say, beside a server or without one.

They raise StorageError.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

from exness.app.databases import address_of
from exness.config import Config
from exness.core.events import Record
from exness.core.money import format_usdc
from exness.process.output import deliver, fail, warn
from exness.runtime.equity import StatementRow, statement_rows
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.tables import StatementQuery
from exness.storage import history_records, listing
from exness.storage.archive import Archives
from exness.storage.asking import Asking, answered
from exness.storage.database import open_reader
from exness.storage.files import JOURNAL_DB, MAIN_DB
from exness.storage.journal import pick, select_last_seq
from exness.storage.listing import Listed
from exness.web.v1.format import iso

ROWS_AT_ONCE = 500
ACCOUNTS = ("email", "opened", "free", "locked", "trades", "open", "realizedPnl")
STATEMENT = ("seq", "at", "reason", "amount", "balance", "orderId", "asset")
WIDTHS = {"email": 32, "opened": 27, "at": 27, "free": 20, "locked": 18, "balance": 20, "amount": 18, "realizedPnl": 18}
RIGHT = {"free", "locked", "amount", "balance", "realizedPnl", "trades", "open", "seq"}


class Ledger(NamedTuple):
    """What there is to read: questions to the tables, and records by their seqs. `last_seq` is the journal's."""

    answer: Callable[[Asking[Any]], Awaitable[Any]]
    pick: Callable[[Sequence[int]], Awaitable[list[Record]]]
    last_seq: int


def accounts(config: Config, *, as_csv: bool) -> int:
    """Print every account, a line each."""
    return asyncio.run(_accounts(config, as_csv))


def statement(config: Config, email: str, *, as_csv: bool) -> int:
    """Print what moved the free balance of a (normalised) mail address, newest first, a line each."""
    return asyncio.run(_statement(config, email, as_csv))


async def _accounts(config: Config, as_csv: bool) -> int:
    async with _open(config) as ledger:
        await _warn_behind(ledger)
        code, after = deliver(_lines([ACCOUNTS], ACCOUNTS, as_csv)), ""
        while code == 0:
            page: list[Listed] = await ledger.answer(listing.next_accounts(after))
            if not page:
                break
            code, after = deliver(_lines(map(_account, page), ACCOUNTS, as_csv)), page[-1].id
        return code


async def _statement(config: Config, email: str, as_csv: bool) -> int:
    async with _open(config) as ledger:
        account = await ledger.answer(listing.account_named(email))
        if account is None:
            return fail(f"{email} has no account here; `exness accounts` lists those that there are")
        await _warn_behind(ledger)
        code, before = deliver(_lines([STATEMENT], STATEMENT, as_csv)), None
        while code == 0:
            query = StatementQuery(account, before=before, limit=ROWS_AT_ONCE)
            records = await ledger.pick(await ledger.answer(history_records.moves(query)))
            if not records:
                break
            rows = [_moved(row) for record in records for row in statement_rows(record, query)]
            code, before = deliver(_lines(rows, STATEMENT, as_csv)), records[-1].seq
        return code


@asynccontextmanager
async def _open(config: Config) -> AsyncIterator[Ledger]:
    """For reading alone."""
    address = address_of(config)
    if address is not None:
        from exness.storage.postgres import ledger as postgres

        async with postgres.open_ledger(address) as (answer, picked, last):
            yield Ledger(answer, picked, last)
        return
    data_dir = config.storage.data_dir.absolute()
    if not (data_dir / MAIN_DB).exists():
        raise StorageError(f"there is no exchange in {data_dir}, or it has never been started")
    async with (
        open_reader(data_dir / MAIN_DB) as tables,
        open_reader(data_dir / JOURNAL_DB) as journal,
        aclosing(Archives(data_dir)) as archives,
    ):
        yield Ledger(
            lambda asking: tables.run(answered, asking),
            lambda seqs: journal.run(pick, archives, seqs),
            await journal.run(select_last_seq),
        )


async def _warn_behind(ledger: Ledger) -> None:
    """A running exchange is read while it goes on; what a crash has left behind comes with the next start."""
    behind = ledger.last_seq - await ledger.answer(listing.reached())
    if behind > 0:
        warn(f"the newest {behind:,} records are not in the tables yet, and not in this list")


def _account(account: Listed) -> tuple[object, ...]:
    return (
        account.email,
        iso(account.opened_at),
        format_usdc(account.free),
        format_usdc(account.locked),
        account.trades,
        account.open_trades,
        format_usdc(account.pnl),
    )


def _moved(row: StatementRow) -> tuple[object, ...]:
    return (
        row.seq,
        iso(row.at),
        row.reason.value,
        format_usdc(row.amount),
        format_usdc(row.balance),
        row.order_id or "",
        row.asset or "",
    )


def _lines(rows: Iterable[Sequence[object]], names: Sequence[str], as_csv: bool) -> str:
    if as_csv:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().rstrip("\n")
    return "\n".join("  ".join(map(_cell, row, names)).rstrip() for row in rows)


def _cell(value: object, name: str) -> str:
    width = WIDTHS.get(name, 10)
    return f"{value:>{width}}" if name in RIGHT else f"{value:<{width}}"
