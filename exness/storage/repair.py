"""Looks for damage in the journal of a stopped exchange, and cuts the newest record on request when it is that one.

Nothing is guessed. SQLite drops a torn commit whole, so a damaged record is one that was whole once: somebody may
have been told of it. Cutting it loses it; a copy of what was cut stays beside the journal.
"""

import sqlite3
from pathlib import Path

import msgspec

from exness.process.locks import flush
from exness.runtime.ports.journal import JournalDamaged
from exness.storage.archive import last_archived
from exness.storage.codec import decode
from exness.storage.database import SNAPSHOTS, changing
from exness.storage.files import JOURNAL_DB, SNAPSHOTS_DB, Progress
from exness.storage.journal import JOURNAL
from exness.storage.journal_rows import LAST_SEQ, SELECT_RECORD, SELECT_RECORDS
from exness.storage.offline import open_offline, require_journal
from exness.storage.snapshots import DROP_LOOSE_CHUNKS, DROP_SNAPSHOTS_FROM
from exness.storage.upgrade import refuse_newer_releases

SHOWN = 2_000
"""Bytes of a payload."""


class Damage(msgspec.Struct, frozen=True):
    """The first record that is not whole. `row` are its columns as they lie there, None when it is missing; `last_seq`
    is the newest record."""

    seq: int
    why: str
    last_seq: int
    row: dict[str, str] | None

    @property
    def can_be_cut(self) -> bool:
        return self.seq == self.last_seq and self.row is not None


def find_damage(data_dir: Path, progress: Progress) -> Damage | None:
    """Checks every record. Raises StorageError when the file can't be read at all, and of a newer release's, whose
    records this one may not understand: they are not damaged."""
    with open_offline(require_journal(data_dir), JOURNAL) as journal:
        refuse_newer_releases(journal, data_dir)
        last_seq: int = journal.execute(LAST_SEQ).fetchone()[0]
        expected = last_archived(journal) + 1  # an archive is not repaired: another copy takes its place
        try:
            for row in journal.execute(SELECT_RECORDS, (expected - 1, -1)):
                if row[0] != expected:
                    raise JournalDamaged(expected, f"it is missing, the next one there is {row[0]}")
                decode(row)
                expected += 1
                if expected % 5_000 == 0:
                    progress(expected, last_seq)
        except JournalDamaged as damage:
            return Damage(damage.seq, str(damage), last_seq, _row(journal, damage.seq))
        except sqlite3.DatabaseError as error:
            return Damage(expected, f"journal record {expected} can't be read: {error}", last_seq, None)
    return None


def _row(journal: sqlite3.Connection, seq: int) -> dict[str, str] | None:
    row = journal.execute(SELECT_RECORD, (seq,)).fetchone()
    if row is None:
        return None
    names = ("seq", "at", "kind", "payload", "request", "checksum", "version", "cause")
    texts = (each.decode("utf-8", "backslashreplace") if isinstance(each, bytes) else str(each) for each in row)
    return dict(zip(names, (text[:SHOWN] for text in texts), strict=True))


def cut(data_dir: Path, damage: Damage) -> Path:
    """Remove the newest record, which is damaged, and the snapshots of it. Returns the file that keeps what was cut;
    the tables are made anew by the next start. Raises StorageError."""
    assert damage.can_be_cut, "only the newest record can be cut"
    kept = data_dir / f"journal.cut-{damage.seq}.json"
    kept.write_bytes(msgspec.json.encode(damage))
    flush(kept)
    # The snapshots first: left behind by a crash in between, they would be ahead of the journal for ever.
    if (data_dir / SNAPSHOTS_DB).exists():
        with changing(data_dir / SNAPSHOTS_DB, SNAPSHOTS) as snapshots:
            snapshots.execute(DROP_SNAPSHOTS_FROM, (damage.seq,))
            snapshots.execute(DROP_LOOSE_CHUNKS)
    with changing(data_dir / JOURNAL_DB, JOURNAL) as journal:
        journal.execute("DELETE FROM journal WHERE seq = ?", (damage.seq,))
    return kept
