"""Tests that take minutes, or what few have: done by ``./kiln test all``, and in any run of chosen tests.

The slow ones of machines are done by ``.ci/run`` as well, before a change lands:
at the desk they would make who waits for ``./kiln test`` wait for a third more.

They are left out here, and not by words of the launcher: a run that is told
which tests to do is not whole to those who judge it (tests/judge.py).
"""

from __future__ import annotations

import os

import pytest

_NIGHTLY = frozenset({"ceph", "debian", "nightly", "peers"})
_BEFORE_LANDING = frozenset({"slow_vm"})


def left_out(config: pytest.Config) -> frozenset[str]:
    """The marks of the tests that this run is not for."""
    if config.option.repeats == "all":
        return frozenset()
    return _NIGHTLY if os.environ.get("CI") else _NIGHTLY | _BEFORE_LANDING


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out."""
    marks = left_out(config)
    long = {item for item in items if any(mark.name in marks for mark in item.iter_markers())}
    if long:
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests were not done: who reads that all passed is to know what all is."""
    if marks := left_out(config):
        terminalreporter.write_line(f"not done, but by `./kiln test all`: what is marked {', '.join(sorted(marks))}")
