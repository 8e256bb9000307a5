"""Mail through an SMTP server, one connection per mail.

Promises: the server's certificate is checked wherever TLS is spoken; a password never crosses the network in the
clear; an answer is told apart as final or worth another try; no error names an address, the password or the link.
What it can't promise is that a mail arrives once: when the connection dies after the last byte nobody knows. A second
copy then carries the same Message-ID.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from exness.access.ports import Mail, MailError
from exness.mail.mime import as_message, parse_sender

STEP_TIMEOUT_S = 10.0
"""For connecting and for each answer of the server."""
TOTAL_TIMEOUT_S = 30.0

SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465
"""Implicit TLS, RFC 8314."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ENHANCED_CODE = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")


class SmtpMailer:
    """A Mailer on `smtp://user:password@host:587` (STARTTLS) or `smtps://user:password@host:465` (TLS at once).

    User and password are percent-encoded in the URL and may be left out. STARTTLS is used when the server offers it,
    and demanded when there is a password and the server is not on this machine.
    """

    def __init__(
        self,
        url: str,
        sender: str,
        *,
        tls: ssl.SSLContext | None = None,
        step_timeout_s: float = STEP_TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        local_hostname: str | None = None,
    ) -> None:
        """`tls` replaces the default context, which trusts what the system trusts. `local_hostname` is how we greet;
        by default as this machine is called. Raises ValueError when `url` or `sender` is none, without quoting a URL.
        """
        parts = _split(url)
        implicit = parts.scheme == "smtps"
        self._host = parts.hostname or ""
        self._port = parts.port or (SUBMISSIONS_PORT if implicit else SUBMISSION_PORT)
        self._user = None if parts.username is None else unquote(parts.username)
        self._password = None if parts.password is None else unquote(parts.password)
        self._implicit_tls = implicit
        self._start_tls = _start_tls(implicit, secret=self._user is not None and self._host not in _LOOPBACK)
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._sender = parse_sender(sender)
        self._step_timeout_s = step_timeout_s
        self._total_timeout_s = total_timeout_s
        self._local_hostname = local_hostname

    def describe(self) -> str:
        return f"SMTP server {self._host}:{self._port}"

    async def send(self, mail: Mail) -> None:
        """Returns when the server has taken it. Raises MailError: transient for a 4xx answer, a broken connection or
        a timeout; permanent for a 5xx answer, a certificate that does not hold and what the server can't do."""
        message = as_message(mail, self._sender, datetime.now(UTC))
        failure: MailError | None = None
        client = self._client()
        try:
            async with asyncio.timeout(self._total_timeout_s):
                await client.connect()
                await client.send_message(message)
            # The server has it: how we part changes nothing.
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            failure = _judged(error)
        finally:
            client.close()
        # Raised out here so that it carries no trace of the library's error, which quotes addresses and answers.
        if failure is not None:
            raise failure

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._implicit_tls,
            start_tls=self._start_tls,
            tls_context=self._tls,
            timeout=self._step_timeout_s,
            local_hostname=self._local_hostname,
        )


def _judged(error: Exception) -> MailError:
    """What an error means, in words of our own."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    match error:
        case aiosmtplib.SMTPResponseException():
            return MailError(_said(error), transient=not 500 <= error.code <= 599)
        case ssl.SSLCertVerificationError() | aiosmtplib.SMTPConnectError(__cause__=ssl.SSLCertVerificationError()):
            return MailError("the mail server's certificate can't be trusted", transient=False)
        case TimeoutError():
            return MailError("the mail server did not answer in time", transient=True)
        case OSError():
            return MailError(f"no connection to the mail server: {_cause(error)}", transient=True)
        case aiosmtplib.SMTPNotSupported():
            return MailError("the mail server can't handle this address", transient=False)
        case aiosmtplib.SMTPException():
            return MailError("the mail server offers no STARTTLS or no way to log in that we know", transient=False)
        case _:
            return MailError(f"the mail can't be sent over SMTP: {type(error).__name__}", transient=False)


def _start_tls(implicit: bool, *, secret: bool) -> bool | None:
    """None means: when the server offers it."""
    if implicit:
        return False
    return True if secret else None


def _said(answer: aiosmtplib.SMTPResponseException) -> str:
    """The answer's code and enhanced code. Its text often repeats the address."""
    enhanced = _ENHANCED_CODE.match(answer.message)
    what = {
        aiosmtplib.SMTPAuthenticationError: "the login",
        aiosmtplib.SMTPSenderRefused: "the sender",
        aiosmtplib.SMTPRecipientRefused: "the recipient",
        aiosmtplib.SMTPDataError: "the content",
    }.get(type(answer), "the mail")
    return f"the mail server refused {what}: {answer.code}{f' {enhanced[0]}' if enhanced else ''}"


def _cause(error: OSError) -> str:
    """The system's word for it, where there is one: it names no address of a person."""
    below = error.__cause__
    return (below.strerror if isinstance(below, OSError) else error.strerror) or type(error).__name__


def _split(url: str) -> SplitResult:
    """Not chained: Python's own message may quote the URL."""
    try:
        parts = urlsplit(url)
        if url.isprintable() and _is_server(parts):
            return parts
    except ValueError:
        pass
    raise ValueError("the SMTP address must look like smtp://user:password@mail.example.com:587")


def _is_server(parts: SplitResult) -> bool:
    """A host, and nothing that would be ignored. Raises ValueError for a port that is no number."""
    return (
        parts.scheme in ("smtp", "smtps")
        and bool(parts.hostname)
        and parts.port != 0
        and (bool(parts.username) or parts.password is None)
        and parts.path in ("", "/")
        and not parts.query
        and not parts.fragment
    )
