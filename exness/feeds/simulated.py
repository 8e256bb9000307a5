"""Prices for a machine without a market: a seeded random walk per asset.

Promises: the same seed gives each asset the same sequence of prices, whatever the timing and whichever other assets
there are; prices stay positive and near where they started for weeks. Integers throughout. A scenario (see `scenarios`)
is laid over the walk and keeps that promise.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

from exness.core.commands import PriceTick
from exness.core.instruments import Asset
from exness.feeds.decode import Quote
from exness.feeds.guard import Guard, Verdict, pass_on
from exness.feeds.pacing import Pacer
from exness.feeds.scenarios import CALM, SCENARIOS, Script
from exness.runtime.listings import Listing

TYPICAL_PRICE = {Asset("SOL"): 175, Asset("ETH"): 3_000, Asset("BTC"): 80_000}
"""Whole units of USDC that a price is drawn back to."""

OTHER_PRICE = 100

USUAL_VOLATILITY = 100
"""Hundredths: 200 is twice the usual one."""

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

    def __init__(self, instrument: Listing, seed: int, volatility: int = USUAL_VOLATILITY) -> None:
        """`volatility`: hundredths of the usual one."""
        # The asset's name is part of the seed: its prices do not depend on what else is configured.
        self._random = random.Random(f"{seed}/{instrument.asset}")  # a walk to repeat, no secret  # nosec B311
        self._volatility = volatility
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

    def jump(self, per_mille: int) -> None:
        """Move the level itself, by so much of it."""
        self._level += self._level * per_mille // 1_000

    def _step(self) -> None:
        sd = _TICK_SD_PER_MILLION * self._volatility
        shock = self._level * sd * self._noise() // (_SUM_SD * 10**6 * USUAL_VOLATILITY)
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
    connected = True

    def __init__(
        self,
        instruments: Sequence[Listing],
        life_us: int,
        seed: int,
        ticks_per_s: float = 4.0,
        *,
        scenario: str = CALM,
        volatility: Mapping[Asset, int] | None = None,
        guard: Guard | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        """`life_us`: how long a price may be traded on. `scenario`: a row of SCENARIOS. `volatility`: hundredths of the
        usual one, per asset. Without a guard every tick is emitted as it is, crossed ones too."""
        if not instruments or not 0 < ticks_per_s < float("inf"):
            raise ValueError("the simulated feed needs an asset and a positive number of ticks per second")
        self.counters: Counter[str] = Counter()
        self._life_us = life_us
        self._seed = seed
        self._period_s = 1 / ticks_per_s
        self._scenario = scenario
        self._guard = guard
        self._assets = [
            _Asset(
                each,
                seed,
                scenario,
                life_us,
                (volatility or {}).get(each.asset, USUAL_VOLATILITY),
                each is instruments[0],
            )
            for each in instruments
        ]
        self._pacer = pacer or Pacer()

    def describe(self) -> str:
        scenario = "" if self._scenario == CALM else f"scenario {self._scenario}, "
        return f"SIMULATED prices, {scenario}a random walk with seed {self._seed}: no real market"

    async def run(self, emit: Callable[[PriceTick], None]) -> None:
        """Every asset's first tick at once, then turn by turn until cancelled."""
        for asset in self._assets:
            self._tick(asset, emit)
        step_s = self._period_s / len(self._assets)
        due = self._pacer.now()
        for asset in cycle(self._assets):
            due = await self._wait_until(due + step_s)
            self._tick(asset, emit)

    async def _wait_until(self, due: float) -> float:
        """Wait for `due` and return it; after a stall the schedule goes on from now and owes no missed ticks.

        A moment is added to the last one, not to when we woke: small delays do not add up.
        """
        await self._pacer.sleep(due - self._pacer.now())
        now = self._pacer.now()
        return due if now - due <= self._period_s else now

    def _tick(self, asset: "_Asset", emit: Callable[[PriceTick], None]) -> None:
        quote, volume = asset.next(self._period_s)
        if quote is None:
            return
        if self._guard is None:
            verdict = Verdict(PriceTick(asset.name, quote.bid, quote.ask, self._life_us, volume=volume))
        else:
            verdict = self._guard.take(quote, self._life_us, volume)
        pass_on(verdict, self.counters, emit)


class _Asset:
    """One asset's walk, its part in the scenario, and what is traded of it."""

    def __init__(
        self, instrument: Listing, seed: int, scenario: str, life_us: int, volatility: int, is_first: bool
    ) -> None:
        row = SCENARIOS[scenario]
        self.name = instrument.asset
        self._instrument = instrument
        self._walk = RandomWalk(instrument, seed, volatility * row.volatility)
        self._script = Script(row, life_us / 1_000_000, is_first=is_first)
        self._jumps_per_mille = row.jumps_per_mille
        # Dice of their own: the walk of a seed is the same whether or not there are jumps and volumes.
        self._jump_dice = random.Random(f"{seed}/{instrument.asset}/jumps")  # as above  # nosec B311
        self._volume_dice = random.Random(f"{seed}/{instrument.asset}/volume")  # as above  # nosec B311
        self._ticks = 0

    def next(self, period_s: float) -> tuple[Quote | None, int]:
        """The next quote, or None when the asset is silent then; and the volume traded since the one before."""
        moment = self._script.next(self._ticks * period_s)
        self._ticks += 1
        self._maybe_jump()
        bid, ask = self._walk.next()
        volume = self._volume(bid)
        if moment.silent:
            return None, 0
        bid, ask = _of(bid, moment.per_million), -_of(-ask, moment.per_million)
        if moment.crossed:
            bid, ask = ask + 1, bid
        return Quote(self._instrument.symbol, max(bid, 1), max(ask, 1), self._ticks, 0), volume

    def _maybe_jump(self) -> None:
        if self._jumps_per_mille and self._jump_dice.getrandbits(16) * 1_000 < self._jumps_per_mille << 16:
            size = 5 + self._jump_dice.getrandbits(4)
            self._walk.jump(size if self._jump_dice.getrandbits(1) else -size)

    def _volume(self, price: int) -> int:
        """What is traded between two ticks, in hundred-millionths of the asset: 10 to 4100 USDC, seldom much."""
        dice = self._volume_dice.getrandbits(16)
        usdc, unit = 10 + dice * dice // 2**20, int(10 ** (8 + self._instrument.decimals))
        return usdc * unit // price


def _of(price: int, per_million: int) -> int:
    return price * per_million // 1_000_000
