"""Which changes of an open file are seen; what a pool does about them is in the contract."""

from __future__ import annotations

import mmap
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from kiln.pools import stamps
from kiln.pools.errors import SourceRefused, SourceTouched, ToolFailed
from tests.tools import lacks


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "image"
    made.write_bytes(bytes(8192))
    return made


@pytest.fixture
def fd(path):
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def settle(path):
    """Wait until a change of *path* would get another time than the last one had."""
    beside = path.with_name("clock")
    beside.touch()
    while beside.stat().st_ctime_ns <= path.stat().st_ctime_ns:
        os.utime(beside)


def test_lets_a_file_pass_that_stays_as_it_was(path, fd):
    with stamps.held(fd, stamps.take(fd)):
        path.read_bytes()


def test_sees_a_write_whose_time_was_set_back(path, fd):
    before = path.stat()
    settle(path)
    stamp = stamps.take(fd)

    def write():
        with stamps.held(fd, stamp):
            path.write_bytes(b"\1" * 8192)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(SourceRefused):
        write()


@pytest.fixture
def on_a_disk():
    """A folder of a file system that writes pages back, which one in memory does not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        told = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
        if told.stdout.strip() == "tmpfs":
            lacks("a /var/tmp that is not in memory")
        yield Path(folder)


def test_sees_a_write_through_a_mapping_that_was_dirty_before(on_a_disk):
    path = on_a_disk / "image"
    path.write_bytes(bytes(8192))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8192) as mapped:
        mapped[0] = 1
        stamp = stamps.take(file.fileno())
        settle(path)

        with pytest.raises(SourceRefused), stamps.held(file.fileno(), stamp):
            mapped[0] = 2


def test_tells_a_new_name_from_new_bytes(path, fd):
    settle(path)
    stamp = stamps.take(fd)

    with pytest.raises(SourceTouched), stamps.held(fd, stamp):
        os.link(path, path.with_name("link"))


def test_names_the_change_rather_than_what_came_of_it(path, fd):
    settle(path)
    stamp = stamps.take(fd)

    def cut_and_read():
        with stamps.held(fd, stamp):
            path.write_bytes(b"")
            raise ToolFailed("found nothing")

    with pytest.raises(SourceRefused, match="changed"):
        cut_and_read()
