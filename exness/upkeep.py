"""The commands on the data itself: verify, rebuild, repair, backup, restore, archive, upgrade. Each says what it did
and returns an exit code. They raise StorageError."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exness import __version__
from exness.core.money import format_usdc
from exness.process.output import fail, say

if TYPE_CHECKING:
    from exness.config import Config
    from exness.storage.postgres.session import Address
    from exness.storage.verify import Report


def verify(data_dir: Path, address: "Address | None", file: Path | None) -> int:
    """Check a data directory, or a backup, or the exchange in a database."""
    if address is not None and file is None:
        return verify_database(address)
    from exness.storage import verify as checks
    from exness.storage.datadir import held
    from exness.storage.verify_tables import Difference

    started = time.monotonic()
    try:
        with ExitStack() as stack:
            bar = stack.enter_context(_progress("records"))
            if file is None:
                stack.enter_context(held(data_dir))
                report = checks.verify_directory(data_dir, bar)
            else:
                report = checks.verify(file, None, bar)
    except Difference as difference:
        return fail(f"{file or data_dir} does not agree: {difference}")
    say(_verified(str(file or data_dir.resolve()), report, time.monotonic() - started))
    return 0


def _verified(what: str, report: "Report", seconds: float) -> str:
    return "\n".join(
        (
            f"verified {what} in {seconds:.1f} s",
            f"  journal       {report.records:,} records in an unbroken row, every checksum right{_archived(report)}",
            f"  snapshots     {report.snapshots}, each the state that the journal leads to",
            f"  tables        {_tables(report)}",
            f"  trades        {report.trades_opened:,} of {report.users:,} users, {report.open_trades:,} are open",
            f"  liquidations  {report.liquidations:,} in {report.liquidating_ticks:,} ticks: each due, none overdue",
            f"  books         free + locked + house = {format_usdc(report.deposits)} USDC deposited, at every record",
            f"  state         {report.digest}",
        )
    )


def _archived(report: "Report") -> str:
    return f"; those up to {report.archived:,} are archived" if report.archived else ""


def _tables(report: "Report") -> str:
    if report.tables is None:
        return "none to check: they are made from the journal by the next start"
    behind = report.records - report.tables
    return "every row is what the journal leads to" + (f"; {behind:,} records are still to follow" if behind else "")


def rebuild(data_dir: Path, address: "Address | None") -> int:
    """Make the tables anew."""
    if address is not None:
        return rebuild_database(address)
    from exness.storage import rebuild as tables
    from exness.storage.datadir import locked

    with _progress("records") as bar, locked(data_dir):
        records = tables.rebuild(data_dir, bar)
    say(f"the tables of {data_dir} are made anew from {records:,} records")
    return 0


def repair(data_dir: Path, address: "Address | None", *, cut: bool) -> int:
    """Show the first damaged record; cut it, if that is wanted and it is the newest."""
    if address is not None:
        return repair_database(address, cut=cut)
    from exness.storage import repair as damages
    from exness.storage.datadir import locked

    with locked(data_dir):
        with _progress("records") as bar:
            damage = damages.find_damage(data_dir, bar)
        if damage is None:
            say(f"the journal of {data_dir} is whole: there is nothing to repair")
            return 0
        say("\n".join((damage.why, *(f"  {name:9} {text}" for name, text in (damage.row or {}).items()))))
        if not damage.can_be_cut:
            return fail("it is not the newest record, so it can't be cut: restore a backup (`exness restore`)")
        if not cut:
            return fail(f"nothing was changed; `exness repair --cut` removes record {damage.seq}, what it did is lost")
        kept = damages.cut(data_dir, damage)
    say(f"record {damage.seq} is cut; a copy of what it was is {kept}")
    return 0


def backup(data_dir: Path, address: "Address | None", file: Path) -> int:
    """Copy the data, also while a server runs."""
    if address is not None:
        return backup_database(address, file)
    from exness.storage import backup as copies

    with _progress("pages") as bar:
        copies.backup(data_dir, file, bar)
    say(f"backed up {data_dir} to {file}, {file.stat().st_size:,} bytes")
    return 0


def restore(data_dir: Path, file: Path, auth_secrets: Sequence[bytes]) -> int:
    """Put a backup into an empty data directory, with those API keys that the auth secrets open."""
    from exness.storage import backup as copies

    keys = copies.restore(file, data_dir, auth_secrets)
    say(f"restored {file} to {data_dir}; check it with: python -m exness verify --data-dir {data_dir}")
    say("sessions and sign-in links from before the restore are ended: everyone signs in again")
    if keys.kept:
        say(f"{keys.kept:,} API keys are those of the backup, also if they were revoked since: see `exness key list`")
    if keys.lost:
        say(f"{keys.lost:,} API keys of the backup are lost: they need the auth secret of the exchange that made them")
    return 0


def archive(data_dir: Path, address: "Address | None", *, back: bool) -> int:
    """Archive what no start needs of the journal, or put all of it back."""
    from exness.storage import archiving

    if address is not None:
        return fail(f"the journal in {address.describe()} is not archived: PostgreSQL keeps it whole")

    with _progress("records") as bar:
        if back:
            count = archiving.restore_archives(data_dir, bar)
            say(f"{count:,} archived records are back in the journal of {data_dir}" if count else "nothing is archived")
            return 0
        done = archiving.archive(data_dir, bar)
    if not done.pieces:
        say(f"nothing was archived: no {archiving.FEWEST:,} records of {data_dir} lie behind all snapshots")
        return 0
    for path, piece, size in done.pieces:
        say(f"records {piece.first:,} to {piece.last:,} are in {path}, {size:,} bytes")
    say(f"snapshot {done.snapshot:,} is the state that all records lead to")
    say(f"journal.db had {done.before:,} bytes and has {done.after:,}")
    say("keep the archives: verify, rebuild, backup and old statements need them, a start does not")
    return 0


def upgrade(config: "Config", *, check: bool) -> int:
    """Say what a start would change of an older directory, and do it unless `check`."""
    from exness.storage import upgrade as upgrading
    from exness.storage.datadir import held, locked
    from exness.storage.rebuild import rebuild as make_tables

    data_dir = config.storage.data_dir
    if config.deploy.database:
        return fail("deploy.database is set: a database is brought to its newest form by the next start")
    with held(data_dir):
        release, steps = upgrading.plan(data_dir)
    by = f"exness {release}" if release else "a version before it was noted"
    if not steps:
        say(f"{data_dir} was last written by {by}: there is nothing to upgrade")
        return 0
    say(f"{data_dir} was last written by {by}, this is {__version__}")
    for step in steps:
        say(f"  {step.file:12}  {step.what}: about {max(1, round(step.seconds))} s")
    if check:
        say("nothing was changed; the next start does it, or `exness upgrade`")
        return 0
    with locked(data_dir), _progress("pages") as bar:
        copies = upgrading.keep_copies(data_dir, bar)
        asyncio.run(_opened_once(config))
    if any(step.file == "main.db" for step in steps):
        with locked(data_dir), _progress("records") as bar:
            make_tables(data_dir, bar)
    say(f"{data_dir} is upgraded" + "".join(f"; {copy.name} is what was" for copy in copies))
    return 0


async def _opened_once(config: "Config") -> None:
    from exness.storage.auth import open_auth
    from exness.storage.sqlite import open_storage

    async with open_storage(config.storage.data_dir, config.instruments()), open_auth(config.storage.data_dir):
        pass


# On PostgreSQL


def verify_database(address: "Address") -> int:
    """Check an exchange in PostgreSQL, as it is at one moment; a server may run. It is copied for that."""
    from exness.storage import verify as checks
    from exness.storage.postgres.copy import copy_all
    from exness.storage.verify_tables import Difference

    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="exness-verify-") as folder, _progress("records") as bar:
            asyncio.run(copy_all(address, Path(folder), bar))
            report = checks.verify_directory(Path(folder), bar)
    except Difference as difference:
        return fail(f"{address.describe()} does not agree: {difference}")
    say(_verified(address.describe(), report, time.monotonic() - started))
    return 0


def rebuild_database(address: "Address") -> int:
    """Make the tables anew."""
    from exness.storage.postgres.mending import rebuild as remake

    with _progress("records") as bar:
        records = asyncio.run(remake(address, bar))
    say(f"the tables of {address.describe()} are made anew from {records:,} records")
    return 0


def repair_database(address: "Address", *, cut: bool) -> int:
    """Show the first damaged record. Nothing is ever cut from PostgreSQL, whose standbys have it too."""
    from exness.storage.postgres.mending import first_damage

    with _progress("records") as bar:
        damage = asyncio.run(first_damage(address, bar))
    if damage is None:
        say(f"the journal of {address.describe()} is whole: there is nothing to repair")
        return 0
    why = "nothing is cut from a database" if cut else "nothing was changed"
    return fail(f"{damage}; {why}: restore a backup of the database, or go over to a standby that has the record whole")


def backup_database(address: "Address", file: Path) -> int:
    """Copy the journal with candles and API keys into a file, also while a server runs."""
    from exness.storage.postgres.copy import backup as copy

    if file.exists():
        return fail(f"{file} is there already: name a new file")
    with _progress("records") as bar:
        asyncio.run(copy(address, file, bar))
    say(f"backed up {address.describe()} to {file}, {file.stat().st_size:,} bytes")
    return 0


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error for what takes longer than a second."""
    from tqdm import tqdm

    with tqdm(unit=f" {unit}", delay=1.0, mininterval=0.5, file=sys.stderr, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
