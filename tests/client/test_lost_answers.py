"""client/calls: whatever is asked for again after its answer was lost is done once, and told as it was."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from exness.client import AsyncClient, answers
from exness.client.errors import ClientOrderIdConflict, OrderAlreadyEnded
from tests.client.conftest import strike
from tests.support.app import API, App
from tests.support.books import SOL

Asked = Callable[[AsyncClient, str], Awaitable[Any]]
"""Something that is done to a trade."""

ONCE: dict[str, tuple[str, Asked]] = {
    "order": (
        "/order/create",
        lambda ann, _: ann.create_order("SOL", "long", margin=7, leverage=2, limit_price=190),
    ),
    "order-filled": (
        "/order/create",
        lambda ann, _: ann.create_order("SOL", "long", margin=7, leverage=2, limit_price=200),
    ),
    "net": ("/net/order", lambda ann, _: ann.net_order("ETH", "buy", quantity="0.1")),
    "net-pending": ("/net/order", lambda ann, _: ann.net_order("ETH", "sell", quantity="0.1", stop_price=2900)),
    "exit": ("/trade/exit", lambda ann, trade: ann.add_exit(trade, "stop_loss", price=190, percent=2500)),
    "part": ("/trade/close", lambda ann, trade: ann.close_trade(trade, percent=2500)),
    "all": ("/trade/close", lambda ann, trade: ann.close_trade(trade)),
    "margin": ("/trade/margin", lambda ann, trade: ann.change_margin(trade, 50)),
    "leverage": ("/trade/leverage", lambda ann, trade: ann.change_leverage(trade, 5)),
    "net-leverage": ("/net/leverage", lambda ann, _: ann.net_leverage("SOL", 5)),
    "exits": ("/trade/exits", lambda ann, trade: ann.set_exits(trade, stop_loss=190, take_profit=None)),
}


async def holdings(ann: AsyncClient) -> tuple[object, ...]:
    """What an account has, but for ids."""
    trades = [
        (row.asset, row.margin, row.leverage, row.quantity, row.stop_loss, row.take_profit)
        for row in await ann.open_trades()
    ]
    orders = [(row.asset, row.kind, row.reserved, row.quantity, row.stop_price) for row in await ann.open_orders()]
    leverage = [(each.asset, each.leverage) for each in await ann.net()]
    return trades, orders, leverage, await ann.balance(), (await ann.order_history()).pagination.total


def without_ids(answer: Any) -> dict[str, Any]:
    told = {name: getattr(answer, name) for name in answer.__struct_fields__}
    trade = told.get("trade")
    ids = {"order_id", "client_order_id", "closes"}
    return {name: value for name, value in told.items() if name not in ids} | (
        {} if trade is None else {"trade": without_ids(trade)}
    )


@pytest.mark.parametrize("name", ONCE)
async def test_what_was_taken_and_not_answered_is_taken_once_and_told_as_it_was(
    app: App, ann: AsyncClient, name: str
) -> None:
    path, ask = ONCE[name]
    (bob,) = await app.known("bob")
    async with AsyncClient(app.url, token=bob.token) as undisturbed:
        trade = await undisturbed.create_trade("SOL", "long", margin=100, leverage=10, take_profit=250)
        expected = without_ids(await ask(undisturbed, trade.order_id))
        should_have = await holdings(undisturbed)
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10, take_profit=250)
    await strike(app, f"POST {API}{path}", "cut_after", every=1, times=2, email="ann@example.com")
    answer = await ask(ann, trade.order_id)
    (rule,) = await ann.dev_faults()
    assert (rule.seen, rule.struck) == (3, 2)
    assert without_ids(answer) == expected
    assert await holdings(ann) == should_have


@pytest.mark.parametrize("name", ONCE)
async def test_what_a_proxy_hands_over_twice_is_taken_once(app: App, ann: AsyncClient, name: str) -> None:
    path, ask = ONCE[name]
    (bob,) = await app.known("bob")
    async with AsyncClient(app.url, token=bob.token) as undisturbed:
        trade = await undisturbed.create_trade("SOL", "long", margin=100, leverage=10, take_profit=250)
        await ask(undisturbed, trade.order_id)
        should_have = await holdings(undisturbed)
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10, take_profit=250)
    await strike(app, f"POST {API}{path}", "twice", nth=1)
    await ask(ann, trade.order_id)
    assert await holdings(ann) == should_have


async def test_one_id_of_ones_own_is_one_order_over_all_calls_that_have_it(ann: AsyncClient) -> None:
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10)
    first = await ann.close_trade(trade.order_id, percent=2500, client_order_id="quarter")
    assert await ann.close_trade(trade.order_id, percent=2500, client_order_id="quarter") == first
    second = await ann.close_trade(trade.order_id, percent=2500)
    assert second.remaining is not None
    assert second.remaining.margin == Decimal("56.25")
    with pytest.raises(ClientOrderIdConflict):
        await ann.create_order("SOL", "long", margin=1, leverage=2, limit_price=190, client_order_id="quarter")
    with pytest.raises(ClientOrderIdConflict):
        await ann.change_margin(trade.order_id, 1, client_order_id="quarter")


async def test_a_part_whose_answer_is_lost_is_told_also_when_the_rest_is_gone(app: App, ann: AsyncClient) -> None:
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10)
    part = await ann.close_trade(trade.order_id, percent=5000, client_order_id="half")
    await app.quote(SOL, "180")
    assert await ann.open_trades() == []
    assert await ann.close_trade(trade.order_id, percent=5000, client_order_id="half") == part


@pytest.mark.parametrize("kind", ["order", "exit"])
async def test_a_cancelling_whose_answer_is_lost_is_told_as_one(app: App, ann: AsyncClient, kind: str) -> None:
    trade = await ann.create_trade("SOL", "long", margin=100, leverage=10)
    if kind == "order":
        order_id = (await ann.create_order("SOL", "long", margin=7, leverage=2, limit_price=190)).order_id
    else:
        order_id = (await ann.add_exit(trade.order_id, "take_profit", price=220, percent=5000)).order_id
    await strike(app, f"POST {API}/order/cancel", "cut_after", nth=1)
    assert await ann.cancel_order(order_id) == answers.OrderCancelled(order_id=order_id, status="cancelled")
    assert await ann.open_orders() == []
    assert (await ann.account()).balance == 4900


async def test_a_cancelling_that_came_too_late_is_none(app: App, ann: AsyncClient) -> None:
    order = await ann.create_order("SOL", "long", margin=7, leverage=2, limit_price=190)
    await strike(app, f"POST {API}/order/cancel", "cut_before", nth=1)
    await app.quote(SOL, "189")
    with pytest.raises(OrderAlreadyEnded) as ended:
        await ann.cancel_order(order.order_id)
    assert ended.value.details["status"] == "filled"
    assert [row.order_id for row in await ann.open_trades()] == [order.order_id]


async def test_an_amendment_whose_answer_is_lost_is_the_same_again_or_says_that_it_is_filled(
    app: App, ann: AsyncClient
) -> None:
    order = await ann.create_order("SOL", "long", margin=7, leverage=2, limit_price=190, stop_loss=150)
    await strike(app, f"POST {API}/order/amend", "cut_after", every=1, times=1)
    amended = await ann.amend_order(order.order_id, limit_price=191, stop_loss=None, margin=8)
    assert isinstance(amended, answers.OrderPending)
    assert [amended.limit_price, amended.stop_loss, amended.reserved, amended.balance] == [191, None, 8, 4992]
    await strike(app, f"POST {API}/order/amend", "cut_after", every=1, times=1)
    with pytest.raises(OrderAlreadyEnded) as ended:
        await ann.amend_order(order.order_id, limit_price=200)
    assert ended.value.details["status"] == "filled"
    (trade,) = await ann.open_trades()
    assert [trade.order_id, trade.margin] == [order.order_id, 8]


async def test_all_that_waits_is_cancelled_though_the_answer_is_lost(app: App, ann: AsyncClient) -> None:
    for _ in range(3):
        await ann.create_order("SOL", "long", margin=7, leverage=2, limit_price=190)
    await strike(app, f"POST {API}/order/cancelAll", "cut_after", nth=1)
    answer = await ann.cancel_all_orders()
    assert [answer.cancelled, answer.balance] == [[], 5000]
    assert [row.status for row in (await ann.order_history()).data] == ["cancelled"] * 3
