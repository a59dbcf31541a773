"""On what a folder is mounted."""

from __future__ import annotations

import os
from pathlib import Path

from kiln.ground.values import dataclass


@dataclass(frozen=True)
class Mount:
    """The kind of a file system, such as ``ext4`` or ``nfs4``, and its options as the kernel tells them."""

    kind: str
    options: tuple[str, ...]


def mount_of(place: Path) -> Mount | None:
    """The mount that a place is on; None where the kernel tells none of its device, as of a part of a btrfs."""
    device = place.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with Path("/proc/self/mountinfo").open() as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            if before.split()[2] == wanted:
                kind, _, options = after.rstrip("\n").split(" ", 2)  # What is mounted there may have no name at all.
                return Mount(kind, tuple(options.split(",")))
    return None
