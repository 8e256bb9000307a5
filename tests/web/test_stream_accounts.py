"""web/stream/accounts.py over real WebSockets: who is told what of their trades and money, when and in which order.

What begins and resumes under load is in test_stream_boundary.py and test_stream_resume.py.
"""

import asyncio
from typing import Any

from tests.support.app import App, Trader
from tests.support.books import SOL
from tests.support.waiting import until
from tests.web.streams import Json, listening, orders


async def test_what_happens_to_ones_trades_is_told_in_the_words_of_the_answers(app: App, ann: Trader) -> None:
    async with listening(app, ann) as client:
        await client.subscribed("trades", "account")
        await client.next("account", "snapshot")
        created = await ann.create(clientOrderId="mine")
        opened = await client.next("trades")
        assert opened["type"] == "opened"
        assert {"success": True, **opened["data"]} == created
        balance = await client.next("account")
        assert balance["data"] == {
            "balance": "4900.000000",
            "lockedMargin": "100.000000",
            "reserved": "0.000000",
            "openTrades": 1,
        }
        assert balance["seq"] == opened["seq"] == app.state.seq
        answer = await ann.close(created["orderId"])
        closed = await client.next("trades")
        assert closed["type"] == "closed"
        assert {"success": True, **closed["data"]} | {"remaining": None} == answer | {
            "asset": "SOL",
            "shortfall": "0.000000",
            "forfeited": "0.000000",
        }
        await client.next("account")
        doomed = await ann.create(leverage=100)
        await client.next("account")
        await app.quote(SOL, "150")
        liquidated = await client.next("trades")
        assert (liquidated["type"], liquidated["data"]["orderId"]) == ("liquidated", doomed["orderId"])
        (row,) = [each for each in await history(ann) if each["orderId"] == doomed["orderId"]]
        same = ("asset", "closePrice", "pnl", "shortfall", "liquidated", "closedAt")
        assert [liquidated["data"][name] for name in same] == [row[name] for name in same]
        assert liquidated["data"]["mark"] == "150.000000"
        assert (await client.next("account"))["data"]["lockedMargin"] == "0.000000"


def held(balance: str, locked: str, open_trades: int) -> Json:
    """The data of a frame on `account`, in whole USDC."""
    whole = {"balance": f"{balance}.000000", "lockedMargin": f"{locked}.000000", "reserved": "0.000000"}
    return whole | {"openTrades": open_trades}


async def history(trader: Trader) -> list[Json]:
    rows: list[Json] = (await trader.get("/trade/history?status=closed")).body["data"]
    return rows


async def test_snapshots_show_what_is_open_and_what_is_left(app: App, ann: Trader) -> None:
    created = [await ann.create(margin=margin) for margin in (1, 2, 3)]
    async with listening(app, ann) as client:
        trades = await client.snapshot("trades")
        assert [row["orderId"] for row in trades["data"]] == [each["orderId"] for each in created]
        assert trades["data"] == [{**row, "leverage": 10} for row in await ann.open_trades()]
        assert trades["seq"] == app.state.seq
        account = await client.snapshot("account")
        assert account["data"] == {
            "balance": "4994.000000",
            "lockedMargin": "6.000000",
            "reserved": "0.000000",
            "openTrades": 3,
        }


async def test_events_come_in_the_order_of_the_journal_and_each_once(app: App) -> None:
    traders = await app.known("ann", "bob", "cid")
    async with listening(app, traders[0]) as client:
        first = (await client.snapshot("trades"))["seq"]
        await asyncio.gather(*(orders(trader, 40) for trader in traders))
        await client.pong()
        seqs = [frame["seq"] for frame in client.told("trades")]
        own = [record.seq async for record in records_of(app, traders[0]) if record.seq > first]
        assert seqs == own
        assert len(seqs) == 80


async def records_of(app: App, trader: Trader) -> Any:
    async for records in app.stores.journal.read():
        for record in records:
            if getattr(record.event, "account", None) == trader.account.id:
                yield record


async def test_nothing_is_told_before_it_is_on_disk(app: App, ann: Trader) -> None:
    async with listening(app, ann) as client:
        await client.subscribed("trades", "account")
        await client.next("account", "snapshot")
        app.hold_disk()
        asking = asyncio.create_task(ann.create())
        await until(lambda: app.state.seq > app.writer.durable_seq)
        await client.pong()
        assert client.told("trades") == []
        async with listening(app, ann) as late:
            await late.subscribed("trades")  # its snapshot would show the trade
            app.release_disk()
            assert len((await late.next("trades", "snapshot"))["data"]) == 1
            await late.pong()
            assert late.told("trades") == [], "it is in the snapshot already"
        await asking
        assert (await client.next("trades"))["type"] == "opened"


async def test_everybody_gets_their_own_and_nothing_else(app: App) -> None:
    ann, bob = await app.known("ann", "bob")
    async with listening(app, ann) as hers, listening(app, bob) as his, listening(app) as stranger:
        await hers.subscribed("trades", "account", "prices")
        await his.subscribed("trades", "account")
        await stranger.subscribed("prices")
        mine, yours = await asyncio.gather(orders(ann, 5), orders(bob, 5))
        for client in (hers, his, stranger):
            await client.pong()
        assert {frame["data"]["orderId"] for frame in hers.told("trades")} == set(mine)
        assert {frame["data"]["orderId"] for frame in his.told("trades")} == set(yours)
        assert len(hers.told("account")) == len(his.told("account")) == 10
        assert stranger.told("trades") == stranger.told("account") == []
