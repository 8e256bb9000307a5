"""The endpoints, one function each: what is asked, and as what the answer is read. Nothing here sends anything.

`Client` and `AsyncClient` have a method of the same name for each. Amounts are Decimal, int or decimal text; a float
holds few of them exactly, so it is none.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from exness.client import answers
from exness.client.errors import Refused, TradeAlreadyClosed, Unauthorized

T = TypeVar("T")
Amount: TypeAlias = Decimal | int | str
Side: TypeAlias = Literal["long", "short"]
Interval: TypeAlias = Literal["1m", "5m", "15m", "1h", "4h", "1d"]
API = "/api/v1"
JSON = {"Content-Type": "application/json"}


class Call(Generic[T]):
    """One thing that somebody wants done. It may be asked several times, and is the same each time.

    `again`: asking again when no answer came does no harm, because it changes nothing twice. `settled`: what a refusal
    answers when an earlier try may have been done.
    """

    __slots__ = ("again", "content", "headers", "maybe_done", "method", "path", "read", "settled")

    def __init__(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        again: bool = True,
        settled: Callable[[Refused], T | None] | None = None,
    ) -> None:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        self.method = method
        self.path = f"{path}?{urlencode(asked)}" if asked else path
        self.read = read
        self.content = None if body is None else msgspec.json.encode(_given(body))
        self.headers = JSON if body is not None else {}
        self.again = again
        self.settled = settled
        self.maybe_done = False
        """A try of it was sent and not answered."""


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def reader(kind: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(kind).decode


# --- trades -------------------------------------------------------------------------------------------------------

_created = reader(answers.TradeCreated)
_closed = reader(answers.TradeClosed)
_open = reader(answers.OpenTrades)
_history = reader(answers.History)


def new_client_order_id() -> str:
    return secrets.token_hex(16)


def create_trade(
    asset: str,
    type: Side,  # noqa: A002 - the contract's name
    *,
    margin: Amount,
    leverage: Amount,
    slippage: int | None = None,
    expected_price: Amount | None = None,
    client_order_id: str | None = None,
) -> Call[answers.TradeCreated]:
    """POST /trade/create. `margin` in USDC, `slippage` in hundredths of a percent. Without a `client_order_id` one is
    made, so that asking again never makes a second trade."""
    body = {
        "asset": asset,
        "type": type,
        "margin": margin,
        "leverage": leverage,
        "slippage": slippage,
        "expectedPrice": expected_price,
        "clientOrderId": client_order_id or new_client_order_id(),
    }
    return Call("POST", f"{API}/trade/create", _created, body)


def close_trade(order_id: str) -> Call[answers.TradeClosed]:
    """POST /trade/close. Closed by an earlier try whose answer was lost, it is told what that one did."""
    return Call("POST", f"{API}/trade/close", _closed, {"orderId": order_id}, settled=_closed_before)


def _closed_before(refused: Refused) -> answers.TradeClosed | None:
    if not isinstance(refused, TradeAlreadyClosed) or refused.details["liquidated"]:
        return None
    return msgspec.convert(refused.details, answers.TradeClosed)


def open_trades(asset: str | None = None) -> Call[list[answers.OpenTrade]]:
    """GET /trade/open: all of them, oldest first."""
    return Call("GET", f"{API}/trade/open", lambda body: _open(body).data, query={"asset": asset})


def open_trades_page(limit: int = 1000, offset: int = 0, asset: str | None = None) -> Call[answers.OpenTrades]:
    """GET /trade/open: a page, with `pagination`."""
    query = {"asset": asset, "limit": limit, "offset": offset}
    return Call("GET", f"{API}/trade/open", _open, query=query)


def history(
    *,
    status: Literal["open", "closed"] | None = None,
    asset: str | None = None,
    trade_type: Side | None = None,
    profitable: bool | None = None,
    liquidated: bool | None = None,
    from_date: datetime | str | None = None,
    to_date: datetime | str | None = None,
    limit: int | None = None,
    offset: int | None = None,
    sort_by: Literal["createdAt", "closedAt", "pnl", "margin", "leverage"] | None = None,
    sort_order: Literal["asc", "desc"] | None = None,
) -> Call[answers.History]:
    """GET /trade/history. Dates are of the opening, both ends count."""
    query = {
        "status": status,
        "asset": asset,
        "tradeType": trade_type,
        "profitable": _truth(profitable),
        "liquidated": _truth(liquidated),
        "fromDate": date_out(from_date),
        "toDate": date_out(to_date),
        "limit": limit,
        "offset": offset,
        "sortBy": sort_by,
        "sortOrder": sort_order,
    }
    return Call("GET", f"{API}/trade/history", _history, query=query)


def _truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def date_out(value: datetime | str | None) -> str | None:
    """A time without a zone is UTC, as in the exchange's own dates."""
    if not isinstance(value, datetime):
        return value
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()


# --- money and the market -----------------------------------------------------------------------------------------

_balances = reader(dict[str, answers.AssetBalance])
_balance_usd = reader(answers.UsdBalance)
_account = reader(answers.Account)
_assets = reader(answers.SupportedAssets)
_prices = reader(dict[str, answers.Price])
_price = reader(answers.Price)
_klines = reader(list[answers.Kline])


def balance() -> Call[dict[str, answers.AssetBalance]]:
    """GET /balance: by asset; what is free is in USDC."""
    return Call("GET", f"{API}/balance", _balances)


def balance_usd() -> Call[answers.UsdBalance]:
    """GET /balance/usd."""
    return Call("GET", f"{API}/balance/usd", _balance_usd)


def account() -> Call[answers.Account]:
    """GET /account."""
    return Call("GET", f"{API}/account", _account)


def supported_assets() -> Call[list[answers.SupportedAsset]]:
    """GET /supportedAssets."""
    return Call("GET", f"{API}/supportedAssets", lambda body: _assets(body).assets)


def prices() -> Call[dict[str, answers.Price]]:
    """GET /prices."""
    return Call("GET", f"{API}/prices", _prices)


def price(asset: str) -> Call[answers.Price]:
    """GET /prices/{asset}."""
    return Call("GET", f"{API}/prices/{quote(asset, safe='')}", _price)


def klines(
    asset: str,
    interval: Interval,
    *,
    start_time: datetime | int | None = None,
    end_time: datetime | int | None = None,
    limit: int | None = None,
) -> Call[list[answers.Kline]]:
    """GET /klines: candles, oldest first. Times are whole seconds."""
    query = {
        "asset": asset,
        "interval": interval,
        "startTime": _seconds(start_time),
        "endTime": _seconds(end_time),
        "limit": limit,
    }
    return Call("GET", f"{API}/klines", _klines, query=query)


def _seconds(value: datetime | int | None) -> int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else value


# --- sessions and probes ------------------------------------------------------------------------------------------

_message = reader(answers.Message)
_signed_in = reader(answers.SignedIn)
_health = reader(answers.Health)
_ready = reader(answers.Readiness)


def signup(email: str) -> Call[answers.Message]:
    """POST /signup: a link goes out by mail."""
    return Call("POST", f"{API}/signup", _message, {"email": email})


def signin(email: str) -> Call[answers.Message]:
    """POST /signin: a link goes out by mail."""
    return Call("POST", f"{API}/signin", _message, {"email": email})


def signin_post(token: str) -> Call[answers.SignedIn]:
    """GET /signin/post: a session for the token of a mailed link, which works once."""
    call = Call("GET", f"{API}/signin/post", _signed_in, query={"token": token}, again=False)
    call.headers = {"Accept": "application/json"}
    return call


def logout() -> Call[answers.Message]:
    """POST /logout: this session no longer works anywhere, also when it was ended by an earlier try."""
    return Call("POST", f"{API}/logout", _message, settled=_logged_out)


def _logged_out(refused: Refused) -> answers.Message | None:
    return answers.Message(message="Signed out") if isinstance(refused, Unauthorized) else None


def healthz() -> Call[answers.Health]:
    """GET /healthz."""
    return Call("GET", "/healthz", _health)


def readyz() -> Call[answers.Readiness]:
    """GET /readyz. Raises NotReady, whose details are the reasons."""
    return Call("GET", "/readyz", _ready)


# --- dev control --------------------------------------------------------------------------------------------------

DEV = f"{API}/dev"
_price_set = reader(answers.PriceSet)
_script_set = reader(answers.ScriptSet)
_clock = reader(answers.Clock)
_clock_set = reader(answers.ClockSet)
_deposited = reader(answers.Deposited)
_books = reader(answers.Books)
_faults = reader(answers.Faults)
_reset = reader(answers.Reset)


def dev_set_price(
    asset: str, mid: Amount | None = None, *, bid: Amount | None = None, ask: Amount | None = None
) -> Call[answers.PriceSet]:
    """PUT /dev/prices/{asset}: `mid`, or `bid` and `ask`."""
    body = {"mid": mid, "bid": bid, "ask": ask}
    return Call("PUT", f"{DEV}/prices/{quote(asset, safe='')}", _price_set, body)


def dev_script(prices: Sequence[tuple[Amount, str, Amount]]) -> Call[answers.ScriptSet]:
    """POST /dev/prices/script: (seconds from now, asset, mid) each. An empty list ends the script that runs."""
    entries = [{"offset": offset, "asset": asset, "price": mid} for offset, asset, mid in prices]
    return Call("POST", f"{DEV}/prices/script", _script_set, {"prices": entries}, again=False)


def dev_clock() -> Call[answers.Clock]:
    """GET /dev/clock."""
    return Call("GET", f"{DEV}/clock", _clock)


def dev_set_clock(
    *, paused: bool | None = None, speed: Amount | None = None, step: Amount | None = None
) -> Call[answers.ClockSet]:
    """POST /dev/clock: at least one of them. `step` in seconds."""
    body = {"paused": paused, "speed": speed, "step": step}
    return Call("POST", f"{DEV}/clock", _clock_set, body, again=step is None)


def dev_deposit(email: str, amount: Amount) -> Call[answers.Deposited]:
    """POST /dev/deposit: USDC into an account, which is made if need be."""
    return Call("POST", f"{DEV}/deposit", _deposited, {"email": email, "amount": amount}, again=False)


def dev_session(email: str) -> Call[answers.SignedIn]:
    """POST /dev/session: a session without a mail."""
    call = Call("POST", f"{DEV}/session", _signed_in, {"email": email})
    call.headers = {**JSON, "Accept": "application/json"}
    return call


def dev_books() -> Call[answers.Books]:
    """GET /dev/books."""
    return Call("GET", f"{DEV}/books", _books)


def dev_faults() -> Call[list[answers.FaultRule]]:
    """GET /dev/faults: the rules, and how often each has struck."""
    return Call("GET", f"{DEV}/faults", lambda body: _faults(body).rules)


def dev_set_faults(rules: Sequence[answers.FaultRule]) -> Call[list[answers.FaultRule]]:
    """PUT /dev/faults: these rules and no others."""
    body = {"rules": [msgspec.structs.replace(rule, seen=0, struck=0) for rule in rules]}
    return Call("PUT", f"{DEV}/faults", lambda answer: _faults(answer).rules, body)


def dev_reset() -> Call[answers.Reset]:
    """POST /dev/reset."""
    return Call("POST", f"{DEV}/reset", _reset)
