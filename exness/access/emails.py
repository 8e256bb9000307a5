"""Mail addresses: one user, one spelling, whether sign-in, the command line, dev control or a file of orders has it."""

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

LONGEST = 254
"""RFC 5321, and what keeps a 64 KiB "address" from being looked at."""

_ENCODED_WORD = "=?"
"""Begins RFC 2047's spelling of other characters: some mail servers decode it and then read another address."""


class AddressError(ValueError):
    """No mail address. The message says why, and does not repeat it: it may end up in a log."""


def normalised(address: str) -> str:
    """The address in the one spelling an account is kept under: valid, Unicode-normalised, lower case.

    Only its form is checked, not whether mail arrives. Raises AddressError.
    """
    return checked(address).normalized.lower()


def checked(address: str) -> ValidatedEmail:
    """What the email-validator library makes of it. Raises AddressError."""
    if len(address) > LONGEST:
        raise AddressError(f"a mail address has at most {LONGEST} characters")
    try:
        valid = validate_email(address, check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError):
        # Not chained: the library's message quotes parts of the address.
        raise AddressError("this is no mail address like you@example.com") from None
    if _ENCODED_WORD in valid.local_part:
        raise AddressError("a mail address can't hold =?")
    return valid


def masked(address: str) -> str:
    """`yuki@example.com` as `y***@e***.com`: enough to recognise one's own, too little to write to."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "***"
    name, dot, ending = domain.rpartition(".")
    shown = f"{local[:1]}***@{name[:1]}***.{ending}" if dot else f"{local[:1]}***@{domain[:1]}***"
    return shown if shown.isprintable() else "***"
