"""binance-futures-connector: `KEY=... SECRET=... connector.py URL`. SOL costs 200."""

import json
import os
import queue
import sys
from importlib.metadata import version
from typing import Any

from binance.error import ClientError
from binance.um_futures import UMFutures
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient

BASE = sys.argv[1]
client = UMFutures(key=os.environ["KEY"], secret=os.environ["SECRET"], base_url=BASE)
heard: "queue.SimpleQueue[dict[str, Any]]" = queue.SimpleQueue()


def event(kind: str) -> dict[str, Any]:
    while (told := heard.get(timeout=15)).get("e") != kind:
        pass
    return told


def code_of(call: Any, *args: Any, **params: Any) -> int | None:
    try:
        call(*args, **params)
    except ClientError as refused:
        return int(refused.error_code)
    return None


SOL = "SOLUSDC"
found: dict[str, Any] = {
    "version": version("binance-futures-connector"),
    "symbols": [each["symbol"] for each in client.exchange_info()["symbols"]],
    "candles": len(client.klines(SOL, "1m")) > 0,
    "depth": len(client.depth(SOL, limit=5)["bids"]),
    "mark": client.mark_price(SOL)["markPrice"],
    "balance": client.balance()[0]["balance"],
    "leverage": client.change_leverage(SOL, 5)["leverage"],
    "same margin": code_of(client.change_margin_type, SOL, "ISOLATED"),
}
streams = UMFuturesWebsocketClient(
    stream_url=BASE.replace("http", "ws", 1), on_message=lambda _, text: heard.put(json.loads(text))
)
streams.book_ticker(SOL)
found["bookTicker"] = event("bookTicker")["s"]
streams.user_data(client.new_listen_key()["listenKey"])
while heard.get(timeout=15).get("result", "none") is not None:
    pass
entry = client.new_order(SOL, "BUY", "MARKET", quantity=2, newOrderRespType="RESULT")
found["entry"] = [entry["status"], entry["avgPrice"]]
found["user"] = [event("ORDER_TRADE_UPDATE")["o"]["x"], event("ORDER_TRADE_UPDATE")["o"]["x"]]
waiting = client.new_order(SOL, "BUY", "LIMIT", quantity=1, price=190, timeInForce="GTC")
changed = client.modify_order(SOL, "BUY", orderId=waiting["orderId"], quantity=2, price=191)
found["changed"] = [changed["price"], changed["origQty"]]
found["cancelled"] = client.cancel_order(SOL, orderId=waiting["orderId"])["status"]
limit = {"symbol": SOL, "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "190", "timeInForce": "GTC"}
made = client.new_batch_order([limit, limit | {"price": "189"}])
gone = client.cancel_batch_order(SOL, [each["orderId"] for each in made], [])
found["batch"] = [each["status"] for each in gone]
found["stop"] = code_of(client.new_order, SOL, "SELL", "STOP_MARKET", stopPrice=190, closePosition="true")
found["too much"] = code_of(client.new_order, SOL, "BUY", "MARKET", quantity=10_000)
client.new_order(SOL, "SELL", "MARKET", quantity=2, reduceOnly="true")
found["held"] = [each["positionAmt"] for each in client.get_position_risk(symbol=SOL)]
found["income"] = [each["incomeType"] for each in client.get_income_history()]
streams.stop()
print(json.dumps(found))
