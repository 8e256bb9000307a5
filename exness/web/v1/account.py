"""Money: balances and the account."""

from aiohttp import web

from exness.core.instruments import LEVERAGE_UNIT
from exness.core.money import USDC_DECIMALS, format_usdc
from exness.core.views import BalanceOf, HoldingsOf
from exness.web.http.request import charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.format import leverage_out
from exness.web.v1.holdings import totals_of
from exness.web.v1.models import AccountAnswer, AssetBalance, UsdBalance
from exness.web.v1.requests import signed_in

USDC = "USDC"


async def balance(request: web.Request) -> web.StreamResponse:
    """GET /balance. The wallet holds USDC; assets are traded on margin and never held, so theirs are 0."""
    exchange = services_of(request).exchange
    free = (await exchange.see(BalanceOf(await signed_in(request)))).free
    balances = {USDC: AssetBalance(free, USDC_DECIMALS)}
    for asset, instrument in exchange.rules.instruments.items():
        balances[asset] = AssetBalance(0, instrument.decimals)
    return answer(balances)


async def balance_usd(request: web.Request) -> web.StreamResponse:
    """GET /balance/usd."""
    free = (await services_of(request).exchange.see(BalanceOf(await signed_in(request)))).free
    return answer(UsdBalance(free, USDC_DECIMALS, format_usdc(free)))


async def account(request: web.Request) -> web.StreamResponse:
    """GET /account."""
    exchange = services_of(request).exchange
    holdings = await exchange.see(HoldingsOf(await signed_in(request)))
    charge_rows(request, len(holdings.trades))
    owner, totals = holdings.owner, await totals_of(holdings)
    held = owner.free + owner.reserved + owner.locked
    equity = held + totals.unrealized if totals.unrealized is not None else None
    return answer(
        AccountAnswer(
            email=owner.email,
            balance=format_usdc(owner.free),
            locked_margin=format_usdc(owner.locked),
            reserved=format_usdc(owner.reserved),
            unrealized_pnl=_usdc(totals.unrealized),
            close_pnl=_usdc(totals.close_pnl),
            equity=_usdc(equity),
            stale=totals.stale,
            open_trades=len(holdings.trades),
            notional=_usdc(totals.notional),
            leverage=_leverage(totals.notional, equity),
        )
    )


def _leverage(notional: int | None, equity: int | None) -> int | float | None:
    """What the notional is of the equity, rounded up."""
    if notional is None or equity is None or equity <= 0:
        return None
    return leverage_out(-(-notional * LEVERAGE_UNIT // equity))


def _usdc(amount: int | None) -> str | None:
    return format_usdc(amount) if amount is not None else None
