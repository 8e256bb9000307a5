"""The vendor's SDK, with its strict models: `KEY=... SECRET=... sdk.py URL`. SOL costs 200."""

import asyncio
import json
import os
import sys
from importlib.metadata import version
from typing import Any

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_common.errors import BadRequestError, Error
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    NewAlgoOrderSideEnum,
    NewAlgoOrderTypeEnum,
    NewOrderNewOrderRespTypeEnum,
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
)

BASE, SOL = sys.argv[1], "SOLUSDC"
client = DerivativesTradingUsdsFutures(
    config_rest_api=ConfigurationRestAPI(
        api_key=os.environ["KEY"], api_secret=os.environ["SECRET"], base_path=BASE, timeout=10_000
    ),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=BASE.replace("http", "ws", 1)),
)
BUY, SELL = NewOrderSideEnum.BUY, NewOrderSideEnum.SELL
MARKET, LIMIT = NewOrderTypeEnum.MARKET, NewOrderTypeEnum.LIMIT


def rest() -> dict[str, Any]:
    api = client.rest_api
    found: dict[str, Any] = {
        "version": version("binance-sdk-derivatives-trading-usds-futures"),
        "symbols": [each.symbol for each in api.exchange_information().data().symbols],
        "time": api.check_server_time().data().server_time > 0,
        "depth": len(api.order_book(symbol=SOL, limit=5).data().bids),
        "total": api.account_information_v3().data().total_wallet_balance,
        "leverage": api.change_initial_leverage(symbol=SOL, leverage=5).data().leverage,
    }
    entry = api.new_order(
        symbol=SOL, side=BUY, type=MARKET, quantity=2, new_order_resp_type=NewOrderNewOrderRespTypeEnum.RESULT
    ).data()
    found["entry"] = [entry.status, entry.executed_qty]
    found["position"] = [each.position_amt for each in api.position_information_v3(symbol=SOL).data()]
    waiting = api.new_order(
        symbol=SOL, side=BUY, type=LIMIT, quantity=1, price=190, time_in_force=NewOrderTimeInForceEnum.GTC
    ).data()
    found["waits"] = api.query_order(symbol=SOL, order_id=waiting.order_id).data().status
    found["cancelled"] = api.cancel_order(symbol=SOL, order_id=waiting.order_id).data().status
    stop = api.new_algo_order(
        algo_type="CONDITIONAL",
        symbol=SOL,
        side=NewAlgoOrderSideEnum.SELL,
        type=NewAlgoOrderTypeEnum.STOP_MARKET,
        trigger_price=190,
        quantity=2,
        reduce_only="true",
    ).data()
    found["stop"] = api.query_algo_order(algo_id=stop.algo_id).data().algo_status
    found["stopped"] = api.cancel_algo_order(algo_id=stop.algo_id).data().code
    try:
        api.new_order(symbol=SOL, side=BUY, type=MARKET, quantity=10_000)
    except (BadRequestError, Error) as refused:
        found["too much"] = [type(refused).__name__, str(refused)]
    api.new_order(symbol=SOL, side=SELL, type=MARKET, quantity=2, reduce_only="true")
    found["flat"] = api.position_information_v3(symbol=SOL).data()
    return found


async def streams() -> dict[str, Any]:
    sockets = client.websocket_streams
    connection = await sockets.create_connection()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    try:
        async with asyncio.timeout(30):
            ticker = await connection.individual_symbol_book_ticker_streams(symbol=SOL.lower())
            ticker.on("message", heard.put_nowait)
            found: dict[str, Any] = {"bookTicker": (await heard.get()).s}
            await ticker.unsubscribe()
            told: asyncio.Queue[Any] = asyncio.Queue()
            user = await connection.user_data(client.rest_api.start_user_data_stream().data().listen_key)
            user.on("message", told.put_nowait)
            await asyncio.to_thread(client.rest_api.new_order, symbol=SOL, side=BUY, type=MARKET, quantity=1)
            kinds: list[str] = []
            while kinds[-1:] != ["TRADE"]:
                event = (await told.get()).actual_instance
                if type(event).__name__ == "OrderTradeUpdate":
                    kinds.append(event.o.x)
            return found | {"user": kinds}
    finally:
        await connection.close_connection(close_session=True)


print(json.dumps({"rest": rest(), "streams": asyncio.run(streams())}))
