"""Disk files of every format with damage in what describes them: refused, or read as what they hold.

The data of each file are sectors that say where they belong, so everything else
in it is what describes them, and that is what is damaged. What Kiln takes must
read as QEMU reads that file, and no two places of the disk may share bytes.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from kiln.pools.errors import SourceRefused
from kiln.pools.port import SourceFormat
from kiln.pools.qcow2 import Qcow2Pool
from torment.campaign import Outcome, Place, Skipped, Verdict

_SECTOR = 512
_DISK_BYTES = 4 * 1024 * 1024
_MARK = b"kiln torment"
#: Options with which qemu-img makes each file, by the format's name.
_MADE: Mapping[str, tuple[SourceFormat, str]] = {
    "qcow2": ("qcow2", ""),
    "qcow2 v2": ("qcow2", "compat=0.10"),
    "qcow2 small clusters": ("qcow2", "cluster_size=4k"),
    "vhd": ("vpc", "subformat=dynamic"),
    "vhd fixed": ("vpc", "subformat=fixed"),
    "vmdk": ("vmdk", "subformat=monolithicSparse"),
    "vmdk stream": ("vmdk", "subformat=streamOptimized"),
}


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    if shutil.which("qemu-img") is None:
        raise Skipped("needs qemu-img")
    pristine = _make(place.folder)
    pool = Qcow2Pool(place.folder / "pool")
    for number in range(place.tries):
        name = place.chance.choice(list(pristine))
        whole = pristine[name]
        damaged, how = _damage(whole, place.chance)
        path = place.folder / "damaged"
        path.write_bytes(damaged)
        yield _try(pool, path, _MADE[name][0], f"v-{number}", f"{name}, {how}")


def _make(folder: Path) -> dict[str, bytes]:
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(_DISK_BYTES)
        for sector in range(0, _DISK_BYTES // _SECTOR, 3):
            # Every fourth stretch of 64 KiB is a hole.
            if sector // 128 % 4 != 3:
                file.seek(sector * _SECTOR)
                file.write((_MARK + b"%d" % sector).ljust(_SECTOR, b"."))
    found = {}
    for name, (form, options) in _MADE.items():
        path = folder / "whole"
        command = ["qemu-img", "convert", "-f", "raw", "-O", form, *(["-o", options] if options else [])]
        subprocess.run([*command, str(raw), str(path)], check=True, capture_output=True)
        found[name] = path.read_bytes()
        path.unlink()
    return found


def _damage(whole: bytes, chance: Random) -> tuple[bytes, str]:
    """Some bytes of what is no data become others, or the file ends elsewhere."""
    if chance.random() < 0.1:
        end = chance.choice([len(whole) - _SECTOR, len(whole) - 1, len(whole) // 2, len(whole) + _SECTOR, 1024])
        return whole[:end].ljust(end, b"\0"), f"{end} of {len(whole)} bytes"
    telling = _telling(whole)
    found, said = bytearray(whole), []
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        sector = chance.choice(telling)
        # Most of a table is empty: bytes that say something are worth more tries than those that do not.
        busy = [n for n in range(sector, min(sector + _SECTOR, len(whole))) if whole[n]] or [sector]
        at = chance.choice(busy) if chance.random() < 0.8 else sector + chance.randrange(_SECTOR)
        at = min(at, len(whole) - 1)
        match chance.randrange(4):
            case 0:
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
            case 2:
                other = chance.choice(telling)
                length = chance.choice([4, 8])
                found[at - at % length : at - at % length + length] = whole[other : other + length].ljust(length, b"\0")
            case _:
                length = chance.choice([4, 8])
                number = chance.choice([0, 1, 2, len(whole) // _SECTOR, len(whole), 1 << 31, (1 << 8 * length) - 1])
                begin = at - at % length
                found[begin : begin + length] = (number % (1 << 8 * length)).to_bytes(
                    length, chance.choice(["big", "little"])
                )
        said.append(str(at))
    return bytes(found[: len(whole)]), f"bytes at {', '.join(said)}"


def _telling(whole: bytes) -> list[int]:
    """The sectors that hold none of the disk's own, and something: where they begin."""
    begins = range(0, len(whole), _SECTOR)
    return [at for at in begins if any(whole[at : at + _SECTOR]) and _MARK not in whole[at : at + _SECTOR]] or [0]


def _try(pool: Qcow2Pool, path: Path, form: SourceFormat, volume: str, subject: str) -> Outcome:
    try:
        with path.open("rb") as file:
            source = pool.inspect(file, form)
            pool.bring_in(file, source, volume, lambda _: None, lambda: False)
    except SourceRefused:
        return Outcome(subject)
    except Exception:  # noqa: BLE001 - the file's fault was told as ours.
        return Outcome(subject, Verdict.FAILED, traceback.format_exc(limit=-2).replace("\n", " | "))
    try:
        if shared := _shared(path, form):
            return Outcome(subject, Verdict.ACCEPTED, f"two places of the disk share what is at {shared}")
        taken = _content(pool.blockdevs(volume)[0]["file"]["filename"], "qcow2", path.with_name("taken"))
        if taken != _content(str(path), form, path.with_name("said")):
            return Outcome(subject, Verdict.LOST, "what was taken reads as something else")
    finally:
        pool.drop(volume)
    return Outcome(subject)


def _shared(path: Path, form: str) -> str:
    """Where in the file two extents of the disk meet, as QEMU maps them; empty when nowhere."""
    command = ["qemu-img", "map", "--output=json", "-f", form, str(path)]
    said = subprocess.run(command, capture_output=True, check=False)
    if said.returncode:
        return ""
    # Of what is compressed QEMU tells no place.
    extents = sorted((e["offset"], e["length"]) for e in json.loads(said.stdout) if e.get("data") and "offset" in e)
    for (begin, length), (following, _) in itertools.pairwise(extents):
        if begin + length > following:
            return str(following)
    return ""


def _content(name: str, form: str, copy: Path) -> bytes:
    """The disk's bytes as QEMU reads them, empty when it does not."""
    command = ["qemu-img", "convert", "-f", form, "-O", "raw", name, str(copy)]
    done = subprocess.run(command, capture_output=True, check=False)
    return copy.read_bytes() if done.returncode == 0 else b""
