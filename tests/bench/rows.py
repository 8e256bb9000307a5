"""The table: every figure, what it is held against in the same run, and the reach it is judged by.

Reach is what a very good design should get on two shared cores: a yardstick, by which no run fails.
"""

import statistics
from typing import NamedTuple

from tests.bench.figures import Figure

_SAID = {"ratio": "x", "measured": "", "added": " more"}


class Reach(NamedTuple):
    """`of` says what is judged: `ratio` (to the baseline), or in the figure's unit what was `measured` or is `added` to
    the baseline."""

    of: str
    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        sign, bound = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{sign} {bound:,.10g}{_SAID[self.of]}"


class Row(NamedTuple):
    """`group` is what `--only` names: rows that are measured together."""

    name: str
    group: str
    title: str
    against: str = ""
    reach: tuple[Reach, ...] = ()
    less_is_better: bool = False


def _at_least(bound: float, of: str = "ratio") -> tuple[Reach, ...]:
    return (Reach(of, at_least=bound),)


def _at_most(bound: float, of: str = "ratio") -> tuple[Reach, ...]:
    return (Reach(of, at_most=bound),)


_AIOHTTP = "aiohttp, same body"
_ALWAYS = (
    Row("trades.1.p50", "trades", "the same, p50, 1 connection", "commit + no-op", _at_most(1.3), True),
    Row("trades.tables", "trades", "the tables behind the journal meanwhile, p99", "", _at_most(250, "measured"), True),
    *(
        row
        for name, path in (("balance", "/balance"), ("open", "/trade/open, 10 trades"), ("prices", "/prices"))
        for row in (
            Row(f"reads.{name}.rate", "reads", f"GET {path}", _AIOHTTP, _at_least(0.8)),
            Row(f"reads.{name}.p99", "reads", "the same, p99", _AIOHTTP, (), True),
            Row(f"reads.{name}.cpu", "reads", "the same, processor time a request", _AIOHTTP, (), True),
        )
    ),
    Row(
        "before.cpu",
        "before",
        "create+close, 64 connections: cpu",
        "an earlier commit",
        _at_most(1.05),
        True,
    ),
    Row("rates.speed", "rates", "the same with rates and two exits, speed", "without", _at_least(0.85)),
    Row("spread.journal", "spread", "journal on PostgreSQL, batches of 100", "SQLite", _at_least(0.45)),
    Row("spread.http", "spread", "create+close on PostgreSQL, 64 connections", "on SQLite", _at_least(0.6)),
    Row("spread.cpu", "spread", "the same, processor time a request", "on SQLite", (), True),
    Row("spread.roles", "spread", "server, engine, processor: create+close, 64", "one process", _at_least(0.35)),
    Row("spread.one", "spread", "the same, one connection: p50", "one process, SQLite", _at_most(5), True),
    Row("spread.engine_us", "spread", "engine's processor time a request", "", _at_most(30, "measured"), True),
    Row("spread.server_us", "spread", "server's processor time a request", "one process, SQLite", (), True),
    Row("spread.link_us", "spread", "of it, the wire's", "", _at_most(12, "measured"), True),
    Row("spread.behind_ms", "spread", "processor behind the journal, p99", "", _at_most(500, "measured"), True),
    Row("spread.engine_killed", "spread", "silence after kill -9 of the engine", "", _at_most(1, "measured"), True),
    Row("spread.redis_killed", "spread", "the same of Redis", "", _at_most(2, "measured"), True),
    Row("spread.cut", "spread", "the same, all sessions of PostgreSQL cut", "", _at_most(1.5, "measured"), True),
    Row("engine.pairs", "engine", "engine: open+close pairs/s, one core", "", _at_least(60_000, "measured")),
    Row("feed", "feed", "feed: ticks/s, socket to checked, 3 assets", "received, decoded", _at_least(0.5)),
    Row("stream.p99", "stream", "tick to liquidation p99, HTTP saturated", "idle", _at_most(5), True),
    Row("stream.p99_ms", "stream", "tick to liquidation p99, HTTP saturated", "", _at_most(20, "measured"), True),
    Row("fapi.rate", "fapi", "Binance face: orders, signed, 64 connections", "through v1", _at_least(0.75)),
    Row(
        "tickers.p99_ms",
        "tickers",
        "Binance face: tick to bookTicker, p99",
        "",
        _at_most(25, "measured"),
        True,
    ),
    Row("reconnect.served", "reconnect", "all clients back after a restart", "", _at_most(3, "measured"), True),
    Row("reconnect.orders", "reconnect", "another one's orders meanwhile, p99", "", _at_most(50, "measured"), True),
    Row("cascade.durable", "cascade", "one price liquidates 200,000: durable", "the same alone", _at_most(1.5), True),
    Row("cascade.hold", "cascade", "the same, longest hold of the loop", "", _at_most(20, "measured"), True),
    Row(
        "funding.settled",
        "funding",
        "funding of 100,000 trades, durable",
        "as many deposits",
        _at_most(1.2),
        True,
    ),
    Row("funding.hold", "funding", "the same, longest hold of the loop", "", _at_most(20, "measured"), True),
    Row("recovery.snapshot", "recovery", "recovery from a snapshot", "decoding the bytes", _at_most(3), True),
    Row("recovery.replay", "recovery", "recovery by replay", "decoding the bytes", _at_most(3), True),
    Row("start.cold", "start", "serve from the wheel: command to ready", "", _at_most(1.2, "measured"), True),
    Row("memory.trade", "memory", "memory per open trade", "", _at_most(1000, "measured"), True),
    Row("memory.exits", "memory", "the same with two exits", "without", _at_most(400, "added"), True),
    Row("memory.account", "memory", "memory per idle account", "", _at_most(300, "measured"), True),
    Row("csv.rows", "csv", "CSV of 1,000,000 trades: rows/s"),
    Row("csv.hold", "csv", "the same, longest hold of the loop", "", _at_most(20, "measured"), True),
    Row("csv.memory", "csv", "the same, memory beyond before", "", _at_most(20, "measured"), True),
    Row("fixture.p50", "testing", "fixture `exchange` a test, p50", "", _at_most(50, "measured"), True),
    Row("fixture.p99", "testing", "the same, p99", "", _at_most(150, "measured"), True),
    Row("client", "testing", "a request of exness.client", "bare httpx", _at_most(1.2), True),
    Row("day.memory", "day", "24 h: memory at the end", "at half time", _at_most(1.02), True),
    Row("day.bytes", "day", "24 h: file growth per trade", "", (), True),
    Row("day.pairs", "day", "24 h: trades/s while compressed"),
)
_SIZED = {
    "trades.{}.rate": Row("", "trades", "durable create+close, {} connections", _AIOHTTP),
    "trades.{}.p99": Row("", "trades", "the same, p99, {} connections", _AIOHTTP, (), True),
    "trades.{}.cpu": Row("", "trades", "the same, processor time a request, {}", _AIOHTTP, (), True),
    "ticks.{}": Row("", "ticks", "tick liquidating none, {} open", "at the fewest open", (), True),
    "liquidations.{}": Row("", "ticks", "tick liquidating {} of the most", "as many closes", _at_most(1.2), True),
    "quiet.{}": Row("", "exits", "tick setting nothing off, {} with exits, orders", "at the fewest", (), True),
    "fired.{}": Row("", "exits", "tick setting off {} stop losses", "as many closes", _at_most(1.3), True),
    "stall.{}": Row("", "stall", "longest stall by a snapshot, {} open", "no snapshot", (), True),
}
_REACH_OF_SIZE = {
    "trades.64.rate": _at_least(0.7),
    "trades.64.p99": _at_most(2),
    "ticks.1000000": _at_most(1.5),
    "quiet.1000000": (Reach("ratio", at_most=2), Reach("measured", at_most=6_000)),
    "stall.100000": _at_most(5, "added"),
    "stall.1000000": _at_most(10, "added"),
}
"""Of those that are measured at several sizes, the ones that have a reach; the others show the way there."""

GROUPS = (
    "trades",
    "reads",
    "before",
    "rates",
    "spread",
    "engine",
    "ticks",
    "exits",
    "feed",
    "stream",
    "fapi",
    "tickers",
    "reconnect",
    "cascade",
    "funding",
    "stall",
    "recovery",
    "start",
    "memory",
    "day",
    "csv",
    "testing",
)
_BY_NAME = {row.name: row for row in _ALWAYS}


def row_of(name: str) -> Row:
    """The row of a figure. Raises KeyError when there is none."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    (size,) = [part for part in name.split(".") if part.isdigit()] or [""]
    row = _SIZED[name.replace(f".{size}", ".{}")]
    return row._replace(name=name, title=row.title.format(f"{int(size):,}"), reach=_REACH_OF_SIZE.get(name, row.reach))


def value_of(figure: Figure, of: str) -> float | None:
    if of == "added":
        added = [each.measured - each.baseline for each in figure.rounds if each.baseline is not None]
        return statistics.median(added) if added else None
    return figure.ratio if of == "ratio" else figure.measured


def judged(figure: Figure) -> bool | None:
    """Whether the reach is met; None where there is none, no value, or a doubtful one."""
    row = row_of(figure.name)
    if figure.doubtful:
        return None
    values = [(reach, value_of(figure, reach.of)) for reach in row.reach]
    if not values or any(value is None for _, value in values):
        return None
    return all(reach.met(value) for reach, value in values if value is not None)


def change(figure: Figure, before: Figure | None) -> float | None:
    """Against an earlier run: `0.1` is a tenth more, of the ratio where there is one, else of the measured value."""
    if before is None:
        return None
    of = "ratio" if figure.ratio is not None else "measured"
    now, then = value_of(figure, of), value_of(before, of)
    return now / then - 1 if now is not None and then else None
