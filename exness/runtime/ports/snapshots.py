"""Pictures of the state, as they are stored."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from exness.core.capture import Header
from exness.runtime.ports.journal import StorageError


class SnapshotDamaged(StorageError):
    """A snapshot's bytes do not match their checksums."""


class SnapshotInfo(msgspec.Struct, frozen=True):
    """A stored snapshot. `stored_bytes` is its size as stored."""

    seq: int
    at: int
    digest: str
    stored_bytes: int


class SnapshotDraft(Protocol):
    """A snapshot being written. Nothing of it is seen before `commit`."""

    async def add(self, accounts: Sequence[bytes]) -> None: ...

    async def commit(self, journal: int | None = None) -> SnapshotInfo:
        """Make it durable and drop the oldest beyond the configured number. `journal` goes into its header."""
        ...


class Snapshots(Protocol):
    def draft(self, header: Header) -> AbstractAsyncContextManager[SnapshotDraft]:
        """Begin a snapshot; leaving the context without `commit` forgets it."""
        ...

    async def infos(self) -> list[SnapshotInfo]:
        """Stored snapshots, newest first."""
        ...

    async def header(self, seq: int) -> Header:
        """Raises SnapshotDamaged."""
        ...

    def accounts(self, seq: int) -> AsyncIterator[list[bytes]]:
        """The encoded accounts, in order, in chunks. Raises SnapshotDamaged when checksums or digest do not match, at
        the latest at the end: use nothing of it before."""
        ...
