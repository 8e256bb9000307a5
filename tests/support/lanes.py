"""The quick lane tries fewer examples and seeds of a test than the whole suite does."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

WHOLE, QUICK = 100, 25
"""Examples of a property, where a test names no number of its own."""


def load_profile(*, quick: bool) -> None:
    """Before any test module is imported. No deadline, as machines differ; a failure prints what reproduces it."""
    settings.register_profile("whole", max_examples=WHOLE, deadline=None, print_blob=True)
    settings.register_profile("quick", settings.get_profile("whole"), max_examples=QUICK)
    settings.load_profile("quick" if quick else "whole")


def examples(whole: int) -> settings:
    """So many in the whole suite, and the same share of them as of all others in the quick lane."""
    return settings(max_examples=max(1, whole * settings().max_examples // WHOLE))


def mostly_slow(values: Iterable[Any], quick: int) -> list[Any]:
    """Values to parametrize by: the first ones are in the quick lane."""
    return [each if n < quick else pytest.param(each, marks=pytest.mark.slow) for n, each in enumerate(values)]
