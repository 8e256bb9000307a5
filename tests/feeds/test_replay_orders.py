"""Everything that can be asked for rides along with a replay, and a run that is killed goes on as if it were not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from exness.core.capture import digest_of
from exness.core.commands import AddExit, AmendOrder, CloseTrade, NetOrder, SetExits
from exness.core.engine import Engine
from exness.core.events import Record, TradeChanged, Why
from exness.core.outcomes import Done
from exness.core.rates import Rates
from exness.core.rules import Rules
from exness.core.trades import Trailing
from exness.feeds.order_rows import DOINGS
from exness.feeds.orders import OPTIONAL, REQUIRED, read_orders
from exness.feeds.recording import ReplayError
from exness.feeds.replay import ReplayFeed, ReplayOptions
from tests.feeds.helpers import INSTRUMENTS, LIFE_US, SOL
from tests.feeds.test_replay_options import Cut, Desk, at, orders, play, quotes, write

HEADER = ",".join(REQUIRED + OPTIONAL)
RATES = Rates(taker=50_000, maker=20_000, funding_interval_s=30, funding_rate=10_000)


def line(second: int, do: str, order: str = "", **columns: str) -> str:
    given = {"time": at(second), "account": "ann@example.com", "do": do, "order": order, **columns}
    return ",".join(given.pop(column, "") for column in REQUIRED + OPTIONAL)


OPEN = {"asset": "SOL", "type": "long", "margin": "100", "leverage": "10"}
SCRIPT = (
    line(10, "open", "a", **OPEN, takeProfit="130", trailingStop="150bp@104"),
    line(11, "exits", "a", stopLoss="80", takeProfit="none"),
    line(12, "exit", "half", of="a", kind="take_profit", stopPrice="110", percent="5000"),
    line(13, "order", "dip", **OPEN, limitPrice="95", stopLoss="70", timeInForce="gtt", expiresAt=at(500)),
    line(14, "order", "never", **OPEN, stopPrice="300"),
    line(15, "amend", "dip", limitPrice="96", expiresAt="none"),
    line(16, "cancel", "never"),
    line(17, "margin", "a", amount="25.5"),
    line(18, "leverage", "a", leverage="5"),
    line(19, "net_leverage", asset="SOL", leverage="4"),
    line(20, "net", "n", asset="SOL", type="buy", quantity="2.5"),
    line(21, "net", "out", asset="SOL", type="sell", quantity="1", reduceOnly="true", stopPrice="90", kind="stop_loss"),
    line(22, "deposit", amount="100"),
    line(23, "close", "a", percent="1000"),
    line(24, "order", "late", **OPEN, limitPrice="60", timeInForce="gtt", expiresAt=at(80)),
    line(95, "cancel_all", asset="SOL"),
    line(96, "close", "n", margin="what stands in a column that close never read"),
)
PRICES = ((9, "100"), (40, "105"), (41, "103.9"), (42, "112"), (60, "94"), (70, "89"), (90, "91"), (110, "92"))


def funded(records: Sequence[Record] = (), power: int | None = None) -> Desk:
    desk = Desk(records, power)
    desk.engine = Engine(Rules({each.asset: each for each in INSTRUMENTS}, rates={SOL.asset: RATES}), desk.state)
    return desk


def script(folder: Path) -> tuple[Path, Path]:
    return quotes(folder, *PRICES), write(folder, "orders.csv", HEADER, *SCRIPT)


async def test_every_do_rides_along_and_is_done(tmp_path: Path) -> None:
    path, orders_path = script(tmp_path)
    desk = funded()
    feed = await play(desk, [path], orders=orders_path)
    assert {order.do for order in read_orders(orders_path, INSTRUMENTS)} == set(DOINGS)
    asked = [outcome for _, outcome in desk.outcomes[1:]]  # the first opens the account
    assert [isinstance(outcome, Done) for outcome in asked] == [True] * len(SCRIPT)
    assert feed.tally.orders_done == len(SCRIPT)
    told = [type(record.event).__struct_config__.tag for record in desk.records]
    assert {"trail_moved", "trade_reduced", "order_amended", "order_ended", "net_leverage_set"} <= set(told)
    paid = [record.event for record in desk.records if isinstance(record.event, TradeChanged)]
    assert any(event.why is Why.FUNDING for event in paid)


async def test_a_run_that_is_killed_at_any_record_goes_on_and_ends_in_the_same_state(tmp_path: Path) -> None:
    path, orders_path = script(tmp_path)
    whole = funded()
    await play(whole, [path], orders=orders_path)
    for power in range(len(whole.records)):
        cut = funded(power=power)
        with pytest.raises(Cut):
            await play(cut, [path], orders=orders_path)
        again = funded(cut.records)
        await play(again, [path], orders=orders_path)
        assert again.records == whole.records, f"after {power} records"
        assert digest_of(again.state) == digest_of(whole.state)


def test_each_column_is_read_by_those_that_have_it(tmp_path: Path) -> None:
    _, path = script(tmp_path)
    asked = {order.name: order.asked for order in read_orders(path, INSTRUMENTS) if order.do != "close"}
    trade = next(order.asked for order in read_orders(path, INSTRUMENTS) if order.do == "open")
    assert trade.trailing_stop == Trailing(percent=150, activation=104_000_000)  # type: ignore[union-attr]
    exits = next(order.asked for order in read_orders(path, INSTRUMENTS) if order.do == "exits")
    assert isinstance(exits, SetExits)
    assert (exits.take_profit, exits.stop_loss) == (None, 80_000_000)
    assert isinstance(asked["half"], AddExit)
    assert asked["half"].percent == 5_000
    amended = next(order.asked for order in read_orders(path, INSTRUMENTS) if order.do == "amend")
    assert isinstance(amended, AmendOrder)
    assert (amended.limit, amended.expires_at) == (96_000_000, None)
    assert isinstance(asked["n"], NetOrder)
    assert asked["n"].quantity == 2_500
    last = [order.asked for order in read_orders(path, INSTRUMENTS)][-1]
    assert isinstance(last, CloseTrade)
    assert (last.percent, last.margin, last.size) == (None, None, None)


def test_a_file_of_before_is_read_as_before(tmp_path: Path) -> None:
    path = orders(
        tmp_path, f"{at(1)},ann@example.com,open,a,SOL,long,1,1,,", f"{at(2)},ann@example.com,close,a,SOL,long,1,1,,"
    )
    opened, closed = read_orders(path, INSTRUMENTS)
    assert (opened.asked.take_profit, opened.asked.stop_loss, opened.asked.trailing_stop) == (None, None, None)  # type: ignore[union-attr]
    assert (closed.asked.percent, closed.asked.margin, closed.asked.size) == (None, None, None)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            line(30, "exit", "x", of="a", kind="trailing_stop", stopPrice="1"),
            "kind must be take_profit or stop_loss or limit",
        ),
        (
            line(30, "exit", "x", of="z", kind="limit", limitPrice="1", percent="1"),
            "of 'z' is no trade that ann@example.com has opened above",
        ),
        (line(30, "order", "x", **OPEN), "limitPrice or stopPrice must be given"),
        (line(30, "order", "x", **OPEN, limitPrice="1", postOnly="yes"), "postOnly must be true or false, not 'yes'"),
        (line(30, "order", "x", **OPEN, limitPrice="1", expiresAt="soon"), "expiresAt "),
        (line(30, "order", "x", **OPEN, limitPrice="much"), "limitPrice must be a number"),
        (line(30, "net", "x", asset="SOL", type="buy"), "quantity must be given, or closePosition, and not both"),
        (line(30, "net", "x", asset="SOL", type="long", quantity="1"), "type must be buy or sell, not 'long'"),
        (line(30, "amend", "a", margin="none"), "margin can't be removed"),
        (line(30, "exits", "a", trailingStop="2bp3"), "trailingStop"),
        (line(30, "cancel", "nothing"), "order nothing (cancel) is named by ann@example.com, who has not opened it"),
        (line(30, "order", "a", **OPEN, limitPrice="1"), "order a is made by ann@example.com a second time"),
    ],
)
def test_what_is_wrong_with_a_line_is_named_before_anything_starts(tmp_path: Path, wrong: str, problem: str) -> None:
    path = write(tmp_path, "orders.csv", HEADER, SCRIPT[0], wrong)
    feed = ReplayFeed([quotes(tmp_path, *PRICES)], INSTRUMENTS, LIFE_US, 1, ReplayOptions(orders=path))
    with pytest.raises(ReplayError, match=r"orders\.csv, line 3: ") as refused:
        feed.check()
    assert problem.casefold() in str(refused.value).casefold()
