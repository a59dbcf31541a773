"""The small guest for tests that boot something, and folders that a confined QEMU can reach.

from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from kiln.guest.errors import GuestUnbuildable
from kiln.guest.image import build
from kiln.service.settings import read_settings
from tests.tools import lacks, needs

#: Kept between runs: what is fetched from Debian's mirrors is fetched once.
CACHE = read_settings(os.environ).guest_cache


def build_guest(target: Path) -> Path:
    """The small guest's disk at *target*; without the tools or the network the test is skipped, or fails in CI."""
    needs("qemu-system-x86_64", "qemu-img", "mke2fs", "dpkg-deb", "apt-get")
    try:
        return build(CACHE, target)
    except GuestUnbuildable as error:
        lacks(f"the small guest: {error}")


@contextmanager
def open_reachable():
    """A folder that any user can pass through, as confined machines must; pytest's own folders are closed."""
    folder = Path(tempfile.mkdtemp(prefix="kiln-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def reachable():
    """An empty folder that a confined machine can reach."""
    with open_reachable() as folder:
        yield folder


@pytest.fixture(scope="session")
def guest_image():
    """The small guest's disk, qcow2, for overlays to stand on; nobody writes it."""
    with open_reachable() as folder:
        image = build_guest(folder / "guest.qcow2")
        image.chmod(0o444)
        yield image
