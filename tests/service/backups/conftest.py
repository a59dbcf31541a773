"""A Kiln that has something to be kept."""

from __future__ import annotations

import pytest

from tests.service.pairs import Home, as_cloud
from tests.service.test_rebuilding import fill


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A Kiln with images, snapshots and an instance; to be copied and not changed."""
    home = Home(tmp_path_factory.mktemp("filled") / "home")
    with home.started() as it:
        fill(as_cloud(it))
    return home


@pytest.fixture
def home(filled, tmp_path):
    return filled.copy(tmp_path / "home")
