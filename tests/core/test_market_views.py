"""core/market_views.py: what everybody may see of an asset beside its price."""

from msgspec.structs import replace

from exness.core.commands import PriceTick
from exness.core.engine import Engine
from exness.core.market_views import FundingOf, OpenInterestOf
from exness.core.rates import FundingSource, Rates
from exness.core.state import State
from tests.support.books import (
    PRICE_LIFE,
    SECOND,
    SOL,
    START,
    assert_books_balance,
    make_rules,
    open_account,
    open_trade,
    tick,
)

HOUR = 3600 * SECOND


def test_without_funding_or_a_price_there_is_nothing_to_see() -> None:
    state, rules = State(), make_rules()
    funding = FundingOf(SOL).answer(state, rules, START)
    assert (funding.rate, funding.next_at, funding.newest, funding.seq) == (0, None, 0, 0)
    interest = OpenInterestOf(SOL).answer(state, rules, START)
    assert (interest.quantity, interest.seq) == (0, 0)


def test_a_rate_is_that_of_the_next_settlement_by_its_weight() -> None:
    rates = Rates(funding_interval_s=3600, funding_rate=FundingSource.FEED, funding_weekdays=(1, 1, 1, 1, 1, 3, 1))
    rules = replace(make_rules(), rates={SOL: rates})
    engine = Engine(rules, State())
    engine.execute(PriceTick(SOL, 200_000_000, 200_000_000, PRICE_LIFE, funding=7000), START)
    funding = FundingOf(SOL).answer(engine.state, rules, START)
    assert (funding.rate, funding.newest) == (21_000, 7000)  # START is a Saturday
    assert funding.next_at == START // HOUR * HOUR + HOUR
    assert_books_balance(engine.state)


def test_open_interest_is_a_quantity_at_the_mark() -> None:
    engine = Engine(make_rules(), State())
    engine.execute(tick(SOL, "200"), START)
    engine.execute(open_account(), START)
    engine.execute(open_trade("1", margin="100", leverage="10"), START)
    found = OpenInterestOf(SOL).answer(engine.state, engine.rules, START)
    assert (found.quantity, found.seq) == (5000, engine.state.seq)  # 1000 USDC at 200, three decimals
    engine.execute(tick(SOL, "210"), START)
    assert OpenInterestOf(SOL).answer(engine.state, engine.rules, START).quantity == 4761
    assert_books_balance(engine.state)
