"""What a test sets up of logging ends with it.

A test that starts a Kiln in its own process configures the root logger, as
``serve`` does. Its handler writes to the standard error of that moment, which
capturing closes: every later test that logged printed a logging error.
"""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Give the root logger its handlers and its level of before back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        return (yield)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
