"""core/ceilings.py: what the core refuses, and that nothing it lets through can grow beyond its ceiling."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core import capture, rules
from exness.core.capture import decode_header, digest_of, encode_header, header_of
from exness.core.ceilings import MOST_HELD, MOST_PRICE, STORED
from exness.core.commands import CloseTrade, Command, Deposit, OpenAccount, OpenTrade, PriceTick, Reset
from exness.core.events import TradeClosed
from exness.core.evolve import evolve
from exness.core.instruments import AccountId, Asset, Execution, Side, TradeId
from exness.core.line import settle, trade_line
from exness.core.margin import most_pnl
from exness.core.money import MAX_SCALED, AmountError, parse_saturated
from exness.core.outcomes import Done
from exness.core.prices import PriceState
from exness.core.rejects import DueAtOnce, Figure, NoPrice, OutOfRange, Refusal, Reject
from exness.core.rules import Rules
from exness.core.state import State
from tests.core.orders import TOUCH
from tests.support.books import (
    ANN,
    BOB,
    BTC,
    LONG,
    PRICE_LIFE,
    SHORT,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    desk_with,
    is_liquidation,
    make_rules,
    open_trade,
    tick,
    usdc,
)
from tests.support.ceilings import EVENTS, FIELDS, assert_record_is_within, integer_fields
from tests.support.lanes import examples
from tests.support.states import restore
from tests.support.wild import WIDE_RULES, Wild, wild_commands


def replaced(**changed: object) -> OpenTrade:
    command = open_trade("t", slippage=100, expected="200")
    return OpenTrade(**{field: getattr(command, field) for field in command.__struct_fields__} | changed)


def out_of_range(figure: Figure, given: int, least: int, most: int, asset: Asset | None = None) -> Refusal:
    return Refusal(Reject.AMOUNT_OUT_OF_RANGE, OutOfRange(figure, given, least, most, asset))


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        *[
            (replaced(margin=wrong), out_of_range(Figure.MARGIN, wrong, 1, MOST_HELD))
            for wrong in (0, -1, MOST_HELD + 1, 10**40)
        ],
        *[
            (replaced(leverage=wrong), out_of_range(Figure.LEVERAGE, wrong, 100, 10_000))
            for wrong in (0, -1000, 99, 10_001)
        ],
        *[(replaced(slippage=wrong), out_of_range(Figure.SLIPPAGE, wrong, 10, 10_000)) for wrong in (-1, 0, 9, 10_001)],
        *[
            (replaced(expected_price=wrong), out_of_range(Figure.EXPECTED_PRICE, wrong, 1, MOST_PRICE, SOL))
            for wrong in (0, -5, MOST_PRICE + 1)
        ],
        (
            replaced(expected_price=-5, slippage=None),
            out_of_range(Figure.EXPECTED_PRICE, -5, 1, MOST_PRICE, SOL),
        ),
        (
            replaced(asset=BTC, expected_price=0),
            out_of_range(Figure.EXPECTED_PRICE, 0, 1, MOST_PRICE, BTC),
        ),
        *[
            (replaced(client_order=wrong), out_of_range(Figure.CLIENT_ORDER, len(wrong), 1, 64))
            for wrong in ("", "x" * 65, "a\tb", "a\n", "\x7f", "naïve", "\u2028")
        ],
        *[
            (Deposit(ANN, wrong), out_of_range(Figure.AMOUNT, wrong, 1, MOST_HELD))
            for wrong in (0, -(2**70), MOST_HELD + 1)
        ],
        (
            Deposit(ANN, MOST_HELD - usdc("5000") + 1),
            out_of_range(Figure.BALANCE, MOST_HELD + 1, 0, MOST_HELD),
        ),
        *[
            (OpenAccount(BOB, "bob@example.com", wrong), out_of_range(Figure.DEPOSIT, wrong, 0, MOST_HELD))
            for wrong in (-1, MOST_HELD + 1)
        ],
    ],
    ids=repr,
)
def test_a_figure_out_of_range_is_refused_by_name_with_what_is_allowed(command: Command, refusal: Refusal) -> None:
    desk = desk_with(ANN)
    assert desk.refused(command) == refusal
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    "changed",
    [
        {"margin": 1},
        {"leverage": 100},
        {"leverage": 10_000},
        {"slippage": 10, "expected_price": usdc("200")},
        {"slippage": 10_000},
        {"expected_price": 1, "slippage": None},
        {"expected_price": MOST_PRICE, "slippage": None},
        {"client_order": " "},
        {"client_order": "~" * 64},
    ],
    ids=str,
)
def test_the_ends_of_what_is_allowed_are_allowed(changed: dict[str, object]) -> None:
    desk = desk_with(ANN)
    desk.open(replaced(**changed))
    assert_books_balance(desk.state)


def test_all_figures_that_are_out_of_range_are_told_in_one_order() -> None:
    sol = make_rules().instruments[SOL]
    wrong = rules.out_of_range(sol, 0, 0, 0, 0, "")
    assert [each.figure for each in wrong] == [*list(Figure)[3:8]]
    assert rules.out_of_range(sol, None, None, None, None, None) == []
    assert rules.out_of_range(None, 1, 10_001, 10, MOST_PRICE + 1, "x") == [
        OutOfRange(Figure.LEVERAGE, 10_001, 100, 10_000),
        OutOfRange(Figure.EXPECTED_PRICE, MOST_PRICE + 1, 1, MOST_PRICE),
    ], "of an asset that is not known, any asset's bounds are told"


def test_an_instrument_may_allow_less_leverage() -> None:
    desk = desk_with(ANN)
    sol = msgspec.structs.replace(desk.engine.rules.instruments[SOL], max_leverage=2_000)
    desk.engine.rules = Rules(instruments={**desk.engine.rules.instruments, SOL: sol})
    assert desk.refused(replaced(leverage=2_001)) == out_of_range(Figure.LEVERAGE, 2_001, 100, 2_000)
    desk.open(replaced(leverage=2_000))


def test_an_asset_that_is_not_configured_has_no_price_to_trade_at() -> None:
    desk = desk_with(ANN)
    assert desk.refused(replaced(asset=Asset("DOGE"))).figures == NoPrice(Asset("DOGE"), PriceState.DOWN)


def test_what_is_locked_counts_to_what_an_account_holds() -> None:
    desk = desk_with(ANN)
    desk.open(open_trade("t", margin="5000"))
    room = MOST_HELD - usdc("5000")
    assert desk.refused(Deposit(ANN, room + 1)).reject is Reject.AMOUNT_OUT_OF_RANGE
    desk.do(Deposit(ANN, room))
    assert desk.refused(Deposit(ANN, 1)) == out_of_range(Figure.BALANCE, MOST_HELD + 1, 0, MOST_HELD)
    assert_books_balance(desk.state)


def test_what_one_account_holds_does_not_matter_to_another_and_all_together_may_be_more_than_64_bits() -> None:
    desk = Desk()
    for number in range(30):
        desk.do(OpenAccount(AccountId(f"a{number}"), f"a{number}@example.com", MOST_HELD))
    assert desk.state.deposits == desk.state.free == 30 * MOST_HELD > STORED
    assert_books_balance(desk.state)


BROKEN: list[tuple[Reject, dict[str, object]]] = [
    (Reject.WOULD_LIQUIDATE, {"leverage": 10_000}),
    (Reject.SLIPPAGE_EXCEEDED, {"slippage": 10, "expected_price": usdc("100")}),
    (Reject.POSITION_LIMIT, {"margin": usdc("2000")}),
    (Reject.INSUFFICIENT_MARGIN, {"margin": usdc("6000"), "leverage": 100}),
]


@pytest.mark.parametrize(("reject", "wish"), BROKEN, ids=[reject.value for reject, _ in BROKEN])
@pytest.mark.parametrize(
    "nonsense", [{"margin": 10**20}, {"leverage": 0}, {"slippage": -1, "expected_price": usdc("100")}, {"margin": 0}]
)
def test_an_amount_out_of_range_is_told_before_every_other_422(
    reject: Reject, wish: dict[str, object], nonsense: dict[str, object]
) -> None:
    desk = desk_with(rules=make_rules(execution=Execution.TOUCH, max_notional="10000"))
    desk.do(tick(SOL, "190", "210"))
    command = {"slippage": None, "expected_price": None} | wish
    assert desk.refused(replaced(**command)).reject is reject
    assert desk.refused(replaced(**command | nonsense)).reject is Reject.AMOUNT_OUT_OF_RANGE
    assert_books_balance(desk.state)


def test_no_price_is_told_before_an_amount_out_of_range() -> None:
    desk = desk_with()
    desk.at += PRICE_LIFE + 1
    assert desk.refused(replaced(margin=0)).reject is Reject.PRICE_UNAVAILABLE
    assert_books_balance(desk.state)


@pytest.mark.parametrize(
    ("bid", "ask"), [(0, 1), (-1, 1), (2, 1), (1, MOST_PRICE + 1), (MOST_PRICE + 1, MOST_PRICE + 1), (0, 0)]
)
def test_a_price_that_no_feed_may_let_through_is_a_bug_and_changes_nothing(bid: int, ask: int) -> None:
    desk = desk_with()
    before = desk.state.price(SOL)
    with pytest.raises(AssertionError, match=f"SOL can't have the price {bid} / {ask}"):
        desk.engine.execute(PriceTick(SOL, bid, ask, PRICE_LIFE), desk.at)
    assert desk.state.price(SOL) == before
    assert_books_balance(desk.state)


# --- would liquidate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
@given(half=st.integers(0, 10**8), leverage=st.integers(100, 10_000), decimals=st.sampled_from((SOL, BTC)))
@examples(80)
def test_what_the_mark_would_liquidate_is_never_opened_and_what_is_opened_is_not_liquidated_by_it(
    side: Side, half: int, leverage: int, decimals: object
) -> None:
    asset = SOL if decimals is SOL else BTC
    desk = desk_with(rules=TOUCH)
    quote = PriceTick(asset, 10**8 + 1, 10**8 + 1 + 2 * half, PRICE_LIFE)
    desk.do(quote)
    outcome = desk.ask(OpenTrade(ANN, TradeId("t"), asset, side, usdc("1"), leverage))
    if isinstance(outcome, Done):
        assert desk.do(quote) == []
    else:
        assert isinstance(outcome, Refusal)
        assert outcome.reject is Reject.WOULD_LIQUIDATE
        assert isinstance(outcome.figures, DueAtOnce)
        price, mark, liquidation = outcome.figures.price, outcome.figures.mark, outcome.figures.liquidation
        assert (price, mark) == (quote.ask if side is LONG else quote.bid, 10**8 + 1 + half)
        assert mark <= liquidation < price if side is LONG else mark >= liquidation > price
    assert_books_balance(desk.state)


# --- what a close pays ----------------------------------------------------------------------------------------------


def test_the_price_of_nearly_nothing_that_rises_to_a_thousand_million() -> None:
    desk = desk_with()
    desk.do(tick(SOL, "0.000001"))
    desk.open(open_trade("t", margin="100", leverage="100"))
    desk.do(tick(SOL, "1000000000"))
    (record,) = desk.do(close_trade("t"))
    assert isinstance(record.event, TradeClosed)
    assert record.event.balance == MOST_HELD
    assert record.event.pnl == MOST_HELD - usdc("5000")
    assert record.event.returned == record.event.pnl + usdc("100")
    assert_record_is_within(record)
    assert desk.state.house.pnl == usdc("5000") - MOST_HELD
    assert_books_balance(desk.state)


@pytest.mark.parametrize("short_of_it", [-1, 0, 1])
def test_a_gain_is_paid_to_the_last_unit_that_the_account_can_hold(short_of_it: int) -> None:
    """At twice the price, 100x pays a hundred times the margin."""
    desk = desk_with()
    desk.do(tick(SOL, "100"))
    desk.open(open_trade("t", margin="1", leverage="100"))
    gain = usdc("100")
    desk.do(Deposit(ANN, MOST_HELD - usdc("5000") - gain - short_of_it))
    desk.do(tick(SOL, "200"))
    account = desk.state.accounts[ANN]
    (record,) = desk.do(close_trade("t"))
    assert isinstance(record.event, TradeClosed)
    assert (record.event.pnl, account.free) == (gain + min(0, short_of_it), MOST_HELD - max(0, short_of_it))
    assert_books_balance(desk.state)


def test_an_account_that_is_full_still_trades_and_can_still_lose() -> None:
    desk = desk_with()
    desk.do(Deposit(ANN, MOST_HELD - usdc("5000")))
    for order, price, pnl in (("up", "220", 0), ("down", "190", -usdc("500")), ("up again", "220", usdc("500"))):
        desk.do(tick(SOL, "200"))
        desk.open(open_trade(order, margin="1000", leverage="10"))
        desk.do(tick(SOL, price))
        (record,) = desk.do(close_trade(order))
        assert isinstance(record.event, TradeClosed)
        assert record.event.pnl == pnl
        assert_record_is_within(record)
    assert desk.state.accounts[ANN].free == MOST_HELD
    assert_books_balance(desk.state)


def test_a_loss_without_measure_is_liquidated_and_its_shortfall_ends_at_64_bits() -> None:
    desk = desk_with()
    desk.do(tick(SOL, "0.000001"))
    desk.open(open_trade("t", side=SHORT, margin="5000", leverage="1"))
    (record,) = desk.do(PriceTick(SOL, MOST_PRICE, MOST_PRICE, PRICE_LIFE))
    assert is_liquidation(record.event)
    assert (record.event.shortfall, record.event.balance) == (STORED, 0)
    assert_record_is_within(record)
    assert_books_balance(desk.state)


# Accounts of versions that knew no ceiling.

held = st.integers(0, STORED)


@given(free=held, others=held, margin=st.integers(1, STORED), gain=st.integers(-(10**40), 10**40))
@examples(300)
def test_whatever_an_account_holds_a_close_can_be_stored_and_takes_no_more_than_it_must(
    free: int, others: int, margin: int, gain: int
) -> None:
    line = trade_line(LONG, margin, 100, margin)  # at 1x, a unit of price is a unit of money
    settled = settle(line, margin + gain, most=most_pnl(free, margin + others, margin))
    formula = max(-margin, gain)
    assert -margin <= settled.pnl <= formula
    assert 0 <= settled.returned == margin + settled.pnl
    assert 0 <= free + settled.returned <= STORED
    if free + margin + others + formula <= MOST_HELD:
        assert settled.pnl == formula, "all there is, while there is room"
    if free + margin <= STORED and formula >= 0:
        assert settled.pnl >= 0, "no loss, unless the balance could not be stored otherwise"


# --- everything at once ---------------------------------------------------------------------------------------------


@given(commands=wild_commands(max_size=60))
@examples(150)
def test_nothing_that_is_let_through_grows_beyond_its_ceiling(commands: list[Command]) -> None:
    wild = Wild()
    for command in commands:
        wild.do(command)
    wild.close_everything()
    for record in wild.desk.records:
        assert_record_is_within(record)


def test_years_of_winning_and_losing_everything() -> None:
    """The most that can be made of every input, in turn: each round moves all that an account can hold, three times."""
    wild = Wild.extreme(rounds=25)
    state = wild.desk.state
    for record in wild.desk.records:
        assert_record_is_within(record)
    assert abs(state.house.pnl) > STORED
    assert state.shortfall > STORED
    assert state.deposits > STORED
    assert decode_header(encode_header(header_of(state))) == header_of(state)


# --- every field has a ceiling --------------------------------------------------------------------------------------


def test_every_integer_that_is_stored_in_a_record_or_a_snapshot_has_a_ceiling() -> None:
    assert set(EVENTS) < FIELDS.keys()
    for struct, spans in FIELDS.items():
        assert integer_fields(struct) == spans.keys(), struct
    for least, most in (span for spans in FIELDS.values() for span in spans.values()):
        assert -STORED <= least <= most <= STORED


def test_the_sums_of_a_header_are_text_where_64_bits_do_not_hold_them() -> None:
    numbers = integer_fields(capture.Header) - FIELDS[capture._PlainHeader].keys()
    house = {"house_pnl", "house_commission", "house_funding", "insurance"}
    assert numbers == {*house, "deposits", "shortfall"}


sums = st.integers(-(10**60), 10**60) | st.sampled_from((2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64))


@given(house=sums, deposits=sums, shortfall=sums, journal=st.none() | st.integers(0, 2**32 - 1))
def test_a_header_comes_back_whatever_its_sums(house: int, deposits: int, shortfall: int, journal: int | None) -> None:
    header = capture.Header(7, 8, 9, house, deposits, shortfall, journal)
    assert decode_header(encode_header(header)) == header


def test_a_header_of_small_sums_is_the_same_bytes_as_ever() -> None:
    """So a snapshot of an older version is read, and an older version reads one of this."""
    header = capture.Header(seq=7, at=8, accounts=9, house_pnl=-10, deposits=2**63 - 1, shortfall=0)
    assert encode_header(header) == capture._encode(header)


@pytest.mark.parametrize("text", ["", "x", "1.5", "--1", "1" * 200, "0x10", "1_0", "\u0661"])
def test_a_header_with_a_sum_that_is_none_is_damaged(text: str) -> None:
    header = {"seq": 1, "at": 1, "accounts": 0, "house_pnl": text, "deposits": 0, "shortfall": 0}
    with pytest.raises(msgspec.DecodeError, match="is no sum"):
        decode_header(capture._encode(header))


def test_an_exchange_whose_deposits_are_beyond_64_bits_has_a_picture_and_a_digest() -> None:
    wild = Wild.extreme(rounds=4)
    wild.desk.do(tick(SOL, "1"))
    with capture.Capture(wild.desk.state) as taken:
        accounts = taken.take(10**6)
    again = restore(decode_header(encode_header(taken.header)), accounts)
    assert digest_of(again) == digest_of(wild.desk.state)


# --- figures for the eye --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0),
        ("1.239", 123),
        ("-1.239", -124),
        ("99.99", 9999),
        ("100", 10_000),
        ("100.01", 10_000),
        ("1e60", 10_000),
        ("1e-60", 0),
    ],
)
def test_a_figure_that_is_shown_ends_where_it_is_told_to(text: str, units: int) -> None:
    assert parse_saturated(text, 2, 10_000) == units


@pytest.mark.parametrize("text", ["", "x", "1,0", "nan", "inf", "1e9999", "9" * 100])
def test_what_is_no_number_is_none_for_the_eye_either(text: str) -> None:
    with pytest.raises(AmountError):
        parse_saturated(text, 2, 10_000)


def test_a_price_read_from_text_is_never_beyond_the_largest() -> None:
    assert MAX_SCALED == MOST_PRICE


def test_the_wild_reach_every_ceiling() -> None:
    """Else the tests above would prove nothing."""
    seen: set[str] = set()
    for seed in range(40):
        wild = Wild()
        wild.run(random.Random(seed), steps=150)
        for record in wild.desk.records:
            for name in ("balance", "pnl", "shortfall", "amount"):
                if getattr(record.event, name, 0) >= MOST_HELD - 10**10:
                    seen.add(name)
        seen |= {reject.value for reject in wild.refused}
    assert seen >= {"balance", "shortfall", "pnl", "amount", "amount_out_of_range", "insufficient_margin"}, seen


def test_the_journal_of_the_wild_is_replayed_to_the_same_state() -> None:
    wild = Wild.extreme(rounds=3)
    state = State()
    for record in wild.desk.records:
        evolve(state, record)
    assert digest_of(state) == digest_of(wild.desk.state)
    assert WIDE_RULES.max_notional_per_account > 10**30
    assert any(isinstance(command, Reset | CloseTrade) for command in wild.asked)
