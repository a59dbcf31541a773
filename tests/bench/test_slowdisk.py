"""A disk whose sync takes longer, for who is measured and for nobody else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench import floors, slowdisk
from tests.tools import needs

_SYNCS = """
import os, sys, time
descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
began = time.perf_counter()
for sync in (os.fsync, os.fdatasync, os.fsync):
    os.write(descriptor, b"x")
    sync(descriptor)
print(os.getpid(), time.perf_counter() - began)
"""


def test_each_sync_takes_longer_by_what_is_told(tmp_path):
    needs("strace")
    assert slowdisk.reason_against() == ""

    command = slowdisk.slowed([sys.executable, "-c", _SYNCS, str(tmp_path / "file")])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pid, seconds = process.communicate()[0].split()

    assert int(pid) == process.pid, "the measured process is the one that was started"
    assert float(seconds) >= 3 * slowdisk.EXTRA_MS / 1000
    assert (tmp_path / "file").read_bytes() == b"xxx"


@pytest.mark.parametrize("group", [1, 3])
def test_bare_commits_are_made_by_groups_on_either_disk(tmp_path, group):
    needs("strace")

    assert floors.commit_rows(tmp_path, 7, group) > 0
    assert 0 < slowdisk.commit_rows(tmp_path, 7, group) < group * 1000 / slowdisk.EXTRA_MS
    assert list(tmp_path.iterdir()) == []
