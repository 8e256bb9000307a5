"""core/rejects.py: the names of refusals are codes of the public contract."""

from exness.core.rejects import Refusal, Reject


def test_the_codes_are_those_of_the_contract() -> None:
    assert [reject.value for reject in Reject] == [
        "account_exists",
        "account_not_found",
        "client_order_id_conflict",
        "price_unavailable",
        "amount_out_of_range",
        "would_liquidate",
        "slippage_exceeded",
        "position_limit",
        "insufficient_margin",
        "trade_not_found",
    ]


def test_a_refusal_is_a_value_with_its_figures() -> None:
    assert Refusal(Reject.ACCOUNT_EXISTS) == Refusal(Reject.ACCOUNT_EXISTS, {})
    assert Refusal(Reject.POSITION_LIMIT, {"limit": "a"}) != Refusal(Reject.POSITION_LIMIT, {"limit": "b"})
