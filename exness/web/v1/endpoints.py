"""Our dialect's endpoints, one row each, and those that watch the process."""

from exness.core.rejects import Reject
from exness.web.http.endpoint import BUSY, GET, POST, Auth, Dialect, Endpoint, OtherAnswer
from exness.web.http.weights import Budget, Weight
from exness.web.v1 import PREFIX, account, health, market, signin, trades
from exness.web.v1.errors import render
from exness.web.v1.health import Health, Readiness
from exness.web.v1.models import (
    AccountAnswer,
    AssetBalance,
    CloseTradeBody,
    CreateTradeBody,
    EmailBody,
    HistoryAnswer,
    HistoryQuery,
    KlineRow,
    KlinesQuery,
    LinkQuery,
    MessageAnswer,
    OpenTradesAnswer,
    OpenTradesQuery,
    PriceAnswer,
    SignedInAnswer,
    SupportedAssets,
    TradeClosedAnswer,
    TradeCreated,
    UsdBalance,
)
from exness.web.v1.requests import current_session

DIALECT = Dialect(PREFIX, render, current_session)

_EMAIL = '{"email": "you@example.com"}'
_TRADING = Budget.TRADE
_SESSION = Auth.SESSION

ENDPOINTS = (
    Endpoint(
        POST, "/signup", signin.signup, Weight(30), "Mail a link to sign up", MessageAnswer,
        body=EmailBody, example=_EMAIL,
    ),
    Endpoint(
        POST, "/signin", signin.signin, Weight(30), "Mail a link to sign in", MessageAnswer,
        body=EmailBody, example=_EMAIL,
    ),
    Endpoint(
        GET, "/signin/post", signin.open_link, Weight(15),
        "Open a mailed link: a session, as a cookie or, with Accept: application/json, in the answer", SignedInAnswer,
        query=LinkQuery,
        errors=("unauthorized", "prefetch_refused", *BUSY),
        others={302: OtherAnswer("To the frontend, with the session as a cookie")},
    ),
    Endpoint(POST, "/logout", signin.logout, Weight(15), "End this session", MessageAnswer, auth=_SESSION),
    Endpoint(
        POST, "/trade/create", trades.create, Weight(3, budget=_TRADING), "Open a trade", TradeCreated,
        auth=_SESSION, fast=True,
        body=CreateTradeBody, example='{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}',
        errors=(
            Reject.CLIENT_ORDER_ID_CONFLICT,
            Reject.PRICE_UNAVAILABLE,
            Reject.AMOUNT_OUT_OF_RANGE,
            Reject.WOULD_LIQUIDATE,
            Reject.SLIPPAGE_EXCEEDED,
            Reject.POSITION_LIMIT,
            Reject.INSUFFICIENT_MARGIN,
        ),
    ),
    Endpoint(
        POST, "/trade/close", trades.close, Weight(3, budget=_TRADING), "Close a trade", TradeClosedAnswer,
        auth=_SESSION, fast=True,
        body=CloseTradeBody, example='{"orderId": "..."}',
        errors=(Reject.TRADE_NOT_FOUND, "trade_already_closed", Reject.PRICE_UNAVAILABLE),
    ),
    Endpoint(
        GET, "/trade/open", trades.list_open, Weight(1, 16, "trades told"), "Open trades", OpenTradesAnswer,
        auth=_SESSION, fast=True, query=OpenTradesQuery,
    ),
    Endpoint(
        GET, "/trade/history", trades.history, Weight(3, 5, "of `limit`"), "Trades of all times", HistoryAnswer,
        auth=_SESSION, query=HistoryQuery,
    ),
    Endpoint(
        GET, "/balance", account.balance, Weight(1), "Free balances", dict[str, AssetBalance],
        auth=_SESSION, fast=True,
    ),
    Endpoint(GET, "/balance/usd", account.balance_usd, Weight(1), "Free balance in USDC", UsdBalance, auth=_SESSION),
    Endpoint(
        GET, "/account", account.account, Weight(1, 64, "open trades"), "The account", AccountAnswer, auth=_SESSION
    ),
    Endpoint(GET, "/supportedAssets", market.supported_assets, Weight(1), "What can be traded", SupportedAssets),
    Endpoint(GET, "/prices", market.prices, Weight(1), "Every price", dict[str, PriceAnswer], fast=True),
    Endpoint(GET, "/prices/{asset}", market.price, Weight(1), "One price", PriceAnswer, errors=("not_found",)),
    Endpoint(
        GET, "/klines", market.klines, Weight(3, 8, "of `limit`"), "Candles", list[KlineRow],
        query=KlinesQuery, errors=BUSY[:1],
    ),
)  # fmt: skip
"""Below the prefix of our dialect."""

PROBES = (
    Endpoint(GET, "/healthz", health.healthz, Weight(1, budget=Budget.PROBE), "The process answers", Health),
    Endpoint(
        GET, "/readyz", health.readyz, Weight(1, budget=Budget.PROBE), "Whether it can trade now", Readiness,
        others={503: OtherAnswer("Not ready; `reasons` says why", Readiness)},
    ),
    Endpoint(
        GET, "/metrics", health.metrics, Weight(80, budget=Budget.PROBE),
        "Prometheus metrics, for the configured networks", str,
        media_type="text/plain", errors=("not_found",),
    ),
)  # fmt: skip
"""Below no prefix."""
