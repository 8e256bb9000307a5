"""The table as text."""

from collections.abc import Mapping, Sequence

from tests.bench.figures import Figure
from tests.bench.rows import change, judged, row_of

HEAD = (
    "figure",
    "measured",
    "against",
    "baseline",
    "ratio",
    "spread",
    "reach",
    "met",
    "change",
    "p50/p99/p99.9 ms",
    "baseline's",
)
LEFT = {0, 2}


def table(figures: Sequence[Figure], before: Mapping[str, Figure]) -> str:
    """One line a figure; `before` are those of an earlier run, by name. What has no value says why, below."""
    lines = [HEAD, *(_cells(figure, before.get(figure.name)) for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{row_of(figure.name).title}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*text, *([""] if notes else []), *notes])


def _cells(figure: Figure, before: Figure | None) -> tuple[str, ...]:
    row, met, moved = row_of(figure.name), judged(figure), change(figure, before)
    spread = "" if figure.low is None or figure.high is None else f"{number(figure.low)}..{number(figure.high)}"
    return (
        row.title,
        "-" if figure.measured is None else f"{number(figure.measured)} {figure.unit}",
        row.against,
        "" if figure.baseline is None else number(figure.baseline),
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        spread,
        ", ".join(map(str, row.reach)),
        {True: "yes", False: "NO", None: "?" if figure.doubtful and row.reach else ""}[met],
        "" if moved is None else f"{moved:+.0%}{_verdict(moved, less_is_better=row.less_is_better)}",
        _percentiles(figure.latencies_ms),
        _percentiles(figure.baseline_latencies_ms),
    )


def _percentiles(latencies_ms: Mapping[str, float]) -> str:
    return " / ".join(map(number, latencies_ms.values()))


def _verdict(moved: float, *, less_is_better: bool) -> str:
    """Marks what got worse by more than a tenth: less is as good as noise."""
    return " worse" if (moved if less_is_better else -moved) > 0.1 else ""


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        text.ljust(width) if column in LEFT else text.rjust(width)
        for column, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def number(value: float) -> str:
    """Three digits that matter."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"
