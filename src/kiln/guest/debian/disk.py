"""A disk around a file system: the layout of Debian's own cloud images, written without mounting anything.

```
LBA 0      GRUB's first sector, protective MBR; GPT
1 MiB      partition 14, BIOS boot: GRUB's core image
4 MiB      partition 15, FAT, EFI system: GRUB for UEFI
20 MiB     partition 1, ext4: the root, last, so that it can grow
```

How GRUB's first sector finds the core image, and that the rest of it, is what
``grub-bios-setup`` writes (grub-core/boot/i386/pc/boot.S, diskboot.S,
include/grub/i386/pc/boot.h of GRUB 2.06).
"""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from pathlib import Path

from kiln.ground.units import MiB
from kiln.guest.debian.tree import Tree
from kiln.guest.errors import GuestUnbuildable
from kiln.guest.packages import program

ROOT_AT = 20 * MiB
_CORE_AT, _EFI_AT = 1 * MiB, 4 * MiB
_BEHIND = 1 * MiB  #: What the second table of partitions needs, and more.
_SECTOR = 512
_LAYOUT = f"""label: gpt
unit: sectors
first-lba: 34
14 : start={_CORE_AT // _SECTOR}, size={(_EFI_AT - _CORE_AT) // _SECTOR}, type=21686148-6449-6E6F-744E-656564454649
15 : start={_EFI_AT // _SECTOR}, size={(ROOT_AT - _EFI_AT) // _SECTOR}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
1 : start={ROOT_AT // _SECTOR}, size=%d, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
"""
_BOOT_CODE_BYTES = 440
_CORE_SECTOR_AT = 0x5C  #: In the first sector: where the core image begins, 64 bits.
_DRIVE_CHECK_AT, _BELIEVE_THE_BIOS = 0x66, b"\x90\x90"
_REST_AT = 0x1F4  #: In the core image's first sector: where the rest of it begins (64 bits), its sectors (16 bits).
_COPIED_AT_ONCE = 1 * MiB
_TOOL_TIMEOUT_S = 600.0


def root_bytes(disk_bytes: int) -> int:
    """How large the root's file system is on a disk of that size."""
    return disk_bytes - ROOT_AT - _BEHIND


def write_disk(disk: Path, size_bytes: int, tree: Tree) -> None:
    """Write a raw disk of *size_bytes* to *disk*, which is there already or not. Raises GuestUnbuildable, OSError."""
    with disk.open("wb") as file:
        file.truncate(size_bytes)
    _run(["sfdisk", "--quiet", str(disk)], _LAYOUT % (root_bytes(size_bytes) // _SECTOR))
    with disk.open("r+b") as file:
        _write_grub(file.fileno(), tree.boot_sector.read_bytes(), tree.core.read_bytes())
        _copy(tree.root, file.fileno(), ROOT_AT)
    _write_efi(disk, tree)


def _write_grub(disk: int, boot: bytes, core: bytes) -> None:
    first = bytearray(boot[:_BOOT_CODE_BYTES])
    struct.pack_into("<Q", first, _CORE_SECTOR_AT, _CORE_AT // _SECTOR)
    first[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + len(_BELIEVE_THE_BIOS)] = _BELIEVE_THE_BIOS
    whole = bytearray(core.ljust(-(-len(core) // _SECTOR) * _SECTOR, b"\0"))
    struct.pack_into("<QH", whole, _REST_AT, _CORE_AT // _SECTOR + 1, len(whole) // _SECTOR - 1)
    os.pwrite(disk, first, 0)
    os.pwrite(disk, whole, _CORE_AT)


def _copy(source: Path, disk: int, at: int) -> None:
    """Copy the data of a sparse file, and leave its holes."""
    with source.open("rb") as file:
        place, end = 0, os.fstat(file.fileno()).st_size
        while place < end:
            try:
                place = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError:
                return  # Nothing but a hole is left.
            hole = os.lseek(file.fileno(), place, os.SEEK_HOLE)
            while place < hole:
                block = os.pread(file.fileno(), min(_COPIED_AT_ONCE, hole - place), place)
                place += os.pwrite(disk, block, at + place)


def _write_efi(disk: Path, tree: Tree) -> None:
    fat = f"{disk}@@{_EFI_AT}"
    search = f"search --no-floppy --fs-uuid --set=root {tree.identity}"
    text = f"{search}\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
    sectors, before = (ROOT_AT - _EFI_AT) // _SECTOR, _EFI_AT // _SECTOR
    _mtools(["mformat", "-i", fat, "-T", str(sectors), "-h", "64", "-s", "32", "-H", str(before), "::"])
    _mtools(["mmd", "-i", fat, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"])
    _mtools(["mcopy", "-i", fat, str(tree.efi), "::/EFI/BOOT/BOOTX64.EFI"])
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as configuration:
        configuration.write(text)
        configuration.flush()
        _mtools(["mcopy", "-i", fat, configuration.name, "::/EFI/debian/grub.cfg"])


def _mtools(command: list[str]) -> None:
    _run(["mtools", "-c", *command], "")


def _run(command: list[str], said: str) -> None:
    # MTOOLS_SKIP_CHECK: the geometry is ours and not a floppy's.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}
    words = [str(program(command[0])), *command[1:]]
    try:
        subprocess.run(
            words, input=said, check=True, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S, env=environment
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        told = error.stderr if isinstance(error, subprocess.CalledProcessError) else "nothing, and took too long"
        raise GuestUnbuildable(f"{command[0]} said: {told}") from error
