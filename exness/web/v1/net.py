"""Net positions: one for each account and asset, which orders change."""

from aiohttp import web
from msgspec import Raw

from exness.core.events import NetLeverageSet, TradeChanged
from exness.core.views import HoldingsOf
from exness.web.http.request import REQUEST_STATE, charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import leverage_out
from exness.web.v1.holdings import row_of
from exness.web.v1.opening_bodies import net_leverage, net_order
from exness.web.v1.order_models import NetLeverageAnswer
from exness.web.v1.orders import placed
from exness.web.v1.outcomes import records_of
from exness.web.v1.parse import of_asset
from exness.web.v1.requests import json_body, signed_in
from exness.web.v1.shown import trade_shown


async def order(request: web.Request) -> web.StreamResponse:
    """POST /net/order."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = net_order(await json_body(request), exchange.rules, account, exchange.ids)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    return answer(placed(await records_of(outcome, exchange, account), exchange.rules))


async def set_leverage(request: web.Request) -> web.StreamResponse:
    """POST /net/leverage: of the position that is open, too."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = net_leverage(await json_body(request), exchange.rules, account)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    records = await records_of(outcome, exchange, account)
    first, last = records[0].event, records[-1].event
    assert isinstance(first, NetLeverageSet)
    return answer(
        NetLeverageAnswer(
            asset=first.asset,
            leverage=leverage_out(first.leverage),
            trade=trade_shown(last.trade, exchange.rules) if isinstance(last, TradeChanged) else None,
        )
    )


async def list_all(request: web.Request) -> web.StreamResponse:
    """GET /net: of every asset, or of one."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    asset = of_asset(request.query, exchange.rules)
    holdings = await exchange.see(HoldingsOf(account, asset))
    open_now = {trade.asset: trade for trade in holdings.trades if trade.net}
    assets = exchange.rules.instruments if asset is None else [asset]
    charge_rows(request, len(open_now))
    rows: list[dict[str, object]] = []
    for each in assets:
        trade = open_now.get(each)
        shown: Raw | None = None
        if trade is not None:
            shown = row_of(trade, holdings.standing(trade), holdings, exchange.rules)
        leverage = holdings.net_leverage(exchange.rules, each)
        rows.append({"asset": each, "leverage": leverage_out(leverage), "trade": shown})
    return answer({"success": True, "data": rows})
