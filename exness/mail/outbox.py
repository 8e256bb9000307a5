"""Mails as files: for local work without any mail provider.

Promises: a mail is there whole or not at all, readable by the owner only, under a name nobody can guess; names sort
by time; only the newest are kept. Lines end as in any text file here, so that a link can be cut out with grep. It
does not promise that a mail survives a power cut: asking again makes another.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from exness.access.emails import masked
from exness.access.ports import Mail, MailError
from exness.mail.mime import as_message, parse_sender
from exness.process.locks import OPEN
from exness.runtime.clock import WallClock

KEPT = 1000
_DRAFT = ".draft"

_log = structlog.get_logger("exness.mail.outbox")
_wall_clock_us = WallClock().wall_us


class OutboxMailer:
    """A Mailer that writes one `.eml` file per mail into `folder` and keeps the newest `kept`.

    With `log_links` a mail's link goes to the log as well: whoever reads that log can sign in as anyone.
    """

    def __init__(
        self,
        folder: Path,
        sender: str,
        *,
        kept: int = KEPT,
        log_links: bool = False,
        now_us: Callable[[], int] = _wall_clock_us,
    ) -> None:
        """`now_us`: microseconds since the epoch. Raises ValueError when `sender` is no mail address."""
        if kept < 1:
            raise ValueError("the outbox must keep at least 1 mail")
        self._folder = folder
        self._sender = parse_sender(sender)
        self._kept = kept
        self._log_links = log_links
        self._now_us = now_us
        self._last_us = 0
        self._one_at_a_time = threading.Lock()

    def describe(self) -> str:
        return f"files in {self._folder}"

    async def send(self, mail: Mail) -> None:
        """Write the file. Raises MailError, transient when the disk refuses."""
        at_us = self._later()
        at = datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(microsecond=at_us % 1_000_000)
        message = as_message(mail, self._sender, at)
        name = f"{at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(16)}.eml"
        try:
            await asyncio.to_thread(self._write, name, message.as_bytes(policy=message.policy.clone(linesep="\n")))
        except OSError as error:
            raise MailError(f"the outbox can't be written: {error.strerror}", transient=True) from error
        if self._log_links:
            _log.info("mail_in_outbox", to=masked(mail.to), subject=mail.subject, link=mail.link, file=name)

    def _later(self) -> int:
        """Now, but after the mail before: two in one microsecond still sort as they came."""
        self._last_us = max(self._now_us(), self._last_us + 1)
        return self._last_us

    def _write(self, name: str, content: bytes) -> None:
        with self._one_at_a_time:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            draft = self._folder / f"{name}{_DRAFT}"
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            draft.rename(self._folder / name)
            self._tidy()

    def _tidy(self) -> None:
        """Remove the oldest beyond the bound, and drafts that a crash or a full disk left behind."""
        mails = sorted(self._folder.glob("*.eml"))
        for path in [*mails[: -self._kept], *self._folder.glob(f"*{_DRAFT}")]:
            path.unlink(missing_ok=True)
