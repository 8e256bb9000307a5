"""`kill -9`, at once after the answers: whatever was acknowledged is there, and nothing else than what was asked."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.ledger import Ledger, assert_tables_agree
from tests.support.process import Answer, Server

ROUNDS = 20
ACKNOWLEDGED = 50
IN_FLIGHT = 60
"""Creates sent at once. The kill comes with the 50th answer, so that it meets some of them half way."""

CLOSES = 8
"""Sent with the creates, for each user, of what the rounds before left open."""

USERS = 3

# Snapshots so often that a kill meets one half way, too. The limits are generous; 20 rounds stay far below.
ENV = {"EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.05"}

ORDER = {"asset": "SOL", "type": "long", "margin": "1.5", "leverage": 2}


async def signed_in(server: Server, *names: str) -> list[Ledger]:
    emails = [f"{name}@example.com" for name in names]
    return [Ledger(email, token) for email, token in zip(emails, await each_token(server, emails), strict=True)]


async def each_token(server: Server, emails: list[str]) -> list[str]:
    return await asyncio.gather(*map(server.token, emails))


async def test_fifty_acknowledged_trades_outlive_kill_nine_twenty_times(tmp_path: Path) -> None:
    started = time.monotonic()
    server = Server(tmp_path / "data", env=ENV)
    ledgers = await signed_in(server, *(f"trader{number}" for number in range(USERS)))
    snapshots = replayed = 0
    async with server:
        for number in range(ROUNDS):
            await one_round(server, ledgers, number)
            assert_tables_agree(server)
            await server.restart()
            snapshots, replayed = max(snapshots, server.recovered.snapshot), max(replayed, server.recovered.replayed)
            for ledger in ledgers:
                await ledger.assert_kept(server)
        await assert_another_restart_changes_nothing(server, ledgers)
    created, closed = (sum(len(getattr(each, book)) for each in ledgers) for book in ("created", "closed"))
    print(
        f"{ROUNDS} rounds in {time.monotonic() - started:.1f} s: {created} acknowledged creates and {closed} closes, "
        f"{sum(each.unanswered for each in ledgers)} requests without an answer"
    )
    assert created >= ROUNDS * ACKNOWLEDGED
    assert closed >= ROUNDS
    assert snapshots > 0, "no round recovered from a snapshot"
    assert replayed > 0, "no round replayed the journal"


async def one_round(server: Server, ledgers: list[Ledger], number: int) -> None:
    """Creates of all users and closes of what the rounds before left open, all at once, and the kill."""
    enough = asyncio.Event()
    acknowledged = 0

    async def create(ledger: Ledger, body: dict[str, Any]) -> None:
        nonlocal acknowledged
        try:
            answer = await server.post("/trade/create", ledger.token, body)
        except aiohttp.ClientError:
            ledger.unanswered += 1
            return
        ledger.note(answer)
        acknowledged += 1
        if acknowledged == ACKNOWLEDGED:
            enough.set()

    async def close(ledger: Ledger, order: str) -> None:
        try:
            answer = await server.post("/trade/close", ledger.token, {"orderId": order})
        except aiohttp.ClientError:
            ledger.note_unanswered_close(order)
            return
        ledger.note_close(order, answer)

    asks = []
    for index in range(IN_FLIGHT):
        ledger = ledgers[index % len(ledgers)]
        body: dict[str, Any] = {
            "asset": ("SOL", "ETH", "BTC")[index % 3 - number % 3],
            "type": ("long", "short")[index % 2],
            "margin": f"{1 + index % 7}.{number:06}",
            "leverage": (1, 2.5, 7.77, 10)[index % 4],
        }
        if index % 4 == 0:
            body["clientOrderId"] = f"round-{number}-order-{index}"
        asks.append(create(ledger, body))
    for ledger in ledgers:
        still_open = [order for order in ledger.created if order not in ledger.closed]
        asks += [close(ledger, order) for order in still_open[:CLOSES]]
    async with asyncio.TaskGroup() as tasks:
        for each in asks:
            tasks.create_task(each)
        await enough.wait()
        server.kill()


async def assert_another_restart_changes_nothing(server: Server, ledgers: list[Ledger]) -> None:
    digest, recovered = server.banner("state"), server.recovered
    server.kill()
    await server.restart()
    assert server.banner("state") == digest
    assert server.recovered[2:5] == recovered[2:5]
    for ledger in ledgers:
        await ledger.assert_kept(server)
    assert await server.stop() == 0
    await server.restart()
    assert server.banner("state") == digest
    assert_tables_agree(server)


async def test_a_trade_whose_close_was_acknowledged_stays_closed_after_a_crash(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    (ann,) = await signed_in(server, "ann")
    async with server:
        for _ in range(3):
            created = await server.post("/trade/create", ann.token, ORDER)
            ann.note(created)
            closed = await server.post("/trade/close", ann.token, {"orderId": created.body["orderId"]})
            server.kill()
            ann.note(closed)
            await server.restart()
            again = await server.post("/trade/close", ann.token, {"orderId": created.body["orderId"]})
            assert (again.status, again.body["code"]) == (409, "trade_already_closed")
            told = {key: closed.body[key] for key in again.body["details"]}
            assert again.body["details"] == told, "as it ended the first time"
            await ann.assert_kept(server)


async def test_a_client_order_id_is_remembered_through_a_crash(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    (ann, bob) = await signed_in(server, "ann", "bob")
    body = {**ORDER, "clientOrderId": "mine-1"}
    async with server:
        first = await server.post("/trade/create", ann.token, body)
        server.kill()
        ann.note(first)
        await server.restart()
        again = await server.post("/trade/create", ann.token, body)
        assert (again.status, again.body) == (200, first.body), "word for word the first answer"
        other = await server.post("/trade/create", ann.token, {**body, "margin": "1.6"})
        assert (other.status, other.body["code"]) == (409, "client_order_id_conflict")
        assert other.body["details"]["orderId"] == first.body["orderId"]
        bob.note(await server.post("/trade/create", bob.token, body))  # an id is its account's own
        closed = await server.post("/trade/close", ann.token, {"orderId": first.body["orderId"]})
        server.kill()
        ann.note(closed)
        await server.restart()
        again = await server.post("/trade/create", ann.token, body)
        assert (again.status, again.body) == (200, first.body), "also after the trade is closed"
        for ledger in (ann, bob):
            assert len(ledger.created) == 1
            await ledger.assert_kept(server)  # no request is unanswered: so there is no second trade


async def test_a_request_repeated_after_a_crash_opens_one_trade_whether_it_was_answered_or_not(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", env=ENV)
    (ann,) = await signed_in(server, "ann")
    bodies = [{**ORDER, "clientOrderId": f"order-{number}"} for number in range(40)]
    answered = asyncio.Event()

    async def ask(body: dict[str, Any]) -> Answer | None:
        try:
            answer = await server.post("/trade/create", ann.token, body)
        except aiohttp.ClientError:
            return None
        answered.set()
        return answer

    async with server:
        tasks = [asyncio.create_task(ask(body)) for body in bodies]
        await answered.wait()
        server.kill()
        first = await asyncio.gather(*tasks)
        await server.restart()
        second = [await server.post("/trade/create", ann.token, body) for body in bodies]
        for before, after in zip(first, second, strict=True):
            ann.note(after)
            assert before is None or before.body == after.body
        assert len(ann.created) == len(bodies)
        await ann.assert_kept(server)
