"""Whether a backup is what was written: every file there, of its length and its digest, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from kiln.service.backups import manifest
from kiln.service.backups.copying import digest_of, opened_below
from kiln.service.backups.manifest import Entry, Manifest

_IN_THE_WAY = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)


def examine(folder: Path, said: Manifest, progress: Callable[[int, int], None]) -> Iterator[str]:
    """What is wrong, in sentences. Raises OSError where the disk fails.

    What differs loses its time, by which the next backup knows that it is not to be shared.
    """
    done, total = 0, said.bytes

    def count(length: int) -> None:
        nonlocal done
        done += length
        progress(done, total)

    for name, entry in sorted(said.files.items()):
        fault = fault_of(folder, name, entry, count)
        if fault:
            with contextlib.suppress(OSError), opened_below(folder, name) as file:
                os.utime(file, (0, 0))
            yield f"{name} {fault}"
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if (path.is_symlink() or not path.is_dir()) and name not in said.files and name != manifest.FILE:
            yield f"{name} is none of the backup's files"


def fault_of(folder: Path, name: str, entry: Entry, count: Callable[[int], None]) -> str:
    """What is wrong with one file; "" where nothing is."""
    try:
        with opened_below(folder, name) as file:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return "is not a regular file"
            return differs(entry, *digest_of(file, count))
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return "is not a regular file, or a link leads to it"
        raise


#: In what file systems keep times: nanoseconds, the tenths of microseconds of SMB, micro- and milliseconds, seconds.
_UNITS_NS = (1, 100, 1000, 1_000_000, 1_000_000_000)


def is_of_time(about: os.stat_result, entry: Entry) -> bool:
    """Whether a file was last written when its source was, as far as its file system keeps times.

    Not by whole seconds everywhere: who writes to a copy in the second of its source's last write is to be seen.
    """
    wanted = entry.source[manifest.TIME]
    return any(about.st_mtime_ns == wanted - wanted % unit_ns for unit_ns in _UNITS_NS)


def differs(entry: Entry, length: int, digest: str) -> str:
    """How bytes of that length and digest differ from what was written; "" where they do not."""
    if length != entry.bytes:
        return f"has {length} bytes, not {entry.bytes}"
    return "" if digest == entry.sha256 else "is not what was written: its digest differs"
