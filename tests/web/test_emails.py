"""One person, one account: whoever brings an address and however it is spelled, it is the same one, or none for all."""

import base64
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exness.access.emails import AddressError, checked, normalised
from exness.access.ports import Mail, MailError
from exness.cli import main
from exness.core.instruments import Instrument
from exness.feeds.orders import read_orders
from exness.feeds.recording import ReplayError
from exness.mail.mime import recipient
from exness.process.signals import Stop
from exness.web.dev.models import deposit_of
from exness.web.http.errors import InvalidRequest
from exness.web.v1.parse import email_of

ORDERS = "time,account,do,order,asset,type,margin,leverage\n"


def at_sign_in(email: str, _: Path) -> str | None:
    try:
        return email_of(json.dumps({"email": email}).encode())
    except InvalidRequest:
        return None


def at_a_deposit(email: str, _: Path) -> str | None:
    try:
        return deposit_of(json.dumps({"email": email, "amount": 1}).encode())[0]
    except InvalidRequest:
        return None


def in_an_orders_file(email: str, folder: Path) -> str | None:
    path = folder / "orders.csv"
    instruments: list[Instrument] = []
    path.write_text(f'{ORDERS}2024-08-05,"{email.replace(chr(34), chr(34) * 2)}",close,a,,,,\n', encoding="utf-8")
    try:
        return next(read_orders(path, instruments)).email
    except ReplayError as error:
        assert f"orders file {path}, line 2: account: " in str(error)  # noqa: PT017
        return None


ENTRANCES: dict[str, Callable[[str, Path], str | None]] = {
    "sign-in": at_sign_in,
    "a deposit": at_a_deposit,
    "an orders file": in_an_orders_file,
}

COMPOSED = "jürgen@münchen.de"
SAME = {
    COMPOSED: COMPOSED,
    unicodedata.normalize("NFD", COMPOSED): COMPOSED,
    "jürgen@xn--mnchen-3ya.de": COMPOSED,
    unicodedata.normalize("NFD", "jürgen") + "@XN--MNCHEN-3YA.DE": COMPOSED,
    "JÜRGEN@MÜNCHEN.DE": COMPOSED,
    "jürgen@münchen。de": COMPOSED,
    "Ann@Example.COM": "ann@example.com",
    "ann+tag@example.com": "ann+tag@example.com",
    "o'hara@example.com": "o'hara@example.com",
}
NONE = [
    "",
    "ann",
    "a@b",
    "ann@localhost",
    "ann@example.com.",
    "ann.@example.com",
    ".ann@example.com",
    "a..b@example.com",
    "ann@example..com",
    "ann@-example.com",
    "ann@127.0.0.1",
    "ann@[127.0.0.1]",
    "a@b@example.com",
    "Ann <ann@example.com>",
    '"ann"@example.com',
    "ann,bob@example.com",
    "ann bob@example.com",
    "=?utf-8?q?ann?=@example.com",
    "ann@xn--a.com",
    "ann@" + "e" * 250 + ".com",
]


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(("written", "kept"), SAME.items())
def test_every_spelling_of_an_address_is_one_account_at_every_entrance(
    tmp_path: Path, entrance: str, written: str, kept: str
) -> None:
    assert ENTRANCES[entrance](written, tmp_path) == kept


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("written", NONE)
def test_what_is_no_address_is_none_at_every_entrance(tmp_path: Path, entrance: str, written: str) -> None:
    assert ENTRANCES[entrance](written, tmp_path) is None
    with pytest.raises(MailError, match="the recipient is no mail address"):
        recipient(Mail(to=written, subject="s", text="t", html="h"))


@pytest.mark.parametrize("written", [unicodedata.normalize("NFD", COMPOSED), "JÜRGEN@xn--mnchen-3ya.de"])
def test_a_token_of_the_command_line_is_for_the_same_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(Stop(), ["token", written, "--data-dir", str(tmp_path / "data")]) == 0
    payload = capsys.readouterr().out.split(".")[1]
    assert COMPOSED in json.loads(base64.urlsafe_b64decode(payload + "==")).values()


@pytest.mark.parametrize("written", ["a@b", "ann@localhost", "ann@example.com."])
def test_the_command_line_makes_no_token_for_what_sign_in_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(Stop(), ["token", written, "--data-dir", str(tmp_path / "data")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"exness: {written!r}: this is no mail address like you@example.com\n"
    assert not (tmp_path / "data").exists()


LETTERS = st.text(alphabet="abzAZäöüÄÖÜéÉñÑçłŁßøåÅẞёЁжЖδΔ", min_size=1, max_size=10)


@given(LETTERS, LETTERS, st.sampled_from(["NFC", "NFD"]), st.sampled_from([str, str.lower, str.upper]))
def test_a_spelling_that_is_taken_leads_to_the_normal_one_which_stays_itself(
    local: str, domain: str, form: str, case: Callable[[str], str]
) -> None:
    assume("ß" not in local)  # whose capital letter is two others
    assume("ẞ" not in local)
    written = f"{local}@{domain}.example.com"
    try:
        kept = normalised(written)
    except AddressError:
        assume(False)
    name, _, host = written.partition("@")
    assert normalised(f"{unicodedata.normalize(form, case(name))}@{unicodedata.normalize(form, host)}") == kept  # type: ignore[arg-type]
    assert normalised(kept) == kept
    assert normalised(f"{local}@{checked(written).ascii_domain}") == kept
