"""Makes the tables of main.db anew from the journal, offline."""

import sqlite3
from contextlib import closing
from pathlib import Path

from exness.storage.archive import Archives, require_all, rows_after
from exness.storage.codec import decode
from exness.storage.database import explain, prepare
from exness.storage.files import MAIN_DB, Progress, remove
from exness.storage.journal import JOURNAL
from exness.storage.journal_rows import LAST_SEQ
from exness.storage.offline import open_offline, require_journal
from exness.storage.tables import MAIN, write
from exness.storage.upgrade import refuse_newer_releases

RECORDS_AT_ONCE = 2_000


def rebuild(data_dir: Path, progress: Progress) -> int:
    """How many records there are; the tables hold them all. Not while a server runs. Raises StorageError,
    JournalDamaged for a record that is not whole. Whatever it leaves, the next start goes on with."""
    with open_offline(require_journal(data_dir), JOURNAL) as journal, closing(Archives(data_dir)) as archives:
        refuse_newer_releases(journal, data_dir)
        require_all(journal, data_dir, "the tables are made of all records")
        list(remove(data_dir / MAIN_DB))
        return fill(journal, archives, data_dir / MAIN_DB, None, progress)


def fill(journal: sqlite3.Connection, archives: Archives, main_db: Path, up_to: int | None, progress: Progress) -> int:
    """Write the tables of the journal's records, up to one of them, into a new file."""
    last_seq: int = journal.execute(LAST_SEQ).fetchone()[0] if up_to is None else up_to
    try:
        with closing(sqlite3.connect(main_db, isolation_level=None)) as connection:
            prepare(connection, main_db, MAIN)
            at = 0
            while at < last_seq:
                limit = min(RECORDS_AT_ONCE, last_seq - at)
                records = [decode(row) for row in rows_after(journal, archives, at, limit)]
                if not records:
                    break
                write(connection, records)
                at = records[-1].seq
                progress(at, last_seq)
            return at
    except sqlite3.Error as error:
        raise explain(main_db, error) from error
