"""What an account has, what moved it, and what it was worth."""

from typing import Literal

from exness.client import answers
from exness.client.calls.call import API, Call, Moment, date, reader
from exness.client.calls.market import Interval

_balances = reader(dict[str, answers.AssetBalance])
_balance_usd = reader(answers.UsdBalance)
_account = reader(answers.Account)
_statement = reader(answers.Statement)
_equity = reader(answers.Equity)
_leaderboard = reader(answers.Leaderboard)


def leaderboard(
    period: Literal["24h", "7d", "all"] | None = None, *, limit: int | None = None
) -> Call[answers.Leaderboard]:
    """GET /leaderboard: who has gained most, by default ever. Raises LeaderboardOff where it is not configured."""
    return Call("GET", f"{API}/leaderboard", _leaderboard, query={"period": period, "limit": limit})


def balance() -> Call[dict[str, answers.AssetBalance]]:
    """GET /balance: by asset; what is free is in USDC."""
    return Call("GET", f"{API}/balance", _balances)


def balance_usd() -> Call[answers.UsdBalance]:
    """GET /balance/usd."""
    return Call("GET", f"{API}/balance/usd", _balance_usd)


def account() -> Call[answers.Account]:
    """GET /account."""
    return Call("GET", f"{API}/account", _account)


def statement(
    *,
    reason: Literal["deposit", "reserve", "margin", "pnl", "commission", "funding", "liquidation_fee", "forfeit"]
    | None = None,
    asset: str | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> Call[list[answers.StatementRow]]:
    """GET /account/statement: what moved the free balance, newest first. `before`: only records before this seq. Rows
    of one record come together, so there may be a few more than `limit`."""
    query = {"reason": reason, "asset": asset, "before": before, "limit": limit}
    return Call("GET", f"{API}/account/statement", lambda body: _statement(body).data, query=query)


def equity(
    interval: Interval,
    *,
    start_time: Moment | None = None,
    end_time: Moment | None = None,
    limit: int | None = None,
) -> Call[list[answers.EquityRow]]:
    """GET /account/equity: at the ends of candles."""
    query = {"interval": interval, "startTime": date(start_time), "endTime": date(end_time), "limit": limit}
    return Call("GET", f"{API}/account/equity", lambda body: _equity(body).data, query=query)
