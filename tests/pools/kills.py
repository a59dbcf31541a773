"""Ending a process at a kill point, as ``kill -9`` would, without ending the tests."""

from __future__ import annotations

import os
import signal
import traceback

from kiln.ground import killpoints


def points_of(act):
    """The kill points that *act* passes, in order."""
    passed = []
    killpoints.listen(passed.append)
    try:
        act()
    finally:
        killpoints.listen(None)
    return passed


def killed_at(number, act):
    """Do *act* in a process of its own that is killed at its kill point *number*; True if it came to that."""

    def reach(point):
        nonlocal number
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        number -= 1

    def run():
        killpoints.listen(reach)
        act()

    return os.WIFSIGNALED(status := in_child(run)) and os.WTERMSIG(status) == signal.SIGKILL


def in_child(act):
    """Do *act* in a forked process; how it ended, as ``os.waitpid`` tells. Exit status 1 means that it raised."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        act()
    except BaseException:  # noqa: BLE001 - nothing may get out of here into a second test run.
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
