"""What an order would come to: a refusal is a field, and the figures follow all the same."""

from typing import Any

from aiohttp import web
from msgspec import UNSET
from msgspec.structs import replace

from exness.core.money import format_scaled, format_usdc
from exness.core.quotes import Quotable, Quoted, QuoteOf
from exness.core.rules import Rules
from exness.web.http.errors import ApiError, InvalidRequest
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.errors import ErrorBody, render
from exness.web.v1.opening_bodies import net_order, quoted_order
from exness.web.v1.order_models import QuoteAnswer, QuoteRefusal
from exness.web.v1.refusals import refused
from exness.web.v1.requests import json_body, signed_in
from exness.web.v1.shown import price_out


async def of_trade(request: web.Request) -> web.StreamResponse:
    """POST /trade/quote."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = quoted_order(await json_body(request), exchange.rules, account, exchange.ids)
    quoted = await exchange.see(QuoteOf(command))
    return answer(_answer(quoted, command, exchange.rules, net=False))


async def of_net(request: web.Request) -> web.StreamResponse:
    """POST /net/quote. A quote has no client order id."""
    exchange = services_of(request).exchange
    account = await signed_in(request)
    command = net_order(await json_body(request), exchange.rules, account, exchange.ids)
    command = replace(command, client_order=None)
    quoted = await exchange.see(QuoteOf(command))
    return answer(_answer(quoted, command, exchange.rules, net=True))


def _answer(quoted: Quoted, command: Quotable, rules: Rules, *, net: bool) -> QuoteAnswer:
    figures, instrument = quoted.figures, rules.instruments[command.asset]
    refusal = UNSET if quoted.refusal is None else _refusal(refused(quoted.refusal, rules))
    if figures is None:
        nothing: dict[str, Any] = dict.fromkeys(_FIGURES)
        return QuoteAnswer(
            **nothing,
            max_margin=UNSET if net else None,
            max_quantity=None if net else UNSET,
            balance=format_usdc(quoted.balance),
            refusal=refusal,
        )
    decimals, most_quantity = instrument.decimals, figures.max_quantity
    return QuoteAnswer(
        price=format_scaled(figures.price, decimals),
        quantity=format_scaled(figures.quantity, instrument.quantity_places),
        notional=format_usdc(figures.notional),
        margin=format_usdc(figures.margin),
        commission=format_usdc(figures.commission),
        required=format_usdc(figures.required),
        liquidation_price=format_scaled(figures.liquidation, decimals),
        bankruptcy_price=format_scaled(figures.bankruptcy, decimals),
        break_even_price=price_out(figures.break_even, instrument),
        close_commission=format_usdc(figures.close_commission),
        requirement=format_usdc(figures.requirement),
        max_margin=UNSET if net else format_usdc(figures.max_margin),
        max_quantity=UNSET if most_quantity is None else format_scaled(most_quantity, instrument.quantity_places),
        balance=format_usdc(quoted.balance),
        refusal=refusal,
    )


_FIGURES = (
    *("price", "quantity", "notional", "margin", "commission", "required", "liquidation_price"),
    *("bankruptcy_price", "break_even_price", "close_commission", "requirement"),
)


def _refusal(error: ApiError) -> QuoteRefusal:
    """As the order itself would be answered. What is wrong with the request is an error of the quote, too."""
    if isinstance(error, InvalidRequest):
        raise error
    body = render(error).body
    assert isinstance(body, ErrorBody)
    return QuoteRefusal(body.code, body.message, body.details)
