"""GET /metrics: what the running exchange can tell of itself, in Prometheus' text form.

Everything is counted where it happens, in plain numbers (`runtime.meters`), and becomes metrics only here, when
somebody asks, in a thread: neither an order nor the loop pays for being watched. Names end in their unit. Money is in
USDC as a float, for the eye: nothing is ever calculated with it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from aiohttp.hdrs import METH_ALL
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from exness.core.instruments import LEVERAGE_UNIT
from exness.core.money import USDC_UNIT
from exness.core.prices import PriceState
from exness.core.sums import AllBooks, AllWaiting, Books, WaitingByKind
from exness.core.views import AllPrices, Prices
from exness.observability.forms import PREFIX, buckets, counted, counter, gauge, histogram, plain, total
from exness.runtime.exchange import Exchange
from exness.runtime.meters import Histogram, LoopWatch
from exness.runtime.recovery import Recovered
from exness.runtime.snapshots import SnapshotStats
from exness.runtime.vitals import Vitals

OTHER = "OTHER"
UNROUTED = "none"
"""The route of a request for which there is none."""


class RequestMeter:
    """Requests by route and status: how many, and how long each took until its answer was ready."""

    def __init__(self) -> None:
        self.histograms: dict[tuple[str, str, int], Histogram] = {}

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """A method that HTTP does not know counts as OTHER: whoever makes some up fills no memory."""
        figures = self.histograms.get((method, route, status))
        if figures is None:
            method = method if method in METH_ALL else OTHER
            figures = self.histograms.setdefault((method, route, status), Histogram())
        figures.note(seconds)


class HasStats(Protocol):
    """Who takes snapshots, or tells that none are taken here."""

    @property
    def stats(self) -> SnapshotStats: ...


@dataclass(frozen=True)
class Watched:
    """What is told of beside the exchange itself. `files` gives bytes by file name; `queues` (waiting, bound) and
    `counters` (by reason) are of parts that the routes do not know; `dropped_lines` (by reason) of what the process
    says, by stream."""

    exchange: Exchange
    snapshotter: HasStats
    recovered: Recovered
    loop: LoopWatch
    requests: RequestMeter
    connections: Callable[[], int]
    security: Mapping[str, int]
    files: Callable[[], Mapping[str, int]]
    queues: Mapping[str, tuple[Callable[[], int], int]] = field(default_factory=dict)
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dropped_lines: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Metrics:
    """The endpoint. Who may read it is said in `web.v1.health`: its figures are of all users together."""

    def __init__(self, watched: Watched) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._exchange = _Exchange(watched)
        self._registry.register(self._exchange)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def watch_stream(
        self, subscribers: Callable[[], int], frames: Callable[[], int], closed: Mapping[str, int]
    ) -> None:
        """Tell of the stream as well: its open connections, the frames made, those ended by close code."""
        self._registry.register(_Stream(subscribers, frames, closed))

    async def answer(self) -> web.Response:
        """The metrics as they are now."""
        async with self._one_at_a_time:
            self._exchange.look()
            text = await asyncio.to_thread(generate_latest, self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Stream(Collector):
    def __init__(self, subscribers: Callable[[], int], frames: Callable[[], int], closed: Mapping[str, int]) -> None:
        self._subscribers = subscribers
        self._frames = frames
        self._closed = closed

    def collect(self) -> Iterator[Metric]:
        yield plain("stream_readers", "Open connections of the stream", self._subscribers())
        yield total("stream_frames", "Frames made: one for each message, however many listen", self._frames())
        yield counted("stream_closed", "Connections of the stream that we ended, by close code", self._closed)


class _Exchange(Collector):
    """What was there when it last looked, and the parts' own counters."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self.look()

    def look(self) -> None:
        """In the loop, where nothing is half done; what is seen becomes text in a thread."""
        exchange = self._watched.exchange
        self._vitals = exchange.vitals()
        self._books, self._prices = exchange.look(AllBooks()), exchange.look(AllPrices())
        self._waiting = exchange.look(AllWaiting())

    def collect(self) -> Iterator[Metric]:
        watched = self._watched
        yield from _queues(watched, self._vitals)
        yield from _requests(watched)
        yield from _engine(self._vitals)
        yield from _writer(watched, self._vitals)
        yield from _told_prices(watched.exchange, self._prices)
        yield from _told_books(self._books)
        yield from _told_waiting(self._waiting)
        yield from _snapshots(watched)
        yield from _loop(watched.loop)


def _queues(watched: Watched, vitals: Vitals) -> Iterator[Metric]:
    depth = gauge("queue_depth", "Entries that wait, by queue", "queue")
    bound = gauge("queue_bound", "Entries a queue holds at most", "queue")
    known = vitals.queues | {name: (waiting(), most) for name, (waiting, most) in watched.queues.items()}
    for name, (waiting, most) in known.items():
        depth.add_metric([name], waiting)
        bound.add_metric([name], most)
    depth.add_metric(["ticks"], vitals.ticks_waiting)
    yield depth
    yield bound
    shed = counter("queue_shed", "Entries refused or dropped because a queue was full, by queue", "queue")
    for name, count in vitals.shed.items():
        shed.add_metric([name], count)
    yield shed
    for name, counts in watched.counters.items():
        yield counted(name, f"{name.replace('_', ' ').capitalize()}, by what became of them", counts)
    for name, dropped in watched.dropped_lines.items():
        yield counted(f"{name}_lines_dropped", f"Lines of the {name} that nobody took, by why", dropped)


def _requests(watched: Watched) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        f"{PREFIX}request_seconds",
        "From a request's head until its answer was ready",
        labels=["method", "route", "status"],
    )
    for (method, route, status), figures in list(watched.requests.histograms.items()):
        seconds.add_metric([method, route, str(status)], buckets(figures), figures.total)
    yield seconds
    yield plain("connections", "Open connections", watched.connections())
    yield counted("door", "Sign-ins, and requests turned away", watched.security)


def _engine(vitals: Vitals) -> Iterator[Metric]:
    yield histogram("decide_seconds", "Deciding one request", vitals.decide_s)
    yield histogram("ack_seconds", "From a decision until it is on disk", vitals.ack_s)
    yield total("ticks_checked", "Price ticks the engine has checked", vitals.ticks_checked)
    yield total("watchers_failed", "Ticks that candles or stream missed because of a bug", vitals.watchers_failed)


def _writer(watched: Watched, vitals: Vitals) -> Iterator[Metric]:
    yield histogram("commit_seconds", "One commit of the journal", vitals.commit_s)
    yield histogram("commit_records", "Journal records in one commit", vitals.commit_records)
    yield plain("commit_stuck_seconds", "How long the commit under way has taken", vitals.stuck_s)
    events = counter("events", "Journal records on disk since the start, by kind and reason", "kind", "reason")
    for (kind, reason), count in list(vitals.events.items()):
        events.add_metric([str(kind.__struct_config__.tag), reason], count)
    yield events
    yield plain("journal_seq", "Newest journal record on disk", vitals.durable_seq)
    behind_s = vitals.tables_behind_s
    yield histogram("tables_behind_seconds", "From a commit until its records are in the tables", behind_s)
    yield plain("tables_seq", "Newest journal record in the tables", vitals.tables_seq)
    yield total("tables_failed", "Writes of the tables that failed and were tried again", vitals.tables_failed)
    files = gauge("file_bytes", "Size of the data directory's databases", "file")
    for name, size in watched.files().items():
        files.add_metric([name], size)
    yield files


def _told_prices(exchange: Exchange, prices: Prices) -> Iterator[Metric]:
    feed = exchange.feed
    yield plain("feed_connected", "1 when there is a way to the source of prices", int(feed.connected))
    yield counted("feed_messages", "Messages of the price feed, by what became of them", feed.counters)
    state_of = GaugeMetricFamily(f"{PREFIX}price_state", "1 for the state an asset's price is in", labels=_BY_STATE)
    age = gauge("price_age_seconds", "Age of an asset's latest accepted price", "asset")
    mark = gauge("mark_price", "An asset's latest accepted mark, in USDC", "asset")
    for asset, quote in prices.quotes.items():
        price = quote.price
        for state in PriceState:
            state_of.add_metric([asset, state.value], int(state is quote.state))
        if price is not None:
            age.add_metric([asset], max(0, prices.at - price.at) / 1_000_000)
            mark.add_metric([asset], price.mark / 10 ** exchange.rules.instruments[asset].decimals)
    yield from (state_of, age, mark)


_BY_STATE = ["asset", "state"]


def _told_books(books: Books) -> Iterator[Metric]:
    yield plain("accounts", "Accounts", books.accounts)
    yield plain("open_trades", "Open trades", books.open_trades)
    money = gauge("books_usdc", "Sums over all accounts: deposits are the sum of all others", "sum")
    for name, micro in (
        ("free", books.free),
        ("locked", books.locked),
        ("reserved", books.reserved),
        ("house_pnl", books.house_pnl),
        ("house_commission", books.commission),
        ("house_funding", books.funding),
        ("house_insurance", books.insurance),
        ("deposits", books.deposits),
    ):
        money.add_metric([name], micro / USDC_UNIT)
    yield money
    yield total("shortfall_usdc", "Losses beyond margins that no insurance covered", books.shortfall / USDC_UNIT)
    interest = gauge("open_interest_usdc", "Notional of open trades", "asset")
    exposure = gauge("exposure_usdc", "Notional of longs less that of shorts", "asset")
    for asset, market in books.markets.items():
        interest.add_metric([asset], market.open_interest / LEVERAGE_UNIT / USDC_UNIT)
        exposure.add_metric([asset], market.exposure / LEVERAGE_UNIT / USDC_UNIT)
    yield from (interest, exposure)


def _told_waiting(waiting: WaitingByKind) -> Iterator[Metric]:
    for name, what, kinds in (
        ("orders_waiting", "Orders that wait to open, by kind", waiting.orders),
        ("exits_waiting", "Exits that wait to close, by kind", waiting.exits),
    ):
        family = gauge(name, what, "kind")
        for kind, count in kinds.items():
            family.add_metric([kind.value], count)
        yield family


def _snapshots(watched: Watched) -> Iterator[Metric]:
    stats, recovered = watched.snapshotter.stats, watched.recovered
    yield total("snapshots", "Snapshots taken", stats.taken)
    yield total("snapshots_failed", "Snapshots that failed", stats.failed)
    yield plain("snapshot_seconds", "What the latest snapshot took", stats.seconds)
    yield plain("snapshot_longest_step_seconds", "The longest it held the loop at a time", stats.longest_step_s)
    yield plain("snapshot_bytes", "Size of the latest snapshot, as stored", stats.stored_bytes)
    yield plain("recovery_seconds", "What the recovery at start took", recovered.seconds)
    yield plain("recovery_replayed_records", "Journal records replayed at start", recovered.replayed)


def _loop(loop: LoopWatch) -> Iterator[Metric]:
    yield histogram("loop_lag_seconds", "How late the loop comes to what is due", loop.lags)
    yield plain("loop_lag_longest_seconds", "The longest lag since this was last asked", loop.take_longest())
