"""A pool on Ceph for each test, in a namespace of its own."""

from __future__ import annotations

import pytest

from tests.contract.rbd import RbdKind


@pytest.fixture
def kind(ceph):
    found = RbdKind()
    found.ceph = ceph
    yield found
    found.close()


@pytest.fixture
def pool(kind, tmp_path):
    return kind.open(tmp_path)
