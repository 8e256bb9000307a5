"""runtime/sequencer.py: what time brings happens at its time, whether or not anybody comes."""

from exness.core.commands import PlaceOrder
from exness.core.events import OrderEnded, OrderPlaced
from exness.core.instruments import OrderId
from tests.runtime.running import Running, running
from tests.support.books import ANN, LONG, SECOND, SOL, START, assert_books_balance, deposit, usdc
from tests.support.exchange import SetClock
from tests.support.waiting import until


def waiting_order(name: str, expires_at: int) -> PlaceOrder:
    return PlaceOrder(ANN, OrderId(name), SOL, LONG, usdc("10"), 1_000, limit=usdc("150"), expires_at=expires_at)


async def ended(exchange: Running) -> list[tuple[str, int]]:
    read = [record async for records in exchange.journal.read() for record in records]
    return [(record.event.order_id, record.at) for record in read if isinstance(record.event, OrderEnded)]


async def test_an_order_expires_while_nobody_comes() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        (placed,) = await exchange.do(waiting_order("o", START + SECOND))
        assert isinstance(placed.event, OrderPlaced)
        clock.now = START + 3 * SECOND
        exchange.sequencer.clock_changed()
        await until(lambda: exchange.state.accounts[ANN].reserved == 0)
        await exchange.writer.durable(exchange.state.seq)
        assert await ended(exchange) == [("o", START + SECOND)]
        assert exchange.state.accounts[ANN].free == usdc("5000")
        assert_books_balance(exchange.state)


async def test_time_comes_before_the_command_that_is_of_it_or_later_and_is_a_transaction_of_its_own() -> None:
    clock = SetClock()
    async with running(clock=clock) as exchange:
        await exchange.do(waiting_order("late", START + 2 * SECOND))
        await exchange.do(waiting_order("early", START + SECOND))
        clock.now = START + 2 * SECOND
        (record,) = await exchange.do(deposit(ANN, "1"))
        assert await ended(exchange) == [("early", START + SECOND), ("late", START + 2 * SECOND)]
        assert record.at == START + 2 * SECOND
        assert record.seq == exchange.state.seq
        assert exchange.state.accounts[ANN].reserved == 0
        assert_books_balance(exchange.state)
