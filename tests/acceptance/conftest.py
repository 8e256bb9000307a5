"""The recipe of the README ends with the stream; where that is not built yet, it is skipped."""

import pytest

from exness.web.routes import ROUTES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any(path.endswith("/stream") for _, path, _ in ROUTES):
        return
    for item in items:
        if item.path.name == "test_recipe.py":
            item.add_marker(pytest.mark.skip(reason="there is no /stream yet"))
