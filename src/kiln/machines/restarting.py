"""A guest that is restarted within its machine, and machines that were left standing still by what was cut short.

A guest that powers off ends its QEMU. While it is restarted QEMU is told to stand still in place of that, and the guest
is reset then. A mark in the run folder, from before QEMU is told until it is told otherwise, says so to whoever finds
the machine later: Kiln was killed meanwhile, or QEMU did not answer, and the restart was given up.
"""

from __future__ import annotations

from contextlib import suppress

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.machines import readiness
from kiln.machines.errors import MachineBusy
from kiln.machines.qmp import Session, open_session
from kiln.machines.runfolder import RunFolder
from kiln.machines.runstate import status_of

_ANSWER_TIMEOUT_S = 5.0
_WAITS_FOR_ROOM = "io-error"
LEFT = frozenset({"prelaunch", "shutdown", _WAITS_FOR_ROOM})  #: QEMU's words for those that ``settle`` has go on.

log = Journal("kiln.machines")


def begin(folder: RunFolder) -> None:
    """From here on a guest that powers off stays, stopped, until ``complete``. Raises MachineMissing, MachineSilent."""
    folder.mark_restarting()
    with open_session(folder.qmp) as qmp:
        qmp.execute("set-action", {"shutdown": "pause"})
    reach("machines.reboot_prepared")


def complete(folder: RunFolder) -> None:
    """Reset the guest, and have it run. Raises MachineMissing, MachineSilent."""
    with open_session(folder.qmp) as qmp:
        qmp.execute("system_reset")
        reach("machines.reset")
        qmp.execute("cont")
        _take_back(folder, qmp)


def settle(folder: RunFolder) -> bool:
    """Have a machine go on that a restart, a start or a full disk has left standing still; whether it had stood still.

    A guest whose disk had no room tries again, and one that powered off for its restart is restarted. A machine whose
    guest never began is ended: whether its disks were its own was to be asked before that, and nobody does any more.
    Nothing happens while somebody changes the machine, nor with a guest between two hosts, which may be whole in both.
    Raises MachineMissing, MachineSilent.
    """
    with suppress(MachineBusy), folder.held(waits=False):
        if folder.is_between:
            return False
        with open_session(folder.qmp, _ANSWER_TIMEOUT_S) as qmp:
            status = status_of(qmp)
            stood = status in ("shutdown", _WAITS_FOR_ROOM)
            if status == "shutdown":
                qmp.execute("system_reset")
            if stood:
                qmp.execute("cont")
            if status != "prelaunch":
                _take_back(folder, qmp)
                return stood
        folder.note("Its guest had never begun when its start was cut short, so the machine was ended.")
        readiness.end(folder)
        log.warning("machine_ended_before_its_guest_began", instance=folder.instance)
        return True
    return False


def _take_back(folder: RunFolder, qmp: Session) -> None:
    """Have a guest that powers off end QEMU again."""
    qmp.execute("set-action", {"shutdown": "poweroff"})
    folder.forget_restart()
