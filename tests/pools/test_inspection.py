"""Hostile and honest files, each made here, against the judge."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest

from kiln.declare.units import GiB, KiB, MiB
from kiln.pools.errors import SourceRefused
from kiln.pools.foreign import File, Refused
from kiln.pools.inspection import inspect
from kiln.pools.inspection_child import judge
from kiln.pools.port import Source
from tests.tools import needs

SECTOR = 512


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "prlimit", "setpriv")


def qemu_img(*arguments):
    done = subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make(path, form, *arguments, options=None, size=4 * MiB):
    """An image that qemu-img makes."""
    spelled = ["-o", options] if options else []
    qemu_img("create", "-q", "-f", form, *spelled, *arguments, path, size)
    return path


def make_with_data(path, form, options=None):
    """An image of 4 MiB with 1 MiB of data in it."""
    raw = path.with_suffix(".data")
    raw.write_bytes(os.urandom(MiB) + bytes(3 * MiB))
    qemu_img("convert", "-f", "raw", "-O", form, *(["-o", options] if options else []), raw, path)
    return path


def patch(path, offset, data):
    """Overwrite bytes; a negative offset counts from the end."""
    at = offset if offset >= 0 else path.stat().st_size + offset
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, data, at)
    os.close(fd)
    return path


def with_checksum(structure, field):
    """A VHD structure with its checksum made right again."""
    blank = structure[:field] + bytes(4) + structure[field + 4 :]
    return blank[:field] + struct.pack(">I", ~sum(blank) & 0xFFFFFFFF) + blank[field + 4 :]


def replace_footer(path, change):
    """Change a VHD's footer, and the copy of it in front, and make both checksums right."""
    content = path.read_bytes()
    footer = with_checksum(change(content[-SECTOR:]), 64)
    patch(path, -SECTOR, footer)
    if content.startswith(b"conectix"):
        patch(path, 0, footer)
    return path


def replace_description(path, old, new):
    """Change a VMDK's description in its place."""
    content = path.read_bytes()
    described = content[SECTOR : 21 * SECTOR]
    assert old in described
    return patch(path, SECTOR, described.replace(old, new)[: len(described)].ljust(len(described), b"\0"))


def judged(path, stated=None):
    """What the child would find, without the child: importing its library takes 0.2 seconds each time."""
    with path.open("rb") as file:
        return judge(File(file.fileno(), path.stat().st_size), stated)


def refusal(path, stated=None):
    """The sentence with which the file is refused."""
    with pytest.raises(Refused) as refused:
        judged(path, stated)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    return sentence


def refusal_of_the_whole(path, stated=None):
    """The same through the process that judges in service."""
    with pytest.raises(SourceRefused) as refused:
        inspect(path, stated)
    return str(refused.value)


HONEST = [
    ("raw", None),
    ("qcow2", None),
    ("qcow2", "compat=0.10"),
    ("qcow2", "cluster_size=128k,extended_l2=on"),
    ("qcow2", "compression_type=zstd"),
    ("vpc", "subformat=dynamic,force_size=on"),
    ("vpc", "subformat=fixed,force_size=on"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=streamOptimized"),
]


@pytest.mark.parametrize(("form", "options"), HONEST)
@pytest.mark.parametrize("is_stated", [True, False])
def test_knows_an_honest_image(tmp_path, form, options, is_stated):
    path = make_with_data(tmp_path / "image", form, options)

    assert judged(path, form if is_stated else None) == (form, 4 * MiB)


@pytest.mark.parametrize("form", ["raw", "qcow2", "vpc", "vmdk"])
def test_judges_in_a_process_of_its_own(tmp_path, form):
    path = make(tmp_path / "image", form, options="force_size=on" if form == "vpc" else None)

    assert inspect(path, form) == Source(format=form, virtual_size=4 * MiB)


def test_passes_the_sentence_of_that_process_on(tmp_path):
    path = make(tmp_path / "image", "qcow2")

    assert refusal_of_the_whole(path, "vpc") == refusal(path, "vpc")


def test_does_not_import_the_inspectors_library_itself():
    program = "import sys, kiln.pools.qcow2; sys.exit(any(name.startswith('oslo') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_gives_up_on_a_header_that_goes_on_for_ever(tmp_path):
    path = make(tmp_path / "image", "qcow2")
    patch(path, 112, b"\1\1\1\1\0\0\0\0" * (MiB // 2))

    assert "header has no end" in refusal_of_the_whole(path)


def test_knows_a_stream_whose_footer_has_the_tables(tmp_path):
    path = make_with_data(tmp_path / "image", "vmdk", "subformat=streamOptimized")
    header = path.read_bytes()[:SECTOR]
    marker = struct.pack("<QII", 1, 0, 3).ljust(SECTOR, b"\0")
    with path.open("ab") as stream:
        stream.write(marker + header + bytes(SECTOR))
    patch(path, 56, b"\xff" * 8)

    assert judged(path, "vmdk") == ("vmdk", 4 * MiB)


def test_takes_a_partitioned_disk_for_raw(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(bytes(446) + b"\x80\0\2\0\x83\0\0\0\1\0\0\0\xff\7\0\0" + bytes(48) + b"\x55\xaa" + bytes(MiB))

    assert judged(path) == ("raw", path.stat().st_size)


def test_takes_text_for_raw(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"plain words, then some others \xff" * 300)

    assert judged(path, "raw")[0] == "raw"


def test_rounds_a_raw_file_up_to_whole_sectors(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"x" * 1000)

    assert judged(path) == ("raw", 1024)


def test_judges_large_files_at_once(tmp_path):
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, 100 * GiB)

    assert judged(path) == ("raw", 100 * GiB)


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        ("qcow2", None, "bytes are QCOW2"),
        ("vmdk", None, "bytes are VMDK"),
        ("vpc", "subformat=dynamic", "bytes are VHD"),
        ("vpc", "subformat=fixed", "bytes are VHD"),
        ("vdi", None, "VDI image"),
        ("vhdx", None, "VHDX image"),
        ("qed", None, "QED image"),
    ],
)
def test_refuses_a_container_that_is_said_to_be_raw(tmp_path, form, options, words):
    assert words in refusal(make(tmp_path / "image", form, options=options), "raw")


def test_refuses_a_file_of_another_format_than_stated(tmp_path):
    path = make(tmp_path / "image", "qcow2")

    assert refusal(path, "vpc") == "The file was said to be VHD, but its bytes are QCOW2."


def test_refuses_raw_bytes_that_are_said_to_be_a_container(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"x" * 8192)

    assert refusal(path, "qcow2") == "The file was said to be QCOW2, but its bytes are RAW."


def test_refuses_a_file_of_two_formats(tmp_path):
    path = make(tmp_path / "image", "qcow2")
    with path.open("ab") as file:
        file.write(b"conectix".ljust(SECTOR, b"\0"))

    assert "QCOW2 and VHD" in refusal(path)


def test_refuses_a_symbolic_link(tmp_path):
    make(tmp_path / "target", "raw")
    (tmp_path / "image").symlink_to(tmp_path / "target")

    assert refusal_of_the_whole(tmp_path / "image") == "The file is a symbolic link."


def test_refuses_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    found = {refusal_of_the_whole(tmp_path / "pipe"), refusal_of_the_whole(tmp_path)}

    assert found == {"It is not a regular file."}


def test_refuses_an_empty_file(tmp_path):
    (tmp_path / "image").touch()

    assert refusal_of_the_whole(tmp_path / "image") == "The file is empty."


def test_refuses_a_file_that_is_not_there(tmp_path):
    assert refusal_of_the_whole(tmp_path / "image") == "There is no such file."


def test_refuses_a_disk_larger_than_any(tmp_path):
    path = make(tmp_path / "image", "qcow2", size=33 * 1024 * GiB)

    assert refusal(path) == "The disk is larger than 32 TiB."


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
        (24, struct.pack(">Q", 4 * MiB + 1), "no disk can have"),
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
    path = patch(make(tmp_path / "image", "vpc", options=f"subformat={subformat}"), -440, b"\x99")

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
