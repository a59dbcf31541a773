from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from kiln.ground.units import GiB, MiB
from kiln.pools import locks, qemu_img
from kiln.pools.errors import Cancelled, PoolFull, ToolFailed, VolumeBusy
from kiln.pools.limits import Limits
from tests.pools.kills import in_child
from tests.tools import needs
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "prlimit", "setpriv")


def raw(path):
    return {"driver": "raw", "file": {"driver": "file", "filename": str(path)}}


def qcow2(path):
    return {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}}


@pytest.fixture
def image(tmp_path):
    """A raw file of 32 MiB that holds 16 MiB of data."""
    path = tmp_path / "image"
    path.write_bytes(os.urandom(16 * MiB))
    os.truncate(path, 32 * MiB)
    return path


@pytest.mark.parametrize("name", ["plain", 'odd "name", with: commas=1', "{json: 1}", "ümläut"])
def test_copies_files_of_any_name(tmp_path, image, name):
    source = image.rename(tmp_path / name)

    qemu_img.convert(raw(source), tmp_path / (name + ".out"), "qcow2")
    qemu_img.convert(qcow2(tmp_path / (name + ".out")), tmp_path / "back", "raw")

    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_takes_no_file_name_for_a_protocol(tmp_path, image, monkeypatch):
    monkeypatch.chdir(tmp_path)

    qemu_img.convert(raw(image), image.relative_to(tmp_path).with_name("nbd:out"), "raw")

    assert (tmp_path / "nbd:out").read_bytes() == image.read_bytes()


def test_reports_progress_that_grows(tmp_path, image):
    reports = []

    qemu_img.convert(raw(image), tmp_path / "out", "qcow2", progress=reports.append)

    assert reports[-1] == 100.0
    assert reports == sorted(reports)


def test_ends_the_tool_when_asked(tmp_path):
    """A copy that would take days."""
    days = {"driver": "null-co", "size": 1024 * GiB, "latency-ns": 1_000_000_000}
    asked = []

    def cancelled():
        asked.append(None)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        qemu_img.convert(days, tmp_path / "out", "raw", cancelled=cancelled)

    assert not any(str(tmp_path).encode() in command for command in running())


def running():
    """The command lines of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def test_finds_sound_files_sound(tmp_path, image):
    qemu_img.convert(raw(image), tmp_path / "out", "qcow2")

    assert qemu_img.check(qcow2(tmp_path / "out")) == []


def test_knows_what_a_copy_takes_at_most(tmp_path, image):
    needed = qemu_img.measure(raw(image))

    qemu_img.convert(raw(image), tmp_path / "out", "qcow2")
    assert 16 * MiB <= (tmp_path / "out").stat().st_size <= needed < 20 * MiB


def test_gives_the_tools_own_words(tmp_path):
    with pytest.raises(ToolFailed, match="No such file"):
        qemu_img.convert(raw(tmp_path / "gone"), tmp_path / "out", "raw")


def test_names_a_limit_on_files(tmp_path, image):
    with pytest.raises(PoolFull):
        qemu_img.convert(raw(image), tmp_path / "out", "qcow2", limits=Limits(file_bytes=1 * MiB))


def test_names_a_file_in_use(tmp_path, image):
    qemu_img.convert(raw(image), tmp_path / "out", "qcow2")
    with subprocess.Popen(["qemu-io", "-f", "qcow2", str(tmp_path / "out")], stdin=subprocess.PIPE) as other:
        wait_for(lambda: locks.is_written(tmp_path / "out"))
        with pytest.raises(VolumeBusy):
            qemu_img.resize({"driver": "qcow2", "file": {"driver": "file", "filename": str(tmp_path / "out")}}, 1 * GiB)
        other.kill()


def test_ends_with_its_limits(tmp_path, image):
    with pytest.raises(ToolFailed):
        qemu_img.convert(raw(image), tmp_path / "out", "qcow2", limits=Limits(memory_bytes=24 * MiB))


def test_says_that_a_tool_is_not_installed(tmp_path):
    def act():
        os.chroot(tmp_path)
        with pytest.raises(ToolFailed, match="not installed"):
            qemu_img.check(qcow2("/any"))

    if os.geteuid() != 0:
        pytest.skip("needs root, for a world without tools")
    assert os.waitstatus_to_exitcode(in_child(act)) == 0
