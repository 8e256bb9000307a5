"""core/decide/, what holds for every command: deciding writes nothing, and refusals come in one order.

Each command and each subject has a file of its own: test_decide_*.py.
"""

from typing import Any

from exness.core.capture import digest_of
from exness.core.decide import DECIDE
from exness.core.rejects import OverLimit, Reject
from tests.core.orders import named
from tests.support.books import (
    ANN,
    BOB,
    PRICE_LIFE,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    make_rules,
    open_account,
    open_trade,
    tick,
)


def test_a_decision_writes_nothing() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    before = digest_of(desk.state), desk.state.seq
    rules, state, at = desk.engine.rules, desk.state, desk.at
    for command in (open_account(BOB), deposit(ANN, "1"), open_trade("u"), close_trade("t")):
        assert isinstance(DECIDE[type(command)](state, rules, command, at), list)
    assert (digest_of(state), state.seq) == before
    assert_books_balance(state)


def test_refusals_come_in_the_order_of_the_error_table() -> None:
    """One request with everything wrong. Each step mends what was refused, and the next refusal shows."""
    narrow: dict[str, Any] = {"max_open_trades": 1, "max_notional": "150", "max_open_interest": "150"}
    desk = Desk(make_rules(**narrow))
    request: dict[str, Any] = {"margin": "6000", "leverage": "10", "slippage": 10, "expected": "100"}

    def refused(**mended: str) -> tuple[Reject, object]:
        refusal = desk.refused(open_trade("u", **(request | {"client_order": "mine"} | mended)))
        limit = refusal.figures.limit.value if isinstance(refusal.figures, OverLimit) else None
        return refusal.reject, limit

    assert refused() == (Reject.ACCOUNT_NOT_FOUND, None)
    desk.do(open_account())
    desk.do(tick(SOL, "200"))
    desk.open(named("t"))
    desk.at += PRICE_LIFE + 1
    assert refused() == (Reject.CLIENT_ORDER_ID_CONFLICT, None)
    request["client_order"] = "new"
    fresh = {"client_order": "new"}
    assert refused(**fresh) == (Reject.PRICE_UNAVAILABLE, None)
    desk.do(tick(SOL, "200"))
    assert refused(**fresh) == (Reject.SLIPPAGE_EXCEEDED, None)
    request["expected"] = "200"
    assert refused(**fresh) == (Reject.POSITION_LIMIT, "max_open_trades_per_account")
    desk.engine.rules = make_rules(**(narrow | {"max_open_trades": 2}))
    assert refused(**fresh) == (Reject.POSITION_LIMIT, "max_notional_per_account")
    desk.engine.rules = make_rules(max_open_interest="150")
    assert refused(**fresh) == (Reject.POSITION_LIMIT, "max_open_interest_per_asset")
    desk.engine.rules = make_rules()
    assert refused(**fresh) == (Reject.INSUFFICIENT_MARGIN, None)
    request["margin"] = "10"
    desk.open(open_trade("u", **(request | fresh)))
    assert list(desk.state.accounts[ANN].trades) == ["t", "u"]
    assert_books_balance(desk.state)
