"""The guest's disk: a boot loader, a kernel and a file system, written without mounting anything.

```
LBA 0      boot code, partition table
1 MiB      partition 1, FAT, active: syslinux and systemd-boot, kernel, initrd   (BIOS and UEFI start from it)
33 MiB     partition 2, ext4: what the guest mounts at /data0
```

Sector 1 is left to the guest's ``seq`` command.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.guest.cache import held, whole
from kiln.guest.errors import GuestUnbuildable
from kiln.guest.initrd import initrd, kernel
from kiln.guest.packages import boot_sector, program, unpacked

READY = "KILN-GUEST READY"  #: What the guest prints on its first serial port when it obeys commands.
SIZE_BYTES = 256 * MiB  #: The disk's virtual size.

_SECTOR = 512
_BOOT_START, _BOOT_BYTES = 1 * MiB, 32 * MiB
_FILES_START = _BOOT_START + _BOOT_BYTES
_FAT16_LBA, _LINUX = 0x0E, 0x83
# What only delays a guest whose one job is to come up, in the order of the line: checks of the timer and of ciphers
# that it has no use for, watchdogs, defences, another place in memory for each start, zeroes in memory that is written
# next, taking out the locks of several processors where there is one; and for each of the PCIe ports, of which there is
# one for each letter, services and room for I/O ports, which virtio's disks have no use for.
_KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 8250.nr_uarts=1"
    " no_timer_check cryptomgr.notests nowatchdog mitigations=off nokaslr init_on_alloc=0 noreplace-smp"
    " pcie_ports=compat pci=hpiosize=0"
)
_SYSLINUX = f"DEFAULT kiln\nPROMPT 0\nLABEL kiln\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND {_KERNEL_LINE}\n"
_LOADER = "timeout 0\ndefault kiln.conf\n"
_LOADER_ENTRY = f"title Kiln's small guest\nlinux /vmlinuz\ninitrd /initrd\noptions {_KERNEL_LINE}\n"
_GREETING = "This file came with the small guest.\n"
_TOOL_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Pieces:
    """What QEMU can start directly, without a disk."""

    kernel: Path
    initrd: Path
    command_line: str = _KERNEL_LINE


def pieces(cache: Path) -> Pieces:
    """Kernel and initrd, made in *cache* if they are not there. Raises GuestUnbuildable."""
    with held(cache, "small"):
        return _pieces(cache)


def find_pieces(cache: Path) -> Pieces | None:
    """Kernel and initrd if they have been made in *cache* already; never fetches anything."""
    found = _piece_paths(cache)
    return found if found.kernel.exists() and found.initrd.exists() else None


def build(cache: Path, target: Path) -> Path:
    """Write the guest's disk to *target*, which is qcow2 when it is named ``*.qcow2`` and raw otherwise.

    The file is there whole or not at all, and is replaced when it exists.
    Needs the network the first time only; what was fetched stays in *cache*.
    Raises GuestUnbuildable.
    """
    with held(cache, "small"):
        parts = _pieces(cache)
        disk = parts.initrd.with_suffix(".raw")
        if not disk.exists():
            with whole(disk) as begun:
                _write_disk(begun, parts, unpacked(cache))
    form = "qcow2" if target.suffix == ".qcow2" else "raw"
    with whole(target) as begun:
        _run([program("qemu-img"), "convert", "-f", "raw", "-O", form, disk, begun])
    return target


def _piece_paths(cache: Path) -> Pieces:
    """Their names hold what they are made by, so that a newer Kiln makes them anew."""
    source = hashlib.sha256()
    for file in ("init.sh", "initrd.py", "image.py"):
        source.update(Path(__file__).with_name(file).read_bytes())
    return Pieces(cache / "vmlinuz", cache / f"guest-{source.hexdigest()[:12]}.initrd")


def _pieces(cache: Path) -> Pieces:
    parts = _piece_paths(cache)
    if not parts.initrd.exists():
        root = unpacked(cache)
        for old in cache.glob("guest-*"):
            old.unlink()
        with whole(parts.kernel) as begun:
            shutil.copyfile(kernel(root), begun)
        with whole(parts.initrd) as begun:
            begun.write_bytes(initrd(root))
    return parts


def _write_disk(disk: Path, parts: Pieces, root: Path) -> None:
    with disk.open("xb") as file:
        file.truncate(SIZE_BYTES)
        file.write(boot_sector(root).ljust(440, b"\0"))
        file.write(bytes(6) + _partition(_BOOT_START, _BOOT_BYTES, _FAT16_LBA, active=True))
        file.write(_partition(_FILES_START, SIZE_BYTES - _FILES_START, _LINUX, active=False))
        file.write(bytes(32) + b"\x55\xaa")
    _write_boot_partition(disk, parts, root)
    with tempfile.TemporaryDirectory(dir=disk.parent) as folder:
        Path(folder, "greeting").write_text(_GREETING)
        offset, blocks = f"offset={_FILES_START}", f"{(SIZE_BYTES - _FILES_START) // 1024}k"
        options = ["-q", "-F", "-t", "ext4", "-m", "0", "-E", offset, "-d", folder]
        _run([program("mke2fs"), *options, disk, blocks])


def _write_boot_partition(disk: Path, parts: Pieces, root: Path) -> None:
    mtools = program("mtools", root)
    fat = f"{disk}@@{_BOOT_START}"
    _run([mtools, "-c", "mformat", "-i", fat, "-T", _BOOT_BYTES // _SECTOR, "-h", 64, "-s", 32, "-H", 2048, "::"])
    _run([mtools, "-c", "mmd", "-i", fat, "::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries"])
    systemd_boot = root / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    with tempfile.TemporaryDirectory(dir=disk.parent) as folder:
        contents = {
            "/vmlinuz": parts.kernel,
            "/initrd": parts.initrd,
            "/EFI/BOOT/BOOTX64.EFI": systemd_boot,
            "/syslinux.cfg": _text(folder, "syslinux.cfg", _SYSLINUX),
            "/loader/loader.conf": _text(folder, "loader.conf", _LOADER),
            "/loader/entries/kiln.conf": _text(folder, "kiln.conf", _LOADER_ENTRY),
        }
        for name, source in contents.items():
            _run([mtools, "-c", "mcopy", "-i", fat, source, f"::{name}"])
        # syslinux runs mtools' programs by their short names, which an unpacked package has beside mtools.
        search = f"{mtools.parent}:/usr/bin:/bin"
        _run([program("syslinux", root), "--install", "--offset", _BOOT_START, disk], search)


def _text(folder: str, name: str, text: str) -> Path:
    path = Path(folder, name)
    path.write_text(text)
    return path


def _partition(start: int, length: int, kind: int, *, active: bool) -> bytes:
    """One entry of the partition table; the old geometry fields say «see the LBA»."""
    nowhere = b"\xfe\xff\xff"
    place = struct.pack("<II", start // _SECTOR, length // _SECTOR)
    return bytes([0x80 if active else 0]) + nowhere + bytes([kind]) + nowhere + place


def _run(command: list[str | Path | int], search: str | None = None) -> None:
    words = [str(word) for word in command]
    # MTOOLS_SKIP_CHECK: the geometry is ours and not a floppy's.
    environment = {"PATH": search or "/usr/sbin:/usr/bin:/sbin:/bin", "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S, env=environment)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else "nothing, and took too long"
        raise GuestUnbuildable(f"{words[0]} said: {said}") from error
