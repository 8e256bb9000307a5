"""Money: balances and the account."""

from aiohttp import web

from exness.core import margin
from exness.core.money import USDC_DECIMALS, format_usdc
from exness.core.state import Account, State
from exness.web.context import answer, context_of, signed_in
from exness.web.wire import AccountAnswer, AssetBalance, UsdBalance

USDC = "USDC"


async def balance(request: web.Request) -> web.StreamResponse:
    """GET /balance. The wallet holds USDC; assets are traded on margin and never held, so theirs are 0."""
    exchange = context_of(request).exchange
    account = await signed_in(request)
    await exchange.settled(account)
    balances = {USDC: AssetBalance(account.free, USDC_DECIMALS)}
    for asset, instrument in exchange.rules.instruments.items():
        balances[asset] = AssetBalance(0, instrument.decimals)
    return answer(balances)


async def balance_usd(request: web.Request) -> web.StreamResponse:
    """GET /balance/usd."""
    exchange = context_of(request).exchange
    account = await signed_in(request)
    await exchange.settled(account)
    return answer(UsdBalance(account.free, USDC_DECIMALS, format_usdc(account.free)))


async def account(request: web.Request) -> web.StreamResponse:
    """GET /account."""
    exchange = context_of(request).exchange
    account = await signed_in(request)
    await exchange.settled(account)
    unrealized = _unrealized(account, exchange.state)
    equity = account.free + account.locked + unrealized if unrealized is not None else None
    return answer(
        AccountAnswer(
            email=account.email,
            balance=format_usdc(account.free),
            locked_margin=format_usdc(account.locked),
            unrealized_pnl=format_usdc(unrealized) if unrealized is not None else None,
            equity=format_usdc(equity) if equity is not None else None,
            open_trades=len(account.trades),
        )
    )


def _unrealized(account: Account, state: State) -> int | None:
    """The pnl of all open trades at their marks; None when one of them has no price yet."""
    total = 0
    for trade in account.trades.values():
        price = state.price(trade.asset)
        if price is None:
            return None
        total += margin.pnl(trade.side, trade.margin, trade.leverage, trade.entry, price.mark)
    return total
