"""Real servers for the mail backends, on free ports of this machine: SMTP (aiosmtpd) and an HTTP one like Resend's."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from exness.access.ports import Mail
from exness.mail.messages import link_mail

USER, PASSWORD = "exness", "p@ss:w/rd?ü"
USER_IN_URL = "exness:p%40ss%3Aw%2Frd%3F%C3%BC"
SENDER = "exness <no-reply@exness.test>"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXRva2Vu.kept-out-of-logs"
LINK = f"https://exness.test/api/v1/signin/post?token={TOKEN}&next=%2F"
YUKI = "yuki@example.com"


def mail_to(to: str = YUKI) -> Mail:
    return link_mail("signin", to, LINK, 5)


def assert_no_secret(captured: object, *more: str) -> None:
    """Nothing that lets anyone in, or that names a person, is in what was logged or raised."""
    shown = f"{captured!r} {captured!s}"
    for secret in (TOKEN, LINK, YUKI, "yuki", "example.com", PASSWORD, USER_IN_URL, *more):
        assert secret not in shown, f"{secret!r} shows in {shown}"


@dataclass
class SmtpServer:
    """What came in, and what is to be answered instead of 250: per command, then for ever or `times` times."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    greeted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[EmailMessage]:
        return [as_parsed(envelope.original_content or b"") for envelope in self.envelopes]

    # aiosmtpd calls these.

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.greeted.set()
        if self.silent:
            await asyncio.Event().wait()
        return [line for line in responses if not (self.refuse.get("SMTPUTF8") and "SMTPUTF8" in line)]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.refuse:
            return self.refuse["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self.refuse:
            return self.refuse["RCPT"].format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        self.envelopes.append(envelope)
        self.sessions.append(session)
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        login = data.login.decode(), data.password.decode()
        self.logins.append(login)
        return AuthResult(success=login == (USER, PASSWORD), handled=False)


def parts(message: EmailMessage) -> list[str]:
    """The contents, text and HTML, with the line ends a Mail has."""
    return [str(part.get_content()).replace("\r\n", "\n") for part in message.iter_parts()]


def as_parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


@asynccontextmanager
async def smtp_server(*, tls: ssl.SSLContext | None = None, **settings: Any) -> AsyncIterator[SmtpServer]:
    """`tls` is spoken from the start; pass `tls_context` for STARTTLS."""
    served = SmtpServer()
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(
            SMTP(
                served,
                loop=loop,
                hostname="mail.exness.test",
                enable_SMTPUTF8=True,
                authenticator=served.authenticate,
                **settings,
            )
        )
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for ended in sessions:
            await _hang_up(ended)
        await server.wait_closed()


async def _hang_up(session: SMTP) -> None:
    if session.transport is not None:
        session.transport.close()
    if session._handler_coroutine is not None:
        session._handler_coroutine.cancel()
        await asyncio.gather(session._handler_coroutine, return_exceptions=True)


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of the test's own: what the server shows and what a client that trusts it uses."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def certificates(*names: str) -> Certificates:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(*names).configure_cert(server)
    authority.configure_trust(client)
    return Certificates(server, client)


@dataclass
class ResendServer:
    """Requests as they came, and the answers to give in turn; after them, 200."""

    url: str = ""
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    answers: list[Callable[[], web.StreamResponse]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((dict(request.headers), await request.json()))
        self.asked.set()
        if self.release is not None:
            await self.release.wait()
        return self.answers.pop(0)() if self.answers else web.json_response({"id": "49a3999c"})


@asynccontextmanager
async def resend_server() -> AsyncIterator[ResendServer]:
    served = ResendServer()
    app = web.Application()
    app.router.add_post("/emails", served.handle)
    async with TestServer(app) as server:
        served.url = str(server.make_url("/"))
        try:
            yield served
        finally:
            if served.release is not None:
                served.release.set()


def refusal(status: int, name: str, **headers: str) -> Callable[[], web.StreamResponse]:
    """As Resend refuses, with a message that repeats what it was sent."""
    body = {"statusCode": status, "name": name, "message": f"not for {YUKI} with {TOKEN}"}
    return lambda: web.Response(
        status=status,
        text=json.dumps(body),
        content_type="application/json",
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )
