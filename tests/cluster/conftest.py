"""What every test of several processes begins with."""

from __future__ import annotations

import pytest

from tests.cluster.deployments import deployment
from tests.tools import needs


@pytest.fixture
def deployed(postgresql_address, tmp_path):
    """A deployment of which nothing is started yet."""
    needs("qemu-img")
    with deployment(tmp_path, postgresql_address) as it:
        yield it
