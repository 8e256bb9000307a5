"""What a scene is made of. A scene is a list of steps: things that a user, an operator or a client does.

In paths, bodies and headers `<name>` stands for something that only the server knows beforehand: `<ann>` for Ann's
session token, or whatever an earlier step has kept. In the transcript the same names stand where it answers with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

API = "/api/v1"
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Step:
    title: str
    hears: Mapping[str, int] = field(default_factory=dict)
    """How many frames each stream is sent for it."""


@dataclass(frozen=True, kw_only=True)
class Ask(Step):
    """One request. `path` without a known root is below /api/v1."""

    method: str
    path: str
    by: str = ""
    """Whose session token is sent, as `Authorization: Bearer`."""
    body: object = None
    """A dict or list is sent as JSON; text and bytes as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    """Names, and the field of the JSON answer (or the cookie) that has each."""
    digest: bool = False
    """Too long to be read: the transcript has a digest of the body."""
    own_id: bool = True
    """Whether the request has an X-Request-ID of its own."""


@dataclass(frozen=True, kw_only=True)
class Raw(Step):
    """Bytes that are perhaps no HTTP."""

    data: bytes
    shown: str = ""


@dataclass(frozen=True, kw_only=True)
class Connect(Step):
    """A stream, by the name that later steps have for it."""

    stream: str
    by: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Say(Step):
    """Messages on a stream, all at once. A dict is sent as JSON, text and bytes as they are."""

    stream: str
    messages: Sequence[object]


@dataclass(frozen=True, kw_only=True)
class Goodbye(Step):
    """The client closes a stream."""

    stream: str
    code: int = 1000


@dataclass(frozen=True, kw_only=True)
class Later(Step):
    """The machine's clock goes on; sessions and links go by it, prices do not."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Revoke(Step):
    """`exness token --revoke`."""

    who: str


@dataclass(frozen=True, kw_only=True)
class SignedIn(Step):
    """A new session token, as `exness token` prints it."""

    who: str


@dataclass(frozen=True, kw_only=True)
class Mailed(Step):
    """Wait for the next mail, and keep the token of its link."""

    link: str


@dataclass(frozen=True, kw_only=True)
class Restart(Step):
    """Stop the exchange and start it again on what it has left."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Played on an exchange of its own."""

    name: str
    steps: Sequence[Step]
    users: Sequence[str] = ("ann",)
    """Who has a session at the start: `ann` is ann@example.com."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """As the environment has them."""
    quoted: bool = True
    """Whether SOL is at 200, ETH at 3000 and BTC at 100000 when it begins, and the clock stands."""
    in_memory: bool = False
    """Whether it is played on the storage in memory as well, with the same transcript."""
    data: str = ""
    """A folder of tests/fixtures that it starts on a copy of."""


# --- short forms --------------------------------------------------------------------------------------------------


def get(path: str, title: str = "", *, by: str = "", **more: object) -> Ask:
    return Ask(title=title or f"{by + ' asks for ' if by else ''}{path}", method="GET", path=path, by=by, **more)  # type: ignore[arg-type]


def post(title: str, path: str, body: object = None, *, by: str = "", **more: object) -> Ask:
    return Ask(title=title, method="POST", path=path, by=by, body=body, **more)  # type: ignore[arg-type]


def order(**changed: object) -> dict[str, object]:
    """A body of /trade/create that is good but for what is changed."""
    return {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10} | changed


def without(name: str) -> dict[str, object]:
    return {field: value for field, value in order().items() if field != name}


def create(title: str, *, by: str = "ann", keep: str = "", hears: Mapping[str, int] = {}, **changed: object) -> Ask:
    kept = {keep: "orderId"} if keep else {}
    return post(title, "/trade/create", order(**changed), by=by, keep=kept, hears=hears)


def close(which: str, title: str = "", *, by: str = "ann", hears: Mapping[str, int] = {}) -> Ask:
    return post(title or f"{by} closes {which}", "/trade/close", {"orderId": f"<{which}>"}, by=by, hears=hears)


def price(asset: str, mid: object, title: str = "", *, hears: Mapping[str, int] = {}) -> Ask:
    title = title or f"{asset} is at {mid}"
    return Ask(title=title, method="PUT", path=f"/dev/prices/{asset}", body={"mid": mid}, hears=hears)


def quote(asset: str, bid: object, ask: object, *, hears: Mapping[str, int] = {}) -> Ask:
    title = f"{asset} is quoted at {bid} and {ask}"
    return Ask(title=title, method="PUT", path=f"/dev/prices/{asset}", body={"bid": bid, "ask": ask}, hears=hears)


def clock(title: str, *, hears: Mapping[str, int] = {}, **how: object) -> Ask:
    return post(title, "/dev/clock", how, hears=hears)


def say(stream: str, title: str, *messages: object, hears: int = 1, **others: int) -> Say:
    return Say(title=title, stream=stream, messages=messages, hears={stream: hears} | others)


def subscribe(stream: str, *channels: str, hears: int, **more: object) -> Say:
    message = {"op": "subscribe", "channels": list(channels)} | more
    return say(stream, f"{stream} listens to {', '.join(channels)}", message, hears=hears)
