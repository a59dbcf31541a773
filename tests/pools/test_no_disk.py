"""What is surely no disk is refused by its name, and whatever may be one is taken."""

from __future__ import annotations

import gzip
import os
import struct
import tarfile

import pytest

from kiln.ground.units import KiB, MiB
from tests.pools.images import judged, refusal

MBR = bytes(446) + b"\x80\0\2\0\x83\0\0\0\1\0\0\0\xff\7\0\0" + bytes(48) + b"\x55\xaa"


def file_of(tmp_path, content):
    path = tmp_path / "image"
    path.write_bytes(content.ljust(MiB, b"\0") if len(content) < 600 else content)
    return path


WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


def v7_header():
    """The beginning of an archive as tar wrote it before it had a magic."""
    blank = tarfile.TarInfo("disk.raw").tobuf(tarfile.USTAR_FORMAT)[:257].ljust(512, b"\0")
    checksum = sum(blank[:148]) + sum(blank[156:]) + 8 * ord(" ")
    return blank[:148] + b"%06o\0 " % checksum + blank[156:]


def squashfs(version=4, used=4096):
    """The beginning of a file of mksquashfs."""
    return struct.pack("<4s24xHH8xQ", b"hsqs", version, 0, used)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08\0", "gunzip"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"BZh91AY", "bunzip2"),
        (b"\x28\xb5\x2f\xfd", "unzstd"),
        (b"\x50\x2a\x4d\x18", "unzstd"),
        (b"\x5f\x2a\x4d\x18", "unzstd"),
        (b"\x04\x22\x4d\x18", "unlz4"),
        (b"\x02\x21\x4c\x18", "unlz4"),
        (b"\x1f\x9d\x90", "uncompress"),
        (b"LZIP\1", "lzip -d"),
        (b"\x89LZO\0\r\n\x1a\n", "lzop -d"),
        (b"MSCF\0\0\0\0", "cabextract"),
        (b"MSWIM\0\0\0", "install"),
        (b"070701", "cpio"),
        (b"PK\3\4", "unzip"),
        (b"7z\xbc\xaf\x27\x1c", "7z x"),
        (b"Rar!\x1a\x07\x01", "RAR"),
        (b"\x7fELF\2", "a program"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"WithoutFreeSpace", "Parallels"),
        (bytes(257) + b"ustar\0", "tar"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20, "text"),
        (b'{"error": "no such file, and no disk"}\n' * 30, "text"),
        (b'{"error":"gone","code":404,"trace":[' + b'"step","next",' * 200 + b"0]}", "text"),
        (b'[{"error":"gone","code":404},' * 40, "text"),
        (b"\xef\xbb\xbf" + b'{"error":"gone"}' * 40, "text"),
        (b"<Error><Code>NoSuchKey</Code></Error>" * 40, "text"),
        (('{"error":"gone"}' * 40).encode("utf-16-le"), "text"),
        ("Добрый день, это не диск.\n".encode() * 400, "text"),
        (("Добрый день, это не диск.\n" * 400).encode("utf-16"), "text"),
        (b"\xfe\xff" + "Добрый день, это не диск.\n".encode("utf-16-be") * 400, "text"),
        *((("No such file, and no disk.\r\n" * 400).encode(wide), "text") for wide in WIDE),
        (v7_header(), "tar xf"),
        (squashfs(), "squashfs"),
    ],
)
@pytest.mark.parametrize("stated", [None, "raw"])
def test_is_refused_with_what_to_do(tmp_path, content, words, stated):
    assert words in refusal(file_of(tmp_path, content), stated)


@pytest.mark.parametrize("content", [b"", b"x", b"hello\n", b'{"error":"gone"}', bytes(511), bytes(range(100))])
@pytest.mark.parametrize("stated", [None, "raw"])
def test_what_has_less_than_one_sector_is_refused(tmp_path, content, stated):
    path = tmp_path / "image"
    path.write_bytes(content)

    assert f"The file has {len(content)} bytes, less than one sector" in refusal(path, stated)


def test_a_small_file_that_is_packed_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(gzip.compress(bytes(64 * KiB)))

    assert path.stat().st_size < 512
    assert "gunzip" in refusal(path)


@pytest.mark.parametrize("content", [bytes(512), b"Z" * 512, bytes(range(256)) * 2, MBR])
def test_one_sector_may_be_a_disk(tmp_path, content):
    path = tmp_path / "image"
    path.write_bytes(content)

    assert judged(path) == ("raw", 512)


def test_a_disk_image_of_macos_is_known_by_its_end(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(bytes(MiB) + b"koly".ljust(512, b"\0"))

    assert "qemu-img convert -f dmg" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        MBR,
        b"\x1f\x8b\x08\0" + MBR[4:],
        b"MZ" + MBR[2:],
        MBR[:512] + b"EFI PART",
        bytes(512) + b"EFI PART",
        bytes(512) + b"LABELONE",
        bytes(1080) + b"\x53\xef",
        b"XFSB",
        b"LUKS\xba\xbe",
        b"\xeb\x3c\x90MSDOS5.0",
        b"hsqs",
        squashfs(version=3),
        squashfs(used=MiB + 1),
        v7_header()[:100] + b"0000645\0" + v7_header()[108:],
        bytes(148) + b"000400\0 ",
        b"\xff\xfe" + bytes(range(256)) * 4,
        "盘没有这样的文件也没有磁盘 ".encode("utf-16-le") * 100,
        bytes(0x8001) + b"CD001",
        b"",
        b"{",
        b"{0}[1]" * MiB,
        b'{"error":"gone"}' * 40 + b"\0",
        b"Z" * MiB,
        b"ab" * MiB,
        b"words, then the rest of a disk \0",
    ],
)
def test_what_may_be_a_disk_is_taken(tmp_path, content):
    assert judged(file_of(tmp_path, content), "raw")[0] == "raw"


def test_any_bytes_may_be_a_disk(tmp_path):
    for _ in range(20):
        assert judged(file_of(tmp_path, b"\0" + os.urandom(64 * KiB)), "raw")[0] == "raw"
