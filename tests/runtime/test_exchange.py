"""runtime/exchange.py: do, see, follow. What is seen can't be taken back, and what is followed comes once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from exness.core.commands import Deposit, PriceTick, Reset
from exness.core.instruments import AccountId
from exness.core.outcomes import Done
from exness.core.statement import Reason
from exness.core.sums import NewestRecord
from exness.core.views import AllPrices, BalanceOf
from exness.runtime.bus import FellBehind
from exness.runtime.candles import Interval
from exness.runtime.exchange import READS_AT_ONCE, Exchange
from exness.runtime.ports.journal import StorageError
from exness.runtime.ports.tables import StatementQuery, TradeQuery
from tests.support.app import App, running_app
from tests.support.books import SOL, close_trade, open_trade, tick, usdc
from tests.support.waiting import until


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with running_app() as app:
        await app.quote_all()
        yield app


async def pay_in(exchange: Exchange, account: AccountId, times: int = 1) -> None:
    for _ in range(times):
        assert isinstance(await exchange.do(Deposit(account, usdc("1")), "a test"), Done)


async def first(exchange: Exchange, after: int, count: int) -> list[int]:
    """The seqs of so many records."""
    seqs: list[int] = []
    async with aclosing(exchange.follow(after)) as records:
        async for record in records:
            seqs.append(record.seq)
            if len(seqs) == count:
                break
    return seqs


# --- do and see ---------------------------------------------------------------------------------------------------


async def test_a_first_visit_opens_an_account_and_all_who_come_at_once_get_the_same(app: App) -> None:
    accounts = await asyncio.gather(*(app.exchange.account_of("ann@example.com") for _ in range(5)))
    assert set(accounts) == {app.exchange.known_account("ann@example.com")}
    assert app.exchange.known_account("bob@example.com") is None
    assert app.state.seq == 1


async def test_a_view_is_handed_out_when_its_record_may_be_told_and_shows_what_was_before(app: App) -> None:
    exchange = app.exchange
    account = await exchange.account_of("ann@example.com")
    app.hold_disk()
    paying = asyncio.create_task(pay_in(exchange, account))
    await until(lambda: app.state.seq == 2)
    seeing = asyncio.create_task(exchange.see(BalanceOf(account)))
    assert exchange.look(BalanceOf(account)).free == usdc("5001"), "to look waits for nothing"
    assert (await exchange.see(AllPrices())).quotes[SOL].price is not None, "nor do prices, which are in no record"
    await asyncio.sleep(0.01)
    assert not seeing.done()
    more = asyncio.create_task(pay_in(exchange, account))
    await until(lambda: app.state.seq == 3)
    app.release_disk()
    assert (await seeing).free == usdc("5001")
    await asyncio.gather(paying, more)


async def test_nobody_waits_for_the_disk_where_answers_do_not() -> None:
    async with running_app(wait_for_disk=False) as app:
        account = await app.exchange.account_of("ann@example.com")
        await until(lambda: app.writer.durable_seq == 1)
        app.hold_disk()
        await pay_in(app.exchange, account)
        assert (await app.exchange.see(BalanceOf(account))).free == usdc("5001")
        on_disk = asyncio.create_task(app.exchange.all_on_disk())
        await asyncio.sleep(0.01)
        assert not on_disk.done()
        app.release_disk()
        await on_disk


async def test_a_read_of_the_tables_has_all_that_the_account_has_done(app: App) -> None:
    ann = app.trader("ann")
    await ann.create()
    app.hold_disk()
    creating = asyncio.create_task(ann.create())
    await until(lambda: app.state.open_trades == 2)
    reading = asyncio.create_task(app.exchange.trades(TradeQuery(ann.account.id)))
    await asyncio.sleep(0.01)
    assert not reading.done()
    app.release_disk()
    rows, analytics = await reading
    assert (len(rows), analytics.open) == (2, 2)
    await creating


async def test_a_reset_forgets_accounts_prices_and_candles(app: App) -> None:
    account = await app.exchange.account_of("ann@example.com")
    assert isinstance(await app.exchange.do(Reset(), "a test"), Done)
    assert app.exchange.known_account("ann@example.com") is None
    assert app.exchange.look(AllPrices()).quotes[SOL].price is None
    assert (await app.exchange.trades(TradeQuery(account)))[0] == [], "who was forgotten has no trades"


# --- follow -------------------------------------------------------------------------------------------------------


async def test_who_follows_gets_what_was_and_what_comes_once_and_in_order(app: App) -> None:
    account = await app.exchange.account_of("ann@example.com")
    await pay_in(app.exchange, account, 10)
    following = [asyncio.create_task(first(app.exchange, after, 21 - after)) for after in (0, 3, 11)]
    await until(lambda: app.parts.bus.subscribers == len(following))
    await pay_in(app.exchange, account, 10)
    assert await asyncio.gather(*following) == [list(range(after + 1, 22)) for after in (0, 3, 11)]


async def test_who_follows_is_told_of_nothing_that_is_not_on_disk(app: App) -> None:
    account = await app.exchange.account_of("ann@example.com")
    app.hold_disk()
    paying = asyncio.create_task(pay_in(app.exchange, account))
    following = asyncio.create_task(first(app.exchange, 0, 2))
    await until(lambda: app.exchange.look(NewestRecord()).seq == 2)
    await asyncio.sleep(0.01)
    assert not following.done()
    assert app.exchange.durable_seq == 1
    app.release_disk()
    assert await following == [1, 2]
    await paying


async def test_who_falls_behind_goes_on_after_the_last_record_it_took(app: App) -> None:
    exchange = app.exchange
    account = await exchange.account_of("ann@example.com")
    app.parts.bus._bound = 5
    taken: list[int] = []

    async def follow() -> None:
        async with aclosing(exchange.follow(1)) as records:
            reading = asyncio.create_task(anext(records))
            await pay_in(exchange, account, 20)
            taken.append((await reading).seq)
            async for record in records:
                taken.append(record.seq)

    with pytest.raises(FellBehind):
        await follow()
    assert taken == list(range(2, taken[-1] + 1))
    assert taken[-1] < 21
    assert await first(exchange, taken[-1], 21 - taken[-1]) == list(range(taken[-1] + 1, 22))


async def test_the_records_of_an_account_are_its_own_and_end_at_a_reset(app: App) -> None:
    exchange = app.exchange
    ann, bob = [await exchange.account_of(f"{name}@example.com") for name in ("ann", "bob")]
    await pay_in(exchange, ann, 2)
    await pay_in(exchange, bob, 2)
    await pay_in(exchange, ann, 1)
    assert [record.seq async for record in exchange.records_of(ann, 1, 7)] == [3, 4, 7]
    assert [record.seq async for record in exchange.records_of(ann, 1, 4)] == [3, 4]
    counted = [await exchange.records_since(ann, 1, most) for most in (0, 3, 100)]
    assert counted == [0, 3, 3]
    assert [record.seq async for record in exchange.records_of(bob, 6, 7)] == []
    await exchange.do(Reset())
    with pytest.raises(StorageError):
        await anext(exchange.records_of(ann, 1, 8))


async def test_no_more_than_a_few_read_from_disk_at_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    account = await app.exchange.account_of("ann@example.com")
    reading, most, go_on, records_of = 0, 0, asyncio.Event(), app.stores.tables.records_of

    async def counted(account: AccountId, after: int, limit: int) -> list[int]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await go_on.wait()
        reading -= 1
        return await records_of(account, after, limit)

    monkeypatch.setattr(app.stores.tables, "records_of", counted)

    async def own() -> list[int]:
        return [record.seq async for record in app.exchange.records_of(account, 0, 1)]

    asked = [asyncio.create_task(own()) for _ in range(3 * READS_AT_ONCE)]
    await until(lambda: reading == READS_AT_ONCE)
    await asyncio.sleep(0.01)
    go_on.set()
    assert await asyncio.gather(*asked) == [[1]] * len(asked)
    assert most == READS_AT_ONCE


async def test_who_watches_is_told_of_every_tick_until_it_has_enough(app: App) -> None:
    told: list[PriceTick] = []
    with app.exchange.watching(lambda tick, at: told.append(tick)):
        await app.quote(SOL, "201")
    await app.quote(SOL, "202")
    assert told == [tick(SOL, "201")]


# --- statement and equity -----------------------------------------------------------------------------------------


async def test_a_statement_is_read_page_by_page_and_no_page_ends_within_a_record(app: App) -> None:
    exchange = app.exchange
    account = await exchange.account_of("ann@example.com")
    await pay_in(exchange, account, 3)
    opened = await exchange.do(open_trade("o-1", SOL, margin="100", account=account))
    assert isinstance(opened, Done)
    assert isinstance(await exchange.do(close_trade("o-1", account)), Done)
    whole = await exchange.statement(StatementQuery(account, limit=500))
    assert [(row.reason, row.amount, row.order_id, row.asset) for row in whole] == [
        ("margin", usdc("100"), "o-1", SOL),
        ("margin", -usdc("100"), "o-1", SOL),
        *[("deposit", usdc("1"), None, None)] * 3,
        ("deposit", usdc("5000"), None, None),
    ]
    assert [row.balance for row in whole] == [usdc(text) for text in ("5003", "4903", "5003", "5002", "5001", "5000")]
    pages, before = [], None
    while page := await exchange.statement(StatementQuery(account, before=before, limit=4)):
        pages.append(len(page))
        before = page[-1].seq
    assert pages == [4, 2]
    deposits = await exchange.statement(StatementQuery(account, reason=Reason.DEPOSIT, limit=2))
    assert [row.seq for row in deposits] == [whole[2].seq, whole[3].seq]
    assert await exchange.statement(StatementQuery(AccountId("nobody"))) == []


async def test_equity_follows_an_account_from_its_opening_with_candles_from_before_the_span(app: App) -> None:
    exchange, minute = app.exchange, 60 * 1_000_000
    account = await exchange.account_of("ann@example.com")
    assert isinstance(await exchange.do(open_trade("o-1", SOL, margin="100", leverage="10", account=account)), Done)
    first = app.clock.now_us() // minute * minute + minute
    price = app.state.price(SOL)
    assert price is not None
    for more in (2, 1, 3):
        app.clock.advance(60)
        mark = price.mark * (100 + more) // 100
        await exchange.do(PriceTick(SOL, mark, mark, 10**12))
    app.clock.advance(300)
    rows = await exchange.equity(account, None, None, Interval.M1, 500)
    assert rows[0].at == first
    assert [row.at - first for row in rows] == [number * minute for number in range(len(rows))]
    assert [row.unrealized for row in rows[:3]] == [0, usdc("20"), usdc("10")]
    assert {row.unrealized for row in rows[3:]} == {usdc("30")}
    assert {(row.balance, row.locked, row.reserved) for row in rows} == {(usdc("4900"), usdc("100"), 0)}
    assert {row.equity - row.unrealized for row in rows} == {usdc("5000")}
    assert await exchange.equity(account, None, None, Interval.M1, 2) == rows[-2:]
    assert await exchange.equity(account, rows[2].at, rows[4].at, Interval.M1, 2) == rows[2:4]
    assert await exchange.equity(account, None, first - 1, Interval.M1, 5) == []
    assert await exchange.equity(AccountId("nobody"), None, None, Interval.M1, 5) == []
