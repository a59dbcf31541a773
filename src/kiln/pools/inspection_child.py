"""The process in which a file from outside is judged: ``python -m kiln.pools.inspection_child FORMAT < FILE``.

Prints one JSON object, ``{"format", "virtual_size"}`` or ``{"refused"}``, and
ends with 0. Whatever else it does says nothing about the bytes. Two
judges must agree: oslo.utils' hardened inspector, and the demands of
``foreign``, which know what oslo lets pass. Reads the first 2 MiB, the last
64 KiB, and tables whose size it has bounded.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from kiln.ground.units import KiB, MiB
from kiln.pools import foreign, foreign_qcow2, foreign_vhd, foreign_vmdk, no_disk, qcow2_format
from kiln.pools.extents import SECTOR
from kiln.pools.foreign import File, Refused
from kiln.pools.oslo import format_inspector as oslo

_HEAD = 2 * MiB  # Twice what the longest VMDK description takes.
_TAIL = 64 * KiB
_CHUNK = 64 * KiB
_LENGTH_MAX = 8 * foreign.VIRTUAL_MAX

_SIZES: dict[str, Callable[[File], int]] = {
    "raw": foreign.raw_size,
    "qcow2": foreign_qcow2.size,
    "vpc": foreign_vhd.size,
    "vmdk": foreign_vmdk.size,
}
_ASCII = bytes(byte if byte < 128 else ord("?") for byte in range(256))  # noqa: PLR2004 - where ASCII ends.
_SPOKEN = {"vpc": "VHD"}
_MAGICS = (
    (0, qcow2_format.MAGIC, "qcow2"),
    (0, foreign_vhd.COOKIE, "vpc"),
    (-SECTOR, foreign_vhd.COOKIE, "vpc"),
    (0, foreign_vmdk.MAGIC, "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"QED\0", "qed"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
)
# What oslo knows beside containers of disks describes the inside of a raw disk.
_OSLO = {"qcow2": "qcow2", "vhd": "vpc", "vhdx": "vhdx", "vmdk": "vmdk", "vdi": "vdi", "qed": "qed"}
# oslo does not know extended L2 entries, which Kiln's own volumes have; `foreign` allows these and nothing else new.
_JUDGED_BETTER_HERE = {"unknown_features"}


def judge(file: File, stated: str | None) -> tuple[str, int]:
    """Format and virtual size of a file that may be imported. Raises Refused."""
    if file.length > _LENGTH_MAX:
        raise Refused("The file is longer than any disk.")
    ends = tuple(_ends(file))
    inspectors = {_OSLO[i.NAME]: i for i in (_fed(kind(), ends) for kind in _kinds()) if i is not None}
    found = inspectors.keys() | {name for offset, magic, name in _MAGICS if _has(file, offset, magic)}
    if len(found) > 1:
        names = " and ".join(sorted(_spoken(name) for name in found))
        raise Refused(f"The file can be read as {names}, so it is trusted as neither.")
    detected = next(iter(found), "raw")
    if detected not in _SIZES:
        raise Refused(f"The file is a {_spoken(detected)} image; RAW, VHD, QCOW2 and VMDK are supported.")
    if stated is not None and stated != detected:
        raise Refused(f"The file was said to be {_spoken(stated)}, but its bytes are {_spoken(detected)}.")
    if detected == "raw":
        no_disk.check(file)
    size = _SIZES[detected](file)
    if detected != "raw":
        _consult(inspectors.get(detected), detected, file)
    return detected, size


def _consult(inspector: oslo.FileInspector | None, detected: str, file: File) -> None:
    """Ask oslo's safety checks too."""
    if inspector is None:
        if detected == "vpc" and not _has(file, 0, foreign_vhd.COOKIE):
            return  # oslo does not know fixed VHDs, whose only structure is the footer.
        raise Refused("The image is damaged: its headers contradict each other.")
    try:
        inspector.safety_check()
    except oslo.SafetyCheckFailed as error:
        if failed := error.failures.keys() - _JUDGED_BETTER_HERE:
            raise Refused(f"The image fails a safety check ({', '.join(sorted(failed))}).") from error
    except oslo.ImageFormatError as error:
        raise Refused("The image is damaged: it ends too early.") from error


def _kinds() -> list[type[oslo.FileInspector]]:
    return [kind for name, kind in oslo.ALL_FORMATS.items() if name in _OSLO]


def _fed(inspector: oslo.FileInspector, ends: tuple[bytes, ...]) -> oslo.FileInspector | None:
    """The inspector with the file's ends in it; None when it does not take them for its format's."""
    try:
        for chunk in ends:
            inspector.eat_chunk(chunk)
        inspector.finish()
        matches = inspector.format_match
    except Exception:  # noqa: BLE001 - whatever an inspector trips over, to it the bytes are not its format's.
        return None
    return inspector if matches else None


def _ends(file: File) -> Iterator[bytes]:
    """The beginning and the end of the file, in chunks; inspectors place what is in between nowhere."""
    head = min(file.length, _HEAD)
    tail = max(head, file.length - _TAIL)
    is_described = _has(file, 0, foreign_vmdk.MAGIC)
    for start, end in ((0, min(SECTOR, head)), (min(SECTOR, head), head), (tail, file.length)):
        for at in range(start, end, _CHUNK):
            chunk = file.read(at, min(_CHUNK, end - at))
            # oslo takes the description of a VMDK for ASCII, but its names and comments may have any letters.
            is_text = is_described and SECTOR <= at < head
            yield chunk.translate(_ASCII) if is_text else chunk


def _has(file: File, offset: int, magic: bytes) -> bool:
    at = offset if offset >= 0 else file.length + offset
    return file.holds(at, len(magic)) and file.read(at, len(magic)) == magic


def _spoken(name: str) -> str:
    return _SPOKEN.get(name, name.upper())


def main() -> None:
    """Judge standard input."""
    stated = sys.argv[1] or None
    fd = sys.stdin.fileno()
    signal.signal(signal.SIGXCPU, _out_of_time)
    answer: dict[str, str | int]
    try:
        name, size = judge(File(fd, os.fstat(fd).st_size), stated)
    except Refused as refusal:
        answer = {"refused": str(refusal)}
    except (OSError, MemoryError):
        raise  # Of the machine, and not of the bytes.
    except Exception:  # noqa: BLE001 - whatever the judge trips over is in the bytes.
        traceback.print_exc()
        answer = {"refused": "The file is damaged: its structure makes no sense."}
    else:
        answer = {"format": name, "virtual_size": size}
    sys.stdout.write(json.dumps(answer))


def _out_of_time(*_: object) -> NoReturn:
    raise Refused("The file takes too long to judge.")


if __name__ == "__main__":
    main()
