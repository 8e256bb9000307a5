"""The arithmetic: percentiles, ratios within a round, medians over rounds, spread. Pure."""

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


class Round(msgspec.Struct, frozen=True):
    """One round's value, and what it is held against, measured right beside it."""

    measured: float
    baseline: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.measured / self.baseline if self.baseline else None


class Figure(msgspec.Struct, kw_only=True):
    """One line of the table as it was measured. `name` is a key of `rows.ROWS`.

    `measured` and `baseline` are medians over the rounds. `ratio` is the median of the rounds' own ratios, so that what
    slows the machine down for a while slows both sides; `low` and `high` are the spread of what is judged: of the ratio
    where there is a baseline, else of the measured value.
    """

    name: str
    unit: str
    measured: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: list[Round] = []
    latencies_ms: dict[str, float] = {}
    """p50, p99 and p99.9 where answers were timed: medians over the rounds. So are the baseline's."""
    baseline_latencies_ms: dict[str, float] = {}
    details: dict[str, Any] = {}
    doubtful: bool = False
    """Measured while others were in the way, by the figure's own account: not judged."""
    note: str = ""
    """Why there is no value, or what bounds it."""


def figure(name: str, unit: str, rounds: Sequence[Round], **details: Any) -> Figure:
    """The figure of at least one round."""
    ratios = [ratio for each in rounds if (ratio := each.ratio) is not None]
    baselines = [each.baseline for each in rounds if each.baseline is not None]
    measured = [each.measured for each in rounds]
    judged = ratios or measured
    return Figure(
        name=name,
        unit=unit,
        measured=statistics.median(measured),
        baseline=statistics.median(baselines) if baselines else None,
        ratio=statistics.median(ratios) if ratios else None,
        low=min(judged),
        high=max(judged),
        rounds=list(rounds),
        details=details,
    )


def timed(made: Figure, ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> Figure:
    """With the latencies of its rounds, which are in microseconds as `latencies_us` tells them."""
    made.latencies_ms, made.baseline_latencies_ms = _medians_ms(ours), _medians_ms(theirs)
    return made


def _medians_ms(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in rounds) / 1000 for name in SHARES if name != "max"}


def unavailable(name: str, unit: str, why: str) -> Figure:
    """A figure that can't be measured here."""
    return Figure(name=name, unit=unit, note=why)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all are not above. Raises ValueError when there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def latencies_us(values_ns: Sequence[int]) -> dict[str, float]:
    """p50, p99, p99.9, largest, and of how many, in microseconds."""
    if not values_ns:
        return {"n": 0}
    ordered = sorted(values_ns)
    return {"n": len(ordered)} | {name: percentile(ordered, share) / 1000 for name, share in SHARES.items()}
