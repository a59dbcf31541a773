"""The small guest as what KVM is tried with."""

from __future__ import annotations

from pathlib import Path

from kiln.guest.image import READY, find_pieces
from kiln.machines.probe import ProbeGuest


def probe_guest(cache: Path) -> ProbeGuest | None:
    """What ``QemuMachines(probe=...)`` takes, if the guest has been made in *cache* before; fetches nothing."""
    found = find_pieces(cache)
    return None if found is None else ProbeGuest(found.kernel, found.initrd, found.command_line, READY)
