"""A full disk during import, freeze, merge and launch, and under the database: a clear failure, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.forks import ROOT, open_forks
from tests.full.scenarios import SCENARIOS
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.tools import needs


def alone(*arguments):
    """The command that runs a module in a mount namespace of its own."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    return [*namespace, sys.executable, "-m", *map(str, arguments)]


def run_alone(*arguments):
    return subprocess.run(alone(*arguments), cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def do(tmp_path_factory):
    """The process that does all scenarios."""
    needs("unshare", "mount", "qemu-io", "qemu-img")
    with open_forks(tmp_path_factory.mktemp("full") / "words", *alone("tests.full.scenarios")) as do:
        yield do


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_full_disk_loses_nothing(scenario, tmp_path, do):
    assert do(scenario, tmp_path) == ""


@pytest.mark.slow
def test_a_kiln_on_a_full_disk_starts_reads_and_deletes(tmp_path):
    needs("unshare", "mount", "qemu-img")

    done = run_alone("tests.full.started", tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_disk_that_fails_loses_nothing(tmp_path):
    """EIO from what writes and from what syncs, while images are made of an instance."""
    needs("strace", "qemu-img")

    done = subprocess.run(
        [sys.executable, "-m", "tests.full.failing", tmp_path], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.vm
@pytest.mark.slow_vm
def test_a_full_disk_makes_a_guest_wait(guest_image, reachable):  # noqa: F811 - the fixtures.
    needs("unshare", "mount", "qemu-img")

    done = run_alone("tests.full.guest", reachable, guest_image)

    assert done.returncode == 0, done.stderr
