"""testing/exchange.py and testing/server.py: a process in a test's hand, and nothing of it left behind."""

import asyncio
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest

from exness.client.answers import OrderPending
from exness.client.errors import InvalidRequest, LocalOnly, NotFound, PriceUnavailable, Refused
from exness.testing import BooksDoNotBalance, DidNotStart, Exchange
from tests.support.waiting import until

CREATE = "POST /api/v1/trade/create"


@pytest.fixture(scope="module")
def process() -> Iterator[Exchange]:
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def exchange(process: Exchange) -> Exchange:
    process.reset()
    return process


def folder_of(exchange: Exchange) -> Path:
    folder = exchange._server._folder
    assert folder is not None
    return folder


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def pid_of(exchange: Exchange) -> int:
    assert exchange._server._process is not None
    return exchange._server._process.pid


# --- price, clock, money ------------------------------------------------------------------------------------------


def test_price_and_clock_are_the_tests_own(exchange: Exchange) -> None:
    ann = exchange.trader("ann")
    with pytest.raises(PriceUnavailable, match="no fresh price"):
        ann.create_trade("SOL", "long", margin=100, leverage=10)
    exchange.set_price("SOL", bid="199", ask="201")
    trade = ann.create_trade("SOL", "long", margin=100, leverage=10)
    assert trade.entry_price == 200
    exchange.step("30.000001")
    assert ann.price("SOL").state == "stale"
    exchange.script((1, "SOL", 190), (2, "SOL", 180))
    assert exchange.step(1).liquidated == 0
    assert ann.open_trades()[0].unrealized_pnl == -50
    assert exchange.step(1).liquidated == 1
    (row,) = ann.history().data
    assert (row.liquidated, row.duration_seconds) == (True, 32.000001)


def test_the_clock_stands_until_it_is_let_go(exchange: Exchange) -> None:
    before = exchange.control.dev_clock().now
    assert exchange.control.dev_clock().now == before
    exchange.run(speed=1000)
    exchange.pause()
    after = exchange.control.dev_clock()
    assert after.paused
    assert after.now > before


def test_a_trader_has_5000_usdc_and_what_is_paid_in(exchange: Exchange) -> None:
    assert exchange.trader("ann").account().balance == 5000
    assert exchange.deposit("ann", "0.5").balance == Decimal("5000.5")
    assert exchange.trader("Bob@Example.com").account().email == "bob@example.com"
    assert exchange.books().deposits == Decimal("10000.5")
    exchange.books_balance()


def test_settings_are_those_of_the_documents() -> None:
    with Exchange(settings={"trading.initial_balance": 100, "limits.enabled": False}) as exchange:
        assert exchange.trader("ann").account().balance == 100


def test_a_setting_that_there_is_not_is_said_by_the_exchange() -> None:
    with pytest.raises(DidNotStart, match="initial_balance"), Exchange(settings={"trading.initial_balance": "x"}):
        pass


def test_settings_of_the_environment_are_of_another_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXNESS_TRADING_INITIAL_BALANCE", "7")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Exchange() as exchange:
        assert exchange.trader("ann").account().balance == 5000
        with exchange.trader("ann").stream("account", timeout_s=5) as stream:
            assert next(stream).data.balance == 5000


def test_orders_wait_for_scripted_prices_and_the_books_balance_with_what_they_reserve_and_pay(
    exchange: Exchange,
) -> None:
    exchange.control.dev_set_profile("binance")
    exchange.set_price("SOL", 200)
    ann = exchange.trader("ann")
    order = ann.create_order("SOL", "long", margin=100, leverage=10, limit_price=190, take_profit=210)
    assert isinstance(order, OrderPending)
    assert exchange.books().reserved == order.reserved > 100
    exchange.books_balance()
    exchange.script((1, "SOL", 189), (2, "SOL", 205))
    exchange.step(2)
    (trade,) = ann.open_trades()
    assert trade.order_id == order.order_id
    exchange.crash()
    part = ann.close_trade(trade.order_id, percent=5000)
    assert part.remaining is not None
    exchange.set_price("SOL", 210)
    (past,) = ann.history(status="closed").data
    assert past.close_reason == "take_profit"
    books = exchange.books()
    assert [books.open_trades, books.locked, books.reserved] == [0, 0, 0]
    assert books.commission == past.commission > 0
    exchange.books_balance()
    told = [(event.channel, event.type) for event in exchange.events("ann") if event.channel != "account"]
    assert told == [
        ("orders", "placed"),
        ("orders", "ended"),
        ("trades", "opened"),
        ("trades", "reduced"),
        ("trades", "closed"),
    ]


# --- reset --------------------------------------------------------------------------------------------------------


def test_a_reset_leaves_nothing_of_the_test_before(exchange: Exchange) -> None:
    exchange.set_price("SOL", 200)
    exchange.trader("ann").create_trade("SOL", "long", margin=100, leverage=10)
    exchange.fault(CREATE, "status", status=503, every=1)
    exchange.run()
    exchange.reset()
    ann = exchange.trader("ann")
    assert ann.account().balance == 5000
    assert (ann.history().data, ann.price("SOL").state) == ([], "down")
    assert exchange.faults() == []
    assert exchange.control.dev_clock().paused
    assert [event.type for event in exchange.events("ann")] == ["balance"]


def test_a_reset_starts_an_exchange_that_has_ended(exchange: Exchange) -> None:
    process = exchange._server._process
    assert process is not None
    process.kill()
    process.wait()
    exchange.reset()
    assert exchange.trader("ann").account().balance == 5000


# --- faults -------------------------------------------------------------------------------------------------------


def test_faults_add_up_and_tell_how_often_they_have_struck(exchange: Exchange) -> None:
    exchange.set_price("SOL", 200)
    exchange.fault(CREATE, "cut_after", nth=1, email="ann")
    exchange.fault(CREATE, "status", status=503, nth=1)
    ann, bob = exchange.trader("ann"), exchange.trader("bob")
    for trader in (ann, bob):
        trader.create_trade("SOL", "long", margin=1, leverage=2)
        assert len(trader.open_trades()) == 1
    assert [(rule.do, rule.seen, rule.struck) for rule in exchange.faults()] == [
        ("cut_after", 3, 1),
        ("status", 3, 1),
    ]
    exchange.clear_faults()
    assert exchange.faults() == []


def test_a_fault_that_there_is_not_is_refused_and_leaves_the_others(exchange: Exchange) -> None:
    exchange.fault(CREATE, "cut_after", nth=1)
    with pytest.raises(InvalidRequest, match="explode"):
        exchange.fault(CREATE, "explode", nth=1)
    exchange.fault(CREATE, "twice", nth=1)
    assert [rule.do for rule in exchange.faults()] == ["cut_after", "twice"]


# --- crashes ------------------------------------------------------------------------------------------------------


def test_a_crash_in_the_middle_of_a_stream_loses_and_repeats_nothing(exchange: Exchange) -> None:
    exchange.set_price("SOL", bid=199, ask=201)
    ann, url, pid = exchange.trader("ann"), exchange.url, pid_of(exchange)
    with ann.stream("trades", "account", timeout_s=20) as stream:
        opened = [ann.create_trade("SOL", "long", margin=1, leverage=2).order_id for _ in range(3)]
        first = stream.wait_for("opened")
        exchange.crash()
        opened.append(ann.create_trade("SOL", "long", margin=1, leverage=2).order_id)
        told = [first.data.order_id, *(stream.wait_for("opened").data.order_id for _ in range(3))]
    assert told == opened
    assert exchange.url == url
    assert pid_of(exchange) != pid
    assert not is_running(pid)
    assert exchange.control.price("SOL").bid == 199
    assert exchange.control.dev_clock().paused


def test_a_client_that_asks_during_a_crash_gets_its_answer_afterwards(exchange: Exchange) -> None:
    exchange.set_price("SOL", 200)
    ann = exchange.trader("ann", longest_wait_s=2, tries=30)
    crashing = threading.Thread(target=exchange.crash)
    trades = [ann.create_trade("SOL", "long", margin=1, leverage=2)]
    crashing.start()
    while crashing.is_alive():
        try:
            trades.append(ann.create_trade("SOL", "long", margin=1, leverage=2))
        except PriceUnavailable:  # it is there again, and its prices are not yet
            pass
    crashing.join()
    assert [row.order_id for row in ann.open_trades()] == [trade.order_id for trade in trades]


# --- what is told of it -------------------------------------------------------------------------------------------


def test_an_error_in_the_context_carries_the_last_requests_and_events() -> None:
    def failing() -> None:
        with Exchange() as exchange:
            exchange.set_price("SOL", 200)
            exchange.trader("ann").create_trade("SOL", "long", margin=100, leverage=10)
            raise KeyError("x")

    with pytest.raises(KeyError) as error:
        failing()
    (note,) = error.value.__notes__
    assert "200  POST /api/v1/trade/create" in note
    assert "the last events of ann@example.com" in note
    assert "trades opened" in note
    assert "margin=100.000000" in note


def test_books_balance_with_what_waits_and_what_the_house_has_taken(exchange: Exchange) -> None:
    ann = {"Authorization": f"Bearer {exchange.token('ann')}"}
    rates = {"taker": "0.0005", "maintenance": "0.05"}
    order = {"asset": "SOL", "type": "long", "margin": 100, "leverage": 10}
    exchange.set_price("SOL", 200)
    with httpx.Client(base_url=f"{exchange.url}/api/v1", headers=ann) as http:
        assert http.put("/dev/rates/SOL", json=rates).status_code == 200
        assert http.post("/trade/create", json=order).status_code == 200
        assert http.post("/order/create", json=order | {"limitPrice": 150}).status_code == 200
    exchange.set_price("SOL", 188)
    books = exchange.books()
    assert (books.reserved, books.commission, books.insurance) == (Decimal("100.5"), Decimal("0.5"), Decimal(40))
    assert books.free + books.locked + books.house_pnl != books.deposits
    exchange.books_balance()


def test_books_that_do_not_balance_fail_the_test(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    cooked = msgspec.structs.replace(exchange.books(), free=Decimal(1))
    monkeypatch.setattr(exchange, "books", lambda: cooked)
    with pytest.raises(BooksDoNotBalance, match="free=Decimal"):
        exchange.books_balance()


def test_an_exchange_that_does_not_run_says_so() -> None:
    with pytest.raises(DidNotStart, match="not running"):
        Exchange().set_price("SOL", 1)


def test_dev_control_answers_to_this_machine_alone_and_says_so(exchange: Exchange) -> None:
    refused = httpx.post(f"{exchange.url}/api/v1/dev/session", json={"email": "a@b.ch"}, headers={"Via": "1.1 proxy"})
    assert refused.json()["code"] == LocalOnly.code
    with pytest.raises(NotFound):
        exchange.control.price("DOGE")
    assert issubclass(NotFound, Refused)


# --- nothing is left behind ---------------------------------------------------------------------------------------


def test_its_end_takes_process_and_folder_with_it() -> None:
    with Exchange() as exchange:
        pid, folder = pid_of(exchange), folder_of(exchange)
        assert folder.is_dir()
    assert not folder.exists()
    assert not is_running(pid)


async def test_the_end_of_who_started_it_takes_process_and_folder_with_it() -> None:
    code = (
        "import sys, time\n"
        "from exness.testing import Exchange\n"
        "exchange = Exchange().start()\n"
        "exchange.crash()\n"
        "print(exchange._server._process.pid, exchange._server._folder, flush=True)\n"
        "time.sleep(60)\n"
    )
    test = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert test.stdout is not None
    number, name = (await test.stdout.readline()).decode().split()
    assert is_running(int(number))
    test.kill()
    await test.wait()
    await until(lambda: not is_running(int(number)) and not Path(name).exists(), "for everything to be gone")


def test_it_can_be_stopped_twice_and_started_again() -> None:
    exchange = Exchange().start()
    exchange.stop()
    exchange.stop()
    with exchange:
        assert exchange.trader("ann").account().balance == 5000


class InUnittest(unittest.TestCase):
    """How it is used without pytest."""

    exchange: Exchange

    @classmethod
    def setUpClass(cls) -> None:
        cls.exchange = cls.enterClassContext(Exchange())

    def setUp(self) -> None:
        self.exchange.reset()

    def test_a_trade(self) -> None:
        self.exchange.set_price("SOL", 200)
        trade = self.exchange.trader("ann").create_trade("SOL", "short", margin=100, leverage=10)
        self.assertEqual(trade.liquidation_price, 220)  # noqa: PT009 - it is about unittest

    def test_another_one(self) -> None:
        self.assertEqual(self.exchange.trader("ann").open_trades(), [])  # noqa: PT009
