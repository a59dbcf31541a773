from __future__ import annotations

import json
import os
import stat
import subprocess

import pytest

from kiln.ground.units import GiB, MiB
from kiln.pools import overlay
from kiln.pools.errors import VolumeBroken, VolumeMissing
from tests.pools.patterns import talk
from tests.tools import needs

SIZES = [
    pytest.param(1 * MiB, id="1MiB"),
    pytest.param(100 * GiB, id="100GiB"),
    pytest.param(32 * 1024 * GiB, id="32TiB"),
]


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "qemu-io")


def qemu_img(*arguments):
    return subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=False)


def make(path, size_bytes, backing=None):
    path.touch()
    overlay.write(path, size_bytes, backing)
    return path


def make_twin(path, size_bytes, backing=None):
    below = ["-b", backing, "-F", "qcow2"] if backing else []
    done = qemu_img("create", "-q", "-f", "qcow2", "-o", overlay.OPTIONS, *below, path, size_bytes)
    assert done.returncode == 0, done.stderr
    return path


def described(path):
    found = json.loads(qemu_img("info", "--output=json", path).stdout)
    del found["filename"], found["actual-size"]
    return found


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("backing", [None, "below.qcow2"])
def test_is_what_qemu_img_would_have_made(tmp_path, size_bytes, backing):
    make_twin(tmp_path / "below.qcow2", 1 * MiB)
    talk(str(tmp_path / "below.qcow2"), ["write -q -P 5 64k 128k"], ("-f", "qcow2"))

    ours = make(tmp_path / "ours.qcow2", size_bytes, backing)

    twin = make_twin(tmp_path / "twin.qcow2", size_bytes, backing)
    assert qemu_img("check", ours).returncode == 0
    assert described(ours) == described(twin)
    assert qemu_img("compare", "-s", "-f", "qcow2", "-F", "qcow2", ours, twin).returncode == 0


@pytest.mark.parametrize("size_bytes", SIZES)
def test_stays_sound_when_written(tmp_path, size_bytes):
    ours = make(tmp_path / "ours.qcow2", size_bytes)
    twin = make_twin(tmp_path / "twin.qcow2", size_bytes)
    writes = ["write -q -P 7 4k 4k", "write -q -P 9 300k 200k", f"write -q -P 3 {size_bytes - 64 * 1024} 64k"]

    for path in (ours, twin):
        talk(str(path), writes, ("-f", "qcow2"))

    assert qemu_img("check", ours).returncode == 0
    assert qemu_img("compare", "-s", "-f", "qcow2", "-F", "qcow2", ours, twin).returncode == 0


def test_takes_a_few_pages_on_disk(tmp_path):
    ours = make(tmp_path / "ours.qcow2", 100 * GiB, "below.qcow2")

    assert ours.stat().st_blocks * 512 <= 16 * 1024


@pytest.mark.parametrize("backing", [None, "below.qcow2"])
def test_reads_headers_of_ours_and_of_qemu(tmp_path, backing):
    make_twin(tmp_path / "below.qcow2", 1 * MiB)

    ours = overlay.read(make(tmp_path / "ours.qcow2", 3 * MiB, backing))
    theirs = overlay.read(make_twin(tmp_path / "twin.qcow2", 3 * MiB, backing))

    assert ours == theirs == overlay.Header(3 * MiB, backing)


@pytest.mark.parametrize("size_bytes", [0, -512, 1000])
def test_refuses_sizes_that_no_disk_has(tmp_path, size_bytes):
    (tmp_path / "ours.qcow2").touch()

    with pytest.raises(ValueError, match="bytes"):
        overlay.write(tmp_path / "ours.qcow2", size_bytes, None)


def test_reports_a_missing_file(tmp_path):
    with pytest.raises(VolumeMissing, match="v-gone"):
        overlay.read(tmp_path / "v-gone.qcow2")


@pytest.mark.parametrize(
    "content",
    [b"", b"QFI\xfb", b"x" * 512, b"QFI\xfb\0\0\0\2" + bytes(512), b"QFI\xfb\0\0\0\3" + bytes(512)],
    ids=["empty", "short", "text", "version 2", "no size"],
)
def test_reports_bytes_that_are_no_volume(tmp_path, content):
    path = tmp_path / "v-odd.qcow2"
    path.write_bytes(content)

    with pytest.raises(VolumeBroken, match="v-odd"):
        overlay.read(path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.mknod(path, stat.S_IFSOCK)])
def test_reports_what_is_no_regular_file(tmp_path, make):
    make(tmp_path / "v-odd.qcow2")

    with pytest.raises(VolumeBroken, match="v-odd is not a regular file"):
        overlay.read(tmp_path / "v-odd.qcow2")


def test_reports_a_backing_name_of_unreadable_bytes(tmp_path):
    path = make(tmp_path / "v-odd.qcow2", 1 * MiB, "below.qcow2")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"below", b"\xff\xff\xff\xff\xff"))

    with pytest.raises(VolumeBroken, match="v-odd"):
        overlay.read(path)
