"""Fixtures of the contracts."""

from __future__ import annotations

import pytest

from tests.contract.pools import KINDS
from tests.mounts import mounted
from tests.tools import needs


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request):
    needs(*request.param.tools)
    if request.param.name == "rbd":
        request.param.ceph = request.getfixturevalue("ceph")
    yield request.param
    request.param.close()


@pytest.fixture
def pool(kind, tmp_path):
    return kind.open(tmp_path)


@pytest.fixture
def small_folder(tmp_path):
    """A folder in a file system of 8 MiB, where mounting is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder):
        yield folder
