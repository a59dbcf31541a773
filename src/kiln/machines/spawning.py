"""How the process of a machine is begun: what is put into its run folder first, and what it is handed.

It gets listening sockets that are made here, so there is no moment in which
they are missing, and nothing else of Kiln's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from kiln.ground.whereabouts import boot
from kiln.machines import logs, process, sockets
from kiln.machines.command import Surroundings, command_line
from kiln.machines.confinement import kvm_groups
from kiln.machines.fittings import forwardable, keep_variables, note, open_cable, open_door
from kiln.machines.platforms import platform_of
from kiln.machines.port import Machine
from kiln.machines.process import Confinement
from kiln.machines.runfiles import CABLE, USER
from kiln.machines.runfolder import RunFolder

_SSH = 22
_FIRST_UNPRIVILEGED_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def spawn(
    machine: Machine,
    folder: RunFolder,
    uid: int | None,
    writer: BinaryIO,
    told: tuple[list[str], list[int]],
    *,
    may_use_kvm: Callable[[], bool],
    is_open: bool,
    waits: bool,
) -> int:
    """Begin the process of a machine, in whose run folder nothing runs; it need not answer yet.

    *uid* is the user that it is to be, None for ours; *writer* is where it writes that it has ended, and *told* are
    arguments and descriptors by which it is told passphrases. Returns the descriptor by which one that *waits* for a
    guest from elsewhere has the folder to which that comes; -1 for another. Raises MachineRefused where this host
    lacks its program or its firmware.
    """
    platform = platform_of(machine.architecture)
    firmware = platform.require_firmware() if machine.boot_mode == "UEFI" or not platform.has_bios else None
    earlier = [kept.with_suffix(".earlier") for kept in (folder.console_log, folder.qemu_log)]
    for old in (*earlier, folder.thaw_owed, folder.resumption_owed, folder.restarting):
        old.unlink(missing_ok=True)
    folder.forget_moves()
    if waits:
        folder.mark_waiting(uid)
    folder.make_file(folder.pid_file, uid)
    for file in (folder.console_log, folder.qemu_log):
        folder.make_file(file, None)
    if firmware is not None:
        keep_variables(machine, folder, firmware, uid)
    ports = forwardable(machine, folder) if machine.cable is None else []
    folder.keep_ssh("".join(f"{machine.public_ip}:{host}" for host, guest in ports if guest == _SSH))
    folder.keep_boot(boot())
    folder.keep_network(USER if machine.cable is None else CABLE)
    kvm = platform.is_native and may_use_kvm()
    groups = kvm_groups() if kvm and uid is not None else []
    if groups is None:
        note(folder, "No hardware acceleration: users other than root may not use /dev/kvm.")
        kvm = False
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(sockets.listen(path)) for path in (folder.qmp, folder.console, folder.agent)]
        qmp, console, agent = (listener.fileno() for listener in listeners)
        said = held.enter_context(logs.kept(folder, uid, writer))
        cable = open_cable(machine.cable, held)
        door = open_door(folder, held) if waits else []
        about = Surroundings(
            folder=folder, platform=platform, firmware=firmware, kvm=kvm, ports=ports, qmp=qmp, console=console,
            agent=agent, is_open=is_open, log=said.console, cable=cable, objects=told[0], waits=waits,
        )  # fmt: skip
        confinement = None
        if uid is not None:
            may_bind = any(host < int(_FIRST_UNPRIVILEGED_PORT.read_text()) for host, _ in ports)
            confinement = Confinement(uid, groups=groups or [], may_bind=may_bind)
        command = command_line(machine, about)
        kept = [qmp, console, agent, said.console, *told[1], *(cable or ()), *door]
        # What the network sends to is made by QEMU, in a folder that nobody else comes to.
        process.start(command, confinement, kept, said.complaints, umask=0 if cable else -1)
        return door[0] if door else -1
