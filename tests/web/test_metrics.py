"""GET /metrics: every figure is what happened, and only those who may see it do."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exness.app.build import file_sizes
from exness.core.capture import digest_of
from exness.core.commands import AddExit, Command, PayInsurance, PlaceOrder, SetExits
from exness.core.instruments import OrderId, TradeId
from exness.core.outcomes import Done
from exness.core.rates import Rates
from exness.core.trades import Kind, Trailing
from exness.observability.metrics import Metrics, RequestMeter, Watched
from exness.runtime.meters import LoopWatch
from exness.runtime.recovery import Recovered
from exness.runtime.snapshots import Snapshotter
from exness.web.http.client_ip import ClientIps
from tests.support.app import API, App, Stores, assert_error, running_app
from tests.support.books import LONG, SOL, make_rules, price_of, usdc

LOOPBACK = (ip_network("127.0.0.0/8"),)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@asynccontextmanager
async def measured_app(networks: Any = LOOPBACK, **options: Any) -> AsyncIterator[App]:
    """An app whose /metrics is there, as `app.make_metrics` has it."""
    requests, stores = RequestMeter(), Stores.memory()
    options = {"client_ips": ClientIps(metrics_networks=networks), **options}
    async with running_app(stores, requests=requests, **options) as app:
        snapshotter = Snapshotter(app.state, app.writer, stores.snapshots, 60.0, 0)
        recovered = Recovered(app.state, 0, 7, 0.25, digest_of(app.state), [])
        watched = Watched(
            exchange=app.exchange,
            snapshotter=snapshotter,
            recovered=recovered,
            loop=LoopWatch(),
            requests=requests,
            connections=app.connections,
            security=app.services.security_log.counters,
            files=lambda: {"main.db": 4096},
            queues={"mail": (lambda: 3, 1000)},
            counters={"mails": {"sent": 2}},
            dropped_lines={"log": {"queue_full": 4}},
        )
        object.__setattr__(app.services, "metrics", Metrics(watched))

        yield app


def test_a_log_that_vanishes_while_it_is_looked_at_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("main.db", "main.db-wal", "auth.db", "secret"):
        (tmp_path / name).write_bytes(b"12345")
    glob = Path.glob

    def listed_then_gone(path: Path, pattern: str) -> list[Path]:
        found = list(glob(path, pattern))
        (tmp_path / "main.db-wal").unlink()
        return found

    monkeypatch.setattr(Path, "glob", listed_then_gone)
    assert file_sizes(tmp_path) == {"auth.db": 5, "main.db": 5}
    assert not (tmp_path / "main.db-wal").exists()
    monkeypatch.undo()
    assert file_sizes(tmp_path / "nothing") == {}


async def test_what_waits_for_a_price_is_counted_by_kind_and_what_it_reserves_and_costs_is_told() -> None:
    rates = {SOL: Rates(taker=1_000_000)}
    rules = msgspec.structs.replace(make_rules(), rates=rates)
    async with measured_app(rules=rules) as app:
        await app.quote(SOL, "200")
        ann = app.trader("ann")
        opened = await ann.create(margin="100", leverage="1")
        account = app.state.by_email["ann@example.com"]
        low, high = price_of(SOL, "150"), price_of(SOL, "250")
        trade = TradeId(opened["orderId"])
        trail = Trailing(distance=low)
        asked: list[Command] = [
            PlaceOrder(account, OrderId("a"), SOL, LONG, usdc("10"), 100, limit=low),
            PlaceOrder(account, OrderId("b"), SOL, LONG, usdc("10"), 100, stop=high),
            PlaceOrder(account, OrderId("c"), SOL, LONG, usdc("10"), 100, stop=high, limit=high),
            SetExits(account, trade, take_profit=high, stop_loss=low, trailing_stop=trail),
            AddExit(account, trade, OrderId("d"), Kind.LIMIT, high, percent=5000),
            PayInsurance(usdc("7")),
        ]
        for command in asked:
            assert isinstance(await app.exchange.do(command), Done)
        samples = await scrape(app)
    assert {kind: value(samples, "orders_waiting", kind=kind) for kind in ("limit", "stop")} == {"limit": 1, "stop": 2}
    exits = {kind: value(samples, "exits_waiting", kind=kind) for kind in ("limit", "stop_loss", "trailing_stop")}
    assert exits == {"limit": 1, "stop_loss": 1, "trailing_stop": 1}
    assert value(samples, "exits_waiting", kind="take_profit") == 1
    sums = ("free", "locked", "reserved", "house_pnl", "house_commission", "house_funding", "house_insurance")
    told = {name: value(samples, "books_usdc", sum=name) for name in sums}
    expected = dict(zip(sums, (4868.7, 100, 30.3, 0, 1, 0, 7), strict=True))
    assert told == pytest.approx(expected)
    assert sum(told.values()) == pytest.approx(value(samples, "books_usdc", sum="deposits"))


async def scrape(app: App) -> Samples:
    assert app.http is not None
    async with app.http.get(app.url + "/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        text = await response.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"exness_{name}", frozenset(labels.items())]


async def test_trades_show_in_events_books_and_exposure() -> None:
    async with measured_app() as app:
        await app.quote_all()
        ann = app.trader("ann")
        await ann.create(margin="100", leverage=10)
        short = await ann.create(type="short", margin="30", leverage=10)
        samples = await scrape(app)
        assert value(samples, "open_trades") == 2
        assert value(samples, "open_interest_usdc", asset="SOL") == 1300
        assert value(samples, "exposure_usdc", asset="SOL") == 700
        assert value(samples, "events_total", kind="trade_opened", reason="") == 2
        assert value(samples, "books_usdc", sum="locked") == 130
        assert value(samples, "journal_seq") == app.state.seq
        await ann.close(short["orderId"])
        await app.quote(SOL, "150")
        samples = await scrape(app)
        assert value(samples, "events_total", kind="trade_closed", reason="user") == 1
        assert value(samples, "events_total", kind="trade_closed", reason="liquidation") == 1
        assert value(samples, "books_usdc", sum="house_pnl") == 100
        assert value(samples, "shortfall_usdc_total") == 150
        assert value(samples, "exposure_usdc", asset="SOL") == 0


async def test_requests_are_counted_by_route_and_status_and_never_by_address() -> None:
    async with measured_app() as app:
        await app.quote_all()
        ann = app.trader("ann")
        await ann.create()
        await ann.try_create(margin="0")
        await app.request("GET", "/prices/SOL")
        await app.request("GET", "/nowhere/at/all")
        await app.request("DELETE", "/prices")
        samples = await scrape(app)
        counted = {
            tuple(sorted(dict(labels).items())) for name, labels in samples if name.endswith("request_seconds_count")
        }
        assert {tuple(label for _, label in labels) for labels in counted} == {
            ("POST", f"{API}/trade/create", "200"),
            ("POST", f"{API}/trade/create", "400"),
            ("GET", f"{API}/prices/{{asset}}", "200"),
            ("GET", "none", "404"),
            ("DELETE", "none", "405"),
        }
        seconds = value(samples, "request_seconds_sum", method="POST", route=f"{API}/trade/create", status="200")
        assert seconds > 0


async def test_queues_prices_and_latencies_are_there() -> None:
    async with measured_app() as app:
        await app.quote(SOL, "200")
        await app.trader("ann").create()
        samples = await scrape(app)
        assert value(samples, "queue_bound", queue="inbox") == 10_000
        assert value(samples, "queue_depth", queue="mail") == 3
        assert value(samples, "mails_total", reason="sent") == 2
        assert value(samples, "log_lines_dropped_total", reason="queue_full") == 4
        assert value(samples, "price_state", asset="SOL", state="live") == 1
        assert value(samples, "price_state", asset="ETH", state="down") == 1
        assert value(samples, "mark_price", asset="SOL") == 200
        assert value(samples, "decide_seconds_count") == 2, "the account and the trade"
        assert value(samples, "ack_seconds_count") == 2
        assert value(samples, "commit_records_sum") == 2
        assert value(samples, "file_bytes", file="main.db") == 4096
        assert value(samples, "recovery_replayed_records") == 7


@pytest.mark.parametrize("networks", [(), (ip_network("10.0.0.0/8"),), (ip_network("::1/128"),)])
async def test_whoever_may_not_read_them_finds_nothing(networks: Any) -> None:
    async with measured_app(networks) as app:
        assert_error(await app.request("GET", "/metrics"), 404, "not_found")


async def test_two_scrapes_at_once_both_get_an_answer() -> None:
    async with measured_app() as app:
        first, second = sorted(await asyncio.gather(scrape(app), scrape(app)), key=len)
        assert value(first, "recovery_replayed_records") == value(second, "recovery_replayed_records") == 7
        assert first.keys() <= second.keys()
        more = [dict(labels)["route"] for _, labels in second.keys() - first.keys()]
        assert set(more) <= {"/metrics"}, "one may have been made when the other was counted"


async def test_every_metric_of_the_dashboard_is_there() -> None:
    dashboard = json.loads((Path(__file__).parents[2] / "docs" / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    named = {name for expression in asked for name in re.findall(r"\b(?:exness|process)_\w+", expression)}
    assert len(named) > 25
    async with measured_app() as app:
        await app.quote_all()
        await app.trader("ann").create()
        await app.get("/balance")  # turned away
        app.exchange.feed.counters["ticks"] += 1
        known = {name for name, _ in await scrape(app)}
    assert named <= known
