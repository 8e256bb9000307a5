"""API keys. They take a session: no key makes, lists or revokes keys."""

from collections.abc import Sequence
from typing import Literal

from exness.client import answers
from exness.client.calls.call import API, Call, Moment, date, reader
from exness.client.errors import KeyNotFound, Refused

_created = reader(answers.KeyCreated)
_keys = reader(answers.Keys)
_revoked = reader(answers.KeyRevoked)


def create_api_key(
    name: str,
    *,
    scopes: Sequence[Literal["read", "trade"]] | None = None,
    expires_at: Moment | None = None,
) -> Call[answers.KeyCreated]:
    """POST /keys. The answer alone has the secret. By default it may trade and has no end."""
    body = {"name": name, "scopes": scopes, "expiresAt": date(expires_at)}
    return Call("POST", f"{API}/keys", _created, body, again=False)


def api_keys() -> Call[list[answers.Key]]:
    """GET /keys: those that are good, oldest first."""
    return Call("GET", f"{API}/keys", lambda body: _keys(body).data)


def revoke_api_key(key: str) -> Call[answers.KeyRevoked]:
    """POST /keys/revoke. Revoked by an earlier try whose answer was lost, it is told the same."""

    def before(refused: Refused) -> answers.KeyRevoked | None:
        return answers.KeyRevoked(key=key) if isinstance(refused, KeyNotFound) else None

    return Call("POST", f"{API}/keys/revoke", _revoked, {"key": key}, settled=before)
