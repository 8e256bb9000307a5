"""A Mail as an Internet message (RFC 5322), and the one place where senders and headers are checked.

Promises: a message goes to exactly one address, and nothing in a Mail becomes a header of its own.
"""

import hashlib
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from exness.access.emails import AddressError, checked
from exness.access.ports import Mail, MailError

_LONGEST_LINE = 998
"""Octets in a line, RFC 5322 section 2.1.1."""


def parse_sender(text: str) -> Address:
    """`Name <no-reply@example.com>` or the bare address. Raises ValueError."""
    if text.isprintable():
        header: Any = policy.SMTP.header_factory("From", text)
        addresses: tuple[Address, ...] = header.addresses
        if len(addresses) == 1 and not header.defects and _sound(addresses[0]):
            return addresses[0]
    raise ValueError(f"the sender of mails must be one plain mail address, not {text!r}")


def recipient(mail: Mail) -> Address:
    """Where it goes, its domain in ASCII. Raises MailError (permanent) unless it is one sound address.

    The local part may be non-ASCII: such mail needs SMTPUTF8 (RFC 6531) on its whole way.
    """
    try:
        valid = checked(mail.to)
    except AddressError:
        raise MailError("the recipient is no mail address", transient=False) from None
    return Address(username=valid.local_part, domain=valid.ascii_domain)


def fingerprint(mail: Mail) -> str:
    """The same for the same mail, however often it is sent: providers and mailboxes recognise a repetition by it.

    It gives nothing away, since a mail holds a link that nobody can guess.
    """
    digest = hashlib.sha256()
    for part in (mail.to, mail.subject, mail.text, mail.html):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.hexdigest()


def as_message(mail: Mail, sender: Address, at: datetime) -> EmailMessage:
    """The whole message. `at` is its date, with a time zone. Raises MailError (permanent) for what can't be one."""
    to = recipient(mail)
    message = EmailMessage(policy=policy.SMTP if to.addr_spec.isascii() else policy.SMTPUTF8)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = checked_subject(mail)
    message["Date"] = at
    message["Message-ID"] = f"<{fingerprint(mail)}@{sender.domain}>"
    # RFC 3834: no out-of-office answers to this.
    message["Auto-Submitted"] = "auto-generated"
    try:
        message.set_content(mail.text, cte=_encoding(mail.text))
        message.add_alternative(mail.html, subtype="html", cte=_encoding(mail.html))
    except UnicodeError:
        raise MailError("the mail's content is no valid text", transient=False) from None
    return message


def checked_subject(mail: Mail) -> str:
    """Raises MailError (permanent) for one that is not a line of text."""
    if not mail.subject.isprintable():
        raise MailError("the mail's subject is not one line of text", transient=False)
    return mail.subject


def _sound(address: Address) -> bool:
    specials = set(' "<>@,;:()[]\\')
    parts = (address.username, address.domain)
    return all(part.isascii() and part.isprintable() and part and not specials & set(part) for part in parts)


def _encoding(text: str) -> str | None:
    """Plain when that is allowed, so that a link is in one piece even in the raw message; else the library chooses."""
    plain = text.isascii() and all(len(line) <= _LONGEST_LINE for line in text.splitlines())
    return "7bit" if plain else None
