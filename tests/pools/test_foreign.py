"""Hostile, lying and broken images of each format, each made here, against the judge."""

from __future__ import annotations

import os
import struct

import pytest

from kiln.ground.units import GiB, KiB, MiB
from tests.pools.images import (
    SECTOR,
    judged,
    make,
    make_with_data,
    patch,
    qemu_img,
    qemu_io,
    refusal,
    replace_description,
    replace_footer,
    with_checksum,
)
from tests.tools import needs


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img")


# qcow2: magic 0, version 4, backing 8 and 16, cluster bits 20, size 24, encryption 32, L1 entries 36, L1 offset 40,
# refcounts 48 and 56, snapshots 60, incompatible features 72, header length 100.


def test_refuses_a_backing_file(tmp_path):
    secret = make(tmp_path / "secret", "raw")
    path = make(tmp_path / "image", "qcow2", "-b", secret, "-F", "raw")

    assert "backing file" in refusal(path)


def test_refuses_a_backing_file_without_a_name(tmp_path):
    assert "backing file" in refusal(patch(make(tmp_path / "image", "qcow2"), 8, struct.pack(">Q", 512)))


def test_refuses_a_data_file(tmp_path):
    path = make(tmp_path / "image", "qcow2", options=f"data_file={tmp_path / 'data'},data_file_raw=on")

    assert "in another file" in refusal(path)


def test_refuses_a_data_file_that_is_only_named(tmp_path):
    path = make(tmp_path / "image", "qcow2", options=f"data_file={tmp_path / 'data'}")
    patch(path, 72, bytes(8))

    assert "in another file" in refusal(path)


def test_refuses_encryption(tmp_path):
    path = tmp_path / "image"
    secret = ["--object", "secret,id=s,data=made-up"]
    qemu_img("create", "-q", *secret, "-f", "qcow2", "-o", "encrypt.format=aes,encrypt.key-secret=s", path, MiB)

    assert "encrypted" in refusal(path)
    assert "encrypted" in refusal(patch(path, 32, struct.pack(">I", 2)))  # LUKS


def test_refuses_internal_snapshots(tmp_path):
    path = make(tmp_path / "image", "qcow2")
    qemu_img("snapshot", "-c", "inside", path)

    assert "internal snapshots" in refusal(path)


@pytest.mark.parametrize("bit", [5, 17, 63])
def test_refuses_features_that_nobody_knows(tmp_path, bit):
    path = patch(make(tmp_path / "image", "qcow2"), 72, struct.pack(">Q", 1 << bit))

    assert "not known" in refusal(path)


def test_refuses_an_image_marked_as_corrupt(tmp_path):
    path = patch(make(tmp_path / "image", "qcow2"), 72, struct.pack(">Q", 2))

    assert "corrupt" in refusal(path)


@pytest.mark.parametrize("version", [1, 4])
def test_refuses_other_versions_of_qcow(tmp_path, version):
    path = patch(make(tmp_path / "image", "qcow2"), 4, struct.pack(">I", version))

    assert f"Version {version}" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "field", "words"),
    [
        (20, struct.pack(">I", 40), "cluster size"),
        (24, struct.pack(">Q", 0), "no disk can have 0 bytes"),
        (24, struct.pack(">Q", 4 * MiB + 1), "no whole sectors"),
        (24, struct.pack(">Q", 16 * 1024 * GiB), "does not fit its size"),
        (36, struct.pack(">I", 0), "does not fit its size"),
        (36, struct.pack(">I", 0xFFFFFFFF), "does not fit its size"),
        (36, struct.pack(">I", 4 * MiB), "outside the file"),
        (40, struct.pack(">Q", 1 << 62), "outside the file"),
        (40, struct.pack(">Q", 12345), "outside the file"),
        (48, struct.pack(">Q", 1 << 62), "reference counts"),
        (56, struct.pack(">I", 0xFFFFFFFF), "reference counts"),
        (100, struct.pack(">I", 0), "header has no end"),
        (100, struct.pack(">I", 1 << 30), "header has no end"),
        (112, b"\x99\x99\x99\x99" + struct.pack(">I", MiB), "cut short"),
    ],
)
def test_refuses_a_lying_qcow2_header(tmp_path, offset, field, words):
    path = make(tmp_path / "image", "qcow2")

    assert words in refusal(patch(path, offset, field))


@pytest.mark.parametrize("length", [4, 60, 100, 600, 70 * KiB])
def test_refuses_a_qcow2_cut_short(tmp_path, length):
    path = make(tmp_path / "image", "qcow2")
    os.truncate(path, length)

    assert "cut short" in refusal(path) or "outside the file" in refusal(path)


# VHD: a footer of 512 bytes: data offset 16, original and current size 40 and 48, type 60, checksum 64. A dynamic
# header of 1024: cookie 0, table offset 16, entries 28, block size 32, checksum 36.


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_refuses_a_differencing_vhd(tmp_path, subformat):
    path = make(tmp_path / "image", "vpc", options=f"subformat={subformat}")
    replace_footer(path, lambda footer: footer[:60] + struct.pack(">I", 4) + footer[64:])

    assert "parent VHD" in refusal(path)


def test_refuses_other_types_of_vhd(tmp_path):
    path = make(tmp_path / "image", "vpc")
    replace_footer(path, lambda footer: footer[:60] + struct.pack(">I", 7) + footer[64:])

    assert refusal(path) == "Only fixed and dynamic VHDs are supported."


def test_refuses_a_dynamic_vhd_that_says_it_is_fixed(tmp_path):
    path = make(tmp_path / "image", "vpc")
    replace_footer(path, lambda footer: footer[:60] + struct.pack(">I", 2) + footer[64:])

    assert "both a fixed and a dynamic" in refusal(path)


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_refuses_a_vhd_footer_with_a_wrong_checksum(tmp_path, subformat):
    path = make(tmp_path / "image", "vpc", options=f"subformat={subformat}")
    # This byte is part of the random identifier: it is turned around, because any fixed value is sometimes the old one.
    before = path.read_bytes()[-440]
    patch(path, -440, bytes([before ^ 0xFF]))

    assert "checksum" in refusal(path)


def test_refuses_a_vhd_whose_footer_and_copy_differ(tmp_path):
    path = patch(make(tmp_path / "image", "vpc"), 300, b"\x99")

    assert "copy" in refusal(path)


@pytest.mark.parametrize("size", [8 * MiB, 33 * 1024 * GiB, 1 << 63])
@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_refuses_a_vhd_that_lies_about_its_size(tmp_path, subformat, size):
    path = make(tmp_path / "image", "vpc", options=f"subformat={subformat}")
    replace_footer(path, lambda footer: footer[:48] + struct.pack(">Q", size) + footer[56:])

    assert "size" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "field", "words"),
    [
        (0, b"cxgarble", "checksum of its header"),
        (16, struct.pack(">Q", 1 << 62), "cut short"),
        (28, struct.pack(">I", 0xFFFFFFFF), "table of blocks is impossible"),
        (32, struct.pack(">I", 3 * MiB), "blocks do not fit"),
        (32, struct.pack(">I", 0), "blocks do not fit"),
    ],
)
def test_refuses_a_lying_vhd_header(tmp_path, offset, field, words):
    path = make(tmp_path / "image", "vpc")
    header = path.read_bytes()[SECTOR : 3 * SECTOR]
    changed = header[:offset] + field + header[offset + len(field) :]

    assert words in refusal(patch(path, SECTOR, with_checksum(changed, 36)))


def test_refuses_a_vhd_whose_blocks_lie_outside(tmp_path):
    path = patch(make(tmp_path / "image", "vpc"), 3 * SECTOR, struct.pack(">I", 1 << 20))

    assert "last block is missing" in refusal(path)


@pytest.mark.parametrize("length", [100, 1024, 64 * KiB])
@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_refuses_a_vhd_cut_short(tmp_path, subformat, length):
    path = make_with_data(tmp_path / "image", "vpc", f"subformat={subformat}")
    os.truncate(path, length)

    assert "cut short" in refusal(path, "vpc") or "bytes are RAW" in refusal(path, "vpc")


# VMDK: magic 0, version 4, capacity 12, grain 20, description 28 and 36, entries 44, directory 56; the description
# is text at 512.


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_refuses_a_vmdk_of_several_files(tmp_path, subformat):
    path = make(tmp_path / "image.vmdk", "vmdk", options=f"subformat={subformat}")

    assert "only the description" in refusal(path)


def test_refuses_a_vmdk_with_a_parent(tmp_path):
    make(tmp_path / "parent.vmdk", "vmdk")
    path = make(tmp_path / "image.vmdk", "vmdk", "-b", tmp_path / "parent.vmdk", "-F", "vmdk")

    assert "parent VMDK" in refusal(path)


def test_refuses_a_vmdk_with_a_parents_name_alone(tmp_path):
    path = make(tmp_path / "image.vmdk", "vmdk")
    replace_description(path, b"# Extent description", b'parentFileNameHint="/etc/passwd"\n')

    assert "parent VMDK" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'createType="monolithicSparse"', b'createType="monolithicFlat"', "Only VMDKs of type"),
        (b'createType="monolithicSparse"', b'createType="custom"', "Only VMDKs of type"),
        (b"SPARSE", b"FLAT", "another file"),
        (b'"image.vmdk"', b'"/etc/passwd"', "another file"),
        (b'"image.vmdk"', b'"image.vmdk"\nRW 8192 FLAT "/etc/passwd" 0', "several files"),
        (b"RW 8192 SPARSE", b"RW 9999 SPARSE", "another size"),
        (b"# Extent description", b"something else altogether", "safety check"),
    ],
)
def test_refuses_a_vmdk_that_describes_something_else(tmp_path, old, new, words):
    path = make(tmp_path / "image.vmdk", "vmdk")

    assert words in refusal(replace_description(path, old, new))


@pytest.mark.parametrize(
    ("offset", "field", "words"),
    [
        (4, struct.pack("<I", 9), "Version 9"),
        (12, struct.pack("<Q", 0), "no disk can have 0 bytes"),
        (12, struct.pack("<Q", 1 << 54), "larger than 32 TiB"),
        (20, struct.pack("<Q", 0), "grains are impossible"),
        (20, struct.pack("<Q", 1 << 40), "grains are impossible"),
        (28, struct.pack("<Q", 7), "description is not where"),
        (44, struct.pack("<I", 0), "grains are impossible"),
        (56, struct.pack("<Q", 1 << 50), "outside the file"),
        (56, b"\xff" * 8, "differ"),
    ],
)
def test_refuses_a_lying_vmdk_header(tmp_path, offset, field, words):
    path = make(tmp_path / "image.vmdk", "vmdk")

    assert words in refusal(patch(path, offset, field))


def test_refuses_the_old_vmdk_of_esx(tmp_path):
    path = tmp_path / "image.vmdk"
    path.write_bytes(b"COWD" + struct.pack("<III", 1, 3, 8192) + bytes(MiB))

    assert "only the description" in refusal(path)


@pytest.mark.parametrize("length", [100, 600, 2048])
def test_refuses_a_vmdk_cut_short(tmp_path, length):
    path = make(tmp_path / "image.vmdk", "vmdk")
    os.truncate(path, length)

    assert "cut short" in refusal(path) or "outside the file" in refusal(path)


# Ends: what is missing would read as zeros.


def with_last_cluster(tmp_path, form, options=None, *arguments, size=MiB + 512, content=None):
    """An image whose file ends with the data of the disk's last cluster, of which the disk has *size* % 64 KiB."""
    raw = tmp_path / "raw"
    raw.write_bytes(os.urandom(size) if content is None else content)
    path = tmp_path / "image"
    spelled = ["-o", options] if options else []
    qemu_img("convert", "-f", "raw", "-O", form, *spelled, *arguments, raw, path)
    return path


@pytest.mark.parametrize(
    "options", ["compat=0.10", "compat=1.1", "cluster_size=512", "extended_l2=on,cluster_size=128k"]
)
@pytest.mark.parametrize("missing", [1, 300])
def test_refuses_a_qcow2_file_without_the_end_of_its_last_cluster(tmp_path, options, missing):
    """The disk ends 512 bytes into a cluster, so that the rest of that need not be there."""
    path = with_last_cluster(tmp_path, "qcow2", options)
    assert judged(path)
    whole = {"compat=0.10": 64 * KiB, "compat=1.1": 64 * KiB, "cluster_size=512": 512}.get(options, 128 * KiB)

    os.truncate(path, (path.stat().st_size - 1) // whole * whole + 512)
    assert judged(path) == ("qcow2", MiB + 512)
    os.truncate(path, path.stat().st_size - missing)

    assert "part of its last cluster is missing" in refusal(path)


def test_refuses_a_qcow2_file_without_the_end_of_a_table(tmp_path):
    path = make(tmp_path / "image", "qcow2")
    qemu_io(path, "write -q -z 0 64k")
    (table,) = struct.unpack(">Q", path.read_bytes()[3 * 64 * KiB :][:8])
    table &= (1 << 56) - 512

    os.truncate(path, table + 64 * KiB - 1)

    assert "cut short" in refusal(path)


def test_lets_subclusters_be_missing_that_hold_nothing(tmp_path):
    path = make(tmp_path / "image", "qcow2", options="extended_l2=on,cluster_size=128k")
    qemu_io(path, "write -q 0 8k")
    last = (path.stat().st_size - 1) // (128 * KiB) * 128 * KiB

    os.truncate(path, last + 8 * KiB)
    assert judged(path) == ("qcow2", 4 * MiB)
    os.truncate(path, last + 8 * KiB - 1)

    assert "part of its last cluster is missing" in refusal(path)


@pytest.mark.parametrize("missing", [20, 600, 3000, 40_000])
def test_refuses_a_qcow2_file_without_the_end_of_its_last_compressed_cluster(tmp_path, missing):
    path = make(tmp_path / "image", "qcow2")
    pattern = tmp_path / "pattern"
    pattern.write_bytes(os.urandom(50_000) + bytes(64 * KiB - 50_000))
    qemu_io(path, f"write -q -c -s {pattern} 0 64k")
    assert path.stat().st_size % SECTOR, "its last sector is a part, which is as it should be"
    assert judged(path) == ("qcow2", 4 * MiB)

    os.truncate(path, path.stat().st_size - missing)

    assert "its last compressed clusters are missing" in refusal(path)


def test_takes_the_end_of_a_sector_packed_by_zstd_for_granted(tmp_path):
    content = os.urandom(30_000) + bytes(34 * KiB + 720)
    path = with_last_cluster(tmp_path, "qcow2", "compression_type=zstd", "-c", content=content)
    assert judged(path)

    os.truncate(path, path.stat().st_size - 1)
    assert judged(path)
    os.truncate(path, path.stat().st_size - SECTOR)

    assert "its last compressed clusters are missing" in refusal(path)


@pytest.mark.parametrize("missing", [1, 512, 60_000])
def test_refuses_a_vmdk_without_the_end_of_its_last_grain(tmp_path, missing):
    path = with_last_cluster(tmp_path, "vmdk", "subformat=monolithicSparse", size=MiB)
    assert judged(path) == ("vmdk", MiB)

    os.truncate(path, path.stat().st_size - missing)

    assert refusal(path) == "The file is cut short: its last grain is missing."


def test_lets_the_last_grain_of_a_vmdk_end_with_the_disk(tmp_path):
    path = with_last_cluster(tmp_path, "vmdk", "subformat=monolithicSparse")
    os.truncate(path, path.stat().st_size - 64 * KiB + SECTOR)

    assert judged(path) == ("vmdk", MiB + SECTOR)
