"""A full disk during import, freeze, merge and launch, and under the database: a clear failure, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.full.scenarios import SCENARIOS
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.tools import needs

ROOT = Path(__file__).resolve().parents[2]


def alone(*arguments):
    """Run a module in a mount namespace of its own."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    command = [*namespace, sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_full_disk_loses_nothing(scenario, tmp_path):
    needs("unshare", "mount", "qemu-io", "qemu-img")

    done = alone("tests.full.scenarios", scenario, tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_kiln_on_a_full_disk_starts_reads_and_deletes(tmp_path):
    needs("unshare", "mount", "qemu-img")

    done = alone("tests.full.started", tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_disk_that_fails_loses_nothing(tmp_path):
    """EIO from what writes and from what syncs, while images are made of an instance."""
    needs("strace", "qemu-img")

    done = subprocess.run(
        [sys.executable, "-m", "tests.full.failing", tmp_path], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.vm
@pytest.mark.timeout(300)
def test_a_full_disk_makes_a_guest_wait(guest_image, reachable):  # noqa: F811 - the fixtures.
    needs("unshare", "mount", "qemu-img")

    done = alone("tests.full.guest", reachable, guest_image)

    assert done.returncode == 0, done.stderr
