"""Sessions and probes."""

from datetime import datetime

from exness.client.answers.form import Answer


class Message(Answer, frozen=True, kw_only=True):
    message: str


class SignedIn(Answer, frozen=True, kw_only=True):
    """`token` is a session: `Client(url, token=...)`."""

    email: str
    token: str
    expires_at: datetime


class LiveSession(Answer, frozen=True, kw_only=True):
    """`made_by` is how its owner signed in: link, dev or command. What is not known is None."""

    id: str
    current: bool
    created_at: datetime
    expires_at: datetime
    made_by: str | None
    client: str | None
    ip: str | None


class LiveSessions(Answer, frozen=True, kw_only=True):
    data: list[LiveSession]


class Health(Answer, frozen=True, kw_only=True):
    status: str
    version: str


class Readiness(Answer, frozen=True, kw_only=True):
    """`reasons` say what is missing while it is not ready; `prices` has the state of each asset's."""

    ready: bool
    reasons: list[str]
    feed: str
    simulated: bool
    connected: bool
    prices: dict[str, str]
    code: str | None = None
    message: str | None = None
