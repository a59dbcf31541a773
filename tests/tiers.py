"""Tests that take minutes each, or what few have: done by ``./kiln test all``, and in any run of chosen tests.

They are left out here, and not by words of the launcher: a run that is told
which tests to do is not whole to those who judge it (tests/judge.py).
"""

from __future__ import annotations

import pytest

_MARKS = {"debian", "nightly", "peers"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out of a run that is for every change."""
    if config.option.repeats == "all":
        return
    long = {item for item in items if any(mark.name in _MARKS for mark in item.iter_markers())}
    if long:
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]
