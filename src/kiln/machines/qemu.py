"""Machines as QEMU processes, one per running instance.

A process outlives Kiln and is found again by its run folder (``spawning`` begins
it). Kiln connects for each request and keeps nothing open.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.passphrases import handed_over, within
from kiln.ground.short_files import read_short_text
from kiln.ground.turns import Turns
from kiln.ground.whereabouts import boot
from kiln.machines import agent, blocks, logs, moving, process, readiness, restarting, sockets
from kiln.machines.command import device_arguments
from kiln.machines.confinement import require_reachable, uid_of
from kiln.machines.errands import QemuInside
from kiln.machines.errors import MachineBusy, MachineError, MachineMissing, MachineRefused, MachineSilent
from kiln.machines.fittings import packed_variables, variables_at
from kiln.machines.guest import QUIESCE_LIMIT_S, QemuGuest, resume
from kiln.machines.hearing import mappings, text
from kiln.machines.platforms import platform_of, why_no_cable
from kiln.machines.port import Chain, Check, Drive, Entrance, GoesOn, Machine, Make, at_once, to_the_end
from kiln.machines.probe import ProbeGuest, kvm_works
from kiln.machines.process import Process
from kiln.machines.qmp import TIMEOUT_S, Session, execute, open_session
from kiln.machines.runfiles import CABLE
from kiln.machines.runfolder import RunFolder
from kiln.machines.runstate import Standing, status_of
from kiln.machines.spawning import spawn

PATIENCE_S = 30.0
END_TIMEOUT_S = 20.0
_PRESS_AGAIN_S = 5.0  #: A guest that is still booting misses the power button.
_LOOK_S = 0.02
_WAKE_TIMEOUT_S = 2.0
#: A host on which all machines are started at once has none up in time. One that hangs keeps nobody from starting.
_STARTS, _LONGEST_TURN_S = 4, 10.0

log = Journal("kiln.machines")


class QemuMachines:
    """See the module's docstring and ``port.Machines``.

    *folder* is the data folder's ``run``, *disks* the folder of the machines'
    disks. *accel* is ``auto``, ``kvm`` or ``tcg``; ``auto`` is KVM only after
    *probe*, or a probe before it, has booted under it. With *is_open* guests may begin connections, also to what
    listens on the host's own addresses. With *confined*, and only if Kiln is root, each machine
    runs as a user of its own. A guest may take *patience_s* to power off or to
    let a disk go, and QEMU then *end_timeout_s* to write out what it has in
    memory.
    """

    kind = "qemu"

    def __init__(
        self,
        folder: Path,
        *,
        disks: Path | None = None,
        accel: str = "auto",
        probe: ProbeGuest | None = None,
        patience_s: float = PATIENCE_S,
        end_timeout_s: float = END_TIMEOUT_S,
        confined: bool = True,
        is_open: bool = False,
    ) -> None:
        self.run, self._disks = folder.absolute(), disks and disks.absolute()
        self._told_by: dict[Path, Path] = {}
        self._accel, self._probe = accel, probe
        self._patience_s, self._end_timeout_s = patience_s, end_timeout_s
        self._confined = confined
        self._is_open = is_open
        self._starts, self._standing = Turns(_STARTS, _LONGEST_TURN_S), Standing()

    def folder(self, instance: str) -> RunFolder:
        """The run folder of an instance; it need not exist."""
        return RunFolder(self.run / instance, self._disks, self._told_by)

    def start(self, machine: Machine, may_run: Callable[[], None] = at_once) -> None:
        """See ``port.Machines``. Raises MachineSilent when QEMU does not come to answer."""
        self._start(machine, None, may_run)

    def _start(self, machine: Machine, awaited: Make | None, may_run: Callable[[], None] = at_once) -> None:
        """Start a machine, or one that waits for a guest from a machine of the make that is *awaited*."""
        folder = self.folder(machine.instance)
        nodes = [node for drive in machine.drives for node in drive.blockdevs]
        passphrases = within(nodes)
        uid = self.uid(machine.instance)
        if uid is not None:
            require_reachable(machine.drives, uid)
        with folder.held(), self._starts.one(), contextlib.ExitStack() as open_for_now:
            ended: BinaryIO | None = None
            # A Kiln that was killed at the wrong moment may have left one that has not even written its pid file.
            is_there = process.search(folder) is not None
            if is_there and folder.is_between:
                # Its guest never ran here, or has gone: whoever starts it anew has decided so.
                process.kill(folder, END_TIMEOUT_S)
                is_there = False
            if is_there and awaited is not None:
                raise MachineRefused(f"The machine of {machine.instance} runs here already.")
            door = -1
            if not is_there:
                self._standing.forget(machine.instance)
                reach("machines.before_start")
                ended, writer = logs.pipe(open_for_now)
                told = open_for_now.enter_context(handed_over(passphrases, "-object"))
                with writer:
                    door = spawn(
                        machine, folder, uid, writer, told,
                        may_use_kvm=self._may_use_kvm, is_open=self._is_open, waits=awaited is not None,
                    )  # fmt: skip
                reach("machines.spawned")
            try:
                readiness.await_ready(folder, [node["node-name"] for node in nodes], ended, passphrases)
                if awaited is not None:
                    with open_session(folder.qmp) as qmp:
                        moving.await_guest(qmp, door, awaited, is_cabled=machine.cable is not None)
                else:
                    readiness.let_run(folder, may_run)
            except MachineError as error:
                if not is_there or isinstance(error, MachineBusy):
                    process.kill(folder, END_TIMEOUT_S)
                raise
        if not is_there:
            log.info("machine_started", instance=machine.instance, cpus=machine.cpus, memory_mib=machine.memory_mib)
            reach("machines.started")

    def stop(self, instance: str, force: bool) -> None:
        """See ``port.Machines``. Raises MachineSilent when the process does not even end by being killed."""
        folder = self.folder(instance)
        with process.open_process(folder) as qemu:
            if qemu is None:
                return
            reach("machines.before_stop")
            if not force:
                self._power_off(folder, qemu)
            if not qemu.is_gone():
                # Unlike a kill this writes out what QEMU itself still has in memory.
                try:
                    execute(folder.qmp, "quit", self._end_timeout_s)
                except MachineError:
                    qemu.terminate()
            if not qemu.is_gone(self._end_timeout_s):
                qemu.kill()
            if not qemu.is_gone(END_TIMEOUT_S):
                raise MachineSilent(f"The machine of {instance} does not end.")
            log.info("machine_stopped", instance=instance, force=force)
            reach("machines.stopped")

    def reboot(self, instance: str, force: bool) -> None:
        """See ``port.Machines``. Without *force* the guest may shut down first; its power is cut after a while."""
        folder = self.folder(instance)
        if not self.is_running(instance):
            raise MachineMissing(f"No machine runs for {instance}.")
        with folder.held():
            restarting.begin(folder)
            if not force:
                self._press(folder, lambda: self._status(instance) == "shutdown")
            restarting.complete(folder)

    def make(self, instance: str) -> Make:
        """See ``port.Machines``."""
        with self._session(instance) as qmp:
            return moving.make_of(qmp, is_cabled=self.is_cabled(instance))

    def receive(self, machine: Machine, make: Make) -> None:
        """See ``port.Machines``."""
        self._start(machine, make)
        reach("machines.waiting")

    def entrance(self, instance: str) -> socket.socket:
        """See ``port.Machines``."""
        return moving.enter(self.folder(instance), self.uid(instance), TIMEOUT_S)

    def migrate(
        self, instance: str, entrance: Entrance, goes_on: GoesOn = to_the_end, chains: Sequence[Chain] = ()
    ) -> None:
        """See ``port.Machines``."""
        with self.folder(instance).held():
            moving.send(self.folder(instance), entrance, goes_on, chains, still_s=moving.STILL_S)

    def recall(self, instance: str, may_run: Callable[[], None] = at_once) -> None:
        """See ``port.Machines``."""
        with self.folder(instance).held():
            may_run()
            moving.recall(self.folder(instance), may_run)

    def take_over(
        self, instance: str, may_run: Check = at_once, chains: Sequence[Chain] = (), keep_out: Check | None = None
    ) -> None:
        """See ``port.Machines``."""
        with self.folder(instance).held():
            moving.take_over(self.folder(instance), may_run, chains, keep_out)
        log.info("guest_taken_over", instance=instance)

    def is_between(self, instance: str) -> bool:
        """See ``port.Machines``."""
        return self.folder(instance).is_between

    def has_come(self, instance: str) -> bool:
        """See ``port.Machines``."""
        return self.folder(instance).arriving.exists()

    def is_running(self, instance: str) -> bool:
        """See ``port.Machines``."""
        return process.find(self.folder(instance)) is not None

    def went_with_host(self, instance: str) -> bool:
        """See ``port.Machines``. A machine of an older Kiln has no word of the boot that it was started in."""
        try:
            return not self.is_running(instance) and read_short_text(self.folder(instance).boot_file) != boot()
        except (OSError, ValueError):
            return False

    def is_cabled(self, instance: str) -> bool:
        """See ``port.Machines``. A machine of an older Kiln has no word of it, and user networking."""
        try:
            return self.is_running(instance) and read_short_text(self.folder(instance).network_file) == CABLE
        except (OSError, ValueError):
            return False

    def why_no_cable(self, architecture: str) -> str:
        """See ``port.Machines``."""
        try:
            return why_no_cable(platform_of(architecture).require_program())
        except MachineRefused as error:
            return str(error)

    def adopt(self) -> list[str]:
        """See ``port.Machines``."""
        found = [folder.instance for folder in process.find_lost(self.run, self._disks)]
        for instance in found:
            log.warning("machine_found_without_its_folder", instance=instance)
        return found

    def variables_at(self) -> dict[str, int]:
        """See ``port.Machines``."""
        return variables_at(self.run)

    def variables(self, instance: str) -> str:
        """See ``port.Machines``."""
        return packed_variables(self.folder(instance))

    def reach(self, instance: str) -> str:
        """See ``port.Machines``."""
        try:
            return read_short_text(self.folder(instance).ssh_file).strip() if self.is_running(instance) else ""
        except (OSError, ValueError):
            return ""

    def running(self) -> Iterator[str]:
        """See ``port.Machines``."""
        for path in sorted(self.run.glob("*/pid")):
            folder = self.folder(path.parent.name)
            if process.find(folder) is not None:
                yield folder.instance

    def wake(self, instance: str) -> bool:
        """See ``port.Machines``. Does what else an earlier conversation, or an earlier Kiln, left to be done.

        Raises MachineMissing, MachineSilent.
        """
        folder = self.folder(instance)
        folder.tidy()
        resume(folder)  # First: an agent answers only where its machine runs.
        self._pay_thaw(folder)
        with self._session(instance, _WAKE_TIMEOUT_S) as qmp:
            status = self._standing.look(folder, qmp)
        if status in restarting.LEFT or folder.restarting.exists():
            return restarting.settle(folder)
        return False

    def why_still(self, instance: str) -> str:
        """See ``port.Machines``."""
        return self._standing.why(instance) if self.is_running(instance) else ""

    def guest(self, instance: str) -> QemuGuest | None:
        """See ``port.Machines``."""
        return QemuGuest(self.folder(instance)) if self.is_running(instance) else None

    def inside(self, instance: str) -> QemuInside | None:
        """See ``port.Machines``."""
        return QemuInside(self.folder(instance)) if self.is_running(instance) else None

    def attach(self, instance: str, drive: Drive, may_use: Callable[[], None] = at_once) -> None:
        """See ``port.Machines``. Raises MachineMissing, MachineSilent too."""
        uid = self.uid(instance) if self.is_running(instance) else None
        if uid is not None:
            require_reachable([drive], uid)
        with self._changing(instance) as qmp:
            if drive.node in blocks.disks(qmp):
                return
            reach("machines.before_attach")
            try:
                blocks.open_chain(qmp, drive.blockdevs)
                blocks.require_own_backing(qmp, [node["node-name"] for node in drive.blockdevs])
                reach("machines.chain_opened")
                readiness.let_use(qmp, may_use)
                qmp.execute("device_add", device_arguments(drive))
            except (MachineRefused, MachineBusy):
                blocks.close_unused(qmp)
                raise
            reach("machines.attached")

    def detach(self, instance: str, node: str) -> None:
        """See ``port.Machines``. Raises MachineRefused when the guest does not let it go in time; MachineMissing."""
        with self._changing(instance, TIMEOUT_S + self._patience_s) as qmp:
            device = blocks.disks(qmp).get(node)
            if device is not None:
                reach("machines.before_detach")
                # Refused when an earlier run has asked for it already; then the disk is on its way.
                with contextlib.suppress(MachineRefused):
                    qmp.execute("device_del", {"id": device})
            self._await_closed(qmp, node)
            reach("machines.detached")

    def uid(self, instance: str) -> int | None:
        """See ``port.Machines``. It is chosen the first time and stays until the machine is forgotten."""
        if not self._confined:
            return None
        return uid_of(self.folder(instance), runs=self.is_running(instance))

    def console(self, instance: str) -> bytes:
        """See ``port.Machines``. Before the guest speaks it says what of the machine is not as it was asked for."""
        return self.folder(instance).console_tail()

    def terminal(self, instance: str) -> socket.socket:
        """See ``port.Machines``. QEMU would take another connection only when the first has ended."""
        with self._session(instance) as qmp:
            if not _is_console_free(qmp):
                raise MachineBusy(f"Another program on this host is connected to the console of {instance}.")
            try:
                return sockets.connect(self.folder(instance).console, TIMEOUT_S)
            except OSError as error:
                raise MachineMissing(f"The console of {instance} cannot be connected to: {error}.") from error

    def last_words(self, instance: str) -> str:
        """See ``port.Machines``."""
        return self.folder(instance).last_words()

    def forget(self, instance: str) -> None:
        """See ``port.Machines``. Raises MachineRefused while it runs."""
        folder = self.folder(instance)
        if not folder.path.exists():
            return
        with folder.held():
            if process.search(folder) is not None:
                raise MachineRefused(f"The machine of {instance} runs.")
            folder.remove()

    def _pay_thaw(self, folder: RunFolder) -> None:
        """Have the guest thawed whose agent did not say that it had thawed it."""
        if not folder.thaw_owed.exists():
            return
        # Whoever holds a guest still just now owes it too, and does it himself.
        with contextlib.suppress(MachineBusy), folder.held(waits=False):
            if folder.thaw_owed.exists() and agent.thaw(folder.agent, QUIESCE_LIMIT_S):
                folder.pay_thaw()

    @contextlib.contextmanager
    def _session(self, instance: str, timeout_s: float | None = None) -> Iterator[Session]:
        if not self.is_running(instance):
            raise MachineMissing(f"No machine runs for {instance}.")
        with open_session(self.folder(instance).qmp, timeout_s) as qmp:
            yield qmp

    @contextlib.contextmanager
    def _changing(self, instance: str, timeout_s: float | None = None) -> Iterator[Session]:
        """A session while nobody else, in whatever process, changes the machine."""
        if not self.is_running(instance):
            raise MachineMissing(f"No machine runs for {instance}.")
        with self.folder(instance).held(), self._session(instance, timeout_s) as qmp:
            yield qmp

    def _may_use_kvm(self) -> bool:
        if self._accel == "auto":
            return kvm_works(self.run / "kvm-probe.json", self._probe)
        return self._accel == "kvm"

    def _status(self, instance: str) -> str:
        with self._session(instance) as qmp:
            return status_of(qmp)

    def _power_off(self, folder: RunFolder, qemu: Process) -> None:
        """Have the guest shut down, which ends QEMU. A guest that cannot, or does not, is left as it is."""
        if folder.is_between:
            return
        with contextlib.suppress(MachineError):
            status = self._status(folder.instance)
            if status == "prelaunch":
                return  # Its guest never began, and must not now: nobody knows whether its disks are its own.
            if status not in ("running", "shutdown"):
                # Paused by a Kiln that was killed in the middle, or by a full disk: it could not even see the button.
                execute(folder.qmp, "cont")
            self._press(folder, lambda: qemu.is_gone() or self._status(folder.instance) == "shutdown")
            qemu.is_gone(_LOOK_S)

    def _press(self, folder: RunFolder, is_off: Callable[[], bool]) -> None:
        """Press the power button until *is_off*, for as long as a guest may take."""
        deadline = time.monotonic() + self._patience_s
        press_at = time.monotonic()
        while time.monotonic() < deadline and not is_off():
            if time.monotonic() >= press_at:
                execute(folder.qmp, "system_powerdown")
                press_at += _PRESS_AGAIN_S
            time.sleep(_LOOK_S)

    def _await_closed(self, qmp: Session, node: str) -> None:
        """Close a disk's nodes, which QEMU lets go of a moment after the guest has let go of the device."""
        deadline = time.monotonic() + self._patience_s
        while True:
            if node not in blocks.disks(qmp):
                blocks.close_unused(qmp)
                if node not in blocks.open_nodes(qmp):
                    return
            if time.monotonic() > deadline:
                raise MachineRefused(f"The disk {node} is still in use by the guest or by another disk.")
            time.sleep(_LOOK_S)


def _is_console_free(qmp: Session) -> bool:
    """Whether nobody is connected to the serial port. QEMU says it in the name of its end, as people read it."""
    ends = mappings(qmp.execute("query-chardev"))
    return any(text(end, "label") == "console" and text(end, "filename").startswith("disconnected:") for end in ends)
