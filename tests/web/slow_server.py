"""`python -m tests.web.slow_server`: `python -m exness` with a disk on which every commit takes 5 ms longer."""

import asyncio
import sys
from typing import Any

from exness.__main__ import main
from exness.storage.journal import SqliteJournal

COMMIT_S = 0.005

append = SqliteJournal.append


async def slowly(self: SqliteJournal, *arguments: Any) -> None:
    await asyncio.sleep(COMMIT_S)
    await append(self, *arguments)


if __name__ == "__main__":
    SqliteJournal.append = slowly  # type: ignore[method-assign, assignment]
    sys.exit(main())
