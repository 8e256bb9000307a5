"""client/streams.py: iterators that connect again, resume, and say when they could not."""

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from exness.client import AsyncClient, CannotResume, ConnectionFailed, StreamEnded, WrongServer, answers, told
from exness.client.errors import InvalidRequest, Unauthorized
from exness.client.told import StreamOptions, Told
from tests.client.conftest import strike
from tests.support.app import App, Trader
from tests.support.books import SOL
from tests.support.waiting import until


async def open_trades(ann: AsyncClient, number: int) -> list[str]:
    return [(await ann.create_trade("SOL", "long", margin=1, leverage=2)).order_id for _ in range(number)]


async def test_snapshots_come_first_and_then_events_as_structs(app: App, ann: AsyncClient) -> None:
    async with ann.stream("trades", "account", timeout_s=5) as stream:
        snapshot = await anext(stream)
        assert (snapshot.channel, snapshot.type, snapshot.data) == ("trades", "snapshot", [])
        assert isinstance((await anext(stream)).data, answers.AccountState)
        (opened,) = await open_trades(ann, 1)
        event = await anext(stream)
        assert isinstance(event.data, answers.TradeCreated)
        assert (event.type, event.data.order_id, event.at) == ("opened", opened, event.data.created_at)
        assert (await anext(stream)).data.locked_margin == 1
        assert stream.position == event.seq
        await app.quote(SOL, "100")
        ended = (await stream.wait_for("liquidated")).data
        assert (ended.order_id, ended.pnl, ended.mark) == (opened, -1, 100)


async def test_orders_and_what_changes_a_trade_are_told_as_structs(app: App, ann: AsyncClient) -> None:
    async with ann.stream("trades", "orders", timeout_s=5) as stream:
        assert [(await anext(stream)).data for _ in range(2)] == [[], []]
        limit = await ann.create_order("SOL", "long", margin=100, leverage=10, limit_price=190)
        placed = (await stream.wait_for("placed", "orders")).data
        assert isinstance(placed, answers.OpenOrder)
        assert [placed.order_id, placed.limit_price] == [limit.order_id, 190]
        await ann.amend_order(limit.order_id, limit_price=191)
        assert (await stream.wait_for("amended", "orders")).data.limit_price == 191
        stop = await ann.create_order("SOL", "short", margin=10, leverage=2, stop_price=195, limit_price=194)
        await app.quote(SOL, "192")
        triggered = (await stream.wait_for("triggered", "orders")).data
        assert isinstance(triggered, answers.OrderTriggered)
        assert triggered.order_id == stop.order_id
        await app.quote(SOL, "191")
        ended = (await stream.wait_for("ended", "orders")).data
        assert isinstance(ended, answers.OrderEnded)
        assert [ended.order_id, ended.status, ended.average_price] == [limit.order_id, "filled", 191]
        await ann.set_exits(limit.order_id, stop_loss=175)
        changed = (await stream.wait_for("changed", "trades")).data
        assert isinstance(changed, answers.TradeChanged)
        assert [changed.why, changed.trade.stop_loss] == ["exits", 175]
        await ann.close_trade(limit.order_id, percent=5000)
        reduced = (await stream.wait_for("reduced", "trades")).data
        assert isinstance(reduced, answers.TradeReduced)
        assert [reduced.margin, reduced.reason, reduced.trade.margin] == [50, "user", 50]
        await ann.net_order("SOL", "buy", quantity=1)
        await ann.net_order("SOL", "buy", quantity=1)
        increased = (await stream.wait_for("increased", "trades")).data
        assert isinstance(increased, answers.TradeIncreased)
        assert [increased.quantity, increased.trade.quantity] == [1, 2]
        await app.quote(SOL, "175")
        closed = (await stream.wait_for("closed", "trades")).data
        assert isinstance(closed, answers.TradeEnded)
        assert [closed.order_id, closed.reason, closed.forfeited, closed.mark] == [limit.order_id, "stop_loss", 0, None]


async def test_market_channels_need_no_session(app: App) -> None:
    anybody = AsyncClient(app.url, check_version=False)
    async with anybody, anybody.stream("prices", "prices.SOL", "candles.1m.SOL") as stream:
        assert (await stream.wait_for("snapshot", "prices")).data["SOL"].mark == 200
        assert (await stream.wait_for("snapshot", "prices.SOL")).data.mark == 200
        assert (await stream.wait_for("snapshot", "candles.1m.SOL")).data.close == 200
        await app.quote(SOL, "201")
        assert (await stream.wait_for("price")).data.mark == 201
        assert (await stream.wait_for("candle")).data.high == 201


async def test_nothing_in_time_is_a_time_out_and_the_stream_goes_on(ann: AsyncClient) -> None:
    async with ann.stream("trades", timeout_s=0.1) as stream:
        await anext(stream)
        with pytest.raises(TimeoutError, match="no event came in time"):
            await anext(stream)
        (opened,) = await open_trades(ann, 1)
        assert (await stream.wait_for("opened")).data.order_id == opened
        with pytest.raises(TimeoutError):
            await stream.wait_for("closed", timeout_s=0.1)


async def test_a_cut_stream_resumes_and_tells_every_event_once(app: App, ann: AsyncClient) -> None:
    async with ann.stream("trades", "account", timeout_s=5) as stream:
        await strike(app, "stream", "cut", every=3)
        ids = await open_trades(ann, 12)
        told = [(await stream.wait_for("opened")).data.order_id for _ in ids]
        assert told == ids
        with pytest.raises(TimeoutError):
            await stream.wait_for("opened", timeout_s=0.2)


async def test_a_stalled_stream_is_left_and_resumed(
    app: App, ann: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "QUIET_S", 0.15)
    async with ann.stream("trades", timeout_s=10) as stream:
        await stream.wait_for("snapshot")
        await strike(app, "stream", "stall", nth=2)
        ids = await open_trades(ann, 3)
        assert [(await anext(stream)).data.order_id for _ in ids] == ids


async def test_a_quiet_stream_is_asked_and_stays(app: App, ann: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "QUIET_S", 0.05)
    async with ann.stream("trades") as stream:
        await stream.wait_for("snapshot")
        connection = stream._connection
        with pytest.raises(TimeoutError):
            await stream.next(0.4)
        assert stream._connection is connection
        assert stream.position == app.writer.durable_seq


async def test_an_event_that_comes_twice_is_told_once(app: App, ann: AsyncClient) -> None:
    await strike(app, "stream", "duplicate", every=1)
    async with ann.stream("trades", timeout_s=5) as stream:
        await stream.wait_for("snapshot")
        ids = await open_trades(ann, 3)
        assert [(await anext(stream)).data.order_id for _ in ids] == ids


async def test_events_in_a_wrong_order_are_said_and_snapshots_follow(app: App, ann: AsyncClient) -> None:
    async with ann.stream("trades", timeout_s=5) as stream:
        await stream.wait_for("snapshot")
        await strike(app, "stream", "reorder", nth=1)
        ids = await open_trades(ann, 2)
        assert (await anext(stream)).data.order_id == ids[1]
        with pytest.raises(CannotResume, match="Go on iterating"):
            await anext(stream)
        snapshot = await anext(stream)
        assert [trade.order_id for trade in snapshot.data] == ids


async def test_a_seq_that_can_not_be_resumed_is_said_and_snapshots_follow(app: App, ann: AsyncClient) -> None:
    stream = ann.stream("trades", resume=10**9, timeout_s=5)
    with pytest.raises(CannotResume, match="events after seq 1000000000 are missing") as lost:
        await anext(stream)
    assert lost.value.after == 10**9
    assert (await anext(stream)).type == "snapshot"
    await stream.close()


async def test_a_resumed_stream_tells_what_came_after_its_seq(app: App, ann: AsyncClient) -> None:
    first, second = await open_trades(ann, 2)
    async with ann.stream("trades", resume=app.writer.durable_seq - 1, timeout_s=5) as stream:
        assert (await anext(stream)).data.order_id == second
    async with ann.stream("trades", resume=0, timeout_s=5) as stream:
        assert [(await anext(stream)).data.order_id for _ in range(2)] == [first, second]


async def test_a_reset_leaves_nothing_to_resume(app: App, ann: AsyncClient) -> None:
    async with ann.stream("trades", timeout_s=5) as stream:
        await stream.wait_for("snapshot")
        await app.post("/dev/reset")
        with pytest.raises(CannotResume, match="The exchange was reset"):
            await anext(stream)
        assert (await anext(stream)).data == []


async def test_an_ended_session_ends_the_stream_and_says_what_to_do(app: App, ann: AsyncClient, trader: Trader) -> None:
    async with ann.stream("trades", timeout_s=5) as stream:
        await stream.wait_for("snapshot")
        await app.post("/logout", headers={"Authorization": f"Bearer {trader.token}"})
        with pytest.raises(StreamEnded, match="sign in again") as ended:
            await anext(stream)
        assert ended.value.code == 4001
        with pytest.raises(Unauthorized):
            await anext(stream)


async def test_bad_channels_and_no_session_are_refused(app: App, ann: AsyncClient) -> None:
    with pytest.raises(InvalidRequest, match="There is no channel"):
        async with ann.stream("prices.DOGE"):
            pass
    async with AsyncClient(app.url, check_version=False) as anybody:
        with pytest.raises(Unauthorized):
            async with anybody.stream("trades"):
                pass
    async with AsyncClient(app.url, token="none", check_version=False) as stranger:
        with pytest.raises(Unauthorized):
            async with stranger.stream("prices"):
                pass
    await until(lambda: not app.hub.subscribers, "for the refused to leave")


async def test_a_handshake_that_is_refused_for_now_is_tried_again(app: App, ann: AsyncClient) -> None:
    await strike(app, "GET /api/v1/stream", "status", status=503, every=1, times=2)
    async with ann.stream("trades", timeout_s=5) as stream:
        assert (await anext(stream)).type == "snapshot"


async def test_nobody_at_the_url_is_said_after_a_bounded_number_of_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "LONGEST_WAIT_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with AsyncClient(f"http://127.0.0.1:{port}", check_version=False) as client:
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionFailed, match="Is the exchange running there"):
                await anext(client.stream("prices"))


# --- without a connection -----------------------------------------------------------------------------------------


def heard(*channels: str, resume: int | None = None) -> Told:
    return Told(
        StreamOptions(
            url="", token=None, channels=channels, resume=resume, timeout_s=None, open_timeout_s=1, local=True
        )
    )


def frame(channel: str, seq: int, kind: str, data: Any = None) -> bytes:
    at = "2026-01-31T09:15:02.123456Z"
    return msgspec.json.encode({"channel": channel, "seq": seq, "at": at, "type": kind, "data": data})


def test_it_resumes_after_the_lower_of_its_channels_and_not_before_both_were_shown() -> None:
    stream = heard("trades", "account")
    assert "resume" not in stream.hello()
    stream.take(frame("trades", 7, "snapshot", []))
    assert stream.position is None
    account = {"balance": "1.000000", "lockedMargin": "0.000000", "reserved": "0.000000", "openTrades": 0}
    stream.take(frame("account", 7, "snapshot", account))
    stream.take(frame("account", 9, "balance", account))
    assert stream.position == msgspec.json.decode(stream.hello())["resume"] == 7
    stream.take(frame("control", 12, "pong", {}))
    assert stream.position == 12


def test_to_be_told_to_ask_more_slowly_ends_no_stream_that_is_subscribed() -> None:
    stream = heard("trades")
    stream.hello()
    limited = frame("control", 0, "error", {"code": "rate_limited", "message": "Too many requests"})
    with pytest.raises(ConnectionRefusedError, match="Too many"):
        stream.take(limited)
    stream.hello()
    stream.take(frame("control", 0, "subscribed", {"channels": ["trades"], "resumed": False}))
    assert stream.take(limited) is None


def test_what_is_no_frame_is_no_exness() -> None:
    with pytest.raises(WrongServer, match="tells no events of exness"):
        heard("trades").take('{"e": "trade"}')


def test_connections_that_end_at_once_are_counted_and_those_that_tell_something_are_not() -> None:
    stream = heard("prices.SOL")
    for _ in range(told.TRIES - 1):
        stream.hello()
        stream.take(frame("control", 0, "subscribed", {"channels": ["prices.SOL"], "resumed": False}))
        stream.take(frame("prices.SOL", 1, "snapshot", PRICE))
        stream.failed(EOFError("it ended"))
    assert stream.wait_s == told.LONGEST_WAIT_S
    stream.take(frame("prices.SOL", 2, "price", PRICE))
    assert stream.wait_s == 0
    for _ in range(told.TRIES - 1):
        stream.failed(EOFError("it ended"))
    with pytest.raises(ConnectionFailed, match="it ended"):
        stream.failed(EOFError("it ended"))


def test_a_type_that_is_not_known_here_is_told_as_it_comes() -> None:
    event = heard("trades").take(frame("trades", 1, "converted", {"orderId": "1"}))
    assert event is not None
    assert (event.type, event.data) == ("converted", {"orderId": "1"})


PRICE = {"asset": "SOL", "decimal": 6, "stale": True, "state": "down"} | dict.fromkeys(
    ("price", "bid", "ask", "mark", "at")
)


def test_the_seq_of_a_price_means_nothing_to_another_connection() -> None:
    stream = heard("prices.SOL")
    stream.hello()
    assert stream.take(frame("prices.SOL", 50, "price", PRICE))
    assert stream.take(frame("prices.SOL", 49, "price", PRICE)) is None
    stream.hello()
    assert stream.take(frame("prices.SOL", 3, "price", PRICE))
