"""web/v1/refusals.py: what the core refuses with integers, v1 tells in decimal text under the names of its fields."""

import msgspec
import pytest

from exness.core.instruments import Asset, TradeId
from exness.core.prices import PriceState
from exness.core.rejects import (
    DueAtOnce,
    Figure,
    Figures,
    Limit,
    NoPrice,
    OutOfRange,
    OverLimit,
    Reached,
    Refusal,
    Reject,
    Slipped,
    TooLittle,
    TooMuch,
    UsedBefore,
    Wrong,
)
from exness.core.rules import CLIENT_ORDER, DEPOSIT, FIRST_DEPOSIT, HELD, LEVERAGE, MARGIN, PERCENT, PRICE, SLIPPAGE
from exness.core.trades import Kind
from exness.web.v1.errors import render
from exness.web.v1.refusals import FIELDS, refused, sentence
from tests.support.books import BTC, SOL, make_rules

RULES = make_rules()
ALL = "9223372036854.775807"
TOLD: list[tuple[Reject, Figures | None, str | None]] = [
    (Reject.ACCOUNT_EXISTS, None, None),
    (Reject.ACCOUNT_NOT_FOUND, None, None),
    (Reject.TRADE_NOT_FOUND, None, None),
    (Reject.CLIENT_ORDER_ID_CONFLICT, UsedBefore(TradeId("o1")), '{"orderId":"o1"}'),
    (Reject.PRICE_UNAVAILABLE, NoPrice(SOL, PriceState.DOWN), '{"asset":"SOL","reason":"down"}'),
    (Reject.PRICE_UNAVAILABLE, NoPrice(SOL, PriceState.STALE, 7), '{"asset":"SOL","reason":"stale","age_us":7}'),
    (
        Reject.WOULD_LIQUIDATE,
        DueAtOnce(BTC, 2_050_000, 2_000_000, 2_029_500),
        '{"asset":"BTC","price":"205.0000","mark":"200.0000","liquidationPrice":"202.9500"}',
    ),
    (
        Reject.SLIPPAGE_EXCEEDED,
        Slipped(SOL, 200_000_000, 201_000_001, 10),
        '{"expected":"200.000000","actual":"201.000001","allowed":10}',
    ),
    (
        Reject.POSITION_LIMIT,
        OverLimit(Limit.OPEN_TRADES_PER_ACCOUNT, 2, 3),
        '{"limit":"max_open_trades_per_account","allowed":2,"wouldBe":3}',
    ),
    (
        Reject.POSITION_LIMIT,
        OverLimit(Limit.OPEN_INTEREST_PER_ASSET, 10**9, 10**9 + 1),
        '{"limit":"max_open_interest_per_asset","allowed":"1000.000000","wouldBe":"1000.000001"}',
    ),
    (Reject.ORDER_NOT_FOUND, None, None),
    (Reject.WOULD_TAKE, None, None),
    (Reject.WOULD_REST, None, None),
    (Reject.REDUCE_ONLY_REJECTED, None, None),
    (Reject.WOULD_TRIGGER, Reached(BTC, 1_000_000, 999_999, Kind.STOP), '{"price":"100.0000","level":"99.9999"}'),
    (Reject.AMOUNT_TOO_SMALL, None, None),
    (Reject.MARGIN_TOO_LOW, TooMuch(1_500_000), '{"removable":"1.500000"}'),
    (
        Reject.INVALID_REQUEST,
        Wrong("stop_loss", "be below take_profit of a long, above that of a short"),
        '[{"field":"stopLoss","message":"stopLoss must be below takeProfit of a long, above that of a short"}]',
    ),
    (
        Reject.INVALID_REQUEST,
        Wrong("kind", "be take_profit, stop_loss or limit"),
        '[{"field":"kind","message":"kind must be take_profit, stop_loss or limit"}]',
    ),
    (
        Reject.INSUFFICIENT_MARGIN,
        TooLittle(5_000_000_001, 0),
        '{"required":"5000.000001","available":"0.000000"}',
    ),
    (
        Reject.POSITION_LIMIT,
        OverLimit(Limit.TIER_LEVERAGE, 5_000, 10_000),
        '{"limit":"max_leverage","allowed":"50","wouldBe":"100"}',
    ),
    *[
        (Reject.AMOUNT_OUT_OF_RANGE, wrong, f'{{"figure":"{name}","allowed":"{allowed}","given":"{given}"}}')
        for wrong, name, allowed, given in (
            (OutOfRange(Figure.DEPOSIT, -1, *FIRST_DEPOSIT), "deposit", f"0.000000 to {ALL}", "-0.000001"),
            (OutOfRange(Figure.AMOUNT, 0, *DEPOSIT), "amount", f"0.000001 to {ALL}", "0.000000"),
            (OutOfRange(Figure.BALANCE, 2**63, *HELD), "balance", f"0.000000 to {ALL}", "9223372036854.775808"),
            (OutOfRange(Figure.MARGIN, 0, *MARGIN), "margin", f"0.000001 to {ALL}", "0.000000"),
            (OutOfRange(Figure.LEVERAGE, 99, *LEVERAGE), "leverage", "1.00 to 100.00", "0.99"),
            (OutOfRange(Figure.SLIPPAGE, 9, *SLIPPAGE), "slippage", "10 to 10000", "9"),
            (OutOfRange(Figure.CLIENT_ORDER, 65, *CLIENT_ORDER), "clientOrderId", "1 to 64", "65"),
            (OutOfRange(Figure.PERCENT, 0, *PERCENT), "percent", "1 to 10000", "0"),
            (OutOfRange(Figure.STOP, 0, *PRICE, BTC), "stopPrice", "0.0001 to 99999999999999.9999", "0.0000"),
            (
                OutOfRange(Figure.EXPECTED_PRICE, 0, *PRICE, BTC),
                "expectedPrice",
                "0.0001 to 99999999999999.9999",
                "0.0000",
            ),
            (
                OutOfRange(Figure.EXPECTED_PRICE, 0, *PRICE),
                "expectedPrice",
                "0.000001 to 999999999999.999999",
                "0.000000",
            ),
        )
    ],
]


@pytest.mark.parametrize(("reject", "figures", "details"), TOLD, ids=repr)
def test_a_refusal_is_told_with_its_code_and_its_figures_as_text(
    reject: Reject, figures: Figures | None, details: str | None
) -> None:
    body = msgspec.json.decode(
        msgspec.json.encode(render(refused(Refusal(reject, figures), RULES)).body), type=dict[str, msgspec.Raw]
    )
    assert bytes(body["code"]) == f'"{reject.value}"'.encode()
    assert bytes(body.get("details", msgspec.Raw(b""))).decode() == (details or "")


def test_every_reject_is_told_and_every_kind_of_figures() -> None:
    assert {reject for reject, _, _ in TOLD} == set(Reject)
    assert {type(figures) for _, figures, _ in TOLD} == {*Figures.__args__, type(None)}
    assert FIELDS.keys() == set(Figure)


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        (OutOfRange(Figure.MARGIN, 0, *MARGIN), "margin", "Margin must be greater than zero"),
        (OutOfRange(Figure.LEVERAGE, 0, 100, 2_050), "leverage", "Leverage must be between 1 and 20.5"),
        (OutOfRange(Figure.SLIPPAGE, 0, *SLIPPAGE), "slippage", "Slippage value should be between 0.1 to 100 %"),
        (OutOfRange(Figure.EXPECTED_PRICE, 0, *PRICE), "expectedPrice", "expectedPrice must be greater than zero"),
        (
            OutOfRange(Figure.CLIENT_ORDER, 0, *CLIENT_ORDER),
            "clientOrderId",
            "clientOrderId must have 1 to 64 printable ASCII characters",
        ),
    ],
)
def test_a_field_out_of_range_is_told_in_a_sentence(wrong: OutOfRange, field: str, message: str) -> None:
    assert (FIELDS[wrong.figure], sentence(wrong)) == (field, message)


def test_an_asset_that_is_not_configured_any_more_is_told_all_the_same() -> None:
    unknown = NoPrice(Asset("DOGE"), PriceState.DOWN)
    assert refused(Refusal(Reject.PRICE_UNAVAILABLE, unknown), RULES).details == {"asset": "DOGE", "reason": "down"}
