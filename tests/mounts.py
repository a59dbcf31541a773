"""What tests mount: seen by the process that runs them and by what it starts, and gone with the last of these.

A run that was killed left its mounts otherwise, and whoever ran tests after it
could not remove its folders: each later run failed at its end, when all had passed.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import lacks, needs

_CLONE_NEWNS = 0x00020000  #: Source: sched.h, unshare(2).


def pytest_configure() -> None:
    """Give this process mounts of its own, where it may have them: who may not mounts nothing either."""
    if os.geteuid() or ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        return
    # What is mounted elsewhere is still seen here, and nothing of what is mounted here is seen elsewhere.
    subprocess.run(["mount", "--make-rslave", "/"], capture_output=True, check=False)


@contextmanager
def mounted(*words: str | Path) -> Iterator[None]:
    """What ``mount`` mounts by these words, of which the last is the folder; skipped where mounting is not allowed."""
    needs("mount", "umount")
    if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
        lacks("the right to mount")
    try:
        yield
    finally:
        # What was opened there may be open still, as a pool's lock is as long as the pool.
        subprocess.run(["umount", "--lazy", words[-1]], check=True)
