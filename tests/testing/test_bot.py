"""What all of it is for: a bot whose answers get lost, and the orders that it is left with."""

from exness.testing import Exchange

ORDERS = 1000


def test_of_1000_orders_with_every_fifth_answer_lost_there_are_1000_trades_and_none_twice() -> None:
    with Exchange() as exchange:
        exchange.set_price("SOL", 200)
        exchange.fault("POST /api/v1/trade/create", "cut_after", share=0.2, seed=1)
        ann = exchange.trader("ann", longest_wait_s=0.01)
        trades = [ann.create_trade("SOL", "long", margin=1, leverage=2) for _ in range(ORDERS)]
        (rule,) = exchange.faults()
        rows = ann.open_trades()
        assert rule.struck > ORDERS * 0.2
        assert rule.seen == ORDERS + rule.struck
        assert [row.order_id for row in rows] == [trade.order_id for trade in trades]
        assert len({row.client_order_id for row in rows}) == ORDERS
        assert ann.account().balance == 5000 - ORDERS
