"""The first words with a QEMU that was started: that it has opened all of its files, and that its guest may begin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import BinaryIO

from kiln.ground.killpoints import reach
from kiln.ground.passphrases import Passphrase
from kiln.machines import blocks, logs, process
from kiln.machines.errors import MachineGarbled, MachineMissing, MachineRefused, MachineSilent
from kiln.machines.hearing import mapping, words
from kiln.machines.qmp import Session, open_session
from kiln.machines.runfolder import RunFolder
from kiln.machines.runstate import status_of

_START_TIMEOUT_S = 60.0
#: For conversations before the one that has all that time: a QEMU that is not through with its start may take a
#: connection and never come back to it, and answers the next.
_FIRST_TIMEOUTS_S = (3.0, 7.0, 20.0)
_END_TIMEOUT_S = 20.0


def await_ready(
    folder: RunFolder, volumes: list[str], ended: BinaryIO | None, passphrases: Sequence[Passphrase]
) -> None:
    """Return when QEMU answers, which it does once all its files are open. Raises MachineRefused with its words.

    It forgets their *passphrases* then. Raises MachineBusy when one of the *volumes* was merged meanwhile.
    """
    try:
        name = _first_words(folder, volumes, passphrases)
    except MachineMissing as error:
        logs.settle(ended)
        raise MachineRefused(folder.last_words() or "QEMU ended without a word.") from error
    if name != folder.instance:
        raise MachineRefused(f"The machine in the run folder of {folder.instance} is that of {words(name)}.")


def _first_words(folder: RunFolder, volumes: list[str], passphrases: Sequence[Passphrase]) -> object:
    """Whose machine it says that it is. Raises as ``await_ready``, and MachineMissing, MachineSilent."""
    for timeout_s in _FIRST_TIMEOUTS_S:
        try:
            return _converse(folder, volumes, passphrases, timeout_s)
        except MachineGarbled:
            raise
        except MachineSilent:
            continue
    return _converse(folder, volumes, passphrases, _START_TIMEOUT_S)


def _converse(folder: RunFolder, volumes: list[str], passphrases: Sequence[Passphrase], timeout_s: float) -> object:
    """As ``_first_words``, and once. All of it may be said again."""
    with open_session(folder.qmp, timeout_s) as qmp:
        name = mapping(qmp.execute("query-name")).get("name")
        with contextlib.suppress(MachineRefused):
            qmp.finish("object-del", blocks.forget(qmp, passphrases))
        blocks.require_own_backing(qmp, volumes)
        return name


def let_run(folder: RunFolder, may_run: Callable[[], None]) -> None:
    """Have a guest begin whose machine stands still since it was started; nothing happens where it has begun.

    What *may_run* raises is raised, and then the machine has ended.
    """
    with open_session(folder.qmp) as qmp:
        if status_of(qmp) != "prelaunch":
            return
        reach("machines.opened")
        try:
            may_run()
        except BaseException:
            end(folder)
            raise
        qmp.execute("cont")


def let_use(qmp: Session, may_use: Callable[[], None]) -> None:
    """Have a disk be used that was just opened. What *may_use* raises is raised, and then the disk is closed."""
    try:
        may_use()
    except BaseException:
        blocks.close_unused(qmp)
        raise


def end(folder: RunFolder) -> None:
    """End a machine so that it closes its disks: one that was killed seems to others to have them still."""
    with process.open_process(folder) as qemu:
        if qemu is not None:
            qemu.terminate()
            if not qemu.is_gone(_END_TIMEOUT_S):
                qemu.kill()
