"""GET /leaderboard: who has gained most, for everybody who is signed in, and nobody's mail address."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from exness.access.pseudonyms import Pseudonyms
from exness.core.commands import Deposit, Reset
from exness.core.instruments import AccountId, TradeId
from exness.runtime.bus import FellBehind
from exness.runtime.exchange import Exchange
from exness.runtime.inbox import NotTaken
from exness.runtime.leaderboard import HOUR_US, Leaderboard
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.tables import ClosedTrade, History
from exness.runtime.ranking import Period
from exness.web.v1 import leaderboard as shown
from exness.web.v1.format import iso
from tests.support.app import SECRET, App, Stores, Trader, assert_error, bad, running_app
from tests.support.books import SOL
from tests.support.waiting import until

NAMES = Pseudonyms(SECRET)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are worked out for every request, and hours looked at all the time."""
    monkeypatch.setattr(shown, "KEPT_S", 0.0)
    monkeypatch.setattr("exness.runtime.leaderboard.LOOK_S", 0.01)


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with running_app(ranked=3, revocations_look_s=0.0) as app:
        await app.quote_all()
        await made(app)
        yield app


def board_of(app: App) -> Leaderboard:
    assert app.services.leaderboard is not None
    return app.services.leaderboard.board


async def made(app: App) -> None:
    await until(board_of(app).ready.is_set, "for the leaderboard to be made")


async def followed(app: App) -> None:
    """Until every durable record is in it."""
    await app.exchange.all_on_disk()
    await until(lambda: board_of(app)._after >= app.exchange.durable_seq, "for the leaderboard to follow")


async def gains(app: App, trader: Trader, percent: int) -> None:
    """A trade of 100 at 10x from 200, closed so many percent higher: 10 a percent."""
    await app.quote(SOL, "200")
    trade = await trader.create(margin=100, leverage=10)
    await app.quote(SOL, str(200 + 2 * percent))
    await trader.close(trade["orderId"])
    await followed(app)


async def ranking(trader: Trader, query: str = "") -> dict[str, Any]:
    answer = await trader.get(f"/leaderboard{query}")
    assert answer.status == 200, answer
    return answer.body


def row(rank: int, trader: Trader, profit: str, roi: str, trades: int = 1) -> dict[str, Any]:
    name = NAMES.of(trader.account.id)
    return {"rank": rank, "name": name, "profit": profit, "roi": roi, "trades": trades}


async def test_accounts_are_ranked_by_what_their_closed_trades_have_realized(app: App) -> None:
    ann, bob, carl = await app.known("ann", "bob", "carl")
    await gains(app, ann, 1)
    await gains(app, bob, 5)
    await gains(app, ann, 2)
    await gains(app, carl, -1)
    await ann.create(margin=100)  # what is open counts for nothing
    first, second = row(1, bob, "50.000000", "0.010000"), row(2, ann, "30.000000", "0.006000", 2)
    third = row(3, carl, "-10.000000", "-0.002000")
    everybody = [first, second, third]
    whole = {"success": True, "period": "all", "since": None, "accounts": 3, "data": everybody}
    assert await ranking(ann) == whole | {"own": second}
    assert await ranking(carl, "?limit=1") == whole | {"data": [first], "own": third}
    hour = app.clock.now // HOUR_US
    for period, hours in (("24h", 24), ("7d", 168)):
        since = iso((hour - hours) * HOUR_US)
        assert await ranking(bob, f"?period={period}") == whole | {"period": period, "since": since, "own": first}


async def test_a_part_counts_once_its_trade_has_ended(app: App) -> None:
    (ann,) = await app.known("ann")
    trade = await ann.create(margin=100, leverage=10)
    await app.quote(SOL, "202")
    await ann.post("/trade/close", {"orderId": trade["orderId"], "percent": 5000})
    await followed(app)
    assert (await ranking(ann))["data"] == []
    await app.quote(SOL, "204")
    await ann.close(trade["orderId"])
    await followed(app)
    assert (await ranking(ann))["data"] == [row(1, ann, "15.000000", "0.003000")]
    assert (await ann.get("/trade/history")).body["analytics"]["totalPnl"] == "15.000000"


async def test_a_liquidation_counts_and_who_has_closed_nothing_has_no_rank(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    await ann.create(margin=100, leverage=10)
    await app.quote(SOL, "100")
    await followed(app)
    body = await ranking(bob)
    assert (body["data"], body["own"]) == ([row(1, ann, "-100.000000", "-0.020000")], None)


async def test_no_more_are_shown_than_configured_and_everyone_sees_their_own_rank(app: App) -> None:
    traders = await app.known(*"abcde")
    for percent, trader in enumerate(traders):
        await gains(app, trader, percent)
    body = await ranking(traders[0])
    assert [each["rank"] for each in body["data"]] == [1, 2, 3]
    assert (body["accounts"], body["own"]) == (5, row(5, traders[0], "0.000000", "0.000000"))
    assert len((await ranking(traders[0], "?limit=100"))["data"]) == 3


async def test_what_closed_longer_ago_leaves_the_day_and_then_the_week(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    await gains(app, ann, 3)
    app.clock.advance(25 * 3600)
    await gains(app, bob, 1)
    board, theirs = board_of(app), row(1, bob, "10.000000", "0.002000")
    await until(lambda: board.accounts(Period.DAY) == 1, "for the hours to pass")
    assert (await ranking(ann, "?period=24h"))["data"] == [theirs]
    assert (await ranking(ann, "?period=24h"))["own"] is None
    assert len((await ranking(ann, "?period=7d"))["data"]) == 2
    app.clock.advance(169 * 3600)
    await until(lambda: board.accounts(Period.WEEK) == 0, "for the week to pass")
    assert len((await ranking(ann))["data"]) == 2


async def test_the_return_is_on_all_deposits(app: App) -> None:
    (ann,) = await app.known("ann")
    await gains(app, ann, 5)
    await app.exchange.do(Deposit(ann.account.id, 5_000 * 10**6))
    await app.exchange.in_tables(app.state.seq)
    assert (await ranking(ann))["data"] == [row(1, ann, "50.000000", "0.005000")]


async def test_nobodys_address_and_id_are_in_it(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    await gains(app, ann, 1)
    answer = await bob.get("/leaderboard")
    assert ann.email.encode() not in answer.raw
    assert ann.account.id.encode() not in answer.raw
    assert NAMES.of(ann.account.id) == Pseudonyms(SECRET).of(ann.account.id)
    assert NAMES.of(ann.account.id) != Pseudonyms(b"x" * 32).of(ann.account.id)
    assert len({NAMES.of(AccountId(str(number))) for number in range(1000)}) == 1000


async def test_a_reset_begins_it_anew(app: App) -> None:
    (ann,) = await app.known("ann")
    await gains(app, ann, 1)
    await app.exchange.do(Reset())
    await app.quote_all()
    await followed(app)
    (ann,) = await app.known("ann")
    assert (await ranking(ann))["data"] == []
    await gains(app, ann, 2)
    assert (await ranking(ann))["data"] == [row(1, ann, "20.000000", "0.004000")]


async def test_it_outlives_a_restart(tmp_path: Path) -> None:
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, ranked=3) as app:
        await app.quote_all()
        await made(app)
        ann, bob = await app.known("ann", "bob")
        await gains(app, ann, 1)
        app.clock.advance(30 * 3600)
        await gains(app, bob, 5)
        await until(lambda: board_of(app).accounts(Period.DAY) == 1, "for the hours to pass")
        queries = ("", "?period=24h", "?period=7d")
        before = [await ranking(bob, query) for query in queries]
        clock = app.clock
    async with Stores.sqlite(tmp_path) as stores, running_app(stores, ranked=3, clock=clock) as app:
        await made(app)
        bob.app = app
        assert [await ranking(bob, query) for query in queries] == before
        assert [body["accounts"] for body in before] == [2, 1, 2]


# --- while it is made, and when it can't be -------------------------------------------------------------------------


class Held:
    """A History whose pages of closed trades wait, or fail."""

    def __init__(self, inner: History) -> None:
        self.inner = inner
        self.failures = 0
        self.pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def closed_trades(self, after: TradeId, limit: int) -> tuple[list[ClosedTrade], TradeId | None]:
        self.pages += 1
        if self.failures:
            self.failures -= 1
            raise StorageError("it can't be read")
        return await self.inner.closed_trades(after, 2)


async def test_trades_are_read_a_page_at_a_time_and_none_is_counted_twice() -> None:
    """Trading goes on meanwhile, and one page can't be read at first."""
    stores = Stores.memory()
    async with running_app(stores, ranked=3) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        for trader in (ann, bob, ann, ann, bob):
            await made(app)
            await gains(app, trader, 1)
        held = Held(stores.history)
        held.failures = 1
        app.exchange._history = held
        again = Leaderboard(app.exchange, 3)
        async with again.running():
            with pytest.raises(NotTaken):
                again.top(Period.ALL, 3)
            await gains(app, bob, 1)
            await until(lambda: again.ready.is_set() and again._after >= app.exchange.durable_seq)
            assert again.top(Period.ALL, 3) == board_of(app).top(Period.ALL, 3)
            assert [each.trades for each in again.top(Period.ALL, 3)] == [3, 3]
        assert held.pages >= 4


async def test_while_it_is_made_it_is_refused(app: App) -> None:
    (ann,) = await app.known("ann")
    board_of(app).ready.clear()
    assert_error(await ann.get("/leaderboard"), 503, "overloaded", retry=True)
    board_of(app).ready.set()
    assert (await ranking(ann))["data"] == []


async def test_who_falls_behind_goes_on_after_the_last_record(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    follow: Callable[[int], Any] = app.exchange.follow

    async def cut(after: int) -> Any:
        monkeypatch.setattr(app.exchange, "follow", follow)
        raise FellBehind
        yield

    (ann,) = await app.known("ann")
    monkeypatch.setattr(app.exchange, "follow", cut)
    again = Leaderboard(app.exchange, 3)
    async with again.running():
        await until(again.ready.is_set)
        await gains(app, ann, 1)
        await until(lambda: again._after >= app.exchange.durable_seq)
        assert [each.trades for each in again.top(Period.ALL, 3)] == [1]


# --- off, and asked wrongly -----------------------------------------------------------------------------------------


async def test_it_is_off_by_default_and_nothing_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exchange, "closed_trades", None)
    async with running_app() as app:
        (ann,) = await app.known("ann")
        assert_error(await ann.get("/leaderboard"), 404, "leaderboard_off", "This exchange has no leaderboard")


async def test_it_is_for_whoever_has_an_account(app: App) -> None:
    (ann,) = await app.known("ann")
    assert_error(await app.get("/leaderboard"), 401, "unauthorized")
    made_key = (await ann.post("/keys", {"name": "bot", "scopes": ["read"]})).body
    key = {"X-API-Key": made_key["key"], "X-API-Secret": made_key["secret"]}
    assert (await app.get("/leaderboard", headers=key)).status == 200


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("period=1h", "period", "period must be one of 24h, 7d, all"),
        ("limit=0", "limit", "limit must be between 1 and 100"),
        ("limit=101", "limit", "limit must be between 1 and 100"),
        ("sort=roi", "sort", "sort is not a known parameter"),
    ],
)
async def test_a_bad_query_is_told_what_is_wrong(app: App, query: str, field: str, message: str) -> None:
    (ann,) = await app.known("ann")
    refused = await ann.get(f"/leaderboard?{query}")
    assert_error(refused, 400, "invalid_request", details=bad(field, refused.message))
    assert refused.body["details"][0]["field"] == field
    assert message.split()[0] in refused.message


async def test_rows_are_worked_out_once_for_all_who_ask(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "KEPT_S", 3600.0)
    ann, bob = await app.known("ann", "bob")
    await gains(app, ann, 1)
    asked: list[list[AccountId]] = []
    deposited = app.exchange.deposited

    async def counted(accounts: list[AccountId]) -> dict[AccountId, int]:
        asked.append(accounts)
        return await deposited(accounts)

    monkeypatch.setattr(app.exchange, "deposited", counted)
    for _ in range(3):
        await ranking(bob)
    assert asked == [[ann.account.id]]
    assert (await ranking(ann))["own"] == row(1, ann, "10.000000", "0.002000"), "but one's own are of now"
