"""What all of it is for: a bot whose answers get lost, and the orders that it is left with."""

from contextlib import suppress
from typing import Any

import ccxt

from exness.testing import Exchange

ORDERS = 1000
SYMBOL = "SOL/USDC:USDC"


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


def test_of_1000_orders_of_ccxt_with_every_fifth_answer_lost_none_is_there_twice() -> None:
    with Exchange(settings={"limits.enabled": False}) as exchange:
        exchange.set_price("SOL", 200)
        exchange.fault("POST /fapi/v1/order", "cut_after", share=0.2, seed=1)
        bot = ccxt.binanceusdm(exchange.binance("ann"))
        bot.load_markets()
        names = [f"order-{number}" for number in range(ORDERS)]
        ids = [sent(bot, name) for name in names]
        (rule,) = exchange.faults()
        assert rule.struck > ORDERS * 0.15
        rows = bot.fapiPrivateGetAllOrders({"symbol": "SOLUSDC", "limit": 1000})
        assert [(row["orderId"], row["clientOrderId"]) for row in rows] == list(zip(ids, names, strict=True))
        (position,) = bot.fetch_positions([SYMBOL])
        assert position["contracts"] == ORDERS / 10
        bot.session.close()


def sent(bot: Any, name: str) -> str:
    """An order, under its own name: looked up before it is sent again."""
    while True:
        try:
            return str(bot.create_order(SYMBOL, "market", "buy", 0.1, params={"newClientOrderId": name})["id"])
        except ccxt.NetworkError:
            pass
        with suppress(ccxt.OrderNotFound):
            return str(bot.fetch_order(None, SYMBOL, {"origClientOrderId": name})["id"])
