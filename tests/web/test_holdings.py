"""web/v1/holdings.py: an account at one moment. What closing would pay is what closing pays."""

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from exness.core.instruments import Execution
from exness.core.money import format_scaled, format_usdc
from exness.core.views import HoldingsOf
from exness.web.v1 import holdings as module
from exness.web.v1.holdings import rows_of, totals_of
from tests.support.app import App, Trader, running_app
from tests.support.books import BTC, ETH, SOL, make_rules, tick
from tests.support.books import SOL as ASSET
from tests.support.waiting import until
from tests.web.streams import listening

LIVE = {SOL: 200, ETH: 3000, BTC: 100_000}


# --- the figure that promises money is the money -------------------------------------------------------------------


@pytest.mark.parametrize("execution", list(Execution))
@pytest.mark.parametrize("seed", range(6))
async def test_what_closing_would_pay_is_what_closing_pays(execution: Execution, seed: int) -> None:
    """Any asset, side, leverage, margin and book: gains, losses, and losses of everything."""
    dice = random.Random(seed)
    async with running_app(rules=make_rules(execution=execution), initial_balance="100000") as app:
        await app.quote_all()
        (ann,) = await app.known("ann")
        for _ in range(25):
            await ann.try_create(
                asset=dice.choice(list(LIVE)),
                type=dice.choice(("long", "short")),
                margin=format_usdc(dice.choice((1, 999_999, dice.randrange(1, 10**9)))),
                leverage=dice.choice((1, "1.01", 7, "40.99", 100)),
            )
        for asset, usual in LIVE.items():
            decimals = app.exchange.rules.instruments[asset].decimals
            bid = round(usual * dice.uniform(0.97, 1.03) * 10**decimals)
            ask = bid + dice.randrange(0, max(1, bid // 50))
            await app.quote(asset, format_scaled(bid, decimals), format_scaled(ask, decimals))
        rows, account = await ann.open_trades(), (await ann.get("/account")).body
        assert len(rows) > 3
        promised = {row["orderId"]: row["closePnl"] for row in rows}
        paid = {order: (await ann.close(order))["pnl"] for order in promised}
        assert paid == promised
        total = sum(Decimal(pnl) for pnl in paid.values())
        assert Decimal(account["closePnl"]) == total
        locked = sum(Decimal(row["margin"]) for row in rows)
        assert Decimal(ann.free) == Decimal(account["balance"]) + locked + total


async def test_at_the_touch_the_pnl_at_the_mark_and_that_of_a_close_stand_beside_each_other() -> None:
    async with running_app(rules=make_rules(execution=Execution.TOUCH)) as app:
        await app.quote(SOL, "99.5", "100.5")
        (ann,) = await app.known("ann")
        trade = await ann.create(margin=100, leverage=10)
        (row,) = await ann.open_trades()
        account = (await ann.get("/account")).body
        for shown in (row, account):
            assert (shown["unrealizedPnl"], shown["closePnl"], shown["stale"]) == ("-4.975125", "-9.950249", False)
        assert account["equity"] == "4995.024875"
        assert (await ann.close(trade["orderId"]))["pnl"] == "-9.950249"


async def test_at_the_mid_both_are_the_same(app: App, ann: Trader) -> None:
    await ann.create(margin=100, leverage=10)
    await app.quote(SOL, "200", "204")
    (row,) = await ann.open_trades()
    assert row["closePnl"] == row["unrealizedPnl"] == "10.000000"


async def test_what_can_not_be_closed_pays_nothing_that_could_be_named(app: App, ann: Trader) -> None:
    """An old price can still be looked at; a suspect one can still be closed at; where there is none, there is none."""
    await ann.create(margin=100, leverage=10)
    await app.quote(SOL, "202")
    trade = await ann.create(asset="BTC", margin=50, leverage=2)

    async def shown() -> tuple[Any, ...]:
        account = (await ann.get("/account")).body
        rows = [(row["unrealizedPnl"], row["closePnl"], row["stale"]) for row in await ann.open_trades()]
        return *rows, (account["unrealizedPnl"], account["closePnl"], account["stale"])

    live = [("10.000000", "10.000000", False), ("0.000000", "0.000000", False), ("10.000000", "10.000000", False)]
    assert [*await shown()] == live
    app.sequencer.tick(msgspec.structs.replace(tick(SOL, "202"), suspect=True))
    app.sequencer.tick(tick(BTC, "100000"))
    await until(lambda: (price := app.state.price(SOL)) and price.suspect, pause_s=0)
    assert [*await shown()] == live
    app.clock.advance(20)
    await app.quote(BTC, "100000")
    app.clock.advance(11)
    first, second, account = await shown()
    assert first == ("10.000000", None, True)
    assert second == ("0.000000", "0.000000", False)
    assert account == ("10.000000", None, True)
    await ann.close(trade["orderId"])
    (first, account) = await shown()
    assert (first, account) == (("10.000000", None, True), ("10.000000", None, True))


async def test_a_row_that_is_kept_is_what_would_be_written_now(app: App, ann: Trader) -> None:
    """Prices that move and stand, a trailing stop that follows, margin that is added, a price that grows old."""
    trade = await ann.create(margin=100, leverage=10, trailingStop={"percent": 250})
    await ann.create(margin=50, leverage=2)
    shown = []
    for price in ("200", "200", "204", "204", "203", "203.5", "200"):
        await app.quote(SOL, price)
        kept = await ann.open_trades()
        assert await ann.open_trades() == kept
        module._written.cache_clear()
        assert await ann.open_trades() == kept
        shown.append((kept[0]["markPrice"], kept[0]["trailingStop"]["level"]))
    assert shown[1:4] == [("200.000000", "195.000000"), ("204.000000", "198.900000"), ("204.000000", "198.900000")]
    await ann.post("/trade/margin", {"orderId": trade["orderId"], "amount": "5"})
    app.clock.advance(31)
    grown = await ann.open_trades()
    assert (grown[0]["margin"], grown[0]["stale"]) == ("105.000000", True)
    module._written.cache_clear()
    assert await ann.open_trades() == grown


async def test_31_seconds_after_its_last_price_an_account_says_that_its_equity_is_of_an_old_price(
    app: App, ann: Trader
) -> None:
    await ann.create()
    app.clock.advance(31)
    account = (await ann.get("/account")).body
    assert (account["stale"], account["equity"], account["closePnl"]) == (True, "5000.000000", None)
    await app.quote(SOL, "200")
    assert (await ann.get("/account")).body["stale"] is False


async def test_an_account_without_open_trades_is_never_stale() -> None:
    async with running_app() as app:
        account = (await app.trader("ann").get("/account")).body
        assert (account["stale"], account["closePnl"], account["equity"]) == (False, "0.000000", "5000.000000")


# --- one moment, in pieces ----------------------------------------------------------------------------------------


class Turns:
    """Counts the turns that the loop has while something is awaited; `each` is called at every one."""

    def __init__(self) -> None:
        self.count = 0
        self.each: Callable[[], object] = lambda: None

    async def of(self, awaited: Any) -> Any:
        counting = asyncio.create_task(self._count())
        try:
            return await awaited
        finally:
            counting.cancel()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.count += 1
            self.each()


async def opened(ann: Trader, count: int) -> None:
    for first in range(0, count, 100):
        await asyncio.gather(*(ann.create(margin=1, leverage=2) for _ in range(min(100, count - first))))


async def test_very_many_rows_let_the_loop_turn(app: App, ann: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_TURN", 10)
    await opened(ann, 100)
    holdings, turns = app.exchange.look(HoldingsOf(ann.account.id)), Turns()
    rows = await turns.of(rows_of(holdings, holdings.trades, app.exchange.rules))
    assert len(rows) == 100
    assert turns.count >= 8  # of ten, but for the first, when nobody counts yet
    turns = Turns()
    await turns.of(totals_of(holdings))
    assert turns.count >= 8


async def test_rows_are_of_one_moment_though_prices_move_and_trades_end_between_them(
    app: App, ann: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_TURN", 1)
    await opened(ann, 30)
    holdings, turns = app.exchange.look(HoldingsOf(ann.account.id)), Turns()
    prices = iter(range(201, 10_000))
    ids = list(ann.account.trades)
    closing: list[asyncio.Task[Any]] = []

    def meanwhile() -> None:
        app.sequencer.tick(tick(ASSET, str(next(prices))))
        if len(closing) < len(ids):
            closing.append(asyncio.create_task(ann.close(ids[len(closing)])))

    turns.each = meanwhile
    written = await turns.of(rows_of(holdings, holdings.trades, app.exchange.rules))
    rows = [msgspec.json.decode(row) for row in written]
    totals = await totals_of(holdings)
    assert turns.count >= 28
    assert [row["orderId"] for row in rows] == ids
    assert {(row["markPrice"], row["unrealizedPnl"]) for row in rows} == {("200.000000", "0.000000")}
    assert (totals.unrealized, holdings.owner.locked) == (0, 30_000_000)
    await asyncio.gather(*closing)


async def test_a_snapshot_of_trades_in_pieces_is_followed_by_every_event_once(
    app: App, ann: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trades open and close between the pieces: those events come after the snapshot, which knows nothing of them."""
    monkeypatch.setattr(module, "ROWS_PER_TURN", 1)
    await opened(ann, 40)
    before = set(ann.account.trades)
    async with listening(app, ann) as client:
        await client.say("subscribe", channels=["trades", "account"])
        changing = [asyncio.create_task(ann.close(order)) for order in list(before)[:20]]
        changing += [asyncio.create_task(ann.create(margin=1, leverage=2)) for _ in range(20)]
        await asyncio.gather(*changing)
        await client.say("ping")
        await client.until(lambda each: each["type"] == "pong")
        (trades,) = [each for each in client.frames if (each["channel"], each["type"]) == ("trades", "snapshot")]
        (account,) = [each for each in client.frames if (each["channel"], each["type"]) == ("account", "snapshot")]
        assert trades["seq"] == account["seq"]
        known = {row["orderId"] for row in trades["data"]}
        assert account["data"]["openTrades"] == len(known)
        seqs = []
        for event in client.told("trades"):
            assert client.frames.index(event) > client.frames.index(trades)
            seqs.append(event["seq"])
            (known.add if event["type"] == "opened" else known.remove)(event["data"]["orderId"])
        assert seqs == sorted(set(seqs))
        assert min(seqs) > trades["seq"]
        assert known == set(ann.account.trades)


# --- a page -------------------------------------------------------------------------------------------------------


async def test_open_trades_come_in_pages_when_they_are_asked_for_and_else_whole(app: App, ann: Trader) -> None:
    for asset in ("SOL", "BTC", "SOL", "ETH", "SOL"):
        await ann.create(asset=asset, margin=1)
    whole = (await ann.get("/trade/open")).body
    assert whole.keys() == {"success", "data"}
    every = whole["data"]
    sol = [row for row in every if row["asset"] == "SOL"]
    for query, wanted, (total, limit, offset, more) in (
        ("limit=2", every[:2], (5, 2, 0, True)),
        ("limit=2&offset=2", every[2:4], (5, 2, 2, True)),
        ("limit=2&offset=4", every[4:], (5, 2, 4, False)),
        ("limit=5", every, (5, 5, 0, False)),
        ("limit=1000", every, (5, 1000, 0, False)),
        ("offset=1", every[1:], (5, 1000, 1, False)),
        ("offset=5", [], (5, 1000, 5, False)),
        ("offset=1000000000000", [], (5, 1000, 10**12, False)),
        ("asset=SOL&limit=2", sol[:2], (3, 2, 0, True)),
        ("asset=SOL&limit=2&offset=2", sol[2:], (3, 2, 2, False)),
    ):
        page = await ann.get(f"/trade/open?{query}")
        assert page.body == {
            "success": True,
            "data": wanted,
            "pagination": {"total": total, "limit": limit, "offset": offset, "hasMore": more},
        }, query


@pytest.mark.parametrize(
    ("name", "values", "most"),
    [
        ("limit", ["0", "-1", "1001", "x", "", "1.0", "1e2", "9" * 30], 1000),
        ("offset", ["-1", "1000000000001", "x", "", "0.5"], 10**12),
    ],
)
async def test_a_page_that_is_none_is_refused_and_says_what_is_allowed(
    app: App, ann: Trader, name: str, values: list[str], most: int
) -> None:
    least = 1 if name == "limit" else 0
    for value in values:
        refused = await ann.get(f"/trade/open?{name}={value}")
        assert (refused.status, refused.code) == (400, "invalid_request"), value
        message = f"{name} must be a whole number from {least} to {most}"
        assert refused.details == [{"field": name, "message": message}]
