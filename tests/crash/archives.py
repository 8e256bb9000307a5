"""Rounds in which the journal is archived meanwhile: under load, with the server killed, with the archiving killed,
offline, and back again. After each, every record is there as it was."""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from exness.storage.archive import Archives, rows_after
from exness.storage.files import JOURNAL_DB
from tests.crash.rounds import Failed, Rounds
from tests.support.process import Server, run_exness
from tests.support.venue import Venue

MODULE = "tests.crash.small_archives"


class ArchiveRounds(Rounds):
    """See `Rounds`."""

    mishaps = ("none", "archived", "archived", "restored", "tables lost")
    longest_s = 3.0

    async def _load_and_kill(self, server: Server, venue: Venue) -> None:
        async with asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(super()._load_and_kill(server, venue))
            while not loading.done():
                await self._archive(server, self._random.uniform(0.3, 2.5), "while it runs")

    async def _mishap(self, server: Server) -> None:
        before = self._records()
        await super()._mishap(server)
        if self.last_mishap == "archived":
            await self._archive(server, self._random.uniform(0.2, 1.5), "while it is stopped")
        elif self.last_mishap == "restored":
            await self._archive(server, self._random.uniform(0.2, 1.5), "while it is restored", "--restore")
            await self._archive(server, None, "restored to the end", "--restore")
            if list(self._data_dir.glob("*.archive")):
                raise Failed("half-applied", "archives are left after a restore")
        if self.last_mishap != "tables lost" and self._records() != before:
            raise Failed("lost", f"the records are others after {self.last_mishap}")

    async def _archive(self, server: Server, lives_s: float | None, when: str, *flags: str) -> None:
        """Killed after a while unless it has ended."""
        process = await run_exness(
            "archive", *flags, "--data-dir", str(self._data_dir), env=server.env, cwd=server.cwd, module=MODULE
        )
        told = asyncio.create_task(process.communicate())
        await asyncio.wait((told,), timeout=lives_s)
        if not told.done():
            process.kill()
            self.counts[f"archiving killed {when}"] += 1
        output, errors = await told
        if process.returncode == 0:
            self.counts[f"archived {when}"] += b" are in " in output
        elif process.returncode and process.returncode > 0:
            raise Failed("unexpected", f"archive {flags} ended with {process.returncode}: {errors.decode()}")
        self.counts["archives"] = max(self.counts["archives"], len(list(self._data_dir.glob("*.archive"))))

    def _records(self) -> str:
        """A digest of every record, wherever it lies."""
        digest = hashlib.sha256()
        with closing(_reading(self._data_dir)) as journal, closing(Archives(self._data_dir)) as archives:
            for row in rows_after(journal, archives, 0):
                digest.update(repr(row).encode())
        return digest.hexdigest()


def _reading(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(data_dir / JOURNAL_DB)
