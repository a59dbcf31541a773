"""What keeps others from the disks of a guest that is being sent, while QEMU itself has let them go.

QEMU lets go of its locks with the last that it sends, and has the guest run again by itself where the connection ends
before the other side has said that all has come: it asks nobody then, and takes the locks if it gets them. A host that
stands still just there, until it is given up and the instance has run elsewhere and ended, would run a memory on its
wake that does not fit the disks any more. So QEMU is handed a lock of Kiln's own on each disk, on a byte that it does
not look at, and has it for as long as its guest may run again by itself, or until it ends. Pools look at that byte as
at QEMU's own (``pools.locks``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kiln.ground.bytelocks import take
from kiln.machines.errors import MachineRefused
from kiln.machines.port import Chain
from kiln.machines.qmp import Session
from kiln.pools.guests import KEPT_BYTE

_NAME = "kept-{}"  #: What QEMU knows each open file by that has such a lock.
_MOST = 64  #: More than a machine has disks; what QEMU answers is not believed for longer.


def keep(qmp: Session, chains: Sequence[Chain]) -> None:
    """Have QEMU hold what keeps others from the heads of *chains* that are files. Raises MachineRefused."""
    files = [file for chain in chains if (file := _file_of(chain[-1])) is not None]
    for nth, file in enumerate(files):
        try:
            opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise MachineRefused(f"A disk's file cannot be opened to be kept: {error}") from error
        try:
            take(opened, KEPT_BYTE, shared=True)  # Several may, and nobody has it alone.
            qmp.hand_over(_NAME.format(nth), opened)
        except OSError as error:
            raise MachineRefused(f"A disk's file cannot be kept: {error}") from error
        finally:
            os.close(opened)


def let_go(qmp: Session) -> None:
    """Have QEMU let go of all that it was handed to keep, if it was handed anything."""
    for nth in range(_MOST):
        try:
            qmp.execute("closefd", {"fdname": _NAME.format(nth)})
        except MachineRefused:
            return


def _file_of(node: dict[str, Any]) -> str | None:
    """The file on which a block node stands, None where it is none, as on Ceph."""
    below: Any = node
    while isinstance(below, dict):
        if below.get("driver") == "file":
            return str(below["filename"])
        below = below.get("file")
    return None
