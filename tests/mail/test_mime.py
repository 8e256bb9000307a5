"""A Mail as an Internet message."""

from datetime import UTC, datetime
from email.message import EmailMessage

import msgspec
import pytest

from exness.access.ports import Mail, MailError
from exness.mail.mime import as_message, fingerprint, parse_sender, recipient
from tests.mail.servers import LINK, SENDER, YUKI, as_parsed, assert_no_secret, mail_to, parts

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def written(mail: Mail, sender: str = SENDER) -> EmailMessage:
    return as_parsed(as_message(mail, parse_sender(sender), AT).as_bytes())


def test_a_message_has_both_parts_and_exactly_these_headers() -> None:
    mail = mail_to()
    message = written(mail)
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text, html = parts(message)
    assert text == mail.text
    assert html == mail.html
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "From": SENDER,
        "To": YUKI,
        "Subject": mail.subject,
        "Date": "Wed, 04 Mar 2026 05:06:07 +0000",
        "Message-ID": f"<{fingerprint(mail)}@exness.test>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }


def test_a_link_is_in_one_piece_even_in_the_raw_message() -> None:
    raw = as_message(mail_to(), parse_sender(SENDER), AT).as_bytes()
    assert f"\r\n{LINK}\r\n".encode() in raw
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_lines_too_long_for_mail_are_encoded_and_come_back() -> None:
    mail = msgspec.structs.replace(mail_to(), text="x" * 5000 + "\n", html="<p>" + "y" * 5000 + "</p>\n")
    raw = as_message(mail, parse_sender(SENDER), AT).as_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    text, html = parts(as_parsed(raw))
    assert (text, html) == (mail.text, mail.html)


def test_words_in_any_script_come_back() -> None:
    mail = Mail(YUKI, "登録を完了 – Grüße", "こんにちは\n", "<p>こんにちは</p>\n")
    message = written(mail, "Börse <no-reply@exness.test>")
    assert message["Subject"] == mail.subject
    assert message["From"].addresses[0].display_name == "Börse"
    text, html = parts(message)
    assert (text, html) == (mail.text, mail.html)


@pytest.mark.parametrize(
    ("to", "on_the_wire"),
    [
        (YUKI, YUKI),
        ("yuki@bücher.example", "yuki@xn--bcher-kva.example"),
        ("ユキ@例え.example", "ユキ@xn--r8jz45g.example"),
        ("o'neil+a=b@example.com", "o'neil+a=b@example.com"),
    ],
)
def test_a_domain_goes_out_in_ascii_and_a_name_as_it_is(to: str, on_the_wire: str) -> None:
    mail = mail_to(to)
    assert recipient(mail).addr_spec == on_the_wire
    # Raw: Python's parser does not read headers in UTF-8.
    assert f"\r\nTo: {on_the_wire}\r\n".encode() in as_message(mail, parse_sender(SENDER), AT).as_bytes()


HOSTILE_ADDRESSES = [
    "yuki@example.com\r\nBcc: eve@example.net",
    "yuki@example.com\nBcc: eve@example.net",
    "yuki@example.com\r\n\r\n<p>another body</p>",
    "yuki@example.com\r\nRCPT TO:<eve@example.net>",
    "\r\nyuki@example.com",
    "yuki@example.com\r\n",
    "yuki\r@example.com",
    "yuki@example.com\x00",
    "yuki@example.com\x85Bcc: eve@example.net",
    "yuki@example.com\u2028Bcc: eve@example.net",
    "yuki@example.com, eve@example.net",
    "yuki@example.com eve@example.net",
    "yuki@example.com;eve@example.net",
    "Yuki <yuki@example.com>",
    "<yuki@example.com>",
    "yuki@example.com> SIZE=1",
    '"yuki\r\nBcc: eve"@example.com',
    "=?utf-8?q?yuki=0D=0ABcc=3A?=@example.com",
    "yuki@[127.0.0.1]",
    "yuki@example.com(comment)",
    "group: yuki@example.com;",
    "yuki",
    "@example.com",
    "yuki@",
    "",
    "yuki@" + "a" * 300 + ".com",
    "yuki\ud800@example.com",
]


@pytest.mark.parametrize("to", HOSTILE_ADDRESSES)
def test_a_hostile_address_is_refused_for_good_and_not_repeated(to: str) -> None:
    with pytest.raises(MailError) as refused:
        as_message(mail_to(to), parse_sender(SENDER), AT)
    assert str(refused.value) == "the recipient is no mail address"
    assert not refused.value.transient
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    assert_no_secret(refused.value)


@pytest.mark.parametrize("subject", ["Hi\r\nBcc: eve@example.net", "Hi\nX: y", "Hi\r", "Hi\x00", "Hi\u2028X: y"])
def test_a_subject_is_one_line_or_refused(subject: str) -> None:
    mail = msgspec.structs.replace(mail_to(), subject=subject)
    with pytest.raises(MailError) as refused:
        as_message(mail, parse_sender(SENDER), AT)
    assert str(refused.value) == "the mail's subject is not one line of text"
    assert not refused.value.transient


@pytest.mark.parametrize("changed", [{"text": "lone \ud800"}, {"html": "lone \udfff"}])
def test_content_that_is_no_text_is_refused(changed: dict[str, str]) -> None:
    mail = msgspec.structs.replace(mail_to(), **changed)
    with pytest.raises(MailError) as refused:
        as_message(mail, parse_sender(SENDER), AT)
    assert str(refused.value) == "the mail's content is no valid text"
    assert not refused.value.transient


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "exness",
        "<>",
        "a@b.co, c@d.co",
        "Exness, Inc <a@b.co>",
        "exness <a@b.co>\r\nBcc: eve@example.net",
        "exness <a b@c.co>",
        "exness <a@bü.example>",
        "=?utf-8?q?=0D=0ABcc=3A_eve?= <a@b.co>",
    ],
)
def test_a_sender_is_one_address_or_refused(sender: str) -> None:
    with pytest.raises(ValueError):
        parse_sender(sender)


def test_a_sender_may_be_this_machine_and_may_have_a_name() -> None:
    assert parse_sender("exness <no-reply@localhost>").addr_spec == "no-reply@localhost"
    assert parse_sender("no-reply@exness.test").display_name == ""
    assert parse_sender('"Exness, Inc" <a@b.co>').display_name == "Exness, Inc"


def test_a_fingerprint_is_the_mails_alone() -> None:
    mail = mail_to()
    assert fingerprint(mail) == fingerprint(mail_to())
    others = [
        mail_to("yuki@example.net"),
        msgspec.structs.replace(mail, subject="x"),
        msgspec.structs.replace(mail, text="x"),
        msgspec.structs.replace(mail, html="x"),
        Mail(mail.to + mail.subject, "", mail.text, mail.html),
    ]
    assert len({fingerprint(other) for other in [mail, *others]}) == 6
    assert len(fingerprint(mail)) == 64
