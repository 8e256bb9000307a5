"""Dev control's endpoints, one row each. Where it is off there is nothing at these paths."""

from exness.core.rejects import Reject
from exness.web.dev import faults, handlers, rates
from exness.web.dev.faults import FaultsAnswer, FaultsBody
from exness.web.dev.models import (
    BooksAnswer,
    ClockAnswer,
    ClockBody,
    ClockSetAnswer,
    DepositAnswer,
    DepositBody,
    PriceBody,
    PriceSetAnswer,
    ResetAnswer,
    ScriptAnswer,
    ScriptBody,
    SessionAnswer,
)
from exness.web.http.endpoint import BUSY, GET, POST, PUT, Auth, Endpoint
from exness.web.http.weights import Budget, Weight
from exness.web.v1.models import EmailBody
from exness.web.v1.rates import RatesAnswer

_TRADING = Budget.TRADE
_DEV = Auth.DEV

ENDPOINTS = (
    Endpoint(
        PUT, "/dev/prices/{asset}", handlers.set_price, Weight(3, budget=_TRADING),
        "Dev control: set a price", PriceSetAnswer,
        auth=_DEV, body=PriceBody, example='{"mid": "180.25"}', errors=("not_found", "not_manual"),
    ),
    Endpoint(
        POST, "/dev/prices/script", handlers.run_script, Weight(3, budget=_TRADING),
        "Dev control: set prices as the clock comes to them", ScriptAnswer,
        auth=_DEV, body=ScriptBody, example='{"prices": [{"offset": 1.5, "asset": "SOL", "price": "180.25"}]}',
        errors=("not_manual",),
    ),
    Endpoint(
        GET, "/dev/clock", handlers.get_clock, Weight(1, budget=_TRADING),
        "Dev control: the exchange's time", ClockAnswer,
        auth=_DEV, errors=("not_manual",),
    ),
    Endpoint(
        POST, "/dev/clock", handlers.set_clock, Weight(3, budget=_TRADING),
        "Dev control: pause, resume, speed up or step the exchange's time", ClockSetAnswer,
        auth=_DEV, body=ClockBody, example='{"paused": true, "step": 31}', errors=("not_manual",),
    ),
    Endpoint(
        POST, "/dev/deposit", handlers.deposit, Weight(4, budget=_TRADING),
        "Dev control: pay money into an account", DepositAnswer,
        auth=_DEV, body=DepositBody, example='{"email": "you@example.com", "amount": 1000}',
        errors=(Reject.AMOUNT_OUT_OF_RANGE, Reject.ACCOUNT_NOT_FOUND, *BUSY),
    ),
    Endpoint(
        POST, "/dev/session", handlers.sign_in, Weight(15, budget=_TRADING),
        "Dev control: sign in without a mail: a cookie, or a token for clients that accept JSON", SessionAnswer,
        auth=_DEV, body=EmailBody, example='{"email": "you@example.com"}', errors=("unauthorized", *BUSY),
    ),
    Endpoint(
        GET, "/dev/books", handlers.books, Weight(1, budget=_TRADING),
        "Dev control: the sums over all accounts", BooksAnswer,
        auth=_DEV,
    ),
    Endpoint(
        PUT, "/dev/faults", faults.set_faults, Weight(3, budget=_TRADING),
        "Dev control: what goes wrong on request", FaultsAnswer,
        auth=_DEV, body=FaultsBody,
        example='{"rules": [{"on": "POST /api/v1/trade/create", "do": "cut_after", "share": 0.2, "seed": 1}]}',
    ),
    Endpoint(
        GET, "/dev/faults", faults.get_faults, Weight(1, budget=_TRADING),
        "Dev control: the rules by which something goes wrong, and how often each has struck", FaultsAnswer,
        auth=_DEV,
    ),
    Endpoint(
        POST, "/dev/reset", handlers.reset, Weight(3, budget=_TRADING),
        "Dev control: forget every account, trade, price and fault", ResetAnswer,
        auth=_DEV, errors=BUSY,
    ),
    Endpoint(
        PUT, "/dev/rates/{asset}", rates.set_rates, Weight(3, budget=_TRADING),
        "Dev control: change rates of an asset", rates.AssetRatesAnswer,
        auth=_DEV, body=rates.RatesBody, example='{"taker": "0.0005", "maintenance": "0.0125"}',
        errors=("not_found", *BUSY),
    ),
    Endpoint(
        PUT, "/dev/profile", rates.set_profile, Weight(3, budget=_TRADING),
        "Dev control: take over the rates of a venue", RatesAnswer,
        auth=_DEV, body=rates.ProfileBody, example='{"profile": "binance"}', errors=BUSY,
    ),
    Endpoint(
        GET, "/dev/house", rates.house, Weight(1, budget=_TRADING),
        "Dev control: the accounts of the house", rates.HouseAnswer,
        auth=_DEV, errors=BUSY,
    ),
)  # fmt: skip
"""Below the prefix of our dialect."""
