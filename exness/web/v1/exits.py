"""What changes an open trade: its exits, its margin, its leverage."""

from aiohttp import web

from exness.core import line as lines
from exness.core.events import Record, TradeChanged
from exness.core.instruments import AccountId, Instrument, TradeId
from exness.core.money import format_scaled, format_usdc
from exness.core.rules import Rules
from exness.core.trades import Trade
from exness.runtime.exchange import Exchange
from exness.web.http.request import REQUEST_STATE
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import leverage_out
from exness.web.v1.named_bodies import Named, add_exit, change_leverage, change_margin, named_in, set_exits
from exness.web.v1.order_models import AddExitBody, ExitAdded
from exness.web.v1.outcomes import held, instrument_of, records_of
from exness.web.v1.requests import json_body, signed_in
from exness.web.v1.shown import exit_named, exit_row, own_price, trailed_exit, warnings_of
from exness.web.v1.trade_models import ExitsAnswer, ExitsBody, LeverageBody, MarginAnswer, MarginBody


async def set_own(request: web.Request) -> web.StreamResponse:
    """POST /trade/exits: the trade's own three."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    named = named_in(await json_body(request), ExitsBody)
    found = held(exchange, account, named.order_id)
    command = set_exits(named, account, instrument_of(exchange, found.asset))
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    trade = _changed(await records_of(outcome, exchange, account, named.order_id)).trade
    instrument = exchange.rules.instruments[trade.asset]
    return answer(
        ExitsAnswer(
            order_id=trade.id,
            take_profit=own_price(trade.take_profit, instrument),
            stop_loss=own_price(trade.stop_loss, instrument),
            trailing_stop=trailed_exit(trade.trailing_stop, instrument),
            liquidation_price=format_scaled(trade.liquidation, instrument.decimals),
            warnings=warnings_of(trade),
        )
    )


async def add(request: web.Request) -> web.StreamResponse:
    """POST /trade/exit: one that is an order of its own, over a part of the trade."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    named = named_in(await json_body(request), AddExitBody)
    instrument = await instrument_named(exchange, account, named)
    command = add_exit(named, account, exchange.ids, instrument)
    outcome = await exchange.do(command, request[REQUEST_STATE].request_id)
    changed = _changed(await records_of(outcome, exchange, account, named.order_id))
    assert changed.exit is not None, "it was added"
    trade = changed.trade
    exit_ = exit_named(trade, changed.exit)
    return answer(exit_row(ExitAdded, trade, exit_, exchange.rules.instruments[trade.asset]))


async def move_margin(request: web.Request) -> web.StreamResponse:
    """POST /trade/margin."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    named = named_in(await json_body(request), MarginBody)
    outcome = await exchange.do(change_margin(named, account), request[REQUEST_STATE].request_id)
    return answer(_margin(await records_of(outcome, exchange, account, named.order_id), exchange.rules))


async def set_leverage(request: web.Request) -> web.StreamResponse:
    """POST /trade/leverage."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    named = named_in(await json_body(request), LeverageBody)
    outcome = await exchange.do(change_leverage(named, account), request[REQUEST_STATE].request_id)
    return answer(_margin(await records_of(outcome, exchange, account, named.order_id), exchange.rules))


async def instrument_named(exchange: Exchange, account: AccountId, named: Named) -> Instrument | None:
    """That of the trade which a body names. A quantity is one of net positions: of another trade it is reported.

    A repeat must be read as it was the first time, also when the trade has ended since: the tables know it then."""
    trade: Trade | None = held(exchange, account, named.order_id).trade
    asset, net = (None, True) if trade is None else (trade.asset, trade.net)
    if trade is None and named.client_order is not None:
        row = await exchange.trade(account, TradeId(named.order_id))
        if row is not None:
            asset = row.asset
    if not net and named.has_quantity:
        named.problems.not_allowed("quantity", "quantity is for net positions; of this trade give percent or margin")
    return instrument_of(exchange, asset)


def _changed(records: list[Record]) -> TradeChanged:
    event = records[-1].event
    assert isinstance(event, TradeChanged)
    return event


def _margin(records: list[Record], rules: Rules) -> MarginAnswer:
    event = _changed(records)
    trade = event.trade
    return MarginAnswer(
        order_id=trade.id,
        margin=format_usdc(trade.margin),
        leverage=leverage_out(trade.leverage),
        liquidation_price=format_scaled(trade.liquidation, rules.instruments[trade.asset].decimals),
        removable=format_usdc(lines.removable(trade.line, trade.leverage, event.price)),
        balance=format_usdc(event.balance),
    )
