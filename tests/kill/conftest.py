from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.guests import guest_image, open_reachable  # noqa: F401 - fixtures
from tests.kill.hosts import open_host
from tests.kill.verdicts import at_rest, crashes

_MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_folder(tmp_path):
    """A folder in memory where there is one: what outlives a process does not depend on the disk."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="kiln-kill-", dir=_MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def host(guest_image):  # noqa: F811 - the fixture.
    """A running guest for all tests of a module; afterwards nothing has crashed, and pool and database agree."""
    with open_reachable() as folder:
        with open_host(folder, guest_image) as opened:
            yield opened
        assert crashes(opened.kiln.log.read_text()) == set()
        with at_rest(opened.kiln.data):
            pass
