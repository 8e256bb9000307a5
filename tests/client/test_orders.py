"""client/calls: every method of orders, exits, parts, net positions, money and rates, against an exchange that runs.

The client is one whose every answer is held against what went over the wire.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exness.client import AsyncClient, answers
from exness.client.errors import (
    InvalidRequest,
    MarginTooLow,
    OrderAlreadyEnded,
    OrderNotFound,
    ReduceOnlyRejected,
    WouldRest,
    WouldTake,
    WouldTrigger,
)
from tests.client.wire import ENDPOINTS, CheckedClient
from tests.support.app import API, App
from tests.support.books import SOL


async def a_trade(ann: AsyncClient) -> answers.TradeCreated:
    """A long of 1000 USDC at 200."""
    return await ann.create_trade("SOL", "long", margin=100, leverage=10)


async def orders(app: App, ann: CheckedClient) -> None:
    tomorrow = datetime(2026, 2, 1, 9, tzinfo=UTC)
    placed = await ann.create_order(
        "SOL", "long", margin=100, leverage=10, limit_price="190", take_profit=220, stop_loss=180, expires_at=tomorrow
    )
    assert isinstance(placed, answers.OrderPending)
    assert (placed.status, placed.kind, placed.expires_at) == ("pending", "limit", tomorrow)
    assert [placed.limit_price, placed.reserved, placed.balance] == [190, 100, 4900]
    assert (await ann.account()).reserved == 100
    by_id = await ann.order(placed.order_id)
    assert [by_id.status, by_id.ended_at, by_id.limit_price] == ["pending", None, 190]
    assert await ann.order(client_order_id=placed.client_order_id) == by_id
    amended = await ann.amend_order(placed.order_id, limit_price=191, take_profit=None, expires_at=None)
    assert isinstance(amended, answers.OrderPending)
    assert [amended.limit_price, amended.take_profit, amended.stop_loss, amended.expires_at] == [191, None, 180, None]
    stop = await ann.create_order("ETH", "short", margin=10, leverage=2, stop_price=2900, limit_price=2800)
    assert [order.order_id for order in await ann.open_orders()] == [placed.order_id, stop.order_id]
    assert [order.kind for order in await ann.open_orders("ETH")] == ["stop_limit"]
    opened = await ann.amend_order(placed.order_id, limit_price=200)
    assert isinstance(opened, answers.OrderOpened)
    assert [opened.status, opened.order_id, opened.entry_price] == ["open", placed.order_id, 200]
    at_once = await ann.create_order("SOL", "short", margin=10, leverage=2, limit_price=199, time_in_force="ioc")
    assert isinstance(at_once, answers.OrderOpened)
    cancelled = await ann.cancel_order(stop.order_id)
    assert [cancelled.status, cancelled.released, cancelled.balance] == ["cancelled", 10, 4890]
    last = await ann.create_order("SOL", "long", margin=10, leverage=2, stop_price="210.5", post_only=False)
    assert (await ann.cancel_all_orders("ETH")).cancelled == []
    gone = await ann.cancel_all_orders()
    assert [gone.cancelled, gone.balance] == [[last.order_id], 4890]
    history = await ann.order_history(limit=2, offset=1)
    assert [(row.order_id, row.status, row.average_price) for row in history.data] == [
        (stop.order_id, "cancelled", None),
        (placed.order_id, "filled", 200),
    ], "what was filled at once is a trade and no order"
    assert history.pagination == answers.Pagination(total=3, limit=2, offset=1, has_more=False)
    assert await ann.open_orders() == []


async def exits_and_parts(app: App, ann: CheckedClient) -> None:
    trade = await ann.create_trade(
        "SOL", "long", margin=100, leverage=10, take_profit=230, stop_loss=170, trailing_stop={"distance": Decimal("9")}
    )
    assert [warned.code for warned in trade.warnings] == ["stop_loss_beyond_liquidation"]
    assert trade.trailing_stop == answers.Trailed(distance=Decimal(9))
    exits = await ann.set_exits(trade.order_id, stop_loss=185, trailing_stop={"percent": 500, "activation": "205.5"})
    assert exits.trailing_stop == answers.Trailed(percent=500, activation=Decimal("205.5"))
    assert [exits.take_profit, exits.stop_loss, exits.warnings] == [230, 185, ()]
    exits = await ann.set_exits(trade.order_id, take_profit=None)
    assert [exits.take_profit, exits.stop_loss] == [None, 185]
    half = await ann.add_exit(trade.order_id, "take_profit", price=220, percent=5000)
    assert [half.closes, half.type, half.stop_price, half.quantity] == [trade.order_id, "short", 220, Decimal("2.5")]
    amended = await ann.amend_order(half.order_id, stop_price=210)
    assert amended.status == "pending"
    margin = await ann.change_margin(trade.order_id, 50)
    assert [margin.margin, margin.liquidation_price, margin.removable, margin.balance] == [150, 170, 50, 4850]
    margin = await ann.change_leverage(trade.order_id, 5)
    assert [margin.margin, margin.leverage, margin.balance] == [200, 5, 4800]
    await app.quote(SOL, "206")
    (row,) = await ann.open_trades()
    assert row.trailing_stop == answers.Trailed(percent=500, activation=Decimal("205.5"), level=Decimal("195.7"))
    assert row.unrealized_pnl == 30
    line = row.line  # the pnl at any price
    assert (int(line.size) * 206_000_000 - int(line.cost)) // int(line.unit) == 30_000_000
    part = await ann.close_trade(trade.order_id, margin=50)
    assert part.remaining is not None
    assert [part.pnl, part.returned, part.reason, part.remaining.margin] == [
        Decimal("7.5"),
        Decimal("57.5"),
        "user",
        150,
    ]
    await app.quote(SOL, "210")
    assert (await ann.open_trades())[0].realized_pnl == Decimal("32.5"), "half of what it was went at 210"
    rest = await ann.close_trade(trade.order_id)
    assert (rest.remaining, rest.pnl, rest.balance) == (None, Decimal("12.5"), Decimal("5045"))
    (past,) = (await ann.history(status="closed")).data
    assert (past.close_reason, past.realized_pnl, past.pnl) == ("user", Decimal(45), Decimal("12.5"))
    assert await ann.trade(trade.order_id) == await ann.trade(client_order_id=trade.client_order_id) == past
    two = [(await ann.create_trade(asset, "long", margin=10, leverage=2)).order_id for asset in ("SOL", "ETH")]
    all_of_them = await ann.close_all_trades()
    assert [each.order_id for each in all_of_them.closed] == two
    assert not all_of_them.refused
    assert all_of_them.balance == 5045


async def net_positions(app: App, ann: CheckedClient) -> None:
    quote = await ann.net_quote("ETH", "buy", quantity="0.5", slippage=100)
    assert [quote.price, quote.margin, quote.refusal, quote.max_margin] == [3000, 75, None, None]
    bought = await ann.net_order("ETH", "buy", quantity="0.5", slippage=100)
    assert isinstance(bought, answers.OrderFilled)
    assert bought.trade is not None
    assert [bought.status, bought.price, bought.trade.net, bought.trade.margin] == ["filled", 3000, True, 75]
    leverage = await ann.net_leverage("ETH", 10)
    assert leverage.trade is not None
    assert [leverage.leverage, leverage.trade.margin] == [10, 150]
    (eth,) = await ann.net("ETH")
    assert eth.trade is not None
    assert [eth.leverage, eth.trade.quantity] == [10, Decimal("0.5")]
    assert {each.asset: each.trade is None for each in await ann.net()} == {"SOL": True, "ETH": False, "BTC": True}
    exit_ = await ann.net_order("ETH", "sell", close_position=True, stop_price=3100, kind="take_profit")
    assert isinstance(exit_, answers.OrderPending)
    assert (exit_.closes, exit_.kind, exit_.quantity) == (bought.trade.order_id, "take_profit", None)
    trailing = await ann.net_order("ETH", "sell", quantity="0.1", reduce_only=True, trailing_stop={"percent": 100})
    assert isinstance(trailing, answers.OrderPending)
    limit = await ann.net_order("ETH", "buy", quantity="0.1", limit_price=2950, time_in_force="gtc")
    assert (limit.status, limit.balance) == ("pending", Decimal("4820.5"))
    moved = await ann.amend_order(limit.order_id, limit_price=3000, quantity="0.2")
    assert isinstance(moved, answers.OrderFilled)
    assert moved.trade is not None
    assert [moved.trade.quantity, moved.pnl] == [Decimal("0.7"), 0]
    flat = await ann.net_order("ETH", "sell", close_position=True)
    assert isinstance(flat, answers.OrderFilled)
    assert [flat.trade, flat.balance] == [None, 5000]
    assert await ann.open_orders() == [], "exits end with the position"


async def money_and_rates(app: App, ann: CheckedClient) -> None:
    assert (await ann.rates()).rates["SOL"].taker == answers.Sourced(value=Decimal(0), source="default")
    tiers = [answers.Tier(floor=Decimal(0), rate=Decimal("0.005"), max_leverage=Decimal(50))]
    told = await ann.dev_set_rates(
        "SOL", taker="0.0005", maintenance=tiers, funding_rate="feed", funding_interval_s=3600
    )
    assert told.rates.maintenance.value == tiers
    assert told.rates.taker == answers.Sourced(value=Decimal("0.0005"), source="dev")
    assert [told.rates.funding_rate.value, told.rates.maker.value] == ["feed", 0]
    quote = await ann.quote("SOL", "long", margin=100, leverage=10, stop_loss=190)
    assert [quote.commission, quote.required, quote.max_quantity, quote.refusal] == [
        Decimal("0.5"),
        Decimal("100.5"),
        None,
        None,
    ]
    refused = await ann.quote("SOL", "long", margin=6000, leverage=10, limit_price=190)
    assert refused.refusal is not None
    assert (refused.refusal.code, refused.refusal.details) == (
        "insufficient_margin",
        {"required": "6030.000000", "available": "5000.000000"},
    )
    trade = await a_trade(ann)
    assert (trade.commission, trade.balance) == (Decimal("0.5"), Decimal("4899.5"))
    await app.quote(SOL, "210")
    closed = await ann.close_trade(trade.order_id)
    rows = await ann.statement()
    assert [(row.reason, row.amount) for row in rows] == [
        ("margin", 100),
        ("pnl", 50),
        ("commission", -closed.commission),
        ("margin", -100),
        ("commission", Decimal("-0.5")),
        ("deposit", 5000),
    ]
    assert sum(row.amount for row in rows) == (await ann.account()).balance == closed.balance
    assert [row.reason for row in await ann.statement(reason="pnl", asset="SOL", before=rows[0].seq + 1, limit=1)] == [
        "pnl"
    ]
    house = await ann.dev_house()
    assert [house.pnl, house.commission] == [-50, trade.commission + closed.commission]
    books = await ann.dev_books()
    assert books.balanced
    assert books.free + books.locked + books.reserved + house.pnl + house.commission == books.deposits == 5000
    for profile in ("exness", "binance", "hyperliquid", "gmx", "backpack", ""):
        assert (await ann.dev_set_profile(profile)).profile == profile
    equity = await ann.equity("1m", start_time=app_time(app) - timedelta(hours=1), end_time=app_time(app), limit=5)
    assert equity == []


def app_time(app: App) -> datetime:
    return datetime.fromtimestamp(app.clock.now / 1_000_000, UTC)


STORIES: dict[Callable[[App, CheckedClient], Awaitable[None]], set[str]] = {
    orders: {
        "/order",
        "/order/create",
        "/order/amend",
        "/order/cancel",
        "/order/cancelAll",
        "/order/open",
        "/order/history",
    },
    exits_and_parts: {
        "/trade/exits",
        "/trade/exit",
        "/trade/margin",
        "/trade/leverage",
        "/trade",
        "/trade/close",
        "/trade/closeAll",
        "/trade/create",
    },
    net_positions: {"/net/order", "/net/leverage", "/net", "/net/quote"},
    money_and_rates: {
        *("/trade/quote", "/account/statement", "/account/equity", "/rates"),
        *("/dev/rates/{asset}", "/dev/profile", "/dev/house", "/dev/books"),
    },
}
"""And the endpoints that each of them is about."""


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_every_answer_of_a_story_is_what_went_over_the_wire(
    app: App, ann: CheckedClient, story: Callable[[App, CheckedClient], Awaitable[None]]
) -> None:
    await story(app, ann)
    assert STORIES[story] <= {path.removeprefix(API) for _, path in ann.asked}


def test_there_is_a_story_for_every_endpoint_of_orders_net_positions_and_rates() -> None:
    told = set().union(*STORIES.values())
    asked = ("/order/", "/net", "/trade/", "/rates", "/dev/rates", "/dev/profile", "/dev/house", "/account/")
    paths = {path.removeprefix(API) for _, path in ENDPOINTS.weights}
    assert {path for path in paths if path.startswith(asked)} - {"/trade/open", "/trade/history"} <= told <= paths


# --- refusals -----------------------------------------------------------------------------------------------------


async def test_refusals_of_orders_are_exceptions_by_their_codes(ann: AsyncClient) -> None:
    trade = await a_trade(ann)
    with pytest.raises(WouldTake):
        await ann.create_order("SOL", "long", margin=1, leverage=2, limit_price=201, post_only=True)
    with pytest.raises(WouldRest):
        await ann.create_order("SOL", "long", margin=1, leverage=2, limit_price=199, time_in_force="ioc")
    with pytest.raises(WouldTrigger) as due:
        await ann.set_exits(trade.order_id, stop_loss=201)
    assert due.value.details == {"price": "200.000000", "level": "201.000000"}
    with pytest.raises(MarginTooLow) as too_low:
        await ann.change_margin(trade.order_id, -1)
    assert too_low.value.details == {"removable": "0.000000"}
    with pytest.raises(ReduceOnlyRejected):
        await ann.net_order("SOL", "sell", quantity=1, reduce_only=True)
    with pytest.raises(OrderNotFound):
        await ann.cancel_order("nobody's")
    with pytest.raises(InvalidRequest, match="Give what changes"):
        await ann.amend_order(trade.order_id)
    order = await ann.create_order("SOL", "long", margin=1, leverage=2, limit_price=199)
    await ann.cancel_order(order.order_id)
    with pytest.raises(OrderAlreadyEnded) as ended:  # asked by somebody who has not cancelled it just now
        await ann.cancel_order(order.order_id)
    assert ended.value.details["status"] == "cancelled"
    assert [row.order_id for row in await ann.open_trades()] == [trade.order_id]
