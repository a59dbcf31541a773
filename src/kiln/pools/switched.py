"""Whether a machine writes to the overlays that it was, or may have been, told to go over to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kiln.pools.errors import VolumeBusy
from kiln.pools.guests import Guest, GuestError
from kiln.pools.port import Pool


def may_have_switched(pool: Pool, overlays: Sequence[str], guest: Guest | None) -> bool:
    """Whether the overlays hold what a guest wrote, or may do.

    A guest that runs tells. One that has ended since may have been switched to
    them, once all of them were made. False also means that it will not be
    switched any more. Raises VolumeBusy when nobody can tell.
    """
    if guest is not None:
        try:
            # That a machine has it open tells nothing: it may have opened it ahead, and a Kiln that was killed after it
            # gave that the name of a volume has not told the machine to write there.
            return any(pool.exists(overlay) and guest.stands_above(overlay) for overlay in overlays)
        except GuestError:
            if _is_prevented(pool, overlays, guest):
                return False
    return all(pool.exists(overlay) for overlay in overlays)


def _is_prevented(pool: Pool, overlays: Sequence[str], guest: Guest) -> bool:
    """Make sure that a machine which does not answer, and was perhaps told to, never goes over to the overlays.

    It goes over to all or to none. So it is enough that one is gone which it has not opened. False when it has ended:
    it may have written to them before.
    """
    for overlay in overlays:
        if pool.exists(overlay) and pool.is_open(overlay):
            continue
        # Asked in this order: a machine that runs still did not have the file open then, so it has written nothing
        # there, while one that has died has nothing open any more, whatever it wrote.
        if not guest.is_alive():
            return False
        with suppress(VolumeBusy):
            pool.drop(overlay)
            return True
    if not guest.is_alive():
        return False
    raise VolumeBusy("the machine does not answer and has its new disks open")
