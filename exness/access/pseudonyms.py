"""What an account is called where everybody sees it: always the same, and nobody learns whose it is."""

import hmac

from exness.access.api_keys import derived
from exness.core.instruments import AccountId

_INFO = b"exness pseudonyms"
_DIGITS = 12


class Pseudonyms:
    """Made from accounts' ids under the auth secret: who knows an id learns no name, and with another secret all are
    others."""

    def __init__(self, auth_secret: bytes) -> None:
        self._secret = derived(auth_secret, _INFO)

    def of(self, account: AccountId) -> str:
        return f"trader-{hmac.new(self._secret, account.encode(), 'sha256').hexdigest()[:_DIGITS]}"
