"""Several recorded files as one recording.

Of one asset and time there is one source. Candles of an asset may not overlap, whatever files they are in; quotes of an
asset may not lie within one of its candles, nor come from two files that cover the same time. What repeats exactly (a
file given twice, a copy, the last candle of a month that is the first of the next file too) is taken once and counted.

Quotes say nothing between one and the next, so a file covers an asset from its first quote of it to its last: where two
files do at once, they must have the same quotes. One pass in time order finds all of this: it remembers of each asset
the newest candle and of each file the newest quotes, whatever the size of the files.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from exness.core.instruments import Asset
from exness.feeds.recording import RecordedTick, ReplayError, Row, read_rows
from exness.runtime.listings import Listing
from exness.runtime.moments import show_moment

MOST_AT_ONCE = 100_000
"""Rows of one moment, in all files together. More are no recording but a clock that stands still."""

_LONGEST_OVERLAP = 1_000
"""Quotes of one moment in which a file that begins there may repeat the end of another."""

_start_of: Callable[[Row], int] = attrgetter("start_us")
_order_of: Callable[[RecordedTick], tuple[int, str]] = attrgetter("time_us", "symbol")


class Union:
    """The files of a replay. `repeated` counts rows that another file had already, by the file that repeats them: it
    grows as the rows are read."""

    def __init__(self, files: Sequence[Path], instruments: Sequence[Listing]) -> None:
        self._files = files
        self._instruments = instruments
        self.repeated: Counter[Path] = Counter()

    def ticks(self) -> Generator[RecordedTick, None, None]:
        """Of all files by time, then by symbol, then as the lines come. Raises ReplayError."""
        pending: list[RecordedTick] = []
        """Of candles that have begun: at most four for each asset, beside the rows of one moment."""
        for start_us, rows in self._moments():
            for row in rows:
                pending += row.ticks
            if len(pending) > 1:
                pending.sort(key=_order_of)
            # What is still to come begins later.
            due = next((n for n, tick in enumerate(pending) if tick.time_us > start_us), len(pending))
            yield from pending[:due]
            del pending[:due]
        yield from pending

    def row_of(self, tick: RecordedTick) -> tuple[Path, int]:
        """The file and the line that a tick is from: by reading them again."""
        for _, rows in self._moments():
            for row in rows:
                if tick in row.ticks:
                    return self._files[row.file], row.line
        raise AssertionError("the tick is not from these files")

    def _moments(self) -> Iterator[tuple[int, list[Row]]]:
        """The rows that begin at one moment, each once."""
        self.repeated.clear()
        sources: dict[Asset, _Source] = {}
        rows: list[Row] = []
        files = [read_rows(path, self._instruments, number) for number, path in enumerate(self._files)]
        for row in heapq.merge(*files, key=_start_of):
            if rows and rows[0].start_us != row.start_us:
                yield rows[0].start_us, self._once(rows, sources)
                rows = []
            if len(rows) == MOST_AT_ONCE:
                where = f"replay file {self._files[row.file]}, line {row.line}"
                raise ReplayError(f"{where}: more than {MOST_AT_ONCE} rows are of {show_moment(row.start_us)}")
            rows.append(row)
        if rows:
            yield rows[0].start_us, self._once(rows, sources)

    def _once(self, rows: list[Row], sources: dict[Asset, "_Source"]) -> list[Row]:
        """The rows of one moment without repetitions. Raises ReplayError for a second source."""
        by_asset: dict[Asset, list[Row]] = {}
        for row in rows:
            by_asset.setdefault(row.asset, []).append(row)
        taken: list[Row] = []
        for asset, of_asset in by_asset.items():
            if asset not in sources:
                sources[asset] = _Source(self._files)
            taken += sources[asset].take(of_asset, self.repeated)
        return taken


class _Source:
    """Where one asset's prices have come from so far."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._candle: Row | None = None
        """The newest one, which ends last."""
        self._quoting: dict[int, Row] = {}
        """The files that had the newest quotes, with the last of them."""
        self._ended: dict[int, Row] = {}
        """The files that had quotes, but not those of a later moment, with what another file had then."""

    def take(self, rows: list[Row], repeated: Counter[Path]) -> list[Row]:
        """The rows of one moment without repetitions. Raises ReplayError for a second source."""
        if len(rows) == 1 and self._goes_on(rows[0]):  # nearly always
            return rows
        candles = [row for row in rows if row.is_candle]
        quotes = [row for row in rows if not row.is_candle]
        if candles and quotes:
            raise self._refused(quotes[0], "lies within the candle", candles[0])
        return self._take_candles(candles, repeated) if candles else self._take_quotes(quotes, repeated)

    def _goes_on(self, row: Row) -> bool:
        """Whether it is the next candle where no quotes are, or the next quote of the only file with quotes."""
        if row.is_candle:
            if self._quoting or (self._candle is not None and self._candle.end_us > row.start_us):
                return False
            self._candle = row
            return True
        if len(self._quoting) != 1 or row.file not in self._quoting:
            return False
        self._quoting[row.file] = row
        return True

    def _take_candles(self, candles: list[Row], repeated: Counter[Path]) -> list[Row]:
        taken = []
        for candle in candles:
            before = self._candle
            if before is not None and before.end_us > candle.start_us:
                if (before.start_us, before.end_us) != (candle.start_us, candle.end_us):
                    raise self._refused(candle, "overlaps the one", before)
                if before.ticks != candle.ticks:
                    raise self._refused(candle, "is not the same as", before)
                repeated[self._files[candle.file]] += 1
                continue
            self._candle = candle
            taken.append(candle)
        self._end(set(), candles[0])
        return taken

    def _take_quotes(self, quotes: list[Row], repeated: Counter[Path]) -> list[Row]:
        if self._candle is not None and self._candle.end_us > quotes[0].start_us:
            raise self._refused(quotes[0], "lies within the candle", self._candle)
        by_file = {file: list(rows) for file, rows in groupby(quotes, key=attrgetter("file"))}
        for file, rows in by_file.items():
            if file in self._ended:
                raise self._refused(self._ended[file], "lies amid those", rows[0])
        # Files that go on come before those that begin here, and longer ones before shorter.
        first, *others = sorted(by_file, key=lambda file: (file not in self._quoting, -len(by_file[file])))
        taken = by_file[first]
        ended: set[int] = set()
        joined = {first}
        for file in others:
            taken, added, has_ended = self._join(taken, by_file[file])
            ended |= {file} if has_ended else set()
            ended |= joined if added else set()
            joined.add(file)
            repeated[self._files[file]] += len(by_file[file]) - added
        self._end(set(by_file), taken[-1])
        self._quoting = {file: rows[-1] for file, rows in by_file.items() if file not in ended}
        self._ended |= dict.fromkeys(ended, taken[-1])
        return taken

    def _join(self, taken: list[Row], rows: list[Row]) -> tuple[list[Row], int, bool]:
        """Another file's quotes of a moment joined to those of the files before it: all of them, how many it adds, and
        whether it ends there, because it lacks the last. Raises ReplayError unless the one repeats the other.

        A file that begins or ends amid the quotes of a moment lacks some: it was cut there out of a longer one.
        """
        known, mine = [row.ticks for row in taken], [row.ticks for row in rows]
        begins = rows[0].file not in self._quoting
        if mine == known or (begins and mine == known[-len(mine) :]):
            return taken, 0, False
        if mine == known[: len(mine)] or (begins and _holds(known, mine)):
            return taken, 0, True
        for length in range(min(len(known), len(mine), _LONGEST_OVERLAP), 0, -1) if begins else ():
            if known[-length:] == mine[:length]:
                return taken + rows[length:], len(rows) - length, False
        differing = next((row for row, other in zip(rows, known, strict=False) if row.ticks != other), rows[0])
        raise self._refused(differing, "is not the same as", taken[0])

    def _end(self, still: set[int], by: Row) -> None:
        """The files that had quotes up to now and have none of this moment, when `by` is given, have ended."""
        for file in self._quoting.keys() - still:
            self._ended[file] = by
            del self._quoting[file]

    def _refused(self, row: Row, how: str, other: Row) -> ReplayError:
        what = "candle" if row.is_candle else "quote"
        return ReplayError(
            f"replay file {self._files[row.file]}, line {row.line}: the {what} of {row.asset} at "
            f"{show_moment(row.start_us)} {how} of {self._files[other.file]}, line {other.line}: "
            "an asset's prices of one time must come from one recording"
        )


def _holds(known: list[tuple[RecordedTick, ...]], mine: list[tuple[RecordedTick, ...]]) -> bool:
    """Whether `mine` stands in `known` as it is, without a gap."""
    ends = range(len(mine), min(len(known), _LONGEST_OVERLAP) + 1)
    return any(known[end - len(mine) : end] == mine for end in ends)
