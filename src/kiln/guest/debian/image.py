"""The Debian guest's disk, made once and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from kiln.ground.units import GiB, MiB
from kiln.guest.cache import held, whole
from kiln.guest.debian.disk import root_bytes, write_disk
from kiln.guest.debian.tree import build_tree, workshop
from kiln.guest.errors import GuestUnbuildable
from kiln.guest.packages import program

SIZE_BYTES = 2 * GiB  #: The disk's virtual size; the root grows to that of the instance's disk.
_MADE_BY = ("configure.sh", "disk.py", "image.py", "tree.py")
#: Not the cache, which may be in a home that only its owner can go through. What is made there has a new name.
_ROOM = Path("/var/tmp")  # noqa: S108
_NEEDED_BYTES = 2 * GiB  #: Of room while it is made.
_CONVERT_TIMEOUT_S = 600.0


def kept(cache: Path) -> Path:
    """Where the disk lies, or would, as qcow2; its name holds what it is made by, so a newer Kiln makes it anew."""
    source = hashlib.sha256()
    for name in _MADE_BY:
        source.update(Path(__file__).with_name(name).read_bytes())
    return cache / f"debian-{source.hexdigest()[:12]}.qcow2"


def build(cache: Path, say: Callable[[str], None], environment: Mapping[str, str] | None = None) -> Path:
    """The guest's disk as a qcow2 file in *cache*, which is made when it is not there: some minutes, by the network.

    *say* is told what is being done. Of the caller's *environment* TMPDIR and proxies are heeded. Raises
    GuestUnbuildable.
    """
    asked = environment or {}
    disk = kept(cache)
    try:
        # Its own lock: who wants the small guest, a matter of a second, does not stand behind these minutes.
        with held(cache, "debian", lambda: say("another process makes it already, and is waited for")):
            if not disk.exists():
                for old in cache.glob("debian-*.qcow2"):
                    old.unlink()
                _make(disk, say, asked)
    except OSError as error:
        raise GuestUnbuildable(error) from error
    return disk


def _make(disk: Path, say: Callable[[str], None], asked: Mapping[str, str]) -> None:
    room = Path(asked.get("TMPDIR") or _ROOM)
    for tool in ("sfdisk", "mtools", "qemu-img"):
        program(tool)
    if shutil.disk_usage(room).free < _NEEDED_BYTES:
        raise GuestUnbuildable(f"it needs {_NEEDED_BYTES // MiB} MiB in {room} while it is made.")
    with workshop(room) as folder:
        tree = build_tree(folder, root_bytes(SIZE_BYTES), say, _proxies(asked))
        say("writing the disk")
        raw = folder / "disk.raw"
        write_disk(raw, SIZE_BYTES, tree)
        with whole(disk) as begun:
            _convert(raw, begun)


def _proxies(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}


def _convert(raw: Path, target: Path) -> None:
    command = [str(program("qemu-img")), "convert", "-f", "raw", "-O", "qcow2", str(raw), str(target)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_CONVERT_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        told = error.stderr if isinstance(error, subprocess.CalledProcessError) else "nothing, and took too long"
        raise GuestUnbuildable(f"qemu-img said: {told}") from error
