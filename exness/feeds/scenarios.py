"""Scripted markets for the simulated feed: one table of names, each a course that is laid over a seeded random walk.

Pure: what happens is a function of the seconds since the start, counted by the feed's own schedule of ticks. So the
same seed and scenario give the same ticks, however busy the machine is.
"""

from typing import NamedTuple

import msgspec

PER_MILLE = 1_000
_PER_MILLION = 1_000_000


class Silence(msgspec.Struct, frozen=True):
    """Nothing is said from `at_s` on for `lasts_s`, and for a price's whole life longer if `outlives_prices`."""

    at_s: float
    lasts_s: float
    outlives_prices: bool = False
    everyone: bool = True
    """False: only the first asset falls silent."""


class Scenario(msgspec.Struct, frozen=True):
    """What happens and when. Prices are per mille of the walk's, seconds count from the start or the last repeat."""

    description: str
    volatility: int = 1
    """How many times as far as usual a tick moves."""
    jumps_per_mille: int = 0
    """The chance of a jump of 0.5 to 2 % either way, each tick."""
    course: tuple[tuple[float, int], ...] = ()
    """(second, per mille), in straight lines between; two at one second are a gap. The last one lasts."""
    wicks: tuple[tuple[float, int], ...] = ()
    """(second, per mille): the first tick from then on, and that one only."""
    silences: tuple[Silence, ...] = ()
    crossed_every: int = 0
    """Each so many ticks of an asset one has its bid above its ask; 0: none."""
    repeats_after_s: float = 0.0
    """0: it happens once. With silences that outlive prices, their lives come on top."""


CALM = "calm"

SCENARIOS: dict[str, Scenario] = {
    CALM: Scenario("a quiet walk, about 2 % a day"),
    "volatile": Scenario(
        "ticks twenty times as far as usual, and now and then a jump of 0.5 to 2 %",
        volatility=20,
        jumps_per_mille=5,
    ),
    "crash": Scenario(
        "from second 3 down by 30 % within 10 s, then half of it back by second 25",
        volatility=4,
        course=((3, 1000), (5, 940), (6, 955), (9, 800), (10, 815), (13, 700), (25, 850)),
    ),
    "pump": Scenario(
        "from second 3 up by 40 % within 10 s, then most of it back by second 25",
        volatility=4,
        course=((3, 1000), (6, 1080), (7, 1060), (11, 1330), (13, 1400), (25, 1120)),
    ),
    "wick": Scenario(
        "single ticks 15 to 25 % away and back at once: second 3 down, 8 up, 13 down; again every 15 s",
        wicks=((3, 850), (8, 1150), (13, 750)),
        repeats_after_s=15,
    ),
    "gap": Scenario(
        "prices leap over a range without a tick in it: second 3 down 8 %, 13 up 12 %, 23 back; again every 30 s",
        course=((3, 1000), (3, 920), (13, 920), (13, 1040), (23, 1040), (23, 1000)),
        repeats_after_s=30,
    ),
    "stale": Scenario(
        "at second 5 the first asset falls silent for 15 s longer than a price lives, then ticks for 30 s; again",
        silences=(Silence(5, 15, outlives_prices=True, everyone=False),),
        repeats_after_s=50,
    ),
    "crossed": Scenario(
        "every 5th tick of each asset has its bid above its ask: refused and counted, the others move the price",
        crossed_every=5,
    ),
    "flapping": Scenario(
        "all assets fall silent, as when a connection drops: at second 8 for 4 s, at 20 for 12 s, at 40 for 5 s longer "
        "than a price lives; again",
        silences=(Silence(8, 4), Silence(20, 12), Silence(40, 5, outlives_prices=True)),
        repeats_after_s=55,
    ),
}


class Moment(NamedTuple):
    """What a scenario does to one tick."""

    per_million: int
    """Of the walk's price."""
    silent: bool
    crossed: bool


class Script:
    """One asset's part in a scenario. Ask for its ticks in order."""

    def __init__(self, scenario: Scenario, life_s: float, *, is_first: bool) -> None:
        """`life_s`: how long a price may be traded on. `is_first`: the asset that falls silent alone."""
        self._scenario = scenario
        outliving = sum(life_s for silence in scenario.silences if silence.outlives_prices)
        self._repeats_after_s = scenario.repeats_after_s + outliving if scenario.repeats_after_s else 0.0
        self._silences = [
            (silence.at_s, silence.at_s + silence.lasts_s + (life_s if silence.outlives_prices else 0.0))
            for silence in scenario.silences
            if silence.everyone or is_first
        ]
        self._tick = 0
        self._before_s = -1.0

    def next(self, at_s: float) -> Moment:
        """What happens to the tick at second `at_s`, which is not before the one asked for last."""
        self._tick += 1
        now_s = at_s % self._repeats_after_s if self._repeats_after_s else at_s
        if now_s < self._before_s:  # the scenario has begun again
            self._before_s = -1.0
        moment = Moment(self._price(now_s), self._silent(now_s), self._crossed())
        self._before_s = now_s
        return moment

    def _price(self, now_s: float) -> int:
        for second, per_mille in self._scenario.wicks:
            if self._before_s < second <= now_s:
                return per_mille * PER_MILLE
        return _along(self._scenario.course, now_s)

    def _silent(self, now_s: float) -> bool:
        return any(begin <= now_s < end for begin, end in self._silences)

    def _crossed(self) -> bool:
        every = self._scenario.crossed_every
        return every > 0 and self._tick % every == 0


def _along(course: tuple[tuple[float, int], ...], now_s: float) -> int:
    """The course at a second, per million: 1,000,000 before its first point."""
    before_s, before = 0.0, PER_MILLE
    for second, per_mille in course:
        if now_s < second:
            part = round((now_s - before_s) / (second - before_s) * _PER_MILLION)
            return before * PER_MILLE + (per_mille - before) * part // PER_MILLE
        before_s, before = second, per_mille
    return before * PER_MILLE


def table() -> str:
    """Every scenario with its description, for `serve --help`."""
    return "\n".join(f"  {name:<9} {scenario.description}" for name, scenario in SCENARIOS.items())
