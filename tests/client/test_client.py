"""client/clients.py: what is asked again, what is not, and what each failure says."""

import asyncio
import socket
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from tenacity import AsyncRetrying

from exness import __version__
from exness.client import (
    AsyncClient,
    ConnectionFailed,
    NoAnswer,
    Refused,
    WrongServer,
    WrongVersion,
    answers,
    calls,
    clients,
)
from exness.client.errors import (
    InsufficientMargin,
    InternalError,
    InvalidRequest,
    NotFound,
    NotReady,
    Overloaded,
    TradeAlreadyClosed,
    Unauthorized,
)
from tests.client.conftest import strike
from tests.support.app import API, App, Trader
from tests.support.books import SOL

CREATE, CLOSE = f"POST {API}/trade/create", f"POST {API}/trade/close"


async def counts(app: App) -> tuple[int, int]:
    (rule,) = (await app.get("/dev/faults")).body["rules"]
    return rule["seen"], rule["struck"]


# --- answers ------------------------------------------------------------------------------------------------------


async def test_a_trade_from_its_opening_to_its_end(app: App, ann: AsyncClient) -> None:
    trade = await ann.create_trade("SOL", "long", margin=Decimal("100.5"), leverage="10", client_order_id="mine")
    assert [trade.margin, trade.leverage, trade.entry_price] == [Decimal("100.5"), 10, 200]
    assert (trade.client_order_id, trade.balance) == ("mine", Decimal("4899.5"))
    assert trade.liquidation_price == 180
    assert trade.created_at.tzinfo is not None
    (row,) = await ann.open_trades()
    assert (row.order_id, row.unrealized_pnl, row.stale) == (trade.order_id, Decimal(0), False)
    assert (await ann.open_trades_page(limit=1)).pagination == answers.Pagination(
        total=1, limit=1, offset=0, has_more=False
    )
    assert (await ann.account()).locked_margin == Decimal("100.5")
    await app.quote(SOL, "202")
    closed = await ann.close_trade(trade.order_id)
    assert (closed.pnl, closed.balance, closed.liquidated) == (Decimal("10.05"), Decimal("5010.05"), False)
    history = await ann.history(status="closed", profitable=True, from_date=datetime(2000, 1, 1, tzinfo=UTC), limit=5)
    assert [row.order_id for row in history.data] == [trade.order_id]
    assert (history.analytics.total_pnl, history.pagination.limit) == (Decimal("10.05"), 5)
    assert (await ann.balance())["USDC"].amount == (await ann.balance_usd()).usd == Decimal("5010.05")


async def test_what_anybody_may_ask(app: App) -> None:
    async with AsyncClient(app.url) as anybody:
        assert {each.symbol for each in await anybody.supported_assets()} == {"SOL", "ETH", "BTC"}
        assert (await anybody.prices())["SOL"].mark == (await anybody.price("SOL")).mark == 200
        (kline,) = await anybody.klines("SOL", "1m", limit=1)
        assert (kline.close, (kline.end - kline.start).seconds) == (Decimal(200), 60)
        assert (await anybody.healthz()).version == app.services.version
        assert (await anybody.readyz()).ready
        assert (await anybody.signup("new@example.com")).message
        link = app.mailbox.mails[-1].link
        signed_in = await anybody.signin_post(link)
        anybody.token = signed_in.token
        assert (await anybody.account()).email == "new@example.com"
        await anybody.logout()
        with pytest.raises(Unauthorized):
            await anybody.account()


async def test_every_intent_has_an_id_of_its_own(ann: AsyncClient) -> None:
    trades = [await ann.create_trade("SOL", "long", margin=1, leverage=2) for _ in range(2)]
    assert len({trade.client_order_id for trade in trades} - {None}) == 2
    assert len(await ann.open_trades()) == 2


# --- refusals -----------------------------------------------------------------------------------------------------


async def test_a_refusal_is_an_exception_by_its_code_with_its_figures(ann: AsyncClient) -> None:
    with pytest.raises(InsufficientMargin, match="free balance") as refused:
        await ann.create_trade("SOL", "long", margin=5001, leverage=2)
    assert (refused.value.code, refused.value.status) == ("insufficient_margin", 422)
    assert refused.value.details == {"required": "5001.000000", "available": "5000.000000"}
    with pytest.raises(InvalidRequest, match="Leverage must be between 1 and 100") as invalid:
        await ann.create_trade("SOL", "long", margin=1, leverage=101)
    assert [each["field"] for each in invalid.value.details] == ["leverage"]
    with pytest.raises(NotFound):
        await ann.price("DOGE")


async def test_an_ended_session_says_what_to_do(app: App, ann: AsyncClient, trader: Trader) -> None:
    await app.revoke(trader.email)
    app.wall.advance(1)
    with pytest.raises(Unauthorized, match="Sign in first"):
        await ann.account()


# --- asking again -------------------------------------------------------------------------------------------------


async def test_an_order_whose_answer_is_lost_is_asked_for_again_and_is_one_trade(app: App, ann: AsyncClient) -> None:
    await strike(app, CREATE, "cut_after", every=1, times=2)
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10)
    assert [row.order_id for row in await ann.open_trades()] == [trade.order_id]
    assert trade.balance == 4900
    assert await counts(app) == (3, 2)


async def test_an_order_that_never_arrived_is_asked_for_again(app: App, ann: AsyncClient) -> None:
    await strike(app, CREATE, "cut_before", nth=1)
    await ann.create_trade("SOL", "long", margin=100, leverage=10)
    assert len(await ann.open_trades()) == 1


async def test_an_answer_that_takes_too_long_is_asked_for_again(app: App, trader: Trader) -> None:
    await strike(app, CREATE, "slow_body", nth=1, delay_s=5)
    async with AsyncClient(app.url, token=trader.token, timeout_s=0.3, longest_wait_s=0.01) as client:
        await client.create_trade("SOL", "long", margin=100, leverage=10)
        assert len(await client.open_trades()) == 1


async def test_a_close_whose_answer_is_lost_is_told_what_it_did(app: App, ann: AsyncClient) -> None:
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10)
    await app.quote(SOL, "202")
    await strike(app, CLOSE, "cut_after", nth=1)
    closed = await ann.close_trade(trade.order_id)
    assert [closed.pnl, closed.returned, closed.balance] == [10, 110, 5010]
    assert await counts(app) == (2, 1)
    with pytest.raises(TradeAlreadyClosed):  # asked by somebody who has not closed it just now
        await ann.close_trade(trade.order_id)


async def test_a_close_that_was_too_late_is_no_close(app: App, ann: AsyncClient) -> None:
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10)
    await strike(app, CLOSE, "cut_before", nth=1)
    closing = asyncio.create_task(ann.close_trade(trade.order_id))
    await app.quote(SOL, "180")
    with pytest.raises(TradeAlreadyClosed) as refused:
        await closing
    assert refused.value.details["liquidated"]


async def test_a_logout_whose_answer_is_lost_is_one(app: App, ann: AsyncClient) -> None:
    await strike(app, f"POST {API}/logout", "cut_after", nth=1)
    assert (await ann.logout()).message
    with pytest.raises(Unauthorized):
        await ann.logout()


async def test_what_is_not_ready_says_what_is_missing(app: App) -> None:
    app.let_prices_age()
    async with AsyncClient(app.url) as anybody:
        with pytest.raises(NotReady) as refused:
            await anybody.readyz()
    assert "SOL has no fresh price: stale" in refused.value.details


@pytest.mark.parametrize("status", [429, 503])
async def test_a_refusal_after_which_nothing_was_done_is_asked_again(app: App, ann: AsyncClient, status: int) -> None:
    await strike(app, f"POST {API}/logout", "status", status=status, nth=1)
    await ann.logout()
    assert await counts(app) == (2, 1)


async def test_a_deposit_is_not_asked_again_when_its_answer_is_lost(app: App, ann: AsyncClient) -> None:
    """Dev control's endpoints can't be struck: a server that never answers stands for it."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    asked: list[bytes] = []
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncClient(f"http://127.0.0.1:{port}", check_version=False, longest_wait_s=0.01) as client:
            with pytest.raises(NoAnswer, match="may have been done or not"):
                await client.dev_deposit("ann@example.com", 1)
            assert len(asked) == 1
            with pytest.raises(NoAnswer, match="clientOrderId"):
                await client.create_trade("SOL", "long", margin=1, leverage=1)
            assert len(asked) == 1 + 8


async def test_tries_are_bounded_and_the_last_refusal_is_raised(app: App, trader: Trader) -> None:
    await strike(app, CREATE, "status", status=503, every=1)
    async with AsyncClient(app.url, token=trader.token, tries=3, longest_wait_s=0.01) as client:
        with pytest.raises(Overloaded):
            await client.create_trade("SOL", "long", margin=1, leverage=1)
    assert await counts(app) == (3, 3)
    await strike(app, CREATE, "status", status=500, every=1)
    async with AsyncClient(app.url, token=trader.token, tries=2, longest_wait_s=0.01) as client:
        with pytest.raises(InternalError):
            await client.create_trade("SOL", "long", margin=1, leverage=1)
    assert await counts(app) == (2, 2)
    assert trader.free == "5000.000000"


async def test_it_waits_for_as_long_as_the_exchange_asks_for_up_to_its_own_bound(
    app: App, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    retrying = AsyncRetrying
    monkeypatch.setattr(clients, "AsyncRetrying", lambda **options: retrying(**options | {"sleep": sleep}))
    for bound, least in ((2.0, 1.0), (0.2, 0.2)):
        waited.clear()
        async with AsyncClient(app.url, token=trader.token, longest_wait_s=bound) as client:
            await strike(app, CREATE, "status", status=429, nth=1)
            await client.create_trade("SOL", "long", margin=1, leverage=1)
        assert len(waited) == 1
        assert least <= waited[0] <= bound


# --- wrong servers ------------------------------------------------------------------------------------------------


async def other_server(answer: web.Response | None = None, **fields: Any) -> web.AppRunner:
    """Something that answers, and is no exness or another one."""

    async def handle(request: web.Request) -> web.Response:
        return answer or web.json_response(fields)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def url_of(runner: web.AppRunner) -> str:
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.mark.parametrize("url", ["localhost:8002", "ftp://localhost", "", "http://", "/api/v1"])
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(WrongServer, match="no URL"):
        AsyncClient(url)


async def test_nobody_at_the_url_is_said_at_once_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    loop = asyncio.get_running_loop()
    async with AsyncClient(f"http://127.0.0.1:{port}") as client:
        began = loop.time()
        with pytest.raises(ConnectionFailed, match="Is the exchange running there"):
            await client.prices()
        assert loop.time() - began < 1


async def test_another_server_is_no_exness() -> None:
    page = await other_server(web.Response(text="<h1>It works!</h1>", content_type="text/html"))
    async with AsyncClient(url_of(page)) as client:
        with pytest.raises(WrongServer, match="is no exness"):
            await client.prices()
    await page.cleanup()


async def test_another_minor_version_is_said_and_another_patch_is_fine() -> None:
    major, minor, _ = __version__.split(".")
    other = await other_server(status="ok", version=f"{major}.{int(minor) + 1}.0")
    async with AsyncClient(url_of(other)) as client:
        with pytest.raises(WrongVersion, match=rf"install exness {major}\.{int(minor) + 1}\.\*"):
            await client.prices()
    async with AsyncClient(url_of(other), check_version=False) as client:
        await client.healthz()
    await other.cleanup()
    same = await other_server(status="ok", version=f"{major}.{minor}.99")
    async with AsyncClient(url_of(same)) as client:
        await client.healthz()
    await same.cleanup()


async def test_a_code_that_is_not_known_here_is_a_refusal_all_the_same() -> None:
    newer = await other_server(web.json_response({"success": False, "code": "new", "message": "New"}, status=422))
    async with AsyncClient(url_of(newer), check_version=False) as client:
        with pytest.raises(Refused, match=r"New \(new\)") as refused:
            await client.account()
    assert (type(refused.value), refused.value.code) == (Refused, "new")
    await newer.cleanup()


def test_a_date_without_a_zone_is_utc_and_a_parameter_that_is_none_is_left_out() -> None:
    naive = datetime(2026, 1, 31)  # noqa: DTZ001 - that is what it is about
    assert calls.history(from_date=naive).path == f"{API}/trade/history?fromDate=2026-01-31T00%3A00%3A00%2B00%3A00"
    assert calls.history(from_date="2026-01-31", profitable=False).path.endswith(
        "?profitable=false&fromDate=2026-01-31"
    )
    assert calls.open_trades().path == f"{API}/trade/open"
    klines = calls.klines("SOL", "1m", start_time=datetime(2026, 1, 31, tzinfo=UTC))
    assert klines.path == f"{API}/klines?asset=SOL&interval=1m&startTime=1769817600"
