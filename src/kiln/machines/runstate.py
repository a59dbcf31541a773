"""What QEMU says of whether its machine's guest goes on, and what that means to whoever has the instance.

An instance whose machine is there is Running, as a computer that has crashed is still on: it keeps its disks, and its
host's room. Why its guest does not go on all the same is told beside that.
https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html (RunState)
"""

from __future__ import annotations

from kiln.machines.hearing import text, words
from kiln.machines.qmp import Session
from kiln.machines.runfolder import RunFolder

_AGAIN = "RebootInstance with ForceStop begins it anew, with its disks as after a power cut."
#: Those in which the guest runs, and those that a start, a restart or a move goes through.
_ON_ITS_WAY = frozenset(
    {"running", "prelaunch", "shutdown", "inmigrate", "postmigrate", "finish-migrate", "save-vm", "restore-vm", "colo"}
)
_STILL = {
    "io-error": (
        "One of its disks cannot be written or read, mostly as the pool has no room left. Its guest stands still "
        "meanwhile, and goes on by itself once that can be done."
    ),
    "internal-error": f"QEMU or KVM cannot carry on its guest, which stands still for good. {_AGAIN}",
    "guest-panicked": f"The kernel of its guest has panicked, and the guest stands still for good. {_AGAIN}",
    "watchdog": f"Its guest did not wind up its watchdog any more, and was stopped for that. {_AGAIN}",
    "suspended": f"Its guest has put itself to sleep, and nothing here wakes it. {_AGAIN}",
}


def status_of(qmp: Session) -> str:
    """QEMU's word for the state. Raises as ``Session.execute``."""
    return text(qmp.execute("query-status"), "status")


def why_still(status: str) -> str:
    """Why the guest does not go on in that state of QEMU's, in sentences; empty where it does, or is about to."""
    if status in _ON_ITS_WAY:
        return ""
    why = _STILL.get(status, f"Something other than Kiln has its guest stand still. {_AGAIN}")
    return f"{why} QEMU calls it {words(status)}."


class Standing:
    """What each machine's state was when it was looked at last. Safe to use from any thread."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, str]] = {}

    def look(self, folder: RunFolder, qmp: Session) -> str:
        """QEMU's word for the state now. Raises as ``Session.execute``."""
        status = status_of(qmp)
        is_held = folder.is_between or folder.resumption_owed.exists()
        self._seen[folder.instance] = (self._seen.get(folder.instance, ("", ""))[1], "" if is_held else status)
        return status

    def forget(self, instance: str) -> None:
        """Of a machine that is another from now on."""
        self._seen.pop(instance, None)

    def why(self, instance: str) -> str:
        """As ``why_still``, of what was so twice in a row: whoever holds a guest still for a moment is not told of."""
        before, now = self._seen.get(instance, ("", ""))
        return why_still(now) if now and now == before else ""
