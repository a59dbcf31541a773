"""Where the measurements work: a fresh folder on a real disk, and what there is to say about the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kiln.ground.units import GiB

_IN_MEMORY = ("tmpfs", "ramfs")


class NoDisk(Exception):
    """Every folder that could be worked in is in memory; the message names them."""


@contextmanager
def open_folder(below: Path | None) -> Iterator[Path]:
    """A fresh folder, below *below* or wherever temporary files are on a disk; removed at the end. Raises NoDisk."""
    parents = [below] if below is not None else _candidates()
    parent = next((path for path in parents if path.is_dir() and file_system(path)[0] not in _IN_MEMORY), None)
    if parent is None:
        raise NoDisk(f"no disk below {' or '.join(map(str, parents))}; name a folder on one with --data")
    folder = Path(tempfile.mkdtemp(prefix="kiln-bench-", dir=parent))
    # A confined QEMU runs as a user of its own and must pass through to its volumes.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _candidates() -> list[Path]:
    named = os.environ.get("TMPDIR")
    return [*([Path(named)] if named else []), Path("/var/tmp"), Path(__file__).resolve().parent.parent]


def file_system(path: Path) -> tuple[str, str]:
    """The type of the file system that *path* is on, and where that is mounted."""
    best = ("unknown", "")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        mount = before.split()[4].replace("\\040", " ")
        if path.resolve().is_relative_to(mount) and len(mount) >= len(best[1]):
            best = (after.split()[0], mount)
    return best


def facts(folder: Path) -> Mapping[str, object]:
    """What figures depend on."""
    kind, mount = file_system(folder)
    return {
        "file_system": f"{kind}, mounted at {mount}",
        "processor": f"{len(os.sched_getaffinity(0))} of {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GiB:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "qemu": _qemu(),
        "commit": _commit(Path(__file__).resolve().parent),
        "load_average": os.getloadavg()[0],
    }


def _commit(folder: Path) -> str:
    """What is measured: the checkout's commit, and whether files differ from it."""
    try:
        said = [
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown: this is no git checkout"
    return f"{said[0]}, with changes" if said[1] else said[0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _qemu() -> str:
    try:
        said = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True).stdout
    except OSError:
        return "none"
    return said.split()[2]
