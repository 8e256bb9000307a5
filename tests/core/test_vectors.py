"""The worked examples, on the engine: tests/vectors/orders.json, and every *.json in the folder that the environment
variable ORDER_VECTORS names.

    ORDER_VECTORS=folder python -m pytest -v -k vector
"""

from typing import Any

import pytest

from tests.vectors.of_the_engine import EngineAdapter
from tests.vectors.running import run, vectors


@pytest.mark.parametrize("vector", vectors())
def test_vector(vector: dict[str, Any]) -> None:
    run(EngineAdapter(), vector)
