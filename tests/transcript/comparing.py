"""What may differ between the transcript that is kept and one that was just made. It is said here, once."""

import difflib
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from tests.transcript.blocks import Block


class Mode(StrEnum):
    EXACT = "exact"
    """Byte for byte, but for what a run makes up anew."""
    GROWN = "grown"
    """Every recorded header, field and frame keeps its value; new headers, and new keys of objects, are passed over."""


MODE = Mode.GROWN
"""What the test asks for. A release that adds fields to answers sets GROWN, and records anew once it is out."""


def differences(name: str, kept: Sequence[Block], made: Sequence[Block], mode: Mode) -> Iterator[str]:
    """What differs, each with its scene and step."""
    for before, now in zip_longest(kept, made):
        if before is None:
            yield f"scene {name}, step {now.title}: is not in the transcript; record it"
        elif now is None:
            yield f"scene {name}, step {before.title}: is only in the transcript"
        elif not (is_same(before, now) if mode is Mode.EXACT else is_grown(before, now)):
            lines = difflib.unified_diff(_lines(before), _lines(now), "recorded", "now", lineterm="", n=2)
            yield "\n".join([f"scene {name}, step {now.title}:", *lines])


def is_same(before: Block, now: Block) -> bool:
    return before.text() == now.text()


def is_grown(before: Block, now: Block) -> bool:
    """Whether all that is in the one is in the other."""
    lengths = {"content-length"}
    headers = {name: value for name, value in before.headers.items() if name not in lengths}
    return (
        (before.title, before.sent, before.status) == (now.title, now.sent, now.status)
        and headers.items() <= now.headers.items()
        and _contains(now.body, before.body)
        and len(before.frames) == len(now.frames)
        and all(_contains(*frames) for frames in zip(now.frames, before.frames, strict=True))
    )


def _contains(now: str, before: str) -> bool:
    """Of two bodies, or of two frames with the name of their stream."""
    if now == before:
        return True
    mark, brace, frame = before.partition(": {")
    if brace and now.startswith(mark + brace):
        return _contains(now.removeprefix(mark + ": "), "{" + frame)
    try:
        return _holds(json.loads(now), json.loads(before))
    except ValueError:
        return now.startswith("sha256 ") and before.startswith("sha256 ")


def _holds(now: Any, before: Any) -> bool:
    match before, now:
        case {"sha256": str(), "has": list(parts)}, {"sha256": str(), "has": list(more)}:
            return set(parts) <= set(more)
        case dict(), dict():
            return all(name in now and _holds(now[name], value) for name, value in before.items())
        case [str(), *_], [str(), *_]:  # names
            return set(before) <= set(now)
        case list(), list():
            pairs = zip(now, before, strict=False)
            return len(now) == len(before) and all(_holds(*pair) for pair in pairs)
        case _:
            return type(now) is type(before) and now == before


def _lines(block: Block) -> list[str]:
    """For a diff, a field a line where that is possible."""
    lines: list[str] = []
    for line in block.text().split("\n"):
        lines += [line]
    return lines
