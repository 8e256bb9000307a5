"""One browser a test: it starts within a second, and what one test leaves behind no other finds."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import launched, require_browser

if TYPE_CHECKING:
    from playwright.async_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They run for seconds, and all of them need a browser."""
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
async def browser() -> AsyncIterator["Browser"]:
    require_browser()
    async with launched() as browser:
        yield browser
