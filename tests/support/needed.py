"""What a test needs that not every machine has."""

import os

import pytest


def need(why_missing: str | None, required: str) -> None:
    """Skip the test with the reason why something is missing; where the variable `required` is set, fail."""
    if why_missing is not None and os.environ.get(required):
        pytest.fail(why_missing)
    if why_missing is not None:
        pytest.skip(why_missing)
