"""Mail addresses: one user, one spelling."""

from email_validator import EmailNotValidError, validate_email


class AddressError(ValueError):
    """No mail address. The message says why."""


def normalised(address: str) -> str:
    """The address in the one spelling an account is kept under: valid, Unicode-normalised, lower case.

    Only its form is checked (by the email-validator library), not whether mail arrives. Raises AddressError.
    """
    try:
        valid = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise AddressError(f"{address[:100]!r} is no mail address: {error}") from error
    return valid.normalized.lower()
