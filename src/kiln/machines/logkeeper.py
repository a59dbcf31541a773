"""Keeps the newest of what a machine prints, while it runs and whether Kiln does or not.

QEMU writes its log through pipes to this program, one for each machine, so that
no guest can fill the disk however fast it prints, also while no Kiln is there to
tidy. It looks at no byte of it, runs as the machine's own user, and ends when
QEMU has ended. It is two processes, one of which has nothing to do but to see
that the other lives: whichever is killed, the one that is left makes another,
and what QEMU wrote meanwhile waits in the pipes, which nobody else could open
again. Started by its file, since it needs nothing of ours:

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


def keep(files: dict[int, int], watcher: int) -> bool:
    """Copy what comes from each pipe to its file, until all have ended; False when the process *watcher* has before.

    A pipe that has ended is left out of *files*.
    """
    poll = select.poll()
    for descriptor in (*files, watcher):
        poll.register(descriptor, select.POLLIN)
    while files:
        for pipe, _ in poll.poll():
            if pipe == watcher:
                return False
            said = os.read(pipe, _READ_AT_ONCE)
            if not said:
                poll.unregister(pipe)
                del files[pipe]
                continue
            with contextlib.suppress(OSError):
                append(files[pipe], said)
    return True


def watch(files: dict[int, int]) -> None:
    """Have another process keep the logs, and another when that is killed; whose watcher is killed watches itself."""
    while True:
        watcher = os.pidfd_open(os.getpid())
        try:
            keeper = os.fork()
        except OSError:
            keep(files, watcher)  # With nobody to look after it, where no process can be had.
            return
        if not keeper:
            if keep(files, watcher):
                os._exit(0)
            os.close(watcher)
            continue
        os.close(watcher)
        _, status = os.waitpid(keeper, 0)
        if not os.WIFSIGNALED(status):
            return


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    uid, *descriptors = arguments
    if uid:
        os.setgroups([])
        os.setresgid(int(uid), int(uid), int(uid))
        os.setresuid(int(uid), int(uid), int(uid))
    numbers = [int(descriptor) for descriptor in descriptors]
    watch(dict(zip(numbers[::2], numbers[1::2], strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
