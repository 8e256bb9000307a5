"""Money: balances and the account. What is shown is taken first, and told once the disk holds it."""

from aiohttp import web

from exness.core.money import USDC_DECIMALS, format_usdc
from exness.web.http.request import charge_rows
from exness.web.http.response import answer
from exness.web.services import services_of
from exness.web.v1.holdings import Holdings
from exness.web.v1.models import AccountAnswer, AssetBalance, UsdBalance
from exness.web.v1.requests import signed_in

USDC = "USDC"


async def balance(request: web.Request) -> web.StreamResponse:
    """GET /balance. The wallet holds USDC; assets are traded on margin and never held, so theirs are 0."""
    exchange = services_of(request).exchange
    free = await _free_balance(request)
    balances = {USDC: AssetBalance(free, USDC_DECIMALS)}
    for asset, instrument in exchange.rules.instruments.items():
        balances[asset] = AssetBalance(0, instrument.decimals)
    return answer(balances)


async def balance_usd(request: web.Request) -> web.StreamResponse:
    """GET /balance/usd."""
    free = await _free_balance(request)
    return answer(UsdBalance(free, USDC_DECIMALS, format_usdc(free)))


async def account(request: web.Request) -> web.StreamResponse:
    """GET /account."""
    exchange = services_of(request).exchange
    holdings = Holdings(exchange, await signed_in(request))
    charge_rows(request, len(holdings.trades))
    await exchange.told(holdings.seq)
    account, totals = holdings.account, await holdings.totals()
    equity = account.free + account.locked + totals.unrealized if totals.unrealized is not None else None
    return answer(
        AccountAnswer(
            email=account.email,
            balance=format_usdc(account.free),
            locked_margin=format_usdc(account.locked),
            unrealized_pnl=_usdc(totals.unrealized),
            close_pnl=_usdc(totals.close_pnl),
            equity=_usdc(equity),
            stale=totals.stale,
            open_trades=len(holdings.trades),
        )
    )


async def _free_balance(request: web.Request) -> int:
    """In micro-USDC, as it was when the request was looked at, once that may be told."""
    account = await signed_in(request)
    free, seq = account.free, account.seq
    await services_of(request).exchange.told(seq)
    return free


def _usdc(amount: int | None) -> str | None:
    return format_usdc(amount) if amount is not None else None
