from __future__ import annotations

import json
import os
import struct
import subprocess

import pytest

from kiln.ground.units import MiB
from kiln.guest.debian import disk
from kiln.guest.debian.tree import Tree
from kiln.guest.errors import GuestUnbuildable
from tests.tools import needs

SIZE = 64 * MiB
CORE = os.urandom(3 * 512 + 100)


@pytest.fixture
def tree(tmp_path):
    """A file system of one file, and bytes in the place of GRUB's."""
    needs("mke2fs", "sfdisk", "mcopy", "debugfs")
    folder = tmp_path / "tree"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "hostname").write_text("made here\n")
    root = tmp_path / "root.ext4"
    size = f"{disk.root_bytes(SIZE) // 1024}k"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, root, size], check=True)
    for name, data in (("boot.img", b"\xeb" * 512), ("core.img", CORE), ("grubx64.efi", b"for UEFI")):
        (tmp_path / name).write_bytes(data)
    paths = {"boot_sector": tmp_path / "boot.img", "core": tmp_path / "core.img", "efi": tmp_path / "grubx64.efi"}
    return Tree(root=root, identity="2f3d1f0a-6b3c-4f0e-9a5e-000000000001", **paths)


@pytest.fixture
def written(tree, tmp_path):
    path = tmp_path / "disk.raw"
    disk.write_disk(path, SIZE, tree)
    return path


def test_has_the_partitions_of_debians_own_cloud_images(written):
    table = json.loads(subprocess.check_output(["sfdisk", "--json", written]))["partitiontable"]

    found = {int(one["node"].removeprefix(str(written))): (one["start"], one["size"]) for one in table["partitions"]}
    assert table["label"] == "gpt"
    assert found == {14: (2048, 6144), 15: (8192, 32768), 1: (40960, disk.root_bytes(SIZE) // 512)}
    assert max(start for start, _ in found.values()) == found[1][0]


def test_the_root_is_whole_and_in_its_place(written, tmp_path):
    root = tmp_path / "read.ext4"
    data = written.read_bytes()[disk.ROOT_AT : disk.ROOT_AT + disk.root_bytes(SIZE)]
    root.write_bytes(data)

    subprocess.run(["e2fsck", "-fn", root], check=True, capture_output=True)
    assert subprocess.check_output(["debugfs", "-R", "cat /etc/hostname", root], stderr=subprocess.DEVNULL) == (
        b"made here\n"
    )
    assert written.stat().st_blocks * 512 < SIZE // 2


def test_grub_finds_its_core_image_and_the_rest_of_it(written):
    data = written.read_bytes()
    core = data[MiB : MiB + 4 * 512]

    assert struct.unpack_from("<Q", data, 0x5C) == (2048,)
    assert data[0x66:0x68] == b"\x90\x90"
    assert struct.unpack_from("<QH", core, 0x1F4) == (2049, 3)
    assert core[:0x1F4] == CORE[:0x1F4]
    assert core[0x1FE : len(CORE)] == CORE[0x1FE:]
    assert data[510:512] == b"\x55\xaa"


def test_uefi_finds_grub_and_that_the_root(written, tmp_path):
    fat = f"{written}@@{4 * MiB}"
    for name in ("::/EFI/BOOT/BOOTX64.EFI", "::/EFI/debian/grub.cfg"):
        subprocess.run(
            ["mcopy", "-i", fat, name, tmp_path / name.rpartition("/")[2]],
            check=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
        )  # fmt: skip

    assert (tmp_path / "BOOTX64.EFI").read_bytes() == b"for UEFI"
    assert "--fs-uuid --set=root 2f3d1f0a-6b3c-4f0e-9a5e-000000000001\n" in (tmp_path / "grub.cfg").read_text()


def test_says_what_a_tool_says(tree, tmp_path):
    with pytest.raises(GuestUnbuildable, match="sfdisk said"):
        disk.write_disk(tmp_path / "disk.raw", 1 * MiB, tree)
