"""Mail through an HTTP server like Resend's."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from aiohttp import web

from exness.access.ports import MailError
from exness.mail.mime import fingerprint
from exness.mail.resend import BASE_URL, MAX_ANSWER_BYTES, ResendMailer
from tests.mail.servers import SENDER, YUKI, ResendServer, assert_no_secret, mail_to, refusal, resend_server
from tests.mail.test_mime import HOSTILE_ADDRESSES

KEY = "re_8f3kQ2_kept-out-of-logs"


def mailer(served: ResendServer, **settings: float) -> ResendMailer:
    return ResendMailer(KEY, SENDER, served.url, **settings)


async def refused(mailing: ResendMailer) -> MailError:
    with pytest.raises(MailError) as raised:
        await mailing.send(mail_to())
    assert_no_secret(raised.value, KEY)
    assert raised.value.__context__ is None, "the library's error, which holds the request, hangs on ours"
    return raised.value


async def test_a_mail_is_posted_as_documented() -> None:
    mail = mail_to()
    async with resend_server() as served:
        await mailer(served).send(mail)
    ((headers, body),) = served.requests
    assert body == {"from": SENDER, "to": [YUKI], "subject": mail.subject, "text": mail.text, "html": mail.html}
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"


async def test_a_repeated_mail_carries_the_same_key_and_another_mail_another() -> None:
    async with resend_server() as served:
        served.answers = [refusal(500, "internal_server_error")]
        await refused(mailer(served))
        await mailer(served).send(mail_to())
        await mailer(served).send(mail_to("other@example.com"))
    keys = [headers["Idempotency-Key"] for headers, _ in served.requests]
    assert keys == [fingerprint(mail_to())] * 2 + [fingerprint(mail_to("other@example.com"))]
    assert all(1 <= len(key) <= 256 for key in keys)


@pytest.mark.parametrize(
    ("answer", "transient", "retry_after_s", "why"),
    [
        (refusal(429, "rate_limit_exceeded", Retry_After="7"), True, 7, "429 rate_limit_exceeded"),
        (refusal(429, "daily_quota_exceeded"), True, None, "429 daily_quota_exceeded"),
        (refusal(429, "x", Retry_After="1.5"), True, 1.5, "429 x"),
        (refusal(429, "x", Retry_After="-1"), True, None, "429 x"),
        (refusal(429, "x", Retry_After="nan"), True, None, "429 x"),
        (refusal(429, "x", Retry_After="1e9"), True, None, "429 x"),
        (refusal(429, "x", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), True, None, "429 x"),
        (refusal(500, "internal_server_error"), True, None, "500 internal_server_error"),
        (refusal(503, "x", Retry_After="3"), True, 3, "503 x"),
        (refusal(400, "validation_error"), False, None, "400 validation_error"),
        (refusal(401, "missing_api_key"), False, None, "401 missing_api_key"),
        (refusal(403, "invalid_api_key"), False, None, "403 invalid_api_key"),
        (refusal(403, "x", Retry_After="7"), False, None, "403 x"),
        (refusal(409, "invalid_idempotent_request"), False, None, "409 invalid_idempotent_request"),
        (refusal(409, "concurrent_idempotent_requests"), True, None, "409 concurrent_idempotent_requests"),
        (refusal(422, "missing_required_field"), False, None, "422 missing_required_field"),
        (refusal(422, f"not a name, but {YUKI}"), False, None, "422"),
        (lambda: web.Response(status=502, text="<html>bad gateway</html>"), True, None, "502"),
        (lambda: web.Response(status=400, body=b"\xff{"), False, None, "400"),
        (lambda: web.Response(status=400, body=b'{"name":"' + b"a" * 2 * MAX_ANSWER_BYTES), False, None, "400"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), False, None, "302"),
        (lambda: web.Response(status=204), False, None, "204"),
    ],
)
async def test_what_an_answer_means(
    answer: Callable[[], web.StreamResponse], transient: bool, retry_after_s: float | None, why: str
) -> None:
    async with resend_server() as served:
        served.answers = [answer]
        failure = await refused(mailer(served))
    assert str(failure) == f"Resend refused the mail: {why}"
    assert (failure.transient, failure.retry_after_s) == (transient, retry_after_s)
    assert len(served.requests) == 1


async def test_nobody_listening_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = await refused(ResendMailer(KEY, SENDER, f"http://127.0.0.1:{port}"))
    assert failure.transient
    assert str(failure) == "no connection to Resend: ClientConnectorError"


async def test_a_server_that_hangs_up_may_be_tried_again() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        failure = await refused(ResendMailer(KEY, SENDER, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert failure.transient


async def test_a_silent_server_costs_a_bounded_time() -> None:
    async with resend_server() as served, asyncio.timeout(5):
        served.release = asyncio.Event()
        failure = await refused(mailer(served, timeout_s=0.2))
    assert failure.transient
    assert str(failure) == "Resend did not answer in time"


async def test_cancelling_ends_it_at_once() -> None:
    async with resend_server() as served, asyncio.timeout(5):
        served.release = asyncio.Event()
        sending = asyncio.create_task(mailer(served).send(mail_to()))
        await served.asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_non_ascii_domain_goes_out_in_ascii() -> None:
    async with resend_server() as served:
        await mailer(served).send(mail_to("yuki@bücher.example"))
    assert served.requests[0][1]["to"] == ["yuki@xn--bcher-kva.example"]


@pytest.mark.parametrize("to", HOSTILE_ADDRESSES)
async def test_a_hostile_address_makes_no_request(to: str) -> None:
    async with resend_server() as served:
        with pytest.raises(MailError) as raised:
            await mailer(served).send(mail_to(to))
        assert not raised.value.transient
        assert served.requests == []


def test_the_key_is_in_no_repr_and_no_description() -> None:
    mailing = ResendMailer(KEY, SENDER)
    assert mailing.describe() == "Resend at api.resend.com"
    assert_no_secret(mailing, KEY)
    assert BASE_URL == "https://api.resend.com"


@pytest.mark.parametrize("key", ["", "two words", "line\r\nX: y", "schlüssel", " "])
def test_a_key_that_can_not_be_a_header_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError) as raised:
        ResendMailer(key, SENDER)
    assert str(raised.value) == "Resend's API key must be one word of plain characters"


@pytest.mark.parametrize("url", ["http://api.resend.com", "ftp://localhost", "https://", "", "api.resend.com"])
def test_the_key_goes_nowhere_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        ResendMailer(KEY, SENDER, url)
    assert_no_secret(raised.value, KEY)


def test_a_sender_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError):
        ResendMailer(KEY, "a@b.co, c@d.co")
