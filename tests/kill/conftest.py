from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

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
