"""What was seen to go wrong in running systems of this kind, each as one test."""

import asyncio
import socket
import struct
from typing import Any

import aiohttp
import msgspec
import pytest

from exness.core.capture import encode_account
from tests.support.app import API, App, Trader, assert_error, bad, order, running_app, unchanged
from tests.support.books import SOL
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("userId", "bob"),
        ("user", {"email": "bob@example.com"}),
        ("email", "bob@example.com"),
        ("account", "bob"),
        ("accountId", "bob"),
        ("balance", 1_000_000),
        ("price", 1),
        ("entryPrice", "1"),
        ("openPrice", 1),
        ("pnl", "1000"),
        ("orderId", "0" * 32),
        ("id", 1),
        ("createdAt", "2020-01-01T00:00:00Z"),
        ("__proto__", {}),
    ],
)
async def test_no_field_of_a_body_overrides_the_signed_in_user_or_what_the_exchange_knows(
    app: App, field: str, value: Any
) -> None:
    ann, bob = await app.known("ann", "bob")
    trade = await bob.create()
    message = f"{field} is not a known field"
    with unchanged(app):
        created = await ann.post("/trade/create", order() | {field: value})
        assert_error(created, 400, "invalid_request", message, details=bad(field, message))
        if field != "orderId":
            closed = await ann.post("/trade/close", {"orderId": trade["orderId"], field: value})
            assert_error(closed, 400, "invalid_request", message, details=bad(field, message))
    assert (ann.free, bob.free) == ("5000.000000", "4900.000000")


async def test_a_user_in_the_query_or_in_a_header_changes_nothing(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    headers = {"X-User-Id": bob.account.id, "X-Email": bob.email, "From": bob.email}
    created = await ann.post(f"/trade/create?userId={bob.account.id}", order(), headers=headers)
    assert created.status == 200
    assert (ann.free, bob.free) == ("4900.000000", "5000.000000")


async def test_a_dead_feeds_last_price_is_still_shown_with_its_old_time_and_not_traded_on(
    app: App, ann: Trader
) -> None:
    trade = await ann.create()
    shown = (await app.get("/prices/SOL")).body
    app.clock.advance(30.000001)
    with unchanged(app):
        assert (await ann.try_create()).code == "price_unavailable"
        assert (await ann.try_create(slippage=100, expectedPrice=200)).code == "price_unavailable"
        assert (await ann.try_close(trade["orderId"])).code == "price_unavailable"
    app.clock.advance(3600)
    assert (await app.get("/prices/SOL")).body == shown | {"stale": True, "state": "stale"}
    await app.quote(SOL, "200")
    assert (await ann.close(trade["orderId"]))["pnl"] == "0.000000"


async def test_a_create_that_was_refused_for_waiting_too_long_has_taken_no_margin() -> None:
    async with running_app(writer_queue=1, inbox_wait_s=0.05) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        app.hold_disk()
        in_the_way = asyncio.create_task(bob.try_create())
        await until(lambda: app.writer.queued == 1)
        with unchanged(app):
            assert_error(await ann.try_create(clientOrderId="mine"), 503, "overloaded", retry=True)
        app.release_disk()
        assert (await in_the_way).status == 200
        assert ann.free == "5000.000000"
        assert await ann.open_trades() == []
        assert (await ann.create(clientOrderId="mine"))["balance"] == "4900.000000"


async def test_a_create_whose_client_went_away_while_it_waited_has_taken_no_margin() -> None:
    """Its connection was reset. One that is closed in order may be shut by one half only: see test_half_closed.py."""
    async with running_app(writer_queue=1) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        app.hold_disk()
        in_the_way = asyncio.create_task(bob.try_create())
        await until(lambda: app.writer.queued == 1)
        connected = app.connections()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {ann.token}"}) as client:
            waiting = asyncio.create_task(client.post(f"{app.url}{API}/trade/create", json=order()))
            await app.all_waiting(1)
            assert app.connections() == connected + 1
            reset_connections(client)
            waiting.cancel()
        await until(lambda: app.connections() == connected, "for the server to see that the client has gone")
        app.release_disk()
        assert (await in_the_way).status == 200
        await until(lambda: len(app.sequencer.inbox) == 0)
        assert await ann.open_trades() == []
        assert ann.free == "5000.000000"
        assert app.state.open_trades == 1


def reset_connections(client: aiohttp.ClientSession) -> None:
    """From now on whatever this client closes is reset, as by a machine that has gone."""
    assert isinstance(client.connector, aiohttp.TCPConnector)
    for handler in client.connector._acquired:
        assert handler.transport is not None
        wire = handler.transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("goodbye", ["reset", "closed"])
async def test_a_create_whose_client_went_away_while_it_was_written_stands_and_can_be_asked_for_again(
    app: App, ann: Trader, goodbye: str
) -> None:
    app.hold_disk()
    connected = app.connections()
    body = order(clientOrderId="mine")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {ann.token}"}) as client:
        creating = asyncio.create_task(client.post(f"{app.url}{API}/trade/create", json=body))
        await until(lambda: app.state.open_trades == 1)
        if goodbye == "reset":
            reset_connections(client)
        creating.cancel()
    if goodbye == "reset":
        await until(lambda: app.connections() == connected)
    app.release_disk()
    await until(lambda: app.connections() == connected)
    again = await ann.post("/trade/create", body)
    assert again.status == 200
    assert [trade["orderId"] for trade in await ann.open_trades()] == [again.body["orderId"]]
    assert ann.free == "4900.000000"


async def test_four_closes_of_one_trade_at_once_pay_once(app: App, ann: Trader) -> None:
    trade = await ann.create()
    await app.quote(SOL, "202")
    answers = await asyncio.gather(*(ann.try_close(trade["orderId"]) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    (closed,) = [answer.body for answer in answers if answer.status == 200]
    for refused in (answer for answer in answers if answer.status == 409):
        ended = {name: closed[name] for name in ("orderId", "closePrice", "pnl", "returned", "liquidated", "closedAt")}
        assert_error(refused, 409, "trade_already_closed", details=ended)
    assert ann.free == "5010.000000"
    assert (await ann.get("/trade/history")).body["analytics"]["closedTrades"] == 1


async def test_four_closes_of_one_trade_while_the_disk_stands_still_pay_once(app: App, ann: Trader) -> None:
    """The three that come too late must not say 404 because the tables do not have the first yet."""
    trade = await ann.create()
    app.hold_disk()
    closing = [asyncio.create_task(ann.try_close(trade["orderId"])) for _ in range(4)]
    await until(lambda: len(app.writer._mark._waiters) == 4, "for all four to wait for the disk")
    app.release_disk()
    assert sorted([(await answer).status for answer in closing]) == [200, 409, 409, 409]
    assert ann.free == "5000.000000"


async def test_that_holds_even_when_trades_are_acknowledged_in_memory() -> None:
    async with running_app(wait_for_disk=False) as app:
        await app.quote_all()
        ann = app.trader("ann")
        trade = await ann.create()
        app.hold_disk()
        assert (await ann.close(trade["orderId"]))["balance"] == "5000.000000"
        again = asyncio.create_task(ann.try_close(trade["orderId"]))
        reading = asyncio.create_task(ann.get("/trade/history"))
        await until(lambda: len(app.writer._mark._waiters) == 2, "for both to wait for the tables")
        app.release_disk()
        assert (await again).code == "trade_already_closed"
        assert (await reading).body["data"][0]["status"] == "closed"
        assert ann.free == "5000.000000"


async def test_a_trade_that_was_closed_is_not_closed_a_second_time_at_a_better_price(app: App, ann: Trader) -> None:
    trade = await ann.create()
    await ann.close(trade["orderId"])
    await app.quote(SOL, "400")
    with unchanged(app):
        assert (await ann.try_close(trade["orderId"])).code == "trade_already_closed"


async def test_a_balance_is_told_at_once_while_hundreds_of_other_users_creates_wait() -> None:
    async with running_app(writer_queue=1) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        app.hold_disk()
        creating = [asyncio.create_task(bob.try_create(margin=1)) for _ in range(300)]
        await app.all_waiting(299)
        for path in ("/balance", "/balance/usd", "/account", "/trade/open", "/trade/history"):
            assert (await ann.get(path)).status == 200
        assert (await app.get("/prices")).status == 200
        assert len(app.sequencer.inbox) == 299
        app.release_disk()
        assert {(await answer).status for answer in creating} == {200}
        assert bob.free == "4700.000000"


async def test_one_commit_that_stands_still_does_not_make_later_requests_fail_in_turn(app: App, ann: Trader) -> None:
    app.hold_disk()
    creating = [asyncio.create_task(ann.try_create(margin=1)) for _ in range(200)]
    await until(lambda: app.state.open_trades == 200)
    commits = app.writer.commits
    app.release_disk()
    assert {(await answer).status for answer in creating} == {200}
    assert app.writer.commits - commits <= 3  # what came meanwhile shared a commit
    assert (await ann.create(margin=1))["balance"] == "4799.000000"


async def test_after_a_request_timed_out_in_the_inbox_the_next_ones_are_served() -> None:
    async with running_app(writer_queue=1, inbox_wait_s=0.05) as app:
        await app.quote_all()
        ann, bob = await app.known("ann", "bob")
        app.hold_disk()
        in_the_way = asyncio.create_task(bob.try_create())
        await until(lambda: app.writer.queued == 1)
        refused = await asyncio.gather(*(ann.try_create() for _ in range(5)))
        assert {answer.code for answer in refused} == {"overloaded"}
        app.release_disk()
        assert (await in_the_way).status == 200
        assert [(await ann.try_create(margin=1)).status for _ in range(5)] == [200] * 5


async def test_closed_trades_cost_neither_time_on_ticks_nor_memory(app: App, ann: Trader) -> None:
    size_before = len(encode_account(msgspec.structs.replace(ann.account, seq=0)))
    for kind in ("long", "short"):
        trades = await asyncio.gather(*(ann.create(type=kind, margin=1) for _ in range(20)))
        await asyncio.gather(*(ann.close(trade["orderId"]) for trade in trades))
        await ann.create(type=kind, margin=1, leverage=100)
    await app.quote(SOL, "190")
    await app.quote(SOL, "300")
    market = app.state.markets[SOL]
    assert (app.state.open_trades, market.open_trades, market.open_interest) == (0, 0, 0)
    for index in market.rows[:2]:
        assert (index._chunks, index._lasts, index._things) == ([], [], [])
    assert ann.account.trades == {}
    assert len(encode_account(msgspec.structs.replace(ann.account, seq=0))) == size_before
    assert (await ann.get("/trade/history")).body["pagination"]["total"] == 42


@pytest.mark.parametrize("path", ["/trade/create", "/trade/close"])
async def test_a_refusal_is_never_an_internal_error(app: App, ann: Trader, path: str) -> None:
    bodies = [
        b"",
        b"\x00" * 100,
        b"\xff\xfe{}",
        b'{"orderId": "\\u0000"}',
        b'{"orderId": "\xff\xff"}',
        b'{"orderId": "\\ud83d"}',
        b'{"clientOrderId": "\xc3\x28"}',
        b'{"\xff": 1}',
        b'{"margin": "\xff", "leverage": "\xed\xa0\x80"}',
        b'{"margin": ' + b"9" * 60_000 + b"}",
        b'{"margin": 1e' + b"9" * 60_000 + b"}",
        b'{"margin": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"x": ' + b'{"x":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        b"[" * 60_000,
        b'{"' + b"k" * 60_000 + b'": 1}',
        b"{" + b",".join(b'"k%d": 1' % number for number in range(5000)) + b"}",
        b'{"asset": "' + b"S" * 60_000 + b'"}',
        b'{"asset": "SOL\\u0000", "type": "long", "margin": 1, "leverage": 1}',
        b'{"orderId": "\' OR 1=1 --"}',
    ]
    with unchanged(app):
        for body in bodies:
            answer = await ann.request("POST", path, data=body, headers={"Content-Type": "application/json"})
            assert answer.status in (400, 404), (body[:60], answer)
            assert answer.body["success"] is False


async def test_what_a_liquidation_loses_beyond_the_margin_is_booked(app: App, ann: Trader) -> None:
    await ann.create(margin=100, leverage=10)
    await app.quote(SOL, "150")
    (row,) = (await ann.get("/trade/history")).body["data"]
    assert (row["pnl"], row["shortfall"], row["closePrice"]) == ("-100.000000", "150.000000", "150.000000")
    assert ann.free == "4900.000000"
    assert app.state.shortfall == 150_000_000


async def test_another_users_trade_is_answered_exactly_like_one_that_never_was(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    still_open, ended = await bob.create(), await bob.create()
    await bob.close(ended["orderId"])
    with unchanged(app):
        unknown = await ann.try_close("f" * 32)
        assert_error(unknown, 404, "trade_not_found")
        for trade in (still_open, ended):
            assert (await ann.try_close(trade["orderId"])).raw == unknown.raw
        app.let_prices_age()
        for trade in (still_open, ended):
            assert (await ann.try_close(trade["orderId"])).raw == unknown.raw


@pytest.mark.parametrize("balance", [-1, 2**63])
async def test_a_first_deposit_that_no_account_can_hold_is_our_fault_and_asked_for_once(app: App, balance: int) -> None:
    """The settings rule it out; to ask for it again and again would hold the loop for ever."""
    app.exchange._initial_balance = balance
    answer = await app.trader("new").get("/balance")
    assert_error(answer, 500, "internal_error")
    assert app.state.accounts == {}
