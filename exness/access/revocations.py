"""The one place that asks the store which sessions ended and which API keys there are: for requests, for the stream,
and before a session is issued."""

import asyncio
import time

from exness.access.api_keys import ApiKeys
from exness.access.ports import AuthStore
from exness.access.sessions import Session, Sessions
from exness.runtime.clock import WallClock

LOOK_S = 0.01
"""How often, at most, it is looked whether another process ended sessions: a look costs as much as a decision."""


class RevocationWatch:
    """Keeps `sessions` and `keys` up to date with the store."""

    def __init__(
        self, store: AuthStore, sessions: Sessions, keys: ApiKeys, clock: WallClock, *, look_s: float = LOOK_S
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._keys = keys
        self._clock = clock
        self._look_s = look_s
        self._next_s = 0.0
        self._reading = asyncio.Lock()

    async def refresh(self, *, at_once: bool = False) -> None:
        """Learn what another process ended or made. `at_once`: whenever it was looked last. Raises StorageError.

        Who comes while the store is read waits for it, to be judged by what it says.
        """
        now_s = time.monotonic()
        if now_s < self._next_s and not at_once and not self._reading.locked():
            return
        self._next_s = now_s + self._look_s
        async with self._reading:
            if self._store.changed():
                await self._read()

    async def end(self, session_id: str) -> None:
        """End a session: at once for this process, durably when it returns. Raises StorageError."""
        self._sessions.end(session_id)
        now = self._clock.wall_us()
        await self._store.end_session(session_id, now, now + self._sessions.life_us)
        async with self._reading:
            await self._read()

    async def end_others(self, session: Session) -> bool:
        """End every session of its address but this one, here and on disk. False when it has just been ended itself:
        then nothing was done. Raises StorageError."""
        now = self._clock.wall_us()
        until = now + self._sessions.life_us
        done = await self._store.end_other_sessions(session.id, session.email, session.generation, now, until)
        await self.refresh(at_once=True)
        return done

    async def _read(self) -> None:
        revocations = await self._store.revocations(self._sessions.generation)
        await self._keys.load()  # not before: whatever changes after that look is looked at again
        self._sessions.learn(revocations)  # at last: it tells the watchers, also of what became of keys
