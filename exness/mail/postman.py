"""Takes mails off the request and sees that they get sent.

Promises: `post` never waits; the mails held, waiting and under way, are bounded; a mail is tried again, later and
later, as long as that may help and its link still works; a mail that waits for its next try holds up no other; none
ends the postman, whatever its mailer does; no log line holds a link, a token or a whole address.
"""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random_exponential

from exness.access.emails import masked
from exness.access.ports import Mail, Mailer, MailError

HELD = 1000
AT_ONCE = 4
ATTEMPTS = 5
BACKOFF_INITIAL_S = 1.0
BACKOFF_MAX_S = 30.0
RETRY_AFTER_MAX_S = 60.0

_log = structlog.get_logger("exness.mail.postman")


class Postman:
    """Owns the sending of mails. Somebody runs `run`, anybody posts, and `drain` ends it."""

    def __init__(
        self,
        mailer: Mailer,
        *,
        queue_size: int = HELD,
        at_once: int = AT_ONCE,
        attempts: int = ATTEMPTS,
        backoff_initial_s: float = BACKOFF_INITIAL_S,
        backoff_max_s: float = BACKOFF_MAX_S,
        retry_after_max_s: float = RETRY_AFTER_MAX_S,
        life_s: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`queue_size` bounds the mails held, `at_once` those handed to the mailer at the same time.

        The wait before the next attempt doubles from `backoff_initial_s` to `backoff_max_s`, half of it by chance;
        what a provider asks for comes on top, up to `retry_after_max_s`. `life_s` is how long a mail is worth sending
        after it was posted: its link's life. None: for ever.
        """
        if min(queue_size, at_once, attempts) < 1:
            raise ValueError("a postman needs room for a mail, a hand to send it with and an attempt")
        self.counters: Counter[str] = Counter(dict.fromkeys(("sent", "failed", "retried", "dropped", "abandoned"), 0))
        """Mails by what became of them; `retried` counts attempts after the first. `dropped`: refused by `post`;
        `failed`: given up; `abandoned`: still held at the end."""
        self._mailer = mailer
        self._queue_size = queue_size
        self._attempts = attempts
        # Half of a doubling wait is certain, half is chance: no wait is none, and no two come back together.
        self._backoff = wait_exponential(backoff_initial_s / 2, backoff_max_s / 2) + wait_random_exponential(
            backoff_initial_s / 2, backoff_max_s / 2
        )
        self._retry_after_max_s = retry_after_max_s
        self._life_s = life_s
        self._sleep = sleep
        self._now_s = now_s
        self._queue: asyncio.Queue[tuple[Mail, float] | None] = asyncio.Queue()
        self._hands = asyncio.Semaphore(at_once)
        self._under_way: set[asyncio.Task[None]] = set()
        self._held = 0
        self._closing = False
        self._said_full = False
        self._running = False
        self._ended = asyncio.Event()

    @property
    def held(self) -> int:
        """Mails taken and neither sent nor given up."""
        return self._held

    @property
    def bound(self) -> int:
        return self._queue_size

    def post(self, mail: Mail) -> bool:
        """Take a mail and return at once. False when there is no room for it, or the end has begun."""
        if self._closing or self._held >= self._queue_size:
            self.counters["dropped"] += 1
            self._note_full()
            return False
        self._held += 1
        self._said_full = False
        self._queue.put_nowait((mail, self._now_s()))
        return True

    async def run(self) -> None:
        """Send what is posted until `drain`, or until cancelled. Run it once."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as deliveries:
                while (posted := await self._queue.get()) is not None:
                    delivery = deliveries.create_task(self._deliver(*posted), name="mail")
                    self._under_way.add(delivery)
                    delivery.add_done_callback(self._finished)
        finally:
            self._running = False
            self._closing = True
            self._ended.set()

    async def drain(self, timeout_s: float) -> int:
        """Take no more mails, let those held go out, and end `run`. Returns how many had to be left behind.

        Takes `timeout_s` at most. When nobody ever runs it, a mail that is held can only be waited for.
        """
        self._closing = True
        self._queue.put_nowait(None)
        try:
            async with asyncio.timeout(timeout_s):
                if self._held or self._running:
                    await self._ended.wait()
        except TimeoutError:
            await self._leave_behind()
        if self._held:
            self.counters["abandoned"] += self._held
            _log.warning("mails_abandoned", mails=self._held)
        return self._held

    async def _leave_behind(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        for delivery in self._under_way:
            delivery.cancel()
        if self._running:
            await self._ended.wait()

    def _finished(self, delivery: asyncio.Task[None]) -> None:
        self._under_way.discard(delivery)
        if not delivery.cancelled():
            self._held -= 1

    async def _deliver(self, mail: Mail, posted_s: float) -> None:
        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception(_is_transient),
            wait=self._wait_s,
            stop=lambda state: self._is_hopeless(state, posted_s),
            before_sleep=self._note_retry,
            reraise=True,
        )
        try:
            await retrying(self._attempt, mail, posted_s)
        except MailError as failure:
            self._note_failed(mail, str(failure), retrying)
        except Exception as bug:  # noqa: BLE001 - one mail, or a mailer's bug, must not stop all others
            self._note_failed(mail, f"bug: {type(bug).__name__} at {_where(bug)}", retrying)
        else:
            self.counters["sent"] += 1
            _log.info("mail_sent", to=masked(mail.to), subject=mail.subject, attempts=_attempts(retrying))

    async def _attempt(self, mail: Mail, posted_s: float) -> None:
        async with self._hands:
            if self._is_late(posted_s, 0):
                raise MailError("too late: its link no longer works", transient=False)
            await self._mailer.send(mail)

    def _wait_s(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked_s = failure.retry_after_s if isinstance(failure, MailError) else None
        return self._backoff(state) + min(max(asked_s or 0.0, 0.0), self._retry_after_max_s)

    def _is_hopeless(self, state: RetryCallState, posted_s: float) -> bool:
        return state.attempt_number >= self._attempts or self._is_late(posted_s, state.upcoming_sleep)

    def _is_late(self, posted_s: float, wait_s: float) -> bool:
        return self._life_s is not None and self._now_s() + wait_s - posted_s >= self._life_s

    def _note_retry(self, state: RetryCallState) -> None:
        self.counters["retried"] += 1
        mail, failure = state.args[0], state.outcome.exception() if state.outcome else None
        _log.info("mail_retry", to=masked(mail.to), why=str(failure), wait_s=round(state.upcoming_sleep, 3))

    def _note_failed(self, mail: Mail, why: str, retrying: AsyncRetrying) -> None:
        self.counters["failed"] += 1
        _log.error("mail_failed", to=masked(mail.to), subject=mail.subject, why=why, attempts=_attempts(retrying))

    def _note_full(self) -> None:
        """Once until there is room again: a flood of requests is no flood of log lines."""
        if not self._said_full:
            self._said_full = True
            _log.warning("mail_dropped", held=self._held, closing=self._closing)


def _is_transient(failure: BaseException) -> bool:
    return isinstance(failure, MailError) and failure.transient


def _attempts(retrying: AsyncRetrying) -> int:
    return int(retrying.statistics["attempt_number"])


def _where(bug: Exception) -> str:
    """The line that raised, and not its message: that may quote the mail."""
    frames = traceback.extract_tb(bug.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
