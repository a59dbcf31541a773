"""The Ceph that tests start: that it keeps bytes, and that it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_for

pytestmark = pytest.mark.ceph


def test_keeps_images_and_clones_that_outlive_their_snapshots_name(ceph):
    ceph.run("rbd", "create", "parent", "--size", "8M")
    ceph.run("rbd", "snap", "create", "parent@one", "--no-progress")

    ceph.run("rbd", "clone", "parent@one", "child", "--rbd-default-clone-format", "2")
    ceph.run("rbd", "snap", "rm", "parent@one", "--no-progress")

    assert sorted(ceph.run("rbd", "ls").split()) == ["child", "parent"]
    for image in ("child", "parent"):
        ceph.run("rbd", "rm", image, "--no-progress")


def test_ends_with_the_process_that_began_it_however_that_ends():
    program = (
        "import sys; sys.path.insert(0, '.'); from tests.ceph import start_ceph\n"
        "with start_ceph() as it: print(it.configuration.parent, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        folder = Path(process.stdout.readline().strip())
        daemons = [int(path.read_text()) for path in (folder / "run").glob("*.pid")]
        assert len(daemons) == 2

        os.kill(process.pid, signal.SIGKILL)

    wait_for(lambda: not any(is_running(pid, folder) for pid in daemons))


def is_running(pid, folder):
    """Whether the process is one of that cluster, and no zombie."""
    try:
        return str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
