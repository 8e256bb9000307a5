"""Mail through a real SMTP server."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from exness.access.ports import MailError
from exness.mail.mime import fingerprint
from exness.mail.smtp import SmtpMailer
from tests.mail.servers import (
    LINK,
    PASSWORD,
    SENDER,
    USER,
    USER_IN_URL,
    YUKI,
    Certificates,
    SmtpServer,
    assert_no_secret,
    certificates,
    mail_to,
    parts,
    smtp_server,
)
from tests.mail.test_mime import HOSTILE_ADDRESSES


@pytest.fixture(scope="module")
def certified() -> Certificates:
    return certificates("localhost", "127.0.0.1")


def mailer(served: SmtpServer, *, scheme: str = "smtp", login: str = "", **settings: Any) -> SmtpMailer:
    url = f"{scheme}://{login + '@' if login else ''}127.0.0.1:{served.port}"
    return SmtpMailer(url, SENDER, local_hostname="exness.test", **settings)


async def refused(mailing: SmtpMailer, to: str = YUKI) -> MailError:
    with pytest.raises(MailError) as raised:
        await mailing.send(mail_to(to))
    assert_no_secret(raised.value)
    assert raised.value.__context__ is None, "the library's error, which may quote the mail, hangs on ours"
    return raised.value


async def test_a_mail_arrives_whole() -> None:
    async with smtp_server() as served:
        await mailer(served).send(mail_to())
    (envelope,), (message,) = served.envelopes, served.messages
    text, html = parts(message)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@exness.test", [YUKI])
    assert (message["From"], message["To"]) == (SENDER, YUKI)
    assert message["Subject"] == "Your link to sign in to exness"
    assert text == mail_to().text
    assert html == mail_to().html
    assert served.logins == []


async def test_a_mail_sent_twice_can_be_recognised() -> None:
    async with smtp_server() as served:
        await mailer(served).send(mail_to())
        await mailer(served).send(mail_to())
    first, second = served.messages
    assert first["Message-ID"] == second["Message-ID"] == f"<{fingerprint(mail_to())}@exness.test>"


async def test_it_logs_in_with_what_the_url_says() -> None:
    async with smtp_server(auth_require_tls=False) as served:
        await mailer(served, login=USER_IN_URL).send(mail_to())
    assert served.logins[-1] == (USER, PASSWORD)
    assert len(served.messages) == 1


async def test_a_wrong_password_is_final() -> None:
    async with smtp_server(auth_require_tls=False) as served:
        failure = await refused(mailer(served, login=f"{USER}:wrong"))
    assert not failure.transient
    assert str(failure) == "the mail server refused the login: 535 5.7.8"
    assert served.messages == []


async def test_starttls_is_used_when_offered(certified: Certificates) -> None:
    async with smtp_server(tls_context=certified.server) as served:
        await mailer(served, login=USER_IN_URL, tls=certified.client).send(mail_to())
    (session,) = served.sessions
    assert session.ssl is not None
    assert served.logins[-1] == (USER, PASSWORD)


async def test_tls_from_the_start(certified: Certificates) -> None:
    async with smtp_server(tls=certified.server, auth_require_tls=False) as served:
        await mailer(served, scheme="smtps", login=USER_IN_URL, tls=certified.client).send(mail_to())
    assert served.logins[-1] == (USER, PASSWORD)
    assert len(served.messages) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_nobody_vouches_for_ends_it_before_the_password(
    certified: Certificates, scheme: str
) -> None:
    context = {"tls": certified.server} if scheme == "smtps" else {"tls_context": certified.server}
    async with smtp_server(**context) as served:
        failure = await refused(mailer(served, scheme=scheme, login=USER_IN_URL))
    assert not failure.transient
    assert str(failure) == "the mail server's certificate can't be trusted"
    assert served.logins == []
    assert served.messages == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_for_another_name_ends_it(scheme: str) -> None:
    other = certificates("elsewhere.test")
    context = {"tls": other.server} if scheme == "smtps" else {"tls_context": other.server}
    async with smtp_server(**context) as served:
        failure = await refused(mailer(served, scheme=scheme, tls=other.client))
    assert str(failure) == "the mail server's certificate can't be trusted"
    assert served.messages == []


async def test_a_password_never_crosses_the_network_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server elsewhere that offers no STARTTLS, or somebody in between who hides it."""
    monkeypatch.setattr("exness.mail.smtp._LOOPBACK", frozenset())
    async with smtp_server(auth_require_tls=False) as served:
        failure = await refused(mailer(served, login=USER_IN_URL))
    assert not failure.transient
    assert str(failure) == "the mail server offers no STARTTLS or no way to log in that we know"
    assert served.logins == []
    assert served.messages == []


async def test_a_login_the_server_does_not_offer_is_final() -> None:
    async with smtp_server() as served:  # which wants TLS first and has none
        failure = await refused(mailer(served, login=USER_IN_URL))
    assert not failure.transient
    assert served.logins == []


@pytest.mark.parametrize(
    ("command", "answer", "transient", "why"),
    [
        ("MAIL", "451 4.3.0 later", True, "the mail server refused the sender: 451 4.3.0"),
        ("MAIL", "553 5.1.8 never", False, "the mail server refused the sender: 553 5.1.8"),
        ("RCPT", "450 4.2.1 {address} busy", True, "the mail server refused the recipient: 450 4.2.1"),
        ("RCPT", "550 5.1.1 {address} unknown", False, "the mail server refused the recipient: 550 5.1.1"),
        ("RCPT", "550 <{address}> unknown", False, "the mail server refused the recipient: 550"),
        ("DATA", "452 4.3.1 disk full", True, "the mail server refused the content: 452 4.3.1"),
        ("DATA", "554 5.7.1 spam " + LINK, False, "the mail server refused the content: 554 5.7.1"),
        ("DATA", "421 4.7.0 closing", True, "the mail server refused the content: 421 4.7.0"),
    ],
)
async def test_4xx_may_be_tried_again_and_5xx_not(command: str, answer: str, transient: bool, why: str) -> None:
    async with smtp_server() as served:
        served.refuse[command] = answer
        failure = await refused(mailer(served))
        assert (str(failure), failure.transient, failure.retry_after_s) == (why, transient, None)
        assert served.messages == []
        served.refuse.clear()
        await mailer(served).send(mail_to())
        assert len(served.messages) == 1


async def test_nobody_listening_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = await refused(SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER, local_hostname="exness.test"))
    assert failure.transient
    assert str(failure).startswith("no connection to the mail server: ")


async def test_a_server_that_hangs_up_may_be_tried_again() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        failure = await refused(SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER, local_hostname="exness.test"))
    assert failure.transient


async def test_what_speaks_no_smtp_is_an_error_and_no_crash() -> None:
    async def chatter(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"\xff" * 100)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(chatter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await refused(SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER, local_hostname="exness.test"))


@pytest.mark.parametrize("timeouts", [{"step_timeout_s": 0.05}, {"total_timeout_s": 0.05}])
async def test_a_silent_server_costs_a_bounded_time(timeouts: dict[str, Any]) -> None:
    async with smtp_server() as served, asyncio.timeout(5):
        served.silent = True
        failure = await refused(mailer(served, **timeouts))
    assert failure.transient
    assert str(failure) == "the mail server did not answer in time"


async def test_cancelling_ends_it_at_once() -> None:
    async with smtp_server() as served, asyncio.timeout(5):
        served.silent = True
        sending = asyncio.create_task(mailer(served).send(mail_to()))
        await served.greeted.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_non_ascii_name_goes_to_a_server_that_can() -> None:
    async with smtp_server() as served:
        await mailer(served).send(mail_to("ユキ@例え.example"))
        (envelope,) = served.envelopes
        assert envelope.rcpt_tos == ["ユキ@xn--r8jz45g.example"]
        assert "SMTPUTF8" in envelope.mail_options
        assert "\r\nTo: ユキ@xn--r8jz45g.example\r\n".encode() in (envelope.original_content or b"")


async def test_a_non_ascii_name_and_a_server_that_can_not_is_final() -> None:
    async with smtp_server() as served:
        served.refuse["SMTPUTF8"] = "yes"
        failure = await refused(mailer(served), "ユキ@例え.example")
        assert str(failure) == "the mail server can't handle this address"
        assert not failure.transient
        await mailer(served).send(mail_to("yuki@bücher.example"))
        assert served.envelopes[0].rcpt_tos == ["yuki@xn--bcher-kva.example"]


@pytest.mark.parametrize("to", HOSTILE_ADDRESSES)
async def test_a_hostile_address_opens_no_connection(to: str) -> None:
    async with smtp_server() as served:
        with pytest.raises(MailError) as raised:
            await mailer(served).send(mail_to(to))
        assert not raised.value.transient
        assert not served.greeted.is_set()


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("smtp://mail.example.com", "SMTP server mail.example.com:587"),
        ("smtps://mail.example.com/", "SMTP server mail.example.com:465"),
        ("smtp://u:p@mail.example.com:2525", "SMTP server mail.example.com:2525"),
        ("smtp://u:p@[::1]:25", "SMTP server ::1:25"),
    ],
)
def test_it_says_where_without_the_password(url: str, where: str) -> None:
    assert SmtpMailer(url, SENDER).describe() == where


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://hidden@mail.example.com",
        "smtp://",
        "smtp://:hidden@mail.example.com",
        "smtp://u:hidden@mail.example.com:0",
        "smtp://u:hidden@mail.example.com:port",
        "smtp://u:hidden@mail.example.com:99999",
        "smtp://u:hidden@mail.example.com/path",
        "smtp://u:hidden@mail.example.com?verify=false",
        "smtp://u:hidden@mail.example.com#x",
        "smtp://u:hidden@mail.example.com\r\n",
        "smtp://u:hid/den@mail.example.com",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        SmtpMailer(url, SENDER)
    assert str(raised.value) == "the SMTP address must look like smtp://user:password@mail.example.com:587"
    assert "hid" not in repr(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


def test_a_certificate_is_checked_by_default() -> None:
    context = SmtpMailer("smtps://mail.example.com", SENDER)._tls
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_no_secret_in_a_repr() -> None:
    assert_no_secret(SmtpMailer(f"smtp://{USER_IN_URL}@mail.example.org", SENDER))
