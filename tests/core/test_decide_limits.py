"""core/decide/: how much an account and an asset may hold; each limit may be reached and not passed."""

from exness.core.rejects import Limit, OverLimit, Refusal, Reject
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    ETH,
    LONG,
    SHORT,
    SOL,
    assert_books_balance,
    close_trade,
    desk_with,
    make_rules,
    open_trade,
    usdc,
)


def _limit(name: str, allowed: str | int, would_be: str | int) -> Refusal:
    """Texts are USDC."""
    most, over = (usdc(figure) if isinstance(figure, str) else figure for figure in (allowed, would_be))
    return Refusal(Reject.POSITION_LIMIT, OverLimit(Limit(name), most, over))


def test_an_account_has_at_most_so_many_open_trades() -> None:
    desk = desk_with(ANN, BOB, rules=make_rules(max_open_trades=2))
    desk.open(open_trade("a", SOL))
    desk.open(open_trade("b", BTC))
    assert desk.refused(open_trade("c", ETH)) == _limit("max_open_trades_per_account", 2, 3)
    desk.open(open_trade("bob's", account=BOB))
    desk.do(close_trade("a"))
    desk.open(open_trade("c", ETH))
    assert list(desk.state.accounts[ANN].trades) == ["b", "c"]
    assert_books_balance(desk.state)


def test_an_accounts_notional_may_reach_its_limit_but_not_pass_it() -> None:
    desk = desk_with(ANN, BOB, rules=make_rules(max_notional="1000"))
    desk.open(open_trade("a", SOL, LONG, margin="60", leverage="10"))
    one_too_many = open_trade("b", BTC, SHORT, margin="40.000001", leverage="10")
    assert desk.refused(one_too_many) == _limit("max_notional_per_account", "1000.000000", "1000.000010")
    desk.open(open_trade("b", BTC, SHORT, margin="40", leverage="10"))
    # A hundredth of a micro-USDC is over too: 0.000001 x 1.01, shown rounded up.
    least = open_trade("c", ETH, margin="0.000001", leverage="1.01")
    assert desk.refused(least) == _limit("max_notional_per_account", "1000.000000", "1000.000002")
    desk.open(open_trade("bob's", account=BOB, margin="100", leverage="10"))
    desk.do(close_trade("b"))
    desk.open(open_trade("c", ETH, margin="400", leverage="1"))
    assert desk.state.accounts[ANN].notional == usdc("1000") * 100_000
    assert_books_balance(desk.state)


def test_an_assets_open_interest_may_reach_its_limit_but_not_pass_it() -> None:
    desk = desk_with(ANN, BOB, rules=make_rules(max_open_interest="1000"))
    desk.open(open_trade("a", SOL, LONG, margin="60", leverage="10"))
    one_too_many = open_trade("b", SOL, SHORT, account=BOB, margin="4.000001", leverage="100")
    assert desk.refused(one_too_many) == _limit("max_open_interest_per_asset", "1000.000000", "1000.000100")
    desk.open(open_trade("b", SOL, SHORT, account=BOB, margin="4", leverage="100"))
    desk.open(open_trade("c", ETH, LONG, margin="100", leverage="10"))
    desk.do(close_trade("a"))
    desk.open(open_trade("d", SOL, LONG, account=BOB, margin="600", leverage="1"))
    assert desk.state.market(SOL).open_interest == usdc("1000") * 100_000
    assert_books_balance(desk.state)
