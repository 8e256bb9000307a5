"""Mails as files."""

import asyncio
import errno
import os
import re
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exness.access.ports import MailError
from exness.mail.outbox import OutboxMailer
from tests.mail.servers import LINK, SENDER, YUKI, as_parsed, assert_no_secret, mail_to, parts

NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{32}\.eml")
NOON_US = 1_772_625_600_000_000  # 2026-03-04 12:00 UTC


def outbox(folder: Path, **settings: object) -> OutboxMailer:
    return OutboxMailer(folder, SENDER, now_us=lambda: NOON_US, **settings)  # type: ignore[arg-type]


def names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def recipients(folder: Path) -> list[str]:
    """In the order of the files' names."""
    return [as_parsed((folder / name).read_bytes())["To"] for name in names(folder, "*.eml")]


async def test_a_mail_becomes_a_file_that_reads_back(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "outbox"
    mail = mail_to()
    await outbox(folder).send(mail)
    (name,) = names(folder)
    assert NAME.fullmatch(name)
    message = as_parsed((folder / name).read_bytes())
    text, html = parts(message)
    assert message["To"] == YUKI
    assert message["Subject"] == mail.subject
    assert message["Date"].datetime.isoformat() == "2026-03-04T12:00:00+00:00"
    assert text == mail.text
    assert html == mail.html


async def test_a_non_ascii_address_reads_back(tmp_path: Path) -> None:
    await outbox(tmp_path).send(mail_to("ユキ@例え.example"))
    (name,) = names(tmp_path)
    assert "To: ユキ@xn--r8jz45g.example" in (tmp_path / name).read_text().splitlines()


async def test_a_link_can_be_cut_out_of_the_file_line_by_line(tmp_path: Path) -> None:
    await outbox(tmp_path).send(mail_to())
    (name,) = names(tmp_path)
    assert LINK.encode() in (tmp_path / name).read_bytes().split(b"\n")


async def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    folder.mkdir(mode=0o777)
    await outbox(folder).send(mail_to())
    (name,) = names(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


async def test_names_sort_as_the_mails_came_even_within_one_microsecond(tmp_path: Path) -> None:
    mailer = outbox(tmp_path)
    for number in range(20):
        await mailer.send(mail_to(f"trader{number}@example.com"))
    assert recipients(tmp_path) == [f"trader{number}@example.com" for number in range(20)]


async def test_only_the_newest_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    mailer = outbox(tmp_path, kept=3)
    for number in range(10):
        await mailer.send(mail_to(f"trader{number}@example.com"))
        assert len(names(tmp_path, "*.eml")) == min(number + 1, 3)
    assert recipients(tmp_path) == [f"trader{number}@example.com" for number in (7, 8, 9)]
    assert (tmp_path / "notes.txt").read_text() == "mine"


async def test_many_at_once_all_arrive_whole(tmp_path: Path) -> None:
    mailer = outbox(tmp_path)
    await asyncio.gather(*(mailer.send(mail_to(f"trader{number}@example.com")) for number in range(50)))
    assert set(recipients(tmp_path)) == {f"trader{number}@example.com" for number in range(50)}


async def test_a_draft_left_by_a_crash_goes(tmp_path: Path) -> None:
    (tmp_path / "20260101T000000.000000Z-00.eml.draft").write_bytes(b"half a ma")
    await outbox(tmp_path).send(mail_to())
    (name,) = names(tmp_path)
    assert NAME.fullmatch(name)


async def test_a_write_that_fails_leaves_no_half_mail_and_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    mailer = outbox(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", full)
        with pytest.raises(MailError) as refused:
            await mailer.send(mail_to())
    assert refused.value.transient
    assert str(refused.value) == "the outbox can't be written: No space left on device"
    assert names(tmp_path, "*.eml") == []
    await mailer.send(mail_to())
    assert len(names(tmp_path)) == 1


async def test_a_folder_that_is_a_file_is_an_error_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(MailError):
        await outbox(tmp_path / "outbox").send(mail_to())


async def test_a_hostile_address_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(MailError):
        await outbox(tmp_path).send(mail_to("yuki@example.com\r\nBcc: eve@example.net"))
    assert names(tmp_path) == []


async def test_the_link_is_logged_only_on_request_and_the_address_never(tmp_path: Path) -> None:
    with capture_logs() as quiet:
        await outbox(tmp_path / "quiet").send(mail_to())
    assert quiet == []
    with capture_logs() as logged:
        await outbox(tmp_path / "loud", log_links=True).send(mail_to())
    (name,) = names(tmp_path / "loud")
    assert logged == [
        {
            "event": "mail_in_outbox",
            "log_level": "info",
            "to": "y***@e***.com",
            "subject": "Your link to sign in to exness",
            "link": LINK,
            "file": name,
        }
    ]


def test_it_says_where_and_refuses_nonsense(tmp_path: Path) -> None:
    assert outbox(tmp_path).describe() == f"files in {tmp_path}"
    with pytest.raises(ValueError):
        outbox(tmp_path, kept=0)
    with pytest.raises(ValueError):
        OutboxMailer(tmp_path, "nobody")


async def test_without_a_clock_it_is_now(tmp_path: Path) -> None:
    await OutboxMailer(tmp_path, SENDER).send(mail_to())
    (name,) = names(tmp_path)
    assert name > "2026"
    assert_no_secret(name)
