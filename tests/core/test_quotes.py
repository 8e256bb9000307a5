"""core/quotes.py: a quote is what the order then comes to, and its figures are the reckoning's."""

from random import Random
from typing import Any

import msgspec
import pytest

from exness.core.capture import digest_of
from exness.core.quotes import QuoteOf
from tests.reference.engine_peer import EnginePeer, refused
from tests.reference.rulebook import commands as r
from tests.reference.rulebook.quotes import quote
from tests.reference.stories import START, Writer
from tests.support.books import ANN, BTC, SOL, assert_books_balance, desk_with, open_trade, tick, usdc


@pytest.mark.parametrize("seed", range(8))
def test_a_quote_has_the_figures_of_the_reckoning_and_changes_nothing(seed: int) -> None:
    writer = Writer(Random(seed))
    peer = EnginePeer(writer.story.rules, START)
    quoted = 0
    steps = writer.write(40)
    while True:
        before = writer.exchange
        told = _next_with_quote(writer, peer)
        quoted += told
        step = next(steps, None)
        if step is None:
            break
        command, at, _ = step
        assert before is writer.exchange
        peer.execute(command, at)
    assert quoted > 20


def _next_with_quote(writer: Writer, peer: EnginePeer) -> int:
    """Quotes of a few orders on the state of now."""
    if not writer.exchange.book.accounts or not all(a in writer.exchange.book.prices for a in writer.assets):
        return 0
    rng, asset = Random(writer.ids), writer.assets[0]
    price = writer.now(asset)
    common: dict[str, Any] = {"account": "ann", "order": "quoted", "asset": asset}
    margin, leverage = rng.choice((1, 10_000_000, 10**12)), rng.choice((100, 500, 10_000))
    for command in (
        r.OpenTrade(**common, side="long", margin=margin, leverage=leverage),
        r.PlaceOrder(**common, side="short", margin=margin, leverage=leverage, limit=price * 11 // 10 + 1),
        r.NetOrder(**common, side="buy", quantity=rng.choice((1, 1_000))),
    ):
        at = max(peer.at, writer.at)
        if peer.engine.is_due(at):
            return 0
        expected = quote(writer.exchange, command, at)
        digest = digest_of(peer.state)
        told = QuoteOf(peer.translated(command)).answer(peer.state, peer.engine.rules, at)  # type: ignore[arg-type]
        assert digest_of(peer.state) == digest
        assert (None if told.refusal is None else refused(told.refusal)) == expected["refusal"]
        assert told.balance == expected["balance"]
        assert told.figures is not None
        figures = {**msgspec.structs.asdict(told.figures), "required": told.figures.required}
        if not isinstance(command, r.NetOrder):
            assert figures.pop("max_quantity") is None
        assert figures == {name: expected[name] for name in figures}
    return 3


def test_without_an_account_or_a_price_there_are_no_figures() -> None:
    desk = desk_with()
    stranger = QuoteOf(open_trade("t", account=msgspec.convert("bob", type(ANN)))).answer(
        desk.state, desk.engine.rules, desk.at
    )
    assert stranger.refusal is not None
    assert stranger.figures is None
    assert_books_balance(desk.state)


def test_a_refused_order_has_its_figures_all_the_same() -> None:
    desk = desk_with()
    desk.do(tick(SOL, "200"))
    told = QuoteOf(open_trade("t", margin="6000", leverage="10")).answer(desk.state, desk.engine.rules, desk.at)
    assert told.refusal == desk.refused(open_trade("t", margin="6000", leverage="10"))
    assert told.figures is not None
    assert (told.figures.required, told.figures.max_margin) == (usdc("6000"), usdc("5000"))
    assert (told.seq, told.newest) == (1, desk.state.seq)
    assert BTC in desk.state.markets
    assert_books_balance(desk.state)
