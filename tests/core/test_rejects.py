"""core/rejects.py: the names of refusals are codes of the public contract."""

import copy
from typing import get_args

import msgspec

from exness.core.instruments import Asset, OrderId, TradeId
from exness.core.prices import PriceState
from exness.core.rejects import Figure, Figures, Limit, Refusal, Reject, TooLittle, Wrong
from exness.core.trades import Kind


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
        "order_not_found",
        "invalid_request",
        "would_take",
        "would_rest",
        "reduce_only_rejected",
        "would_trigger",
        "amount_too_small",
        "margin_too_low",
    ]


def test_a_refusal_is_a_value_with_its_figures() -> None:
    assert Refusal(Reject.ACCOUNT_EXISTS) == Refusal(Reject.ACCOUNT_EXISTS, None)
    short, shorter = TooLittle(required=2, available=1), TooLittle(required=2, available=0)
    assert Refusal(Reject.INSUFFICIENT_MARGIN, short) == Refusal(Reject.INSUFFICIENT_MARGIN, copy.copy(short))
    assert Refusal(Reject.INSUFFICIENT_MARGIN, short) != Refusal(Reject.INSUFFICIENT_MARGIN, shorter)


def test_what_a_refusal_tells_is_integers_and_names_and_no_text_for_people() -> None:
    """Decimal points, JSON names and sentences are for whoever answers."""
    allowed = {int, int | None, Asset, Asset | None, TradeId | OrderId, Figure, Limit, PriceState, Kind}
    for figures in set(get_args(Figures)) - {Wrong}:
        assert {field.type for field in msgspec.structs.fields(figures)} <= allowed
