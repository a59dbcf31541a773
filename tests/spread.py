"""How a run is shared out among workers: a file stays with one, and the files that take long come first.

Tests of a file share what is set up for their module, and fixtures of the run
are warm for it. Files with machines and long scenarios come first, so that no
worker is left alone with one when the others have ended. Among files that
count the same, the order is that of ``pytest-randomly``.
"""

from __future__ import annotations

from collections import Counter

import pytest

#: What a test of each kind takes, beside one without a mark, about.
_WEIGHTS = {"vm": 100, "slow": 100, "sdk": 20, "browser": 20, "postgresql": 3, "ceph": 10}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    weights: Counter[str] = Counter()
    for item in items:
        weights[_file(item)] += max((_WEIGHTS.get(mark.name, 1) for mark in item.iter_markers()), default=1)
    items.sort(key=lambda item: -weights[_file(item)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
