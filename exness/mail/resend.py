"""Mail through the HTTP API of Resend.

Promises: a mail that was taken is not sent twice within a day, however often it is repeated (Resend's idempotency
keys); the API key is in the Authorization header of an HTTPS request and nowhere else; no error repeats what the
provider wrote, only its own name for it.
Source: https://resend.com/docs/api-reference/emails/send-email and /errors, /rate-limit, and
https://resend.com/docs/dashboard/emails/idempotency-keys
"""

import re

import aiohttp
import msgspec
from yarl import URL

from exness.access.ports import Mail, MailError
from exness.mail.mime import checked_subject, fingerprint, parse_sender, recipient

BASE_URL = "https://api.resend.com"
TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 65_536

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ERROR_NAME = re.compile(r"[a-z_]{1,64}")
_RETRY_AFTER_S = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

# 409 says either; this one means that the same mail is on its way right now.
_IN_PROGRESS = "concurrent_idempotent_requests"


class _Refusal(msgspec.Struct):
    """The part of an error's body that is a word of theirs and not of ours."""

    name: str = ""


class ResendMailer:
    """A Mailer on Resend's POST /emails."""

    def __init__(self, api_key: str, sender: str, base_url: str = BASE_URL, *, timeout_s: float = TIMEOUT_S) -> None:
        """`base_url` is HTTPS, or HTTP on this machine. Raises ValueError for what can't be one, without the key."""
        url = URL(base_url)
        if not (url.scheme == "https" and url.host) and not (url.scheme == "http" and url.host in _LOOPBACK):
            raise ValueError("Resend's address must begin with https://")
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("Resend's API key must be one word of plain characters")
        parse_sender(sender)
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._sender = sender
        self._host = url.host
        self._url = url / "emails"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))

    def describe(self) -> str:
        return f"Resend at {self._host}"

    async def send(self, mail: Mail) -> None:
        """Returns when Resend has taken it. Raises MailError: transient for 429, 5xx, a mail that is in progress, a
        broken connection or a timeout; permanent for anything else."""
        body: dict[str, object] = {
            "from": self._sender,
            "to": [recipient(mail).addr_spec],
            "subject": checked_subject(mail),
            "text": mail.text,
            "html": mail.html,
        }
        headers = {**self._headers, "Idempotency-Key": fingerprint(mail)}
        failure: MailError | None
        try:
            failure = await self._post(body, headers)
        except TimeoutError:
            failure = MailError("Resend did not answer in time", transient=True)
        except aiohttp.ClientError as error:
            failure = MailError(f"no connection to Resend: {type(error).__name__}", transient=True)
        # Raised out here so that it carries no trace of the library's error and the request in it.
        if failure is not None:
            raise failure

    async def _post(self, body: dict[str, object], headers: dict[str, str]) -> MailError | None:
        # A session per mail: mails are few, and so there is nothing to open, share and close.
        async with (
            aiohttp.ClientSession(timeout=self._timeout) as session,
            # A redirect would carry the mail, if not the key, somewhere else.
            session.post(self._url, json=body, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status in (200, 201, 202):
                return None
            return _judged(answer, _name_of(await answer.content.read(MAX_ANSWER_BYTES)))


def _judged(answer: aiohttp.ClientResponse, name: str) -> MailError:
    why = f"Resend refused the mail: {answer.status}{f' {name}' if name else ''}"
    if answer.status == 429 or answer.status >= 500:
        return MailError(why, transient=True, retry_after_s=_seconds(answer.headers.get("Retry-After", "")))
    return MailError(why, transient=answer.status == 409 and name == _IN_PROGRESS)


def _name_of(body: bytes) -> str:
    try:
        name = msgspec.json.decode(body, type=_Refusal).name
    except (msgspec.DecodeError, UnicodeError):
        return ""
    return name if _ERROR_NAME.fullmatch(name) else ""


def _seconds(header: str) -> float | None:
    """Resend documents seconds; the other form HTTP allows, a date, counts as none."""
    return float(header) if _RETRY_AFTER_S.fullmatch(header.strip()) else None
