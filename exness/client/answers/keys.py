"""API keys."""

from datetime import datetime

from exness.client.answers.form import Answer


class Key(Answer, frozen=True, kw_only=True):
    """An API key. `expires_at` None: it has no end."""

    key: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class KeyCreated(Key, frozen=True, kw_only=True):
    """The only answer that has the secret."""

    secret: str

    def __repr__(self) -> str:
        """Without the secret: what has a repr ends up in a log."""
        return f"KeyCreated(key={self.key!r}, name={self.name!r}, <hidden>)"


class Keys(Answer, frozen=True, kw_only=True):
    data: list[Key]


class KeyRevoked(Answer, frozen=True, kw_only=True):
    key: str
