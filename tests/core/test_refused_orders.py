"""core/decide: orders, exits, parts and net positions that can't be, each refused by name and without a trace."""

from typing import Any

import pytest
from msgspec.structs import replace

from exness.core.commands import (
    AddExit,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    ChangeLeverage,
    ChangeMargin,
    CloseTrade,
    Command,
    NetOrder,
    OpenTrade,
    PlaceOrder,
    SetExits,
    SetNetLeverage,
    SetProfile,
    SetRates,
    TimeInForce,
)
from exness.core.instruments import AccountId, Asset, Execution, LimitFill, OrderId, TradeId, Trigger
from exness.core.rates import Rates
from exness.core.rejects import Figure, NoPrice, OutOfRange, Reject, Wrong
from exness.core.rules import MARGIN, PRICE, SIZE
from exness.core.trades import Kind, Trailing
from tests.support.books import ANN, LONG, PRICE_LIFE, SHORT, SOL, Desk, assert_books_balance, desk_with, tick, usdc

NOBODY = AccountId("nobody")
TOO_HIGH = PRICE.most + 1
ORDER, N, X, XL, XT = (OrderId(name) for name in ("o", "n", "x", "xl", "xt"))
TRADE, NET = TradeId("t"), TradeId("n")
NO_SUCH_ASSET = Asset("XRP")


def desk_of_everything() -> Desk:
    """Ann has a long trade `t`, with a take profit `x` and a limit exit `xl` on a part; a waiting order `o`; a net
    position `n` with a trailing exit `xt`; and a waiting net order `no`."""
    desk = desk_with()
    desk.do(OpenTrade(ANN, TRADE, SOL, LONG, usdc("100"), 1_000))
    desk.do(AddExit(ANN, TRADE, X, Kind.TAKE_PROFIT, usdc("220"), percent=5_000))
    desk.do(AddExit(ANN, TRADE, XL, Kind.LIMIT, usdc("230"), percent=5_000))
    desk.do(PlaceOrder(ANN, ORDER, SOL, LONG, usdc("50"), 500, limit=usdc("190")))
    desk.do(NetOrder(ANN, N, SOL, LONG, 1_000))
    desk.do(net(XT, SHORT, 500, reduce_only=True, trailing_stop=Trailing(distance=usdc("5"))))
    desk.do(net("no", limit=usdc("150")))
    return desk


def net(order: str, side: Any = LONG, quantity: int | None = 1_000, **more: Any) -> NetOrder:
    return NetOrder(ANN, OrderId(order), SOL, side, quantity, **more)


def exit_of(kind: Kind = Kind.TAKE_PROFIT, price: int = usdc("240"), **part: Any) -> AddExit:
    return AddExit(ANN, TRADE, OrderId("new"), kind, price, **(part or {"percent": 1_000}))


def amended(order: OrderId, **changes: Any) -> AmendOrder:
    return AmendOrder(ANN, order, **changes)


WRONG: list[tuple[Command, Wrong]] = [
    (exit_of(Kind.TRAILING_STOP), Wrong("kind", "be take_profit, stop_loss or limit")),
    (exit_of(price=0), Wrong("price", "be above 0")),
    (exit_of(percent=1, margin=1), Wrong("percent", "be the only one of percent, margin and quantity")),
    (amended(X, stop=-1), Wrong("price", "be above 0")),
    (amended(X, stop=0), Wrong("price", "be above 0")),
    (amended(XL, limit=0), Wrong("price", "be above 0")),
    (amended(X, expires_at=1), Wrong("expires_at", "be ahead")),
    (amended(X, leverage=100), Wrong("leverage", "not be given for an exit")),
    (amended(X, stop=None), Wrong("price", "be that of the exit's kind")),
    (amended(XL, stop=usdc("250")), Wrong("price", "be that of the exit's kind")),
    (amended(XT, limit=usdc("250")), Wrong("price", "not be given for a trailing stop")),
    (amended(ORDER, size=5), Wrong("size", "not be given for such an order")),
    (amended(OrderId("no"), margin=5), Wrong("margin", "not be given for such an order")),
    (amended(ORDER, limit=None), Wrong("limit", "be given, or a stop price")),
    (
        OpenTrade(ANN, TradeId("new"), SOL, LONG, 1, 100, take_profit=usdc("210"), stop_loss=usdc("220")),
        Wrong("stop_loss", "be below take_profit of a long, above that of a short"),
    ),
    (SetExits(ANN, TRADE, take_profit=0), Wrong("take_profit", "be above 0")),
    (SetExits(ANN, TRADE, trailing_stop=Trailing()), Wrong("trailing_stop", "have one of distance and percent")),
    (SetExits(ANN, TRADE, trailing_stop=Trailing(distance=0)), Wrong("distance", "be above 0")),
    (net("new", quantity=None), Wrong("quantity", "be given, or close_position")),
    (net("new", limit=0), Wrong("limit", "be above 0")),
    (net("new", stop=usdc("190"), kind=Kind.STOP_LOSS), Wrong("kind", "be that of an exit with a stop price")),
    (
        net("new", trailing_stop=Trailing(distance=5)),
        Wrong("trailing_stop", "be given without prices, for what reduces only"),
    ),
    (SetRates(NO_SUCH_ASSET, {"taker": 1}), Wrong("asset", "be a configured one")),
    (SetNetLeverage(ANN, NO_SUCH_ASSET, 100), Wrong("asset", "be a configured one")),
    (
        SetProfile("own", Execution.MID, Trigger.SIDE, LimitFill.LIMIT, {SOL: Rates(taker=-1)}),
        Wrong("taker", "be a rate from 0 to below 1"),
    ),
]


@pytest.mark.parametrize(("command", "figures"), WRONG)
def test_what_is_wrong_in_itself_is_named_with_what_it_must_be(command: Command, figures: Wrong) -> None:
    desk = desk_of_everything()
    refusal = desk.refused(command)
    assert (refusal.reject, refusal.figures) == (Reject.INVALID_REQUEST, figures)
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    ("command", "figures"),
    [
        (exit_of(price=TOO_HIGH), OutOfRange(Figure.PRICE, TOO_HIGH, *PRICE, SOL)),
        (exit_of(percent=10_001), OutOfRange(Figure.PERCENT, 10_001, 1, 10_000)),
        (amended(X, stop=TOO_HIGH), OutOfRange(Figure.PRICE, TOO_HIGH, *PRICE, SOL)),
        (amended(X, size=SIZE.most + 1), OutOfRange(Figure.SIZE, SIZE.most + 1, *SIZE)),
        (amended(X, size=0), OutOfRange(Figure.SIZE, 0, *SIZE)),
        (amended(ORDER, margin=0), OutOfRange(Figure.MARGIN, 0, *MARGIN)),
        (net("new", quantity=0), OutOfRange(Figure.QUANTITY, 0, *SIZE)),
        (net("new", quantity=0, reduce_only=True), OutOfRange(Figure.QUANTITY, 0, *SIZE)),
        (amended(OrderId("no"), size=0), OutOfRange(Figure.QUANTITY, 0, *SIZE)),
        (CloseTrade(ANN, TRADE, client_order="é"), OutOfRange(Figure.CLIENT_ORDER, 1, 1, 64)),
        (ChangeMargin(ANN, TRADE, 1, client_order="x" * 65), OutOfRange(Figure.CLIENT_ORDER, 65, 1, 64)),
        (
            PlaceOrder(ANN, OrderId("new"), SOL, LONG, 1, 100, limit=TOO_HIGH),
            OutOfRange(Figure.LIMIT, TOO_HIGH, *PRICE, SOL),
        ),
    ],
)
def test_a_figure_that_none_can_be_is_named_with_its_bounds(command: Command, figures: OutOfRange) -> None:
    desk = desk_of_everything()
    refusal = desk.refused(command)
    assert (refusal.reject, refusal.figures) == (Reject.AMOUNT_OUT_OF_RANGE, figures)
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "command",
    [
        exit_of(size=1, percent=None),
        amended(X, size=1),
        CloseTrade(ANN, TRADE, size=1),
    ],
)
def test_a_part_of_so_little_that_no_margin_goes_with_it_is_too_small(command: Command) -> None:
    desk = desk_of_everything()
    assert desk.refused(command).reject is Reject.AMOUNT_TOO_SMALL
    assert_books_balance(desk.state)


def test_a_net_position_of_hardly_any_margin_is_not_reduced_by_so_little_that_none_goes_with_it() -> None:
    desk = desk_with()
    desk.do(tick(SOL, "0.001"))
    desk.do(SetNetLeverage(ANN, SOL, 10_000))
    desk.do(net("n", quantity=150))
    assert desk.state.accounts[ANN].locked < 150
    assert desk.refused(net("o", SHORT, 1, reduce_only=True)).reject is Reject.AMOUNT_TOO_SMALL
    assert desk.refused(net("o", SHORT, 1)).reject is Reject.AMOUNT_TOO_SMALL
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    ("command", "reject"),
    [
        (AddExit(NOBODY, TRADE, OrderId("new"), Kind.LIMIT, 1, percent=1), Reject.TRADE_NOT_FOUND),
        (AmendOrder(NOBODY, ORDER, limit=1), Reject.ORDER_NOT_FOUND),
        (CancelOrder(NOBODY, ORDER), Reject.ORDER_NOT_FOUND),
        (CancelOrders(NOBODY), Reject.ACCOUNT_NOT_FOUND),
        (ChangeMargin(NOBODY, TRADE, 1), Reject.TRADE_NOT_FOUND),
        (ChangeLeverage(NOBODY, TRADE, 100), Reject.TRADE_NOT_FOUND),
        (CloseTrade(NOBODY, TRADE), Reject.TRADE_NOT_FOUND),
        (SetExits(NOBODY, TRADE, stop_loss=1), Reject.TRADE_NOT_FOUND),
        (SetNetLeverage(NOBODY, SOL, 100), Reject.ACCOUNT_NOT_FOUND),
        (replace(net("new"), account=NOBODY), Reject.ACCOUNT_NOT_FOUND),
        (PlaceOrder(NOBODY, OrderId("new"), SOL, LONG, 1, 100, limit=1), Reject.ACCOUNT_NOT_FOUND),
    ],
)
def test_nobody_has_nothing(command: Command, reject: Reject) -> None:
    desk = desk_of_everything()
    assert desk.refused(command).reject is reject
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "command",
    [
        OpenTrade(ANN, TradeId("new"), SOL, LONG, 1, 100, take_profit=1, stop_loss=2, client_order="used"),
        PlaceOrder(ANN, OrderId("new"), SOL, LONG, 1, 100, limit=1, expires_at=1, client_order="used"),
        net("new", limit=1, time_in_force=TimeInForce.GTT, client_order="used"),
        amended(OrderId("nothing"), expires_at=1),
    ],
)
def test_what_is_wrong_in_itself_comes_before_what_it_names(command: Command) -> None:
    desk = desk_of_everything()
    desk.do(OpenTrade(ANN, TradeId("first"), SOL, LONG, usdc("1"), 100, client_order="used"))
    assert desk.refused(command).reject is Reject.INVALID_REQUEST
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "command",
    [
        exit_of(),
        amended(X, stop=usdc("260")),
        amended(ORDER, limit=usdc("180")),
        CloseTrade(ANN, TRADE, percent=5_000),
        ChangeMargin(ANN, TRADE, 1),
        ChangeLeverage(ANN, TRADE, 500),
        SetExits(ANN, TRADE, stop_loss=usdc("190")),
        net("new"),
        net("new", SHORT, reduce_only=True),
        PlaceOrder(ANN, OrderId("new"), SOL, LONG, usdc("1"), 100, limit=usdc("150")),
    ],
)
def test_on_a_price_that_has_grown_old_nothing_is_changed(command: Command) -> None:
    desk = desk_of_everything()
    desk.at += PRICE_LIFE + 1
    refusal = desk.refused(command)
    assert refusal.reject is Reject.PRICE_UNAVAILABLE
    assert isinstance(refusal.figures, NoPrice)
    assert_books_balance(desk.state)


def test_what_waits_is_cancelled_without_a_price() -> None:
    desk = desk_of_everything()
    desk.at += PRICE_LIFE + 1
    desk.do(CancelOrder(ANN, X))
    desk.do(CancelOrders(ANN))
    ann = desk.state.accounts[ANN]
    assert (dict(ann.orders), dict(ann.exits), ann.reserved) == ({}, {}, 0)
    assert_books_balance(desk.state)


def test_what_reduces_at_once_is_held_against_slippage_and_post_only_and_needs_a_position() -> None:
    desk = desk_of_everything()
    only: dict[str, Any] = {"reduce_only": True}
    slipped = net("a", SHORT, **only, slippage=10, expected_price=usdc("210"))
    assert desk.refused(slipped).reject is Reject.SLIPPAGE_EXCEEDED
    takes = net("a", SHORT, **only, limit=usdc("190"), post_only=True)
    assert desk.refused(takes).reject is Reject.WOULD_TAKE
    rests = net("a", SHORT, **only, limit=usdc("210"), time_in_force=TimeInForce.IOC)
    assert desk.refused(rests).reject is Reject.WOULD_REST
    assert desk.refused(net("a", LONG, **only)).reject is Reject.REDUCE_ONLY_REJECTED
    assert_books_balance(desk.state)


def test_labels_of_others_are_no_hindrance() -> None:
    desk = desk_of_everything()
    desk.do(net("l1", limit=usdc("140"), label="one"))
    desk.do(net("l2", SHORT, 100, reduce_only=True, stop=usdc("120"), label="two"))
    desk.do(net("l3", limit=usdc("141"), label="three"))
    assert {order.label for order in desk.state.accounts[ANN].orders.values()} == {None, "one", "three"}
    assert_books_balance(desk.state)
