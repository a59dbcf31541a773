"""CreateImage of a running machine, from the call to Available, against the same switch made by hand over QMP.

Two machines with the same disks run side by side, both with the small guest up
and idle: Kiln's, and one that nobody but the floor touches. They take turns,
with the guest agents stopped; what it takes when the agent of Kiln's guest
holds the file systems still is measured afterwards. That is the guest's time.
Before each image Kiln has a moment in which it makes ready what it can.
Fewer turns than elsewhere: a chain of more than 16 layers is shortened in the
background, and that would be measured too.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.floors import Qmp, Switch, open_qmp, switch
from bench.report import at_most, median_of
from bench.sections.section import Bench
from bench.server import start_server
from bench.stock import open_stock
from bench.waits import GENTLE_S, Wait, create_image, rest, until_instance
from kiln.ground.units import GiB
from kiln.guest.errors import GuestError
from kiln.guest.image import build
from kiln.guest.session import open_session
from kiln.machines.errors import MachineError
from kiln.machines.port import Drive, Machine
from kiln.machines.qemu import QemuMachines
from kiln.pools.folder import Folder
from kiln.pools.qcow2 import Qcow2Pool
from kiln.service.datafolder import DataFolder
from kiln.service.settings import read_settings

_TIMES_OF_ONE, _TIMES_OF_SEVERAL = 2.0, 1.2
_SYSTEM_GIB = 1
_BARE = "i-bare"


@dataclass
class Case:
    """So many disks; the data disks, if any, have one size."""

    disks: int
    size_gib: int
    waits: list[Wait] = field(default_factory=list)
    gentle: list[Wait] = field(default_factory=list)
    quiesced: list[Wait] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)

    @property
    def sizes_gib(self) -> list[int]:
        """The system disk's first."""
        return [_SYSTEM_GIB] + [self.size_gib] * (self.disks - 1)

    @property
    def what(self) -> str:
        """For people."""
        return f"{self.disks} disks, data disks of {self.size_gib} GiB" if self.disks > 1 else "1 disk"

    @property
    def done_ms(self) -> list[float]:
        """From the call to Available."""
        return [wait.done_s * 1000 for wait in self.waits]

    @property
    def floor_ms(self) -> float:
        """The median of the same by hand."""
        return statistics.median(taken.whole_s for taken in self.switches) * 1000


def run(it: Bench) -> None:
    """One case after the other; within one, Kiln and the floor take turns."""
    it.report.head("CreateImage of a running machine, from the call to Available, over HTTP")
    if shutil.which("qemu-system-x86_64") is None:
        it.report.say("  left out: there is no qemu-system-x86_64 here")
        return
    guest = it.folder / "guest.qcow2"
    try:
        build(read_settings(os.environ).guest_cache, guest)
    except GuestError as error:
        it.report.say(f"  left out: {error}")
        return
    guest.chmod(0o444)
    shapes = it.either(((1, 20), (4, 20), (17, 20)), ((1, 20), (4, 20)))
    cases = [Case(disks, size) for disks, size in shapes]
    for case in cases:
        it.report.say(f"  ({case.what}: two machines are started)")
        _measure(it, case, guest)
        _report(it, case)


def _measure(it: Bench, case: Case, guest: Path) -> None:
    data = it.folder / f"running-{case.disks}-{case.size_gib}"
    with open_stock(data) as stock:
        instance = stock.instance(case.sizes_gib, boot=guest)
    with (
        none_left(data / "run"),
        start_server(data, "qemu", one_core=False) as server,
        _bare(it, case, guest) as (qmp, machines, pool),
    ):
        client = server.client()
        client.call("StartInstance", InstanceId=instance)
        until_instance(client, instance, "Running")
        consoles = DataFolder(data).console(instance), DataFolder(_bare_folder(it, case)).console(_BARE)
        for console in consoles:
            ask(console, "agent stop", "sync")
        heads = [f"head-{n}" for n in range(case.disks)]
        owner, folder = machines.uid(_BARE), Folder(_bare_folder(it, case) / "pool")
        for n in range(it.either(5, 2) + 1):
            rest()
            wait = create_image(client, instance)
            taken, heads = switch(qmp, pool, folder, heads, owner)
            if n:  # The first of both finds nothing in any cache.
                case.waits.append(wait)
                case.switches.append(taken)
                rest()
                case.gentle.append(create_image(client, instance, GENTLE_S))
        ask(consoles[0], "agent start")
        case.quiesced = [create_image(client, instance) for _ in range(it.either(3, 1))]


def ask(console: Path, *commands: str) -> None:
    """Have a guest do something, once it is up."""
    with open_session(console) as session:
        for command in commands:
            session.ask(command)


@contextmanager
def _bare(it: Bench, case: Case, guest: Path) -> Iterator[tuple[Qmp, QemuMachines, Qcow2Pool]]:
    """A machine like Kiln's that no Kiln knows of, with a connection to its QEMU."""
    folder = _bare_folder(it, case)
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    pool = Qcow2Pool(folder / "pool")
    with guest.open("rb") as file:
        pool.bring_in(file, pool.inspect(file, "qcow2"), "guest", lambda _: None, lambda: False)
    machines = QemuMachines(folder / "run")
    owner = machines.uid(_BARE)
    drives = []
    for n, size in enumerate(case.sizes_gib):
        name = f"head-{n}"
        if n == 0:
            pool.clone("guest", name, size * GiB)
        else:
            pool.create(name, size * GiB)
        pool.grant(name, owner)
        letter = chr(ord("a") + n)
        drives.append(Drive(name, tuple(pool.blockdevs(name)), f"{n:020}", f"/dev/xvd{letter}", pool.files(name)))
    machine = Machine(
        instance=_BARE,
        cpus=1,
        memory_mib=512,
        architecture="x86_64",
        boot_mode="BIOS",
        drives=drives,
        mac="00:16:3e:00:00:02",
        public_ip=None,
    )
    with none_left(folder / "run"):
        machines.start(machine)
        with open_qmp(folder / "run" / _BARE / "qmp") as qmp:
            yield qmp, machines, pool


def _bare_folder(it: Bench, case: Case) -> Path:
    return it.folder / f"bare-{case.disks}-{case.size_gib}"


@contextmanager
def none_left(run_folder: Path) -> Iterator[None]:
    """Whatever happens, no machine of that run folder goes on afterwards: machines outlive a Kiln that stops."""
    try:
        yield
    finally:
        machines = QemuMachines(run_folder)
        for instance in list(machines.running()):
            try:
                machines.stop(instance, force=True)
            except MachineError:
                continue


def _report(it: Bench, case: Case) -> None:
    figure = median_of(case.what, "ms", case.done_ms)
    made, opened, stalled = (
        statistics.median(times) * 1000
        for times in zip(*((s.made_s, s.opened_s, s.stalled_s) for s in case.switches), strict=True)
    )
    answered = statistics.median(wait.answered_s for wait in case.waits) * 1000
    gentle = statistics.median(wait.done_s for wait in case.gentle) * 1000
    times = _TIMES_OF_ONE if case.disks == 1 else _TIMES_OF_SEVERAL
    it.report.add(
        median_of(
            case.what,
            "ms",
            case.done_ms,
            note=f"answered after {answered:.2f} ms, Available {figure.value - answered:.2f} ms later; "
            f"{gentle:.2f} ms in all when asked every 2 ms",
            against={
                f"by hand: overlays {made:.1f}, blockdev-add {opened:.1f}, transaction {stalled:.1f} ms": case.floor_ms,
                "the transaction alone, which is all that the guest notices": stalled,
            },
            aim=at_most(figure.value, times * case.floor_ms, f"at most {times:g}x the same by hand"),
        )
    )
    held = [wait.done_s * 1000 for wait in case.quiesced]
    it.report.add(median_of(f"{case.what}, file systems held still by the guest's agent", "ms", held))
