"""Judging a file from outside before any tool of QEMU's is let near it.

The bytes are read by ``inspection_child``, a process with little memory, little
time and no right to write, so that a file made to break its reader breaks
nothing else; and so that the inspector's library never sits in Kiln's memory.
Both are handed the open file, never a name that could lead elsewhere by now.
Only what that process says of the bytes blames them; whatever else becomes of
it is a fault of this host.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import Any, BinaryIO

from kiln.ground.journal import Journal
from kiln.ground.units import GiB
from kiln.pools import stamps
from kiln.pools.errors import SourceRefused, ToolFailed
from kiln.pools.limits import ENVIRONMENT, Limits, walled
from kiln.pools.port import Source, SourceFormat

log = Journal("kiln.pools")

_MEMORY = 1 * GiB
_CPU_S = 60
_CPU_S_FOR_GIB = 1  # Of the file. 2 TiB of grains that are compressed each have a marker to look at.
_FILE_GIB_MOST = 4096  # A sparse file has any length.
_PATIENCE = 5  # Times that of the processor: a slow disk takes longer.


def inspect(file: BinaryIO, stated: SourceFormat | None) -> Source:
    """What the open file is, found in its own bytes; *stated* must agree with them.

    With None the format is detected; what looks like none of ours is raw. The
    size of a raw file is rounded up to whole sectors of 512 bytes.
    Raises SourceRefused, with a sentence for the person who sent the file, and ToolFailed.
    """
    fd = file.fileno()
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise SourceRefused("It is not a regular file.")
    if found.st_size == 0:
        raise SourceRefused("The file is empty.")
    stamp = stamps.take(fd)
    answer = _ask(fd, found.st_size, stated)
    if "refused" in answer:
        raise SourceRefused(answer["refused"])
    return Source(format=answer["format"], virtual_size=answer["virtual_size"], stamp=stamp)


def _ask(fd: int, length: int, stated: SourceFormat | None) -> dict[str, Any]:
    """The answer of the process that judges. Raises ToolFailed for all that is none."""
    cpu_s = _CPU_S + _CPU_S_FOR_GIB * min(length // GiB, _FILE_GIB_MOST)
    limits = Limits(memory_bytes=_MEMORY, cpu_s=cpu_s, file_bytes=0)
    try:
        done = subprocess.run(
            walled([sys.executable, "-P", "-m", "kiln.pools.inspection_child", stated or ""], limits),
            stdin=fd,
            capture_output=True,
            check=False,
            timeout=_PATIENCE * cpu_s,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"the judge of a file did not end within {_PATIENCE * cpu_s} s") from error
    except FileNotFoundError as error:
        raise ToolFailed(f"{error.filename} is not installed") from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0:
        raise ToolFailed(f"the judge of a file ended with {done.returncode}: {said}", status=done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    if said:
        log.warning("judge_tripped", said=said)
    return answer
