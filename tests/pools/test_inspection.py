"""Which files are let in, and as what; what each format must not contain is in test_foreign.py."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kiln.ground.units import GiB, MiB
from kiln.pools import inspection
from kiln.pools.errors import SourceRefused, ToolFailed
from kiln.pools.inspection import inspect
from kiln.pools.limits import ENVIRONMENT
from tests.pools.images import SECTOR, judged, make, make_with_data, patch, refusal
from tests.pools.patterns import believed
from tests.tools import needs


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "prlimit", "setpriv")


def refusal_of_the_whole(path, stated=None):
    """The same through the process that judges in service."""
    with path.open("rb") as file, pytest.raises(SourceRefused) as refused:
        inspect(file, stated)
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

    with path.open("rb") as file:
        assert inspect(file, form) == believed(path, form, 4 * MiB)


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


@pytest.mark.parametrize("memory", [1 * MiB, 15 * MiB])
def test_blames_no_file_for_a_judge_that_dies(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(inspection, "_MEMORY", memory)

    with make(tmp_path / "image", "qcow2").open("rb") as file, pytest.raises(ToolFailed, match="ended with"):
        inspect(file, None)


def test_blames_no_file_for_a_judge_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "PATH", str(tmp_path))

    with make(tmp_path / "image", "qcow2").open("rb") as file, pytest.raises(ToolFailed):
        inspect(file, None)


def test_blames_no_file_that_its_disk_does_not_give(tmp_path):
    """A judge whose input is not to be read, as of a disk that fails."""
    path = make(tmp_path / "image", "qcow2")

    with path.open("ab") as file, pytest.raises(ToolFailed, match="Bad file descriptor"):
        inspect(file, None)


def test_refuses_what_is_no_regular_file():
    with Path("/dev/null").open("rb") as file, pytest.raises(SourceRefused) as refused:
        inspect(file, None)

    assert str(refused.value) == "It is not a regular file."


def test_refuses_an_empty_file(tmp_path):
    (tmp_path / "image").touch()

    assert refusal_of_the_whole(tmp_path / "image") == "The file is empty."


def test_refuses_a_disk_larger_than_any(tmp_path):
    path = make(tmp_path / "image", "qcow2", size=33 * 1024 * GiB)

    assert refusal(path) == "The disk is larger than 32 TiB."
