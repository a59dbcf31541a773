"""The browser that the tests here look through."""

from __future__ import annotations

import pytest

from tests.browser.windows import open_browser


@pytest.fixture(scope="module")
def browser():
    """A browser for a file of tests, closed with it: while one is open, no test beside it can run an event loop."""
    with open_browser() as opened:
        yield opened
