"""Prices for a machine without a market: a seeded random walk per asset.

Promises: the same seed gives each asset the same sequence of prices, whatever the timing and whichever other assets
there are; prices stay positive and near where they started for weeks. Integers throughout.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle

from exness.core.commands import PriceTick
from exness.core.instruments import Asset, Instrument
from exness.feeds.pacing import Pacer

TYPICAL_PRICE = {Asset("SOL"): 175, Asset("ETH"): 3_000, Asset("BTC"): 80_000}
"""Whole units of USDC that a price is drawn back to."""

OTHER_PRICE = 100

# The walk is kept this much finer than a price, so that an asset of few decimals moves like any other.
_FINE = 10**9

# One tick's standard deviation is 0.4 basis points: at 4 ticks a second 2.4 % a day, about what these assets do.
_TICK_SD_PER_MILLION = 40

# Pulled back by 1/3,000,000 of the distance a tick, a deviation halves in six days and has a standard
# deviation of 40e-6 / sqrt(2 / 3e6) = 4.9 %. The bounds are never met in practice; they make it a certainty.
_PULL_TICKS = 3_000_000

# Four uniform 16-bit numbers add up to nearly a normal one: mean 4 * 65535 / 2, sd sqrt(4 * (65536**2 - 1) / 12).
_SUM_MEAN = 131_070
_SUM_SD = 37_837


class RandomWalk:
    """One asset's prices, one `next()` at a time."""

    def __init__(self, instrument: Instrument, seed: int) -> None:
        # The asset's name is part of the seed: its prices do not depend on what else is configured.
        self._random = random.Random(f"{seed}/{instrument.asset}")
        self._anchor = TYPICAL_PRICE.get(instrument.asset, OTHER_PRICE) * 10**instrument.decimals * _FINE
        self._level = self._anchor + self._anchor * (self._random.getrandbits(16) - 2**15) // 2**20
        """Between 3.125 % below and above the typical price at the start."""

    def next(self) -> tuple[int, int]:
        """Bid and ask, scaled by the asset's decimals, 0 < bid <= ask, rounded outward."""
        self._step()
        # Half the spread is 0.2 to 0.5 basis points.
        half_spread = self._level * (2 + self._random.getrandbits(2)) // 100_000 + 1
        bid = (self._level - half_spread) // _FINE
        ask = -((-self._level - half_spread) // _FINE)
        return max(bid, 1), max(ask, 1)

    def _step(self) -> None:
        shock = self._level * _TICK_SD_PER_MILLION * self._noise() // (_SUM_SD * 10**6)
        pull = (self._anchor - self._level) // _PULL_TICKS
        self._level = min(max(self._level + shock + pull, self._anchor // 2), self._anchor * 2)

    def _noise(self) -> int:
        """A nearly normal number of mean 0 and standard deviation _SUM_SD.

        From `getrandbits`, whose sequence for a seed is the same in every Python; `gauss` would bring in floats.
        """
        bits = self._random.getrandbits(64)
        total = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
        return total - _SUM_MEAN


class SimulatedFeed:
    """A PriceFeed of random walks: every asset ticks `ticks_per_s` times a second, the assets taking turns."""

    simulated = True

    def __init__(
        self,
        instruments: Sequence[Instrument],
        life_us: int,
        seed: int,
        ticks_per_s: float = 4.0,
        *,
        pacer: Pacer | None = None,
    ) -> None:
        """`life_us`: how long a price may be traded on."""
        if not instruments or not 0 < ticks_per_s < float("inf"):
            raise ValueError("the simulated feed needs an asset and a positive number of ticks per second")
        self.counters: Counter[str] = Counter()
        self._life_us = life_us
        self._seed = seed
        self._period_s = 1 / ticks_per_s
        self._walks = [(instrument.asset, RandomWalk(instrument, seed)) for instrument in instruments]
        self._pacer = pacer or Pacer()

    def describe(self) -> str:
        return f"SIMULATED prices, a random walk with seed {self._seed}: no real market"

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Every asset's first tick at once, then turn by turn until cancelled."""
        for asset, walk in self._walks:
            self._tick(asset, walk, emit)
        step_s = self._period_s / len(self._walks)
        due = self._pacer.now()
        for asset, walk in cycle(self._walks):
            due = await self._wait_until(due + step_s)
            self._tick(asset, walk, emit)

    async def _wait_until(self, due: float) -> float:
        """Wait for `due` and return it; after a stall the schedule goes on from now and owes no missed ticks.

        A moment is added to the last one, not to when we woke: small delays do not add up.
        """
        await self._pacer.sleep(due - self._pacer.now())
        now = self._pacer.now()
        return due if now - due <= self._period_s else now

    def _tick(self, asset: Asset, walk: RandomWalk, emit: Callable[[PriceTick], None]) -> None:
        bid, ask = walk.next()
        self.counters["ticks"] += 1
        emit(PriceTick(asset, bid, ask, self._life_us))
