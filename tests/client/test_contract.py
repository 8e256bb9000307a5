"""client/answers, errors.py and client/calls say what the server says: the same endpoints, fields and codes."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from exness.client import AsyncClient, Client, answers, calls
from exness.client.errors import BY_CODE
from exness.core.rates import Tier
from exness.web.app import endpoints_of
from exness.web.dev import faults
from exness.web.dev import models as dev
from exness.web.dev import rates as dev_rates
from exness.web.docs.asyncapi import FRAMES
from exness.web.http.faults import RuleCount
from exness.web.stream.protocol import CONTROL, STREAM_ERRORS, ClockData, StreamError
from exness.web.v1 import account_frames, health, key_models, order_models, rates, sessions, statement, trade_models
from exness.web.v1 import models as v1
from exness.web.v1.errors import ERRORS
from tests.support.app import API, ENDPOINTS

PAIRS: list[tuple[type[msgspec.Struct], type[msgspec.Struct]]] = [
    (answers.TradeCreated, trade_models.TradeCreated),
    (answers.TradeCreated, trade_models.OpenedData),
    (answers.TradeClosed, trade_models.TradeClosedAnswer),
    (answers.AllClosed, trade_models.AllClosedAnswer),
    (answers.NotClosed, trade_models.NotClosed),
    (answers.HistoryTrade, trade_models.TradeAnswer),
    (answers.TheOrder, order_models.OrderAnswer),
    (answers.Time, v1.TimeAnswer),
    (answers.Ticker, v1.TickerRow),
    (answers.Tickers, v1.TickersAnswer),
    (answers.Trade, trade_models.TradeShown),
    (answers.Trailed, trade_models.Trailed),
    (answers.Warned, trade_models.Warned),
    (answers.Line, trade_models.LineShown),
    (answers.Remaining, trade_models.Remaining),
    (answers.ExitsSet, trade_models.ExitsAnswer),
    (answers.MarginChanged, trade_models.MarginAnswer),
    (answers.OpenOrder, order_models.OrderRow),
    (answers.OpenOrder, order_models.ExitAdded),
    (answers.OpenOrders, order_models.OpenOrdersAnswer),
    (answers.HistoryOrder, order_models.OrderHistoryRow),
    (answers.OrderHistory, order_models.OrderHistoryAnswer),
    (answers.OrderPending, order_models.OrderPending),
    (answers.OrderOpened, order_models.OrderOpened),
    (answers.OrderFilled, order_models.OrderFilled),
    (answers.OrderCancelled, order_models.OrderCancelled),
    (answers.OrdersCancelled, order_models.OrdersCancelled),
    (answers.NetPosition, order_models.NetRow),
    (answers.NetPositions, order_models.NetAnswer),
    (answers.NetLeverageSet, order_models.NetLeverageAnswer),
    (answers.Quote, order_models.QuoteAnswer),
    (answers.QuoteRefusal, order_models.QuoteRefusal),
    (answers.StatementRow, statement.StatementRow),
    (answers.Statement, statement.StatementAnswer),
    (answers.EquityRow, statement.EquityRow),
    (answers.Equity, statement.EquityAnswer),
    (answers.Rates, rates.RatesAnswer),
    (answers.Sourced, rates.Shown),
    (answers.AssetRatesSet, dev_rates.AssetRatesAnswer),
    (answers.House, dev_rates.HouseAnswer),
    (answers.OpenTrade, trade_models.OpenTradeRow),
    (answers.OpenTrades, trade_models.OpenTradesAnswer),
    (answers.Pagination, v1.Pagination),
    (answers.HistoryTrade, trade_models.HistoryRow),
    (answers.Analytics, trade_models.AnalyticsAnswer),
    (answers.History, trade_models.HistoryAnswer),
    (answers.AssetBalance, v1.AssetBalance),
    (answers.UsdBalance, v1.UsdBalance),
    (answers.Account, v1.AccountAnswer),
    (answers.SupportedAsset, v1.SupportedAsset),
    (answers.SupportedAssets, v1.SupportedAssets),
    (answers.Price, v1.PriceAnswer),
    (answers.Kline, v1.KlineRow),
    (answers.Message, v1.MessageAnswer),
    (answers.SignedIn, v1.SignedInAnswer),
    (answers.Ranked, v1.LeaderboardRow),
    (answers.Leaderboard, v1.LeaderboardAnswer),
    (answers.LiveSession, sessions.SessionRow),
    (answers.LiveSessions, sessions.SessionsAnswer),
    (answers.Key, key_models.KeyRow),
    (answers.KeyCreated, key_models.KeyCreated),
    (answers.Keys, key_models.KeysAnswer),
    (answers.KeyRevoked, key_models.KeyRevoked),
    (answers.Health, health.Health),
    (answers.Readiness, health.Readiness),
    (answers.PriceSet, dev.PriceSetAnswer),
    (answers.ScriptSet, dev.ScriptAnswer),
    (answers.Clock, dev.ClockAnswer),
    (answers.Clock, ClockData),
    (answers.ClockSet, dev.ClockSetAnswer),
    (answers.Deposited, dev.DepositAnswer),
    (answers.Books, dev.BooksAnswer),
    (answers.Faults, faults.FaultsAnswer),
    (answers.FaultRule, RuleCount),
    (answers.Reset, dev.ResetAnswer),
    (answers.TradeEnded, account_frames.LiquidatedData),
    (answers.TradeReduced, account_frames.ReducedData),
    (answers.TradeIncreased, account_frames.IncreasedData),
    (answers.TradeChanged, account_frames.ChangedData),
    (answers.OrderTriggered, account_frames.OrderTriggeredData),
    (answers.OrderEnded, account_frames.OrderEndedData),
    (answers.AccountState, account_frames.BalanceData),
]


def fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)} - {"success"}


def may_be_missing(kind: type[msgspec.Struct]) -> set[str]:
    """Fields that the server leaves out, or null."""
    return {
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if UnsetType in getattr(field.type, "__args__", ()) or type(None) in getattr(field.type, "__args__", ())
    }


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda kind: kind.__name__)
def test_an_answer_has_the_fields_of_the_servers_struct(
    ours: type[msgspec.Struct], theirs: type[msgspec.Struct]
) -> None:
    assert fields(ours) == fields(theirs)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda kind: kind.__name__)
def test_what_may_be_null_or_left_out_may_be_none(ours: type[msgspec.Struct], theirs: type[msgspec.Struct]) -> None:
    optional = {
        field.encode_name
        for field in msgspec.structs.fields(ours)
        if type(None) in getattr(field.type, "__args__", ()) or field.default not in (msgspec.NODEFAULT, UNSET)
    }
    assert may_be_missing(theirs) <= optional


def test_every_struct_is_held_against_one_of_the_server() -> None:
    own = {kind for _, kind in inspect.getmembers(answers, inspect.isclass) if issubclass(kind, answers.Answer)}
    objects = {answers.AssetRates, answers.Tier}
    assert own - {answers.Answer} == {ours for ours, _ in PAIRS} - {answers.FaultRule} | objects


def test_an_asset_has_the_rates_that_the_server_tells() -> None:
    assert fields(answers.AssetRates) == set(rates.KEYS.values())
    assert fields(answers.Tier) == rates._tier(Tier(0, 0)).keys()


def test_an_answer_that_has_a_state_says_which() -> None:
    states = {}
    for ours, theirs in PAIRS:
        config, server = ours.__struct_config__, theirs.__struct_config__
        assert (config.tag_field, config.tag) == (server.tag_field, server.tag)
        if config.tag is not None:
            states[ours.__name__] = config.tag
            assert vars(ours)["status"] == config.tag
    assert states == {"OrderPending": "pending", "OrderOpened": "open", "OrderFilled": "filled"}


def test_money_and_prices_are_decimals_and_no_answer_has_a_float_for_them() -> None:
    floats = [
        f"{ours.__name__}.{name}"
        for ours in {ours for ours, _ in PAIRS}
        for name, hint in get_type_hints(ours).items()
        if hint is float or float in getattr(hint, "__args__", ())
    ]
    assert sorted(floats) == ["FaultRule.delay_s", "FaultRule.share", "HistoryTrade.duration_seconds"]
    assert get_type_hints(answers.TradeCreated)["margin"] is Decimal


def test_everything_that_streams_tell_is_read_as_what_it_is() -> None:
    told = {("".join(frame.channel.partition(".")[:2]), frame.type) for frame in FRAMES if frame.channel != CONTROL}
    assert set(answers.DATA) == told


def test_every_error_code_has_its_exception_and_no_other_has() -> None:
    codes = {str(code) for code in [*ERRORS, *STREAM_ERRORS]}
    assert set(BY_CODE) == codes - {StreamError.RESUME_IMPOSSIBLE.value}


# --- endpoints ----------------------------------------------------------------------------------------------------

NOT_CALLED = {
    ("GET", f"{API}/stream"),
    ("GET", "/metrics"),
    ("GET", "/"),
    ("GET", "/openapi.json"),
    ("GET", "/asyncapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/{file}"),
    ("GET", "/terminal/{release}/{file}"),
}
"""The stream has a class of its own; the others are for people, browsers and Prometheus."""
SAMPLES: dict[str, Any] = {
    "asset": "SOL",
    "type": "long",
    "margin": 1,
    "leverage": 1,
    "order_id": "1",
    "interval": "1m",
    "email": "a@b.ch",
    "token": "t",
    "prices": [],
    "amount": 1,
    "rules": [],
    "mid": 1,
    "step": 1,
    "kind": "limit",
    "price": 1,
    "side": "buy",
    "quantity": 1,
    "profile": "",
    "name": "bot",
    "key": "k",
    "session_id": "s",
}


def functions() -> dict[str, Callable[..., calls.Call[Any]]]:
    """Every function of client/calls that makes a call."""
    return {
        name: function
        for name, function in inspect.getmembers(calls, inspect.isfunction)
        if function.__module__.startswith(calls.__name__) and name in calls.__all__
    }


def called(function: Callable[..., calls.Call[Any]]) -> calls.Call[Any]:
    return function(**{name: SAMPLES[name] for name in inspect.signature(function).parameters if name in SAMPLES})


def test_every_endpoint_is_called_and_nothing_else_is() -> None:
    asked = set()
    for function in functions().values():
        call = called(function)
        row = ENDPOINTS.row_of(call.method, call.path.partition("?")[0])
        assert row is not None, f"{call.method} {call.path}"
        asked.add(row.key)
    assert asked == set(endpoints_of(dev=True).weights) - NOT_CALLED


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_a_client_has_a_method_for_every_call_under_its_name(client: type) -> None:
    methods = {name: inspect.getattr_static(client, name, None) for name in functions()}
    assert {name for name, method in methods.items() if getattr(method, "_call", None) != functions()[name]} == set()


def test_the_documentation_lists_every_method() -> None:
    section = (Path(__file__).parents[2] / "docs/TESTING.md").read_text().partition("## The client")[2]
    listed = {name for row in re.findall(r"^\| .* \|$", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert listed == set(functions())


def test_what_would_be_done_twice_is_not_asked_again() -> None:
    once = {name for name, function in functions().items() if not called(function).again}
    assert once == {"signin_post", "create_api_key", "dev_deposit", "dev_script", "dev_set_clock"}
    assert calls.dev_set_clock(paused=True).again


# --- imports ------------------------------------------------------------------------------------------------------


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_client_loads_no_server_and_no_database() -> None:
    assert loaded("exness.client") & {"aiohttp", "aiosqlite", "sqlite3", "uvloop", "structlog", "exness.app"} == set()


def test_the_plugin_loads_nothing_beside_pytest_before_a_fixture_is_asked_for() -> None:
    heavy = {"httpx", "websockets", "msgspec", "tenacity", "exness.client", "exness.testing", "exness.core"}
    assert loaded("exness.pytest_plugin") & heavy == set()
