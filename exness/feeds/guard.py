"""Which quotes become prices: sound, in order, of a sane spread, and no jump that nobody confirms.

Pure: a quote in, a verdict out; no clock, no socket, no counter. Every feed asks the same guard, so that a price is
believed for the same reasons whoever brings it. Whether a frame holds a quote at all is for `decode` to say.

**Jumps.** A mark further than the asset's share from the last accepted one is suspect: it moves nothing and sets
nothing off, and a suspect tick says so to the engine, which then opens no trade in the asset. It takes `confirmations`
more ticks near it (within the same share of the first of them) to be believed: the last of these is accepted. A tick
that is back near the last accepted mark is accepted too, and the suspicion is gone. A suspect mark far from the first
one begins a suspicion of its own.

Time confirms nothing: after a long silence or on a new connection a far price is as suspect as ever, for who was away
can't know whether the market moved or the venue errs. Only a new process, which has no last mark, takes the first
price it gets.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from exness.core.ceilings import MOST_PRICE
from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.core.margin import mark_price
from exness.feeds.decode import Quote, Reason
from exness.runtime.listings import Listing

SHARE_UNIT = 10_000
"""Shares are integers of hundredths of a percent: 2000 is 20 %."""


class JumpRule(msgspec.Struct, frozen=True):
    """When a tick of one asset is a jump, and how many more it takes to believe it. 0 in either switches it off."""

    share: int
    confirmations: int

    @property
    def is_off(self) -> bool:
        return not self.share or not self.confirmations


NO_RULE = JumpRule(0, 0)


class GuardSettings(msgspec.Struct, frozen=True):
    """What a guard refuses beside what is unsound: by default nothing. `max_spread` is a share of the mark, 0: any."""

    max_spread: int = 0
    jumps: Mapping[Asset, JumpRule] = {}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of a quote. Without a reason, `tick` is a price. With one it is None, or for a jump the tick that
    tells the engine of the suspicion."""

    tick: PriceTick | None
    reason: Reason | None = None


class _Market(msgspec.Struct):
    """What is remembered of one asset."""

    instrument: Listing
    rule: JumpRule
    last_update: int = -1
    accepted: PriceTick | None = None
    mark: int = 0
    """Of the accepted tick."""
    suspect_mark: int = 0
    """The first unconfirmed mark; 0 while there is no suspicion."""
    confirmed: int = 0


class Guard:
    """Judges quotes, one after the other."""

    def __init__(self, instruments: Sequence[Listing], settings: GuardSettings | None = None) -> None:
        settings = settings or GuardSettings()
        self._max_spread = settings.max_spread
        self._markets = {each.symbol: _Market(each, settings.jumps.get(each.asset, NO_RULE)) for each in instruments}

    def take(self, quote: Quote, life_us: int, volume: int = 0) -> Verdict:
        """Judge a quote. `life_us` and `volume` are those of the tick it may become."""
        market = self._markets.get(quote.symbol)
        if market is None:
            return Verdict(None, Reason.UNKNOWN_SYMBOL)
        reason = self._unsound(quote)
        if reason is not None:
            return Verdict(None, reason)
        if quote.update_id <= market.last_update:
            is_same = quote.update_id == market.last_update
            return Verdict(None, Reason.DUPLICATE if is_same else Reason.OUT_OF_ORDER)
        market.last_update = quote.update_id
        return _judge(market, PriceTick(market.instrument.asset, quote.bid, quote.ask, life_us, volume=volume))

    def forget_order(self, symbol: str | None = None) -> None:
        """Updates of this symbol, or of all, may count from the beginning again: the venue was asked anew."""
        for name, market in self._markets.items():
            if symbol in (None, name):
                market.last_update = -1

    def suspects(self, symbol: str) -> bool:
        """Whether a jump of this symbol waits for confirmation."""
        return self._markets[symbol].suspect_mark != 0

    def _unsound(self, quote: Quote) -> Reason | None:
        if quote.bid <= 0 or quote.ask <= 0:
            return Reason.NOT_POSITIVE
        if quote.bid > quote.ask:
            return Reason.CROSSED
        if quote.ask > MOST_PRICE:
            return Reason.OUT_OF_RANGE
        # The spread as a share of the middle, without a division: (ask - bid) / ((bid + ask) / 2).
        if self._max_spread and (quote.ask - quote.bid) * 2 * SHARE_UNIT > self._max_spread * (quote.bid + quote.ask):
            return Reason.SPREAD_TOO_WIDE
        return None


def pass_on(verdict: Verdict, counters: Counter[str], emit: Callable[[PriceTick], None]) -> None:
    """Count a verdict, as `ticks` or under its reason, and emit what there is to emit."""
    counters[verdict.reason or "ticks"] += 1
    if verdict.tick is not None:
        emit(verdict.tick)


def _judge(market: _Market, tick: PriceTick) -> Verdict:
    mark, rule = mark_price(tick.bid, tick.ask), market.rule
    if market.accepted is None or rule.is_off or _near(mark, market.mark, rule.share):
        return _accept(market, tick, mark)
    if not market.suspect_mark or not _near(mark, market.suspect_mark, rule.share):
        market.suspect_mark, market.confirmed = mark, 0
    else:
        market.confirmed += 1
    if market.confirmed >= rule.confirmations:
        return _accept(market, tick, mark)
    return Verdict(msgspec.structs.replace(market.accepted, life_us=0, suspect=True, volume=0), Reason.JUMP)


def _accept(market: _Market, tick: PriceTick, mark: int) -> Verdict:
    market.accepted, market.mark = tick, mark
    market.suspect_mark = market.confirmed = 0
    return Verdict(tick)


def _near(mark: int, other: int, share: int) -> bool:
    return abs(mark - other) * SHARE_UNIT <= share * other
