"""What a VHD says of itself, held against all else that it says."""

from __future__ import annotations

import struct

import pytest

from kiln.ground.units import MiB
from tests.pools.images import SECTOR, judged, patch, qemu_img, refusal, with_checksum
from tests.tools import needs

TABLE = 3 * SECTOR
BLOCK = 2 * MiB + SECTOR


@pytest.fixture
def vhd(tmp_path):
    """Four blocks of 2 MiB, each of which holds something."""
    needs("qemu-img")
    (tmp_path / "raw").write_bytes(b"".join(bytes([n + 1]) * 2 * MiB for n in range(4)))
    path = tmp_path / "image"
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", tmp_path / "raw", path)
    assert judged(path) == ("vpc", 8 * MiB)
    return path


def block(path, n):
    """Where the table puts the block, in sectors."""
    return struct.unpack_from(">I", path.read_bytes(), TABLE + 4 * n)[0]


def put(path, n, at):
    return patch(path, TABLE + 4 * n, struct.pack(">I", at))


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_refuses_a_block_on_what_describes_it(vhd, at):
    assert "lie on each other" in refusal(put(vhd, 1, at))


@pytest.mark.parametrize("more", [0, 1, 4095, 4096, -1])
def test_refuses_a_block_that_is_partly_another(vhd, more):
    assert "lie on each other" in refusal(put(vhd, 1, block(vhd, 0) + more if more >= 0 else block(vhd, 2) + more))


@pytest.mark.parametrize("more", [1, 2, 4096])
def test_refuses_a_block_that_ends_under_the_footer_or_behind(vhd, more):
    assert "last block is missing" in refusal(put(vhd, 3, block(vhd, 3) + more))


def test_takes_blocks_in_any_order(vhd):
    first, second = block(vhd, 0), block(vhd, 1)

    assert judged(put(put(vhd, 0, second), 1, first)) == ("vpc", 8 * MiB)


def test_takes_a_footer_and_a_copy_that_differ_in_time_alone(vhd):
    footer = vhd.read_bytes()[-SECTOR:]
    patch(vhd, -SECTOR, with_checksum(footer[:24] + b"\1\2\3\4" + footer[28:], 64))

    assert judged(vhd) == ("vpc", 8 * MiB)


def test_refuses_a_copy_whose_checksum_is_wrong(vhd):
    assert "checksum" in refusal(patch(vhd, 24, b"\1\2\3\4"))


def test_refuses_maps_that_contradict_the_sectors(vhd):
    assert "maps of sectors" in refusal(patch(vhd, block(vhd, 2) * SECTOR + 100, b"\xfe"))


def test_takes_maps_that_leave_out_sectors_of_zeros(vhd):
    at = block(vhd, 2) * SECTOR
    patch(vhd, at + 100, b"\xfe")
    patch(vhd, at + SECTOR + (100 * 8 + 7) * SECTOR, bytes(SECTOR))

    assert judged(vhd) == ("vpc", 8 * MiB)
