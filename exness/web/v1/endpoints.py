"""Our dialect's endpoints, one row each, and those that watch the process."""

from exness.core.rejects import Reject
from exness.web.http.endpoint import BUSY, DELETE, GET, POST, Auth, Dialect, Endpoint, OtherAnswer
from exness.web.http.weights import Budget, Weight
from exness.web.v1 import (
    PREFIX,
    account,
    exits,
    health,
    keys,
    leaderboard,
    market,
    net,
    orders,
    quote,
    rates,
    sessions,
    signin,
    statement,
    trades,
)
from exness.web.v1.errors import render
from exness.web.v1.health import Health, Readiness
from exness.web.v1.key_models import CreateKeyBody, KeyCreated, KeyIdBody, KeyRevoked, KeysAnswer
from exness.web.v1.models import (
    AccountAnswer,
    AssetBalance,
    EmailBody,
    KlineRow,
    KlinesQuery,
    LeaderboardAnswer,
    LeaderboardQuery,
    LinkQuery,
    MessageAnswer,
    PriceAnswer,
    SignedInAnswer,
    SupportedAssets,
    TickersAnswer,
    TimeAnswer,
    UsdBalance,
)
from exness.web.v1.order_models import (
    AddExitBody,
    AmendOrderBody,
    CancelAllBody,
    CreateOrderBody,
    EquityQuery,
    ExitAdded,
    NetAnswer,
    NetLeverageAnswer,
    NetLeverageBody,
    NetOrderBody,
    OpenOrdersAnswer,
    OpenOrdersQuery,
    OrderAnswer,
    OrderCancelled,
    OrderFilled,
    OrderHistoryAnswer,
    OrderHistoryQuery,
    OrderIdBody,
    OrderOpened,
    OrderPending,
    OrdersCancelled,
    QuoteAnswer,
    StatementQuery,
    TradeQuoteBody,
)
from exness.web.v1.rates import RatesAnswer
from exness.web.v1.requests import session_of
from exness.web.v1.sessions import SessionsAnswer
from exness.web.v1.statement import EquityAnswer, StatementAnswer
from exness.web.v1.trade_models import (
    AllClosedAnswer,
    CloseAllBody,
    CloseTradeBody,
    CreateTradeBody,
    ExitsAnswer,
    ExitsBody,
    HistoryAnswer,
    HistoryQuery,
    LeverageBody,
    MarginAnswer,
    MarginBody,
    OneQuery,
    OpenTradesAnswer,
    OpenTradesQuery,
    TradeAnswer,
    TradeClosedAnswer,
    TradeCreated,
)

DIALECT = Dialect(PREFIX, render, session_of)

_EMAIL = '{"email": "you@example.com"}'
_TRADING = Budget.TRADE
_SESSION, _KEY = Auth.SESSION, Auth.KEY

_OPENING = (
    Reject.CLIENT_ORDER_ID_CONFLICT,
    Reject.PRICE_UNAVAILABLE,
    Reject.AMOUNT_OUT_OF_RANGE,
    Reject.WOULD_LIQUIDATE,
    Reject.SLIPPAGE_EXCEEDED,
    Reject.WOULD_TRIGGER,
    Reject.POSITION_LIMIT,
    Reject.INSUFFICIENT_MARGIN,
)
_ORDERS = (*_OPENING, Reject.WOULD_TAKE, Reject.WOULD_REST)
_NO_TRADE = (Reject.TRADE_NOT_FOUND, "trade_already_closed", Reject.PRICE_UNAVAILABLE)
_NO_ORDER = (Reject.ORDER_NOT_FOUND, "order_already_ended")
_ORDER = '"asset": "SOL", "type": "long", "margin": 100, "leverage": 10'

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
        GET, "/signin/post", signin.open_link, Weight(22),
        "Open a mailed link: a session, as a cookie or, with Accept: application/json, in the answer", SignedInAnswer,
        query=LinkQuery,
        errors=("unauthorized", "prefetch_refused", *BUSY),
        others={302: OtherAnswer("To the frontend, with the session as a cookie")},
    ),
    Endpoint(POST, "/logout", signin.logout, Weight(15), "End this session", MessageAnswer, auth=_SESSION),
    Endpoint(
        GET, "/sessions", sessions.list_all, Weight(2, 16, "sessions told"), "Sessions of the account, with this one",
        SessionsAnswer,
        auth=_SESSION,
    ),
    Endpoint(
        DELETE, "/sessions", sessions.end_others, Weight(15), "End all sessions of the account but this one",
        MessageAnswer,
        auth=_SESSION,
    ),
    Endpoint(
        DELETE, "/sessions/{id}", sessions.end, Weight(15), "End a session of the account", MessageAnswer,
        auth=_SESSION, errors=("session_not_found",),
    ),
    Endpoint(
        POST, "/keys", keys.create, Weight(15), "Make an API key; its secret is shown only this once", KeyCreated,
        auth=_SESSION, body=CreateKeyBody, example='{"name": "my bot", "scopes": ["read", "trade"]}',
        errors=("too_many_keys",),
    ),
    Endpoint(GET, "/keys", keys.list_all, Weight(3), "API keys, without their secrets", KeysAnswer, auth=_SESSION),
    Endpoint(
        POST, "/keys/revoke", keys.revoke, Weight(15), "End an API key", KeyRevoked,
        auth=_SESSION, body=KeyIdBody, example='{"key": "..."}', errors=("key_not_found",),
    ),
    Endpoint(
        POST, "/trade/create", trades.create, Weight(3, budget=_TRADING), "Open a trade", TradeCreated,
        auth=_KEY, fast=True,
        body=CreateTradeBody, example='{"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}',
        errors=_OPENING,
    ),
    Endpoint(
        POST, "/trade/close", trades.close, Weight(3, budget=_TRADING), "Close a trade, or a part of it",
        TradeClosedAnswer,
        auth=_KEY, fast=True,
        body=CloseTradeBody, example='{"orderId": "..."}',
        errors=(
            *_NO_TRADE, Reject.CLIENT_ORDER_ID_CONFLICT, Reject.AMOUNT_OUT_OF_RANGE, Reject.AMOUNT_TOO_SMALL,
        ),
    ),
    Endpoint(
        POST, "/trade/closeAll", trades.close_all, Weight(3, 1, "trade that is open", _TRADING),
        "Close all trades, or those in one asset", AllClosedAnswer,
        auth=_KEY, body=CloseAllBody, example='{"asset": "SOL"}',
    ),
    Endpoint(
        POST, "/trade/exits", exits.set_own, Weight(3, budget=_TRADING),
        "Set a trade's take profit, stop loss and trailing stop", ExitsAnswer,
        auth=_KEY, body=ExitsBody, example='{"orderId": "...", "stopLoss": 180, "takeProfit": null}',
        errors=(*_NO_TRADE, Reject.AMOUNT_OUT_OF_RANGE, Reject.WOULD_TRIGGER),
    ),
    Endpoint(
        POST, "/trade/exit", exits.add, Weight(3, budget=_TRADING),
        "Add an exit over a part of a trade, an order of its own", ExitAdded,
        auth=_KEY, body=AddExitBody,
        example='{"orderId": "...", "kind": "take_profit", "price": 250, "percent": 5000}',
        errors=(
            *_NO_TRADE, Reject.CLIENT_ORDER_ID_CONFLICT, Reject.AMOUNT_OUT_OF_RANGE, Reject.WOULD_TRIGGER,
            Reject.AMOUNT_TOO_SMALL, Reject.POSITION_LIMIT,
        ),
    ),
    Endpoint(
        POST, "/trade/margin", exits.move_margin, Weight(3, budget=_TRADING), "Add margin to a trade, or take some",
        MarginAnswer,
        auth=_KEY, body=MarginBody, example='{"orderId": "...", "amount": "-12.5"}',
        errors=(
            *_NO_TRADE, Reject.CLIENT_ORDER_ID_CONFLICT, Reject.AMOUNT_OUT_OF_RANGE, Reject.MARGIN_TOO_LOW,
            Reject.WOULD_LIQUIDATE, Reject.INSUFFICIENT_MARGIN,
        ),
    ),
    Endpoint(
        POST, "/trade/leverage", exits.set_leverage, Weight(3, budget=_TRADING), "Change a trade's leverage",
        MarginAnswer,
        auth=_KEY, body=LeverageBody, example='{"orderId": "...", "leverage": 5}',
        errors=(
            *_NO_TRADE, Reject.AMOUNT_OUT_OF_RANGE, Reject.WOULD_LIQUIDATE, Reject.POSITION_LIMIT,
            Reject.INSUFFICIENT_MARGIN,
        ),
    ),
    Endpoint(
        POST, "/order/create", orders.create, Weight(3, budget=_TRADING), "Place an order that waits for a price",
        OrderPending | OrderOpened,
        auth=_KEY, fast=True,
        body=CreateOrderBody, example=f'{{{_ORDER}, "limitPrice": 190, "stopLoss": 180}}', errors=_ORDERS,
    ),
    Endpoint(
        POST, "/order/amend", orders.amend, Weight(3, budget=_TRADING), "Change an order, or an exit that is one",
        OrderPending | OrderOpened | OrderFilled,
        auth=_KEY, body=AmendOrderBody, example='{"orderId": "...", "limitPrice": "191.5"}',
        errors=(
            *_NO_ORDER, Reject.PRICE_UNAVAILABLE, Reject.AMOUNT_OUT_OF_RANGE, Reject.WOULD_LIQUIDATE,
            Reject.WOULD_TAKE, Reject.WOULD_TRIGGER, Reject.AMOUNT_TOO_SMALL, Reject.POSITION_LIMIT,
            Reject.INSUFFICIENT_MARGIN,
        ),
    ),
    Endpoint(
        POST, "/order/cancel", orders.cancel, Weight(3, budget=_TRADING), "Cancel an order, or an exit that is one",
        OrderCancelled,
        auth=_KEY, fast=True, body=OrderIdBody, example='{"orderId": "..."}', errors=_NO_ORDER,
    ),
    Endpoint(
        POST, "/order/cancelAll", orders.cancel_all, Weight(5, budget=_TRADING), "Cancel all waiting orders and exits",
        OrdersCancelled,
        auth=_KEY, body=CancelAllBody, example='{"asset": "SOL"}',
    ),
    Endpoint(
        GET, "/order", orders.one, Weight(3), "One order, waiting or ended, by an id", OrderAnswer,
        auth=_KEY, query=OneQuery, errors=(Reject.ORDER_NOT_FOUND,),
    ),
    Endpoint(
        GET, "/order/open", orders.list_open, Weight(1, 16, "orders told"), "Orders and exits that wait",
        OpenOrdersAnswer,
        auth=_KEY, fast=True, query=OpenOrdersQuery,
    ),
    Endpoint(
        GET, "/order/history", orders.history, Weight(3, 5, "of `limit`"), "Orders and exits that have ended",
        OrderHistoryAnswer,
        auth=_KEY, query=OrderHistoryQuery,
    ),
    Endpoint(
        POST, "/net/order", net.order, Weight(3, budget=_TRADING), "Change the net position in an asset",
        OrderPending | OrderFilled,
        auth=_KEY, fast=True,
        body=NetOrderBody, example='{"asset": "SOL", "side": "buy", "quantity": "1.5"}',
        errors=(*_ORDERS, Reject.REDUCE_ONLY_REJECTED, Reject.AMOUNT_TOO_SMALL),
    ),
    Endpoint(
        POST, "/net/leverage", net.set_leverage, Weight(3, budget=_TRADING),
        "Set the leverage of net positions in an asset", NetLeverageAnswer,
        auth=_KEY, body=NetLeverageBody, example='{"asset": "SOL", "leverage": 5}',
        errors=(
            Reject.PRICE_UNAVAILABLE, Reject.AMOUNT_OUT_OF_RANGE, Reject.WOULD_LIQUIDATE, Reject.POSITION_LIMIT,
            Reject.INSUFFICIENT_MARGIN,
        ),
    ),
    Endpoint(
        GET, "/net", net.list_all, Weight(1, 16, "positions told"), "Net positions and their leverage", NetAnswer,
        auth=_KEY, fast=True, query=OpenOrdersQuery,
    ),
    Endpoint(
        POST, "/trade/quote", quote.of_trade, Weight(2), "What an order would come to", QuoteAnswer,
        auth=_KEY, body=TradeQuoteBody, example=f"{{{_ORDER}}}",
    ),
    Endpoint(
        POST, "/net/quote", quote.of_net, Weight(2), "What a net order would come to", QuoteAnswer,
        auth=_KEY, body=NetOrderBody, example='{"asset": "SOL", "side": "buy", "quantity": "1.5"}',
    ),
    Endpoint(
        GET, "/trade", trades.one, Weight(3), "One trade, open or ended, by an id", TradeAnswer,
        auth=_KEY, query=OneQuery, errors=(Reject.TRADE_NOT_FOUND,),
    ),
    Endpoint(
        GET, "/trade/open", trades.list_open, Weight(1, 16, "trades told"), "Open trades", OpenTradesAnswer,
        auth=_KEY, fast=True, query=OpenTradesQuery,
    ),
    Endpoint(
        GET, "/trade/history", trades.history, Weight(3, 5, "of `limit`"), "All trades, open and ended", HistoryAnswer,
        auth=_KEY, has_csv=True, query=HistoryQuery,
    ),
    Endpoint(
        GET, "/balance", account.balance, Weight(1), "Free balances", dict[str, AssetBalance],
        auth=_KEY, fast=True,
    ),
    Endpoint(GET, "/balance/usd", account.balance_usd, Weight(1), "Free balance in USDC", UsdBalance, auth=_KEY),
    Endpoint(
        GET, "/account", account.account, Weight(1, 64, "open trades"), "The account", AccountAnswer, auth=_KEY
    ),
    Endpoint(
        GET, "/account/statement", statement.statement, Weight(3, 5, "of `limit`"), "What moved the free balance",
        StatementAnswer,
        auth=_KEY, has_csv=True, query=StatementQuery,
    ),
    Endpoint(
        GET, "/account/equity", statement.equity, Weight(10, 5, "of `limit`"), "What the account was worth",
        EquityAnswer,
        auth=_KEY, query=EquityQuery, errors=("range_too_large",),
    ),
    Endpoint(
        GET, "/leaderboard", leaderboard.leaderboard, Weight(4),
        "Who has gained most, under names that tell nobody's", LeaderboardAnswer,
        auth=_KEY, query=LeaderboardQuery, errors=("leaderboard_off",),
    ),
    Endpoint(GET, "/time", market.time, Weight(1), "What time it is, on the exchange and on its machine", TimeAnswer),
    Endpoint(GET, "/supportedAssets", market.supported_assets, Weight(1), "What can be traded", SupportedAssets),
    Endpoint(GET, "/rates", rates.rates, Weight(3), "What trading costs, and where each figure is from", RatesAnswer),
    Endpoint(GET, "/prices", market.prices, Weight(1), "Every price", dict[str, PriceAnswer], fast=True),
    Endpoint(GET, "/prices/{asset}", market.price, Weight(1), "One price", PriceAnswer, errors=("not_found",)),
    Endpoint(
        GET, "/ticker", market.ticker, Weight(3), "What prices did within 24 hours", TickersAnswer,
        query=OpenOrdersQuery,
    ),
    Endpoint(
        GET, "/klines", market.klines, Weight(3, 8, "of `limit`"), "Candles", list[KlineRow],
        has_csv=True, query=KlinesQuery, errors=BUSY[:1],
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
