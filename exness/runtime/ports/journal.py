"""The events, in order: the truth."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from exness.core.events import Record
from exness.process.errors import OperatorError


class StorageError(OperatorError):
    """Storage can't be opened, read or written."""


class StorageUnreachable(StorageError):
    """Storage on another machine does not answer now. It may a moment later."""


class JournalDamaged(StorageError):
    """A record does not match its checksum, or the row of `seq` has a hole. `seq` names the first such record."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"journal record {seq} is damaged: {why}")
        self.seq = seq


class Fenced(StorageError):
    """Another process is the engine now. This one has written nothing since, and must end."""


class Journal(Protocol):
    """The events, in order. Everything else is made from them."""

    async def append(self, records: Sequence[Record]) -> None:
        """Write records in one transaction, and nothing else.

        Durable when it returns. Raises StorageError when that is not certain: the process must stop then.
        """
        ...

    def read(self, after: int = 0) -> AsyncIterator[list[Record]]:
        """The records with `seq > after`, in order, in chunks. Raises JournalDamaged at the first that is not whole."""
        ...

    async def last_seq(self) -> int:
        """`seq` of the newest record, 0 when there is none."""
        ...

    async def check(self, up_to: int) -> None:
        """Hold the records up to `up_to` against their checksums and their places. Raises JournalDamaged."""
        ...

    async def fingerprint(self, seq: int) -> int:
        """One number over the checksums of the records up to `seq`, of the newest 1,000 of them: journals that differ
        there differ in it. The records must be there, and whole."""
        ...

    async def pick(self, seqs: Sequence[int]) -> list[Record]:
        """The records of these numbers. Raises JournalDamaged for one that is not there, or not whole."""
        ...
