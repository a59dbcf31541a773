from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kiln.guest import packages
from kiln.guest.errors import GuestUnbuildable
from kiln.guest.image import SIZE_BYTES, build, find_pieces
from kiln.guest.trial import probe_guest
from tests.guests import CACHE, build_guest


@pytest.mark.slow
def test_builds_a_disk_in_the_format_of_its_name(tmp_path):
    qcow2 = build_guest(tmp_path / "guest.qcow2")
    raw = build(CACHE, tmp_path / "deeper" / "guest.raw")

    about = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", qcow2]))
    assert (about["format"], about["virtual-size"]) == ("qcow2", SIZE_BYTES)
    subprocess.run(["qemu-img", "compare", "-q", qcow2, raw], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deeper", "guest.qcow2"]


@pytest.mark.slow
def test_leaves_one_partition_to_boot_from_and_one_for_files(tmp_path):
    disk = build_guest(tmp_path / "guest.raw").read_bytes()[:4096]

    first, second = disk[446:462], disk[462:478]
    assert (first[0], first[4], second[0], second[4]) == (0x80, 0x0E, 0, 0x83)
    assert disk[510:512] == b"\x55\xaa"
    assert disk[512:1024] == bytes(512)


@pytest.mark.slow
def test_is_built_from_the_command_line(tmp_path):
    build_guest(tmp_path / "first.raw")
    target = tmp_path / "guest.qcow2"

    done = subprocess.run(
        [sys.executable, "-m", "kiln.guest", "build", target, "--cache", CACHE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, f"{target}\n")
    assert target.exists()


def test_finds_nothing_to_try_before_a_build(tmp_path):
    assert find_pieces(tmp_path) is None
    assert probe_guest(tmp_path) is None


def test_says_which_program_is_missing():
    with pytest.raises(GuestUnbuildable, match="the program no-such-tool is not installed"):
        packages.program("no-such-tool")


def test_says_what_a_tool_said():
    with pytest.raises(GuestUnbuildable, match=r"dpkg-deb said: .*/nowhere"):
        packages._run(["dpkg-deb", "-x", "/nowhere.deb", "/nowhere"])
