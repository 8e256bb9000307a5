"""The same rounds with all that can be asked: orders that wait, exits, trailing stops, parts, margin, net positions, at
rates that are settled every second, and half of the kills at such a moment.

Beside what the plain rounds check: whatever was acknowledged has waited on, or ended as it was answered; a trailing
stop has not moved back; the statement adds up to the free, the locked and the reserved money; and in the journal every
settlement is whole, so that each trade of its asset has paid or received once.
"""

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from exness.core.events import (
    Event,
    Record,
    TradeChanged,
    TradeClosed,
    TradeIncreased,
    TradeOpened,
    TradeReduced,
    Why,
)
from exness.core.instruments import Side
from exness.core.trades import Trade
from exness.storage.codec import decode
from exness.storage.files import JOURNAL_DB
from exness.storage.journal_rows import SELECT_RECORDS
from tests.crash.rounds import (
    MICRO,
    PAGE,
    REPEATED,
    Body,
    Failed,
    Rounds,
    User,
    compare,
    decimal,
    history_of,
    micro,
    told,
)
from tests.support.process import Server

LASTING = ("asset", "type", "leverage", "entryPrice", "createdAt")
"""What a trade keeps, whatever is paid or closed of it."""

REFUSALS = frozenset(
    (
        "insufficient_margin",
        "position_limit",
        "would_liquidate",
        "would_trigger",
        "stop_loss_on_fill",
        "amount_too_small",
        "margin_too_low",
        "reduce_only_rejected",
        "trade_already_closed",
        "order_already_ended",
    )
)
"""What may be answered at jumping prices; anything else is a failure."""

CALLS = {
    "/trade/create": 20,
    "/order/create": 20,
    "/trade/close": 12,
    "/order/cancel": 6,
    "/trade/exits": 10,
    "/trade/exit": 6,
    "/trade/margin": 6,
    "/net/order": 12,
}
"""What is asked, and how often."""


class Trader(User):
    """A user's own books, of everything."""

    def __init__(self, email: str, token: str) -> None:
        super().__init__(email, token)
        self.requests: dict[str, tuple[str, Body]] = {}
        """By client order id, of the calls that have one."""
        self.answers: dict[str, Body] = {}
        self.waiting: dict[str, Body] = {}
        """Answers of what was placed, by order id."""
        self.cancelled: set[str] = set()
        self.exits: dict[str, Body | None] = {}
        """Trailing stops as they were answered last, by trade. None while that is not known."""
        self.levels: dict[str, str] = {}
        """The last level seen of each of them."""
        self.busy: set[str] = set()
        """Trades whose exits are just being set: of two at once nobody could tell which came last."""


class OrderRounds(Rounds):
    env: ClassVar[Mapping[str, str]] = {
        "EXNESS_TRADING_EXECUTION": "touch",
        "EXNESS_RATES_TAKER": "0.0005",
        "EXNESS_RATES_MAKER": "0.0002",
        "EXNESS_RATES_MAINTENANCE": "0.005",
        "EXNESS_RATES_LIQUIDATION_FEE": "0.001",
        "EXNESS_RATES_RESIDUAL": "return",
        "EXNESS_RATES_INSURANCE": "1000",
        "EXNESS_RATES_FUNDING_INTERVAL_S": "1",
        "EXNESS_RATES_FUNDING_RATE": "0.0001",
    }
    mishaps = ("none", "none", "tables lost", "rebuild")  # the directory of an older version has no orders in it
    longest_s = 1.0

    def __init__(self, data_dir: Path, seed: int) -> None:
        super().__init__(data_dir, seed)
        self._settlements = Settlements()

    def _user(self, email: str, token: str) -> Trader:
        return Trader(email, token)

    def _seconds_to_live(self) -> float:
        """Half of them end within a settlement, or a moment before or after one."""
        if self._random.random() < 0.5:
            return super()._seconds_to_live()
        return 1.0 - time.time() % 1.0 + self._random.uniform(-0.005, 0.03)

    # --- load -----------------------------------------------------------------------------------------------------

    async def _ask_something(self, server: Server, user: User) -> None:
        assert isinstance(user, Trader)
        (path,) = self._random.choices(list(CALLS), list(CALLS.values()))
        trade = self._random.choice(user.open_orders) if user.open_orders else None
        match path:
            case "/trade/create" | "/order/create" | "/net/order":
                await self._ask(server, user, path, self._opening(path))
            case "/order/cancel" if user.waiting:
                order = self._random.choice(list(user.waiting))
                if await self._ask(server, user, path, {"orderId": order}, is_named=False):
                    user.cancelled.add(order)
            case "/trade/exits" if trade is not None and trade not in user.busy:
                await self._set_exits(server, user, trade)
            case "/trade/close" | "/trade/exit" | "/trade/margin" if trade is not None:
                await self._ask(server, user, path, {"orderId": trade} | self._of_a_trade(path))

    def _opening(self, path: str) -> Body:
        random = self._random
        symbol, mid = random.choice(list(self._prices.items()))
        asset = symbol.removesuffix("_USDC")
        if path == "/net/order":
            quantity = {"SOL": "0.4", "ETH": "0.02", "BTC": "0.001"}[asset]
            return {"asset": asset, "side": random.choice(("buy", "sell")), "quantity": quantity}
        body: Body = {
            "asset": asset,
            "type": random.choice(("long", "short")),
            "margin": decimal(random.randint(1 * MICRO, 20 * MICRO)),
            "leverage": random.choice((1, 2, 10, 40.99, 100)),
        }
        up = 1 if body["type"] == "long" else -1
        at = mid
        if path == "/order/create":
            at = mid + mid * random.choice((1, -1)) * random.choice((1, 20, 300)) // 10_000
            body["limitPrice" if (at < mid) == (up == 1) else "stopPrice"] = price_text(at)
        if random.random() < 0.4:
            body["takeProfit"] = price_text(at + up * at // 30)
            body["stopLoss"] = price_text(at - up * at // 30)
        if random.random() < 0.5:
            body["trailingStop"] = {"percent": random.choice((200, 500, 2_000))}
        return body

    def _of_a_trade(self, path: str) -> Body:
        random = self._random
        match path:
            case "/trade/close":
                return {"percent": random.choice((2_500, 9_000))} if random.random() < 0.5 else {}
            case "/trade/margin":
                return {"amount": random.choice(("1.5", "-0.5"))}
            case _:
                price = random.choice(list(self._prices.values()))
                price = price * random.choice((50, 102, 103, 97, 98, 200)) // 100
                kind = random.choice(("take_profit", "stop_loss", "limit"))
                return {"kind": kind, "price": price_text(price), "percent": random.choice((1_000, 6_000))}

    async def _set_exits(self, server: Server, user: Trader, trade: str) -> None:
        trailing = self._random.choice((None, {"percent": 300}, {"percent": 1_000}))
        user.busy.add(trade)
        user.exits[trade] = None
        user.levels.pop(trade, None)
        answer = await self._ask(server, user, "/trade/exits", {"orderId": trade, "trailingStop": trailing}, False)
        if answer is not None:
            user.exits[trade] = {"trailingStop": answer["trailingStop"]}
        user.busy.remove(trade)

    async def _ask(self, server: Server, user: Trader, path: str, body: Body, is_named: bool = True) -> Body | None:
        """What it was answered, None if it was refused. Every call that can be repeated has a name."""
        if is_named:
            self._number += 1
            body |= {"clientOrderId": f"c{self._number}"}
            user.requests[body["clientOrderId"]] = path, body
        answer = await server.post(path, user.token, body)
        if answer.status != 200:
            if answer.body["code"] not in REFUSALS:
                raise Failed("unexpected", f"{path} {body} was answered {answer.status} {answer.body}")
            return None
        self.counts[f"{path} acknowledged"] += 1
        if is_named:
            user.answers[body["clientOrderId"]] = answer.body
        self._note(user, path, answer.body)
        answered: Body = answer.body
        return answered

    def _note(self, user: Trader, path: str, answer: Body) -> None:
        if path == "/trade/create" or answer.get("status") == "open":
            user.created[answer["orderId"]] = answer
            user.open_orders.append(answer["orderId"])
        elif path == "/trade/exit" or answer.get("status") == "pending":
            user.waiting[answer["orderId"]] = answer
        elif path == "/trade/close" and answer["remaining"] is None:
            user.closed[answer["orderId"]] = answer

    # --- checks ---------------------------------------------------------------------------------------------------

    async def _verified(self) -> str:
        digest = await super()._verified()
        self._settlements.read(self._data_dir)
        self.counts["settlements"] = self._settlements.count
        self.counts["payments of funding"] = self._settlements.payments
        self.counts["killed with a settlement at the end of the journal"] += self._settlements.is_last
        return digest

    async def _check_user(self, server: Server, user: User) -> None:
        assert isinstance(user, Trader)
        trades = await history_of(server, user)
        ended = await _ended_orders(server, user)
        waiting: list[Body] = (await server.get("/order/open", user.token)).body["data"]
        _check_names(user, [*trades, *ended, *waiting])
        _check_trades(user, {row["orderId"]: row for row in trades})
        _check_orders(user, {row["orderId"]: row for row in (*ended, *waiting)})
        listed: list[Body] = (await server.get("/trade/open", user.token)).body["data"]
        if {row["orderId"] for row in listed} != {row["orderId"] for row in trades if row["status"] == "open"}:
            raise Failed("half-applied", f"{user.email}: the open trades are not those of the history")
        _check_trailing_stops(user, listed)
        await _check_statement(server, user, listed, waiting)
        await self._check_answers(server, user)
        self.counts["orders that wait after a kill"] += len(waiting)
        self.counts["trailing stops after a kill"] += sum(row["trailingStop"] is not None for row in listed)
        self.counts["closed for other reasons than their owner's"] = sum(
            row["status"] == "closed" and row["closeReason"] != "user" for row in trades
        )
        user.open_orders = [row["orderId"] for row in listed]
        user.waiting = {row["orderId"]: row for row in waiting}
        user.busy.clear()

    async def _check_answers(self, server: Server, user: Trader) -> None:
        """Asked again, what was answered is answered so again; what was not is answered now if it was done, else it is
        refused, for want of a price at the latest."""
        for name in list(user.requests)[-REPEATED:]:
            path, body = user.requests[name]
            answer = await server.post(path, user.token, body)
            self.counts["repeats"] += 1
            if name in user.answers:
                if answer.body != user.answers[name]:
                    raise Failed("changed", f"{path} {name} was answered {user.answers[name]}, now {answer.body}")
            elif answer.status == 200:
                self.counts["not answered, yet there"] += 1
                user.answers[name] = answer.body
                self._note(user, path, answer.body)
            elif answer.body["code"] not in REFUSALS | {"price_unavailable"}:
                raise Failed("unexpected", f"{path} {body}, asked again, was answered {answer.body}")


def price_text(micro_usdc: int) -> str:
    """With as many decimals as every asset has."""
    return decimal(micro_usdc)[:-2]


def _check_names(user: Trader, rows: Iterable[Body]) -> None:
    orders: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.get("clientOrderId") is not None:
            orders[row["clientOrderId"]].add(row["orderId"])
    for name, ids in orders.items():
        if name not in user.requests:
            raise Failed("unexpected", f"{name} was never asked for")
        if len(ids) > 1:
            raise Failed("duplicated", f"{name} was done {len(ids)} times")


def _check_trades(user: Trader, trades: dict[str, Body]) -> None:
    for order, created in user.created.items():
        if order not in trades:
            raise Failed("lost", f"a trade was answered {created}")
        compare(trades[order], created, *LASTING)
    for order, closed in user.closed.items():
        if trades[order]["status"] != "closed" or trades[order]["closeReason"] != closed["reason"]:
            raise Failed("lost", f"close of {order} was answered {closed}, now it is {trades[order]}")
        compare(trades[order], closed, "closePrice", "pnl", "closedAt")


def _check_orders(user: Trader, orders: dict[str, Body]) -> None:
    for order, placed in user.waiting.items():
        if order not in orders:
            raise Failed("lost", f"an order was answered {placed}")
        compare(orders[order], placed, "asset", "type", "kind", "leverage", "limitPrice", "stopPrice", "createdAt")
    for order in user.cancelled & orders.keys():
        if orders[order].get("status") != "cancelled":
            raise Failed("lost", f"the cancelled order {order} is now {orders[order]}")


def _check_trailing_stops(user: Trader, listed: list[Body]) -> None:
    for row in listed:
        order, trailing = row["orderId"], row["trailingStop"]
        level = None if trailing is None else trailing.pop("level")
        answered = user.exits.get(order)
        if answered is not None and answered["trailingStop"] != trailing:
            raise Failed("lost", f"exits of {order} were answered {answered}, now there is {trailing}")
        user.exits[order] = {"trailingStop": trailing}
        before = user.levels.get(order)
        if before is not None and level is not None:
            moved = micro(level) - micro(before)
            if (moved if row["type"] == "long" else -moved) < 0:
                raise Failed("changed", f"the trailing stop of {order} was at {before}, now {level}")
        if level is not None:
            user.levels[order] = level


async def _check_statement(server: Server, user: Trader, trades: list[Body], waiting: list[Body]) -> None:
    """All its rows add up to what there is, and that is what the trades and orders hold."""
    sums: Counter[str] = Counter()
    before = ""
    while rows := (await told(server, user, f"/account/statement?limit={PAGE}{before}"))["data"]:
        for row in rows:
            sums[row["reason"]] += micro(row["amount"])
        before = f"&before={rows[-1]['seq']}"
    account = (await server.get("/account", user.token)).body
    locked, reserved = (
        sum(micro(row[name]) for row in rows) for name, rows in (("margin", trades), ("reserved", waiting))
    )
    says = sum(sums.values()), -sums["margin"], -sums["reserve"]
    shows = tuple(micro(account[name]) for name in ("balance", "lockedMargin", "reserved"))
    if not says == shows == (says[0], locked, reserved):
        raise Failed("half-applied", f"{user.email} has {shows}, the statement says {sums}")


async def _ended_orders(server: Server, user: User) -> list[Body]:
    rows: list[Body] = []
    while True:
        body = await told(server, user, f"/order/history?limit={PAGE}&offset={len(rows)}")
        rows += body["data"]
        if not body["pagination"]["hasMore"]:
            return rows


class Settlements:
    """Reads a journal on, and holds every settlement in it against the trades that were open then."""

    def __init__(self) -> None:
        self.count = self.payments = self._seq = 0
        self.is_last = False
        """Whether the journal ends with one."""
        self._open: dict[str, dict[str, Trade]] = defaultdict(dict)
        """By asset and id, as the last record left them."""

    def read(self, data_dir: Path) -> None:
        paid: list[str] = []
        at, asset, mark = 0, "", 0
        for record in self._records(data_dir):
            payment = _payment(record)
            if paid and (payment is None or (record.at, payment.trade.asset) != (at, asset)):
                self._settled(asset, at, mark, paid)
                paid = []
            if payment is not None:
                at, asset, mark = record.at, payment.trade.asset, payment.price
                paid.append(payment.trade.id)
            self._follow(record.event)
        self.is_last = bool(paid)
        if paid:
            self._settled(asset, at, mark, paid)

    def _records(self, data_dir: Path) -> Iterator[Record]:
        with closing(sqlite3.connect(f"{(data_dir / JOURNAL_DB).as_uri()}?mode=ro", uri=True)) as journal:
            for row in journal.execute(SELECT_RECORDS, (self._seq, -1)):
                record = decode(row)
                self._seq = record.seq
                yield record

    def _follow(self, event: Event) -> None:
        match event:
            case TradeOpened() | TradeIncreased() | TradeReduced() | TradeChanged():
                self._open[event.trade.asset][event.trade.id] = event.trade
            case TradeClosed():
                del self._open[event.asset][event.trade_id]
            case _:
                pass

    def _settled(self, asset: str, at: int, mark: int, paid: list[str]) -> None:
        """Every trade has paid or received once, but for one whose receipt comes to nothing."""
        self.count += 1
        self.payments += len(paid)
        left_out = [trade for trade in self._open[asset].values() if trade.id not in paid and _moves(trade, mark)]
        if len(paid) != len(set(paid)) or left_out:
            raise Failed("half-applied", f"the settlement of {asset} at {at}: {paid} paid, and not {left_out}")


def _moves(trade: Trade, mark: int) -> bool:
    """Whether it pays or receives anything: a payment is rounded up, a receipt down."""
    notional = Fraction(trade.size * mark, trade.unit or 100 * trade.entry)
    return trade.side is Side.LONG or notional * Fraction(OrderRounds.env["EXNESS_RATES_FUNDING_RATE"]) >= 1


def _payment(record: Record) -> TradeChanged | None:
    event = record.event
    return event if isinstance(event, TradeChanged) and event.why is Why.FUNDING else None
