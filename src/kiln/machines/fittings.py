"""What is made ready for a machine before its QEMU is started: firmware, the ways in, and the ports that lead to it.

What cannot be had as it was asked for is told to both who may ask: the operator and the instance's owner.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from kiln.ground.durable import sync
from kiln.ground.journal import Journal
from kiln.ground.short_files import NotShort, read_short
from kiln.machines.errors import MachineRefused
from kiln.machines.platforms import Firmware
from kiln.machines.port import Machine
from kiln.machines.runfiles import RunFiles
from kiln.machines.runfolder import RunFolder
from kiln.machines.variables import HEAD_BYTES, MOST_BYTES, NotVariables, pack, require_whole, unpack

_STEP = 10_000  #: To the port that is forwarded in place of one that cannot be had, which those below 1024 cannot.

log = Journal("kiln.machines")


def note(folder: RunFolder, sentence: str) -> None:
    """Tell the operator by the log, and the instance's owner by its console, what is not as it was asked for."""
    log.warning("machine_not_as_asked", instance=folder.instance, reason=sentence)
    folder.note(sentence)


def forwardable(machine: Machine, folder: RunFolder) -> list[tuple[int, int]]:
    """Ports of the machine's public address, each with the guest's to which it leads.

    In place of one that cannot be had, such as 22 for who is not root, there is
    another. What is not as it was asked for is noted.
    """
    forwards = []
    for port in machine.ports if machine.public_ip is not None else ():
        assert machine.public_ip is not None
        refusal = _try_port(machine.public_ip, port)
        other = port + _STEP
        if not refusal:
            forwards.append((port, port))
        elif port < _STEP and not _try_port(machine.public_ip, other):
            note(folder, f"Port {port} is forwarded from {machine.public_ip}:{other}, since {port} there: {refusal}.")
            forwards.append((other, port))
        else:
            note(folder, f"Port {port} is not forwarded from {machine.public_ip}: {refusal}.")
    return forwards


def _try_port(address: str, port: int) -> str:
    """Why the port cannot be listened on; empty when it can."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
            # With that option two may be bound to one port, and one of them only can listen.
            attempt.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def keep_variables(machine: Machine, folder: RunFolder, firmware: Firmware, uid: int | None) -> None:
    """The machine's own UEFI variables, which outlive a stop; those that it brings where it ran elsewhere since.

    Those of the run folder that its firmware would throw away give way to those that it brings. What no firmware of
    this kind can have is told to both who may ask, and then the guest finds fresh ones.
    """
    own, is_newest = folder.firmware_variables, machine.has_variables or not machine.variables
    fault = _fault_of(own, firmware) if is_newest and own.exists() else ""
    if not is_newest or fault or not own.exists():
        _put_variables(own, _brought(machine, folder, firmware, fault))
        sync(folder.path)
    if uid is not None:
        os.chown(own, uid, uid)


def _fault_of(own: Path, firmware: Firmware) -> str:
    """Why the firmware would throw away what is in the file; empty where not, or it is what each begins with."""
    length = firmware.variables.stat().st_size
    if own.stat().st_size != length:
        return f"their file has not the {length} bytes of its firmware"
    head, fresh = _head_of(own), _head_of(firmware.variables)
    try:
        require_whole(head, length)
    except NotVariables as error:
        return "" if head == fresh else str(error)
    return ""


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _brought(machine: Machine, folder: RunFolder, firmware: Firmware, fault: str) -> bytes:
    """What is put in place of variables that are not there, are older, or have a *fault*, which is told."""
    content = b""
    if machine.variables:
        try:
            content = unpack(machine.variables, firmware.variables.stat().st_size)
            require_whole(content[:HEAD_BYTES], len(content))
        except NotVariables as error:
            content, fault = b"", fault or str(error)
    if fault and content:
        note(folder, f"Its UEFI variables were damaged, and are put back as they were kept last: {fault}.")
    elif fault:
        note(folder, f"Its UEFI variables are lost, and it begins with fresh ones: {fault}.")
    return content or read_short(firmware.variables, MOST_BYTES)


def _put_variables(own: Path, content: bytes) -> None:
    draft = own.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o600)
    draft.replace(own)


def variables_at(run: Path) -> dict[str, int]:
    """When the UEFI variables of each machine's folder below *run* were written last, in nanoseconds of its time."""
    found = {}
    for path in sorted(run.glob(f"*/{RunFiles(run).firmware_variables.name}")):
        with contextlib.suppress(FileNotFoundError):
            found[path.parent.name] = path.stat().st_mtime_ns
    return found


def packed_variables(folder: RunFolder) -> str:
    """The UEFI variables of the folder's machine; empty where there are none, more than are kept, or damaged ones."""
    try:
        content = read_short(folder.firmware_variables, MOST_BYTES)
        require_whole(content[:HEAD_BYTES], len(content))
    except (OSError, NotShort, NotVariables):
        return ""
    return pack(content)


def open_cable(folder: Path | None, held: contextlib.ExitStack) -> tuple[int, int] | None:
    """The folder of a cable and QEMU's own in it, as descriptors to hand on. Raises MachineRefused."""
    if folder is None:
        return None
    opened = []
    for path in (folder, folder / "qemu"):
        try:
            opened.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        except OSError as error:
            raise MachineRefused(f"The machine's network is not there: {error}") from error
        held.callback(os.close, opened[-1])
    return opened[0], opened[1]


def open_door(folder: RunFolder, held: contextlib.ExitStack) -> list[int]:
    """The folder in which QEMU is to listen for its guest, as a descriptor to hand on."""
    opened = os.open(folder.arrival, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    held.callback(os.close, opened)
    return [opened]
