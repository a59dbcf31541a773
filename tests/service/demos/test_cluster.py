"""The story of a cluster: told to its end, and taken away when it is broken off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kiln.service.demos import cluster
from kiln.service.demos.stage import DemoFailed
from tests.guests import CACHE, guest_image, reachable  # noqa: F401 - the fixtures.
from tests.service.demos.test_stage import heed_interrupts
from tests.tools import needs
from tests.waiting import wait_for


def of_a_cluster(test):
    for mark in (pytest.mark.ceph, pytest.mark.postgresql, pytest.mark.vm):
        test = mark(test)
    return test


def require_all():
    needs("ceph-mon", "ceph-osd", "rbd", "setpriv", "qemu-img", "qemu-system-x86_64")


def running_in(folder):
    """The processes that name a folder of the test."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def test_begins_nothing_without_its_engines(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DemoFailed, match="no ceph-mon, "):
        cluster.demo(print, tmp_path / "cache", keep=tmp_path / "demo")

    assert not (tmp_path / "demo").exists()


@of_a_cluster
def test_an_image_that_a_host_dies_in_boots_on_the_other(guest_image):  # noqa: F811
    require_all()
    said = []

    cluster.demo(said.append, CACHE.parent)

    assert any("VM 3 reads: Poured on another." in line for line in said)
    assert any("fsck: Ceph holds what the database says, and nothing else" in line for line in said)
    assert said[-1].startswith("All of it held.")


@of_a_cluster
@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_one_that_is_broken_off_takes_all_of_it_away(guest_image, reachable, ends):  # noqa: F811
    require_all()
    folder = reachable.resolve()
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "demo", "cluster"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - it takes no lock.
    ) as demo:
        # A machine is there by then, and does not end with its Kiln.
        line = next(line for line in demo.stdout if "VM 1 is started" in line)
        assert line
        assert running_in(folder)
        demo.send_signal(ends)
        demo.send_signal(ends)  # Nobody has patience.
        assert demo.wait(300) == 128 + ends
    wait_for(lambda: not running_in(folder))
    assert list(folder.iterdir()) == []
