"""What a VMDK says of itself, held against all else that it says."""

from __future__ import annotations

import os
import struct

import pytest

from kiln.ground.units import KiB, MiB
from tests.pools.images import SECTOR, judged, make, patch, qemu_img, refusal, replace_description
from tests.tools import needs


def an_image(tmp_path, subformat):
    needs("qemu-img")
    (tmp_path / "raw").write_bytes(b"".join(bytes([n + 1]) * 64 * KiB for n in range(16)))
    path = tmp_path / "image.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={subformat}", tmp_path / "raw", path)
    assert judged(path) == ("vmdk", MiB)
    return path


@pytest.fixture
def sparse(tmp_path):
    return an_image(tmp_path, "monolithicSparse")


@pytest.fixture
def stream(tmp_path):
    return an_image(tmp_path, "streamOptimized")


def tables(path):
    """Where the two tables of grains are: of the directory that counts, and of the redundant one. In sectors."""
    content = path.read_bytes()
    second, first = struct.unpack_from("<QQ", content, 48)
    return [struct.unpack_from("<I", content, at * SECTOR)[0] for at in (first, second)]


def grain(path, n):
    return struct.unpack_from("<I", path.read_bytes(), tables(path)[0] * SECTOR + 4 * n)[0]


def put(path, n, at):
    """Have both tables put the grain there."""
    for table in tables(path):
        patch(path, table * SECTOR + 4 * n, struct.pack("<I", at))
    return path


@pytest.mark.parametrize("at", [1, 2, 20, 21, 26])
def test_refuses_a_grain_on_what_describes_it(sparse, at):
    assert "lie on" in refusal(put(sparse, 3, at))


@pytest.mark.parametrize("more", [0, 1, 127])
def test_refuses_a_grain_that_is_partly_another(sparse, more):
    assert "lie on each other" in refusal(put(sparse, 3, grain(sparse, 5) + more))


def test_refuses_a_main_directory_of_zeros_beside_a_whole_redundant_one(sparse):
    (first,) = struct.unpack_from("<Q", sparse.read_bytes(), 56)

    assert "directories of grains contradict" in refusal(patch(sparse, first * SECTOR, bytes(4)))


@pytest.mark.parametrize("which", [0, 1])
def test_refuses_two_tables_that_differ(sparse, which):
    at = tables(sparse)[which] * SECTOR + 4 * 7

    assert "tables of grains contradict" in refusal(patch(sparse, at, bytes(4)))


def test_refuses_a_directory_that_names_one_table_twice(sparse):
    content = sparse.read_bytes()
    second, first = struct.unpack_from("<QQ", content, 48)

    assert "tables lie on each other" in refusal(patch(sparse, first * SECTOR, content[second * SECTOR :][:4]))


def test_refuses_a_compressed_grain_of_another_place(stream):
    first, second = grain(stream, 0), grain(stream, 1)
    put(put(stream, 0, second), 1, first)

    assert "not what its tables say" in refusal(stream)


def test_refuses_a_stream_without_the_end_of_its_last_grain(stream):
    os.truncate(stream, grain(stream, 15) * SECTOR + 30)

    assert "last grain is missing" in refusal(stream)


@pytest.mark.parametrize("n", [1, 2])
def test_says_of_a_piece_of_a_split_image_that_it_is_one(tmp_path, n):
    needs("qemu-img")
    path = make(tmp_path / "image.vmdk", "vmdk", options="subformat=twoGbMaxExtentSparse", size=3 * 1024 * MiB)

    assert "one piece of a VMDK" in refusal(path.with_name(f"image-s00{n}.vmdk"))


@pytest.mark.parametrize("name", ["диск.vmdk", "ディスク.vmdk", "na\xefve.vmdk"])
def test_takes_names_and_comments_of_any_letters(sparse, name):
    spoken = name.encode("latin-1" if "\xef" in name else "utf-8")
    replace_description(sparse, b'"image.vmdk"', b'"' + spoken + b'"')
    replace_description(sparse, b"# Disk DescriptorFile", b"# Disk DescriptorFile\n# Gr\xc3\xb6\xc3\x9fe: " + spoken)

    assert judged(sparse) == ("vmdk", MiB)


def test_refuses_another_file_whatever_its_letters(sparse):
    replace_description(sparse, b'"image.vmdk"', '"/диск"'.encode())

    assert "another file" in refusal(sparse)
