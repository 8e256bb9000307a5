"""What a price is good for: live, suspect, stale, down; and what a suspect tick does, which is next to nothing."""

import msgspec

from exness.core.capture import digest_of
from exness.core.commands import PriceTick
from exness.core.engine import Done
from exness.core.instruments import TradeId
from exness.core.prices import PriceState
from exness.core.rejects import NoPrice, Refusal, Reject
from exness.core.state import State
from tests.support.books import (
    ANN,
    ETH,
    PRICE_LIFE,
    SOL,
    Desk,
    assert_books_balance,
    close_trade,
    desk_with,
    open_trade,
    tick,
    usdc,
)


def suspicion(price: str = "200") -> PriceTick:
    return msgspec.structs.replace(tick(SOL, price), life_us=0, suspect=True)


def test_without_a_price_an_asset_is_down() -> None:
    assert State().price_state(SOL, 0) is PriceState.DOWN


def test_a_price_is_live_to_the_end_of_its_life_and_stale_after_it() -> None:
    desk = desk_with()
    assert desk.state.price_state(SOL, desk.at) is PriceState.LIVE
    assert desk.state.price_state(SOL, desk.at + PRICE_LIFE) is PriceState.LIVE
    assert desk.state.price_state(SOL, desk.at + PRICE_LIFE + 1) is PriceState.STALE


def test_a_suspicion_lets_nothing_open_and_everything_close_at_the_accepted_price() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    assert desk.engine.execute(suspicion(), desk.at) == Done([])
    refusal = Refusal(Reject.PRICE_UNAVAILABLE, NoPrice(SOL, PriceState.SUSPECT, 0))
    assert desk.refused(open_trade("u")) == refusal
    assert desk.closed(close_trade("t")).price == usdc("200")
    assert_books_balance(desk.state)


def test_a_suspicion_sets_nothing_off_whatever_price_it_carries() -> None:
    desk = desk_with()
    desk.open(open_trade("t", leverage="100"))
    before = digest_of(desk.state)
    assert desk.engine.execute(suspicion("1"), desk.at) == Done([])
    assert desk.engine.execute(suspicion("900"), desk.at) == Done([])
    assert digest_of(desk.state) == before
    price = desk.state.price(SOL)
    assert price is not None
    assert price.mark == usdc("200")
    assert_books_balance(desk.state)


def test_a_suspicion_gives_the_price_no_new_life_and_ends_in_staleness() -> None:
    desk = desk_with()
    desk.open(open_trade("t"))
    taken = desk.at
    desk.engine.execute(suspicion(), taken + PRICE_LIFE)
    assert desk.state.price_state(SOL, taken + PRICE_LIFE) is PriceState.SUSPECT
    assert desk.state.price_state(SOL, taken + PRICE_LIFE + 1) is PriceState.STALE
    desk.at = taken + PRICE_LIFE + 1
    assert desk.refused(close_trade("t")).figures == NoPrice(SOL, PriceState.STALE, PRICE_LIFE + 1)


def test_the_next_price_ends_a_suspicion() -> None:
    desk = desk_with()
    desk.engine.execute(suspicion(), desk.at)
    desk.do(tick(SOL, "260"))
    assert desk.state.price_state(SOL, desk.at) is PriceState.LIVE
    desk.open(open_trade("t"))
    assert desk.state.accounts[ANN].trades[TradeId("t")].entry == usdc("260")
    assert_books_balance(desk.state)


def test_a_suspicion_is_its_assets_own() -> None:
    desk = desk_with()
    desk.do(tick(ETH, "3000"))
    desk.engine.execute(suspicion(), desk.at)
    assert desk.state.price_state(ETH, desk.at) is PriceState.LIVE
    desk.open(open_trade("t", ETH))


def test_where_there_is_no_price_nothing_is_in_doubt() -> None:
    desk = Desk()
    desk.engine.execute(PriceTick(ETH, 1, 1, 0, suspect=True), desk.at)
    assert desk.state.price_state(ETH, desk.at) is PriceState.DOWN
