"""The app with its Binance face, and a client that signs by hand."""

import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from yarl import URL

from exness.access.api_keys import ApiKey, Scope
from exness.web.services import Fapi, Market
from tests.support.app import Answer, App, running_app
from tests.support.books import LISTINGS

KEY_HEADER = "X-MBX-APIKEY"
FAPI = Fapi(
    "USDC",
    {f"{asset}USDC": Market(f"{asset}USDC", listing, 1, 1, 5_000_000) for asset, listing in LISTINGS.items()},
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signature(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), sha256).hexdigest()


class Bot:
    """Who has a key."""

    def __init__(self, app: App, key: ApiKey) -> None:
        self.app = app
        self.key = key

    @property
    def now_ms(self) -> int:
        return self.app.services.wall.wall_us() // 1000

    def signed(self, params: Mapping[str, object]) -> str:
        """A query string with timestamp and signature."""
        query = urlencode({"timestamp": self.now_ms, "recvWindow": 10_000} | dict(params))
        return f"{query}&signature={signature(self.key.secret, query)}"

    async def raw(self, method: str, path: str, query: str = "", body: str | None = None, **headers: str) -> Answer:
        """Also what is no text."""
        """As it is given, byte for byte."""
        target = path + (f"?{query}" if query else "")
        return await self.sent(method, target, None if body is None else body.encode(), **headers)

    async def sent(self, method: str, target: str, body: bytes | None, **headers: str) -> Answer:
        url = URL(self.app.url + target, encoded=True)
        assert self.app.http is not None
        given = {KEY_HEADER: self.key.key} | headers
        async with self.app.http.request(method, url, data=body, headers=given) as response:
            return Answer(response.status, response.headers, await response.read())

    async def ask(self, method: str, path: str, **params: object) -> Answer:
        """Signed, in the query of a GET and in the form body of everything else."""
        signed = self.signed(params)
        if method == "GET":
            return await self.raw(method, path, signed)
        return await self.raw(method, path, body=signed, **FORM)

    async def good(self, method: str, path: str, **params: object) -> Any:
        answer = await self.ask(method, path, **params)
        assert answer.status == 200, (answer.status, answer.raw)
        return answer.body

    async def get(self, path: str, **params: object) -> Any:
        return await self.good("GET", path, **params)

    async def post(self, path: str, **params: object) -> Any:
        return await self.good("POST", path, **params)

    async def delete(self, path: str, **params: object) -> Any:
        return await self.good("DELETE", path, **params)

    async def put(self, path: str, **params: object) -> Any:
        return await self.good("PUT", path, **params)

    async def order(self, side: str = "BUY", quantity: object = 1, **params: object) -> Any:
        """At the market, unless a type is given. None is a parameter left out."""
        wish = {"symbol": "SOLUSDC", "side": side, "type": "MARKET", "quantity": quantity} | params
        return await self.post("/fapi/v1/order", **{name: value for name, value in wish.items() if value is not None})


def assert_failed(answer: Answer, code: int, message: str | None = None, status: int = 400) -> None:
    """A whole error: status, code, text, content type, and not a field more."""
    assert (answer.status, answer.body["code"]) == (status, code), (answer.status, answer.raw)
    assert answer.body.keys() == {"code", "msg"}
    assert answer.headers["Content-Type"].startswith("application/json")
    if message is not None:
        assert answer.body["msg"] == message


@asynccontextmanager
async def face(**options: Any) -> AsyncIterator[App]:
    """SOL at 200, ETH at 3000, BTC at 100000."""
    given: dict[str, Any] = {"fapi": FAPI} | options
    async with running_app(**given) as app:
        await app.quote_all()
        yield app


async def bot(app: App, name: str, *, may_trade: bool = True) -> Bot:
    """Who has a new key."""
    scopes = tuple(Scope) if may_trade else (Scope.READ,)
    key = await app.services.keys.create(f"{name}@example.com", "of a test", scopes)
    await app.services.revocations.refresh(at_once=True)
    return Bot(app, key)


def stranger(app: App) -> Bot:
    """With a key that nobody has made."""
    return Bot(app, ApiKey("a" * 64, b"secret", "nobody@example.com", "", frozenset(Scope), 0, None))
