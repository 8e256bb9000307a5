"""A nautilus_trader node, its data and its execution: `KEY=... SECRET=... nautilus.py URL`. SOL costs 200; the account
holds BTC from before."""

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.request import Request, urlopen

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide, TriggerType
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.trading.strategy import Strategy

BASE = sys.argv[1]
WS = BASE.replace("http", "ws", 1)
SOL, BTC = InstrumentId.from_str("SOLUSDC-PERP.BINANCE"), InstrumentId.from_str("BTCUSDC-PERP.BINANCE")
WITHIN_S = 60


def move(mid: str) -> None:
    body = json.dumps({"mid": mid}).encode()
    address = f"{BASE}/api/v1/dev/prices/SOL"
    urlopen(Request(address, body, {"Content-Type": "application/json"}, method="PUT"), timeout=10).close()


class Tries(Strategy):  # type: ignore[misc]
    """One step after the other, each when the one before has been told of. `found` is what came."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Any] = {"events": []}
        self.roles: dict[str, str] = {}
        self.is_done = False

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(SOL)
        self.found["instrument"] = [str(self.instrument.price_increment), str(self.instrument.size_increment)]
        account = self.portfolio.account(SOL.venue)
        self.found["balance"] = str(account.balance_total(self.instrument.quote_currency))
        self.found["reconciled"] = [
            [float(each.signed_qty) for each in self.cache.positions_open(instrument_id=BTC)],
            [str(each.price) for each in self.cache.orders_open(instrument_id=BTC)],
        ]
        self.subscribe_quote_ticks(SOL)

    def on_stop(self) -> None:
        self.unsubscribe_quote_ticks(SOL)

    def on_quote_tick(self, tick: Any) -> None:
        if "quote" in self.found:
            return
        self.found["quote"] = [str(tick.bid_price), str(tick.ask_price)]
        self.rest("limit", 190)

    # --- orders -------------------------------------------------------------------------------------------------------

    def send(self, role: str, order: Any) -> None:
        self.roles[order.client_order_id.value] = role
        self.submit_order(order)

    def rest(self, role: str, price: int) -> None:
        made = self.order_factory.limit(
            SOL, OrderSide.BUY, self.instrument.make_qty(1), self.instrument.make_price(price)
        )
        self.send(role, made)

    def enter(self) -> None:
        self.send("entry", self.order_factory.market(SOL, OrderSide.BUY, self.instrument.make_qty(2)))

    def protect(self) -> None:
        made = self.order_factory.stop_market(
            SOL,
            OrderSide.SELL,
            self.instrument.make_qty(2),
            self.instrument.make_price(195),
            trigger_type=TriggerType.MARK_PRICE,
            reduce_only=True,
        )
        self.send("stop", made)

    def order(self, event: Any) -> Any:
        return self.cache.order(event.client_order_id)

    # --- what is told -------------------------------------------------------------------------------------------------

    def on_order_event(self, event: Any) -> None:
        role = self.roles.get(event.client_order_id.value, "unknown")
        name = type(event).__name__.removeprefix("Order")
        if name in ("Initialized", "Submitted", "PendingUpdate", "PendingCancel"):
            return
        self.found["events"].append(f"{role} {name}")
        steps: dict[str, Callable[[], None]] = {
            "limit Accepted": lambda: self.modify_order(self.order(event), price=self.instrument.make_price(189)),
            "limit Updated": lambda: self.cancel_order(self.order(event)),
            "limit Canceled": self.enter,
            "entry Filled": self.protect,
            "stop Accepted": lambda: move("194"),
            "stop Filled": lambda: self.rest("first", 150),
            "first Accepted": lambda: self.rest("second", 151),
            "second Accepted": lambda: self.cancel_all_orders(SOL),
        }
        if step := steps.get(f"{role} {name}"):
            step()
        events = self.found["events"]
        if not self.is_done and {"first Canceled", "second Canceled"} <= set(events):
            self.is_done = True
            position = self.cache.positions(instrument_id=SOL)[-1]
            self.found["position"] = [position.is_closed, str(position.realized_pnl)]
            node.stop()


provider = InstrumentProviderConfig(load_ids=frozenset({SOL, BTC}))
keys = {"api_key": os.environ["KEY"], "api_secret": os.environ["SECRET"]}
common = {
    **keys,
    "account_type": BinanceAccountType.USDT_FUTURES,
    "base_url_http": BASE,
    "instrument_provider": provider,
}
node = TradingNode(
    TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level=os.environ.get("LOG", "ERROR"), use_pyo3=False),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={BINANCE: BinanceDataClientConfig(**common, base_url_ws=WS)},
        exec_clients={BINANCE: BinanceExecClientConfig(**common, base_url_ws=WS, base_url_ws_stream=WS)},
        timeout_connection=20.0,
        timeout_reconciliation=10.0,
        timeout_portfolio=10.0,
        timeout_disconnection=5.0,
        timeout_post_stop=1.0,
    )
)
strategy = Tries()
node.trader.add_strategy(strategy)
node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
node.build()
node.get_event_loop().call_later(WITHIN_S, node.stop)
try:
    node.run()
finally:
    node.dispose()
strategy.found["version"] = version("nautilus_trader")
print(json.dumps(strategy.found))
