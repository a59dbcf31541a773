"""Files that begin like something that is no disk, and what to do with each.

A raw disk may begin with anything, so only what is surely something else is
refused, and nothing that has a boot sector's mark or a partition table.
"""

from __future__ import annotations

import codecs
import struct

from kiln.ground.units import KiB
from kiln.pools.extents import SECTOR
from kiln.pools.foreign import File, Refused

_MAGICS = (
    (0, b"\x1f\x8b\x08", "compressed by gzip", "unpack it once more: gunzip FILE"),
    (0, b"\xfd7zXZ\0", "compressed by xz", "unpack it once more: unxz FILE"),
    (0, b"BZh", "compressed by bzip2", "unpack it once more: bunzip2 FILE"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it once more: unzstd FILE"),
    *(
        (0, bytes((number, 0x2A, 0x4D, 0x18)), "compressed by zstd or lz4", "unpack it once more: unzstd FILE")
        for number in range(0x50, 0x60)
    ),
    (0, b"\x04\x22\x4d\x18", "compressed by lz4", "unpack it first: unlz4 FILE"),
    (0, b"\x02\x21\x4c\x18", "compressed by lz4", "unpack it first: unlz4 FILE"),
    (0, b"\x1f\x9d", "compressed by compress", "unpack it first: uncompress FILE"),
    (0, b"LZIP\1", "compressed by lzip", "unpack it first: lzip -d FILE"),
    (0, b"\x89LZO\0\r\n\x1a\n", "compressed by lzop", "unpack it first: lzop -d FILE"),
    (0, b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", "compressed by lzma", "unpack it first: unlzma FILE"),
    (0, b"PK\3\4", "a zip archive", "take the disk out of it first: unzip FILE"),
    (0, b"PK\5\6", "an empty zip archive", "send a disk"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "take the disk out of it first: 7z x FILE"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "take the disk out of it first"),
    (0, b"MSCF\0\0\0\0", "a cabinet of Windows", "take the disk out of it first: cabextract FILE"),
    (0, b"MSWIM\0\0\0", "an image of Windows' files", "install it on a disk, and send that"),
    (0, b"07070", "an archive of cpio", "take the disk out of it first: cpio -id"),
    (0, b"\x7fELF", "a program", "send a disk"),
    (0, b"!<arch>\n", "an archive of ar, such as a Debian package", "send a disk"),
    (0, b"\xed\xab\xee\xdb", "an RPM package", "send a disk"),
    (0, b"%PDF-", "a PDF document", "send a disk"),
    (0, b"\x89PNG\r\n\x1a\n", "a picture", "send a disk"),
    (0, b"\xff\xd8\xff", "a picture", "send a disk"),
    (0, b"GIF8", "a picture", "send a disk"),
    (0, b"SQLite format 3\0", "a database", "send a disk"),
    (0, b"\xca\xfe\xba\xbe", "a program", "send a disk"),
    (0, b"WithoutFreeSpace", "a disk of Parallels", "convert it first: qemu-img convert -O qcow2 FILE NEW"),
    (0, b"WithouFreSpacExt", "a disk of Parallels", "convert it first: qemu-img convert -O qcow2 FILE NEW"),
    (0, b"Bochs Virtual HD Image", "a disk of Bochs", "convert it first: qemu-img convert -O qcow2 FILE NEW"),
    (0, b"EVF\t\r\n\xff", "a disk of EnCase", "convert it to raw first"),
    (257, b"ustar", "a tar archive", "take the disk out of it first: tar xf FILE"),
    (-SECTOR, b"koly", "a disk image of macOS", "convert it first: qemu-img convert -f dmg -O qcow2 FILE NEW"),
)
_BOOT_MARK = b"\x55\xaa"
_GPT = b"EFI PART"
_TAR_CHECKSUM = slice(148, 156)
_LOOKED_AT = 4 * KiB
_LETTERS_LEAST = 8  # Fewer different ones are a pattern that somebody has filled a disk with.
_BLANKS = frozenset(" \t\r\n")
_CONTROLS = frozenset(map(chr, range(32))) - _BLANKS - {"\f"}
_OPENINGS = ("{", "[", "<")  # Of JSON and XML, which machines write without blanks.
_BYTE_ORDER = "\ufeff"
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_TAR = "a tar archive, and no disk; take the disk out of it first: tar xf FILE"
_SQUASHFS = "an archive of files (squashfs), and no disk; install it on a disk, and send that"
#: Magic, 24 bytes of others, major and minor version, 8 bytes of others, and how many bytes of the file it has.
_SUPERBLOCK = struct.Struct("<4s24xHH8xQ")


def check(file: File) -> None:
    """Raise Refused for what is surely no raw disk."""
    head = file.read(0, min(file.length, _LOOKED_AT))
    if head[510:512] == _BOOT_MARK or head[512:520] == _GPT:
        return
    for at, magic, what, advice in _MAGICS:
        found = head[at : at + len(magic)] if at >= 0 else _end(file, -at)[: len(magic)]
        if found == magic:
            raise Refused(f"The file is {what}, and no disk; {advice}.")
    if _is_tar(head):
        raise Refused(f"The file is {_TAR}.")
    if _is_squashfs(head, file.length):
        raise Refused(f"The file is {_SQUASHFS}.")
    if file.length < SECTOR:
        raise Refused(
            f"The file has {file.length} bytes, less than one sector, and is no disk; it may be an error of a download."
        )
    if _is_text(head, "utf-8") or any(_is_text(head, wide) for wide in _WIDE):
        raise Refused("The file is text, and no disk; look what is in it, it may be an error of a download.")


def _end(file: File, count: int) -> bytes:
    return file.read(file.length - count, count) if file.length >= count else b""


def _may_be_number(field: bytes) -> bool:
    """Whether tar could read a number there: octal digits, or a mark and then bytes."""
    try:
        int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return field[:1] in (b"\200", b"\377")
    return True


def _is_tar(head: bytes) -> bool:
    """Whether a header of tar stands there whole, by its checksum: the oldest form has no magic."""
    if not head.strip(b"\0") or not _may_be_number(head[_TAR_CHECKSUM]):
        return False
    import tarfile  # noqa: PLC0415 - it takes as long to load as to judge a disk, and few files come so far.

    try:
        return bool(tarfile.TarInfo.frombuf(head[:SECTOR], "utf-8", "surrogateescape").name)
    except tarfile.HeaderError:
        return False


def _is_squashfs(head: bytes, length: int) -> bool:
    """Whether a superblock of squashfs 4.0 stands there that the file has room for; four letters alone say nothing."""
    if len(head) < _SUPERBLOCK.size:
        return False
    magic, major, minor, used = _SUPERBLOCK.unpack_from(head)
    return magic == b"hsqs" and (major, minor) == (4, 0) and _SUPERBLOCK.size <= used <= length


def _is_text(head: bytes, encoding: str) -> bool:
    """Whether these are words; the last letter may be cut.

    Nearly all bytes are some letters of UTF-16: without a mark of the byte order, most have to be ASCII.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    is_marked, text = text.startswith(_BYTE_ORDER), text.removeprefix(_BYTE_ORDER)
    letters = set(text)
    is_spaced = bool(letters & _BLANKS) or text.startswith(_OPENINGS)
    if letters & _CONTROLS or not is_spaced or len(letters) < _LETTERS_LEAST:
        return False
    if encoding == "utf-8":
        return True
    is_printable = all(letter.isprintable() or letter in _BLANKS for letter in letters)
    return is_printable and (is_marked or sum(letter.isascii() for letter in text) * 2 > len(text))
