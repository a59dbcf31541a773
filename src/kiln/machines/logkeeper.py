"""Keeps the newest of what a machine prints, while it runs and whether Kiln does or not.

QEMU writes its log through pipes to this program, one for each machine, so that
no guest can fill the disk however fast it prints, also while no Kiln is there to
tidy. It looks at no byte of it, runs as the machine's own user, and ends when
QEMU has ended. Started by its file, since it needs nothing of ours:

    logkeeper.py UID PIPE FILE [PIPE FILE ...]      -- UID may be empty; the others are descriptors
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
from collections.abc import Sequence

LIMIT_BYTES = 256 * 1024  #: A log is never longer.
KEPT_BYTES = 128 * 1024  #: When it would be, so much of its end is left.
_READ_AT_ONCE = 64 * 1024


def append(file: int, said: bytes) -> None:
    """Add to a log within its bound. On a full disk what is said is lost, as it is not worth a machine.

    Under a lock, that whoever reads it sees the one or the other.
    """
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        size = os.fstat(file).st_size
        if size + len(said) > LIMIT_BYTES:
            kept = os.pread(file, KEPT_BYTES, max(0, size - KEPT_BYTES))
            os.pwrite(file, kept, 0)
            os.ftruncate(file, len(kept))
            size = len(kept)
        os.pwrite(file, said, size)
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def keep(files: dict[int, int]) -> None:
    """Copy what comes from each pipe to its file, until all have ended."""
    poll = select.poll()
    for pipe in files:
        poll.register(pipe, select.POLLIN)
    left = len(files)
    while left:
        for pipe, _ in poll.poll():
            said = os.read(pipe, _READ_AT_ONCE)
            if not said:
                poll.unregister(pipe)
                left -= 1
                continue
            with contextlib.suppress(OSError):
                append(files[pipe], said)


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    uid, *descriptors = arguments
    if uid:
        os.setgroups([])
        os.setresgid(int(uid), int(uid), int(uid))
        os.setresuid(int(uid), int(uid), int(uid))
    numbers = [int(descriptor) for descriptor in descriptors]
    keep(dict(zip(numbers[::2], numbers[1::2], strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
