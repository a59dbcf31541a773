"""Judging a file from outside before any tool of QEMU's is let near it.

The bytes are read by ``inspection_child``, a process with little memory, little
time and no right to write, so that a file made to break its reader breaks
nothing else; and so that the inspector's library never sits in Kiln's memory.
Both are handed the open file, never a name that could lead elsewhere by now.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import Any, BinaryIO

from kiln.declare.units import GiB
from kiln.pools import stamps
from kiln.pools.errors import SourceRefused, ToolFailed
from kiln.pools.limits import ENVIRONMENT, Limits, walled
from kiln.pools.port import Source, SourceFormat

_LIMITS = Limits(memory_bytes=1 * GiB, cpu_s=60, file_bytes=0)
_PATIENCE_S = 300.0  # 2 TiB of qcow2 have 4,096 tables to look into, which takes a slow disk a minute.
_NOT_FOUND = 127  # How setpriv and prlimit end when there is nothing to run.


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
    answer = _ask(fd, stated)
    if "refused" in answer:
        raise SourceRefused(answer["refused"])
    return Source(format=answer["format"], virtual_size=answer["virtual_size"], stamp=stamp)


def _ask(fd: int, stated: SourceFormat | None) -> dict[str, Any]:
    """The answer of the process that judges."""
    try:
        done = subprocess.run(
            walled([sys.executable, "-P", "-m", "kiln.pools.inspection_child", stated or ""], _LIMITS),
            stdin=fd,
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise SourceRefused("The file takes too long to judge.") from None
    except FileNotFoundError as error:
        raise ToolFailed(f"{error.filename} is not installed") from error
    if done.returncode == _NOT_FOUND:
        raise ToolFailed(done.stderr.decode(errors="replace").strip())
    if done.returncode != 0:
        raise SourceRefused("The file is damaged: its structure makes no sense.")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
