"""The reckoning of tests/reference/rulebook: against worked examples, and against the properties that it must have."""

from typing import Any

import pytest

from tests.vectors.of_the_rulebook import RulebookAdapter
from tests.vectors.running import run, vectors


@pytest.mark.parametrize("vector", vectors())
def test_vector_of_the_rulebook(vector: dict[str, Any]) -> None:
    run(RulebookAdapter(), vector)
