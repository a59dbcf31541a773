"""Machines that are only states and remember what they were asked to do with disks."""

from __future__ import annotations

from kiln.machines.errors import MachineMissing, MachineRefused
from kiln.machines.none import NoMachines
from kiln.machines.port import Drive, Machine
from tests.clouds import Cloud


class WatchedMachines(NoMachines):
    """They may be told not to take disks, not to let go of them, or to have died a moment ago."""

    def __init__(self, folder):
        super().__init__(folder)
        self.attached: list[tuple[str, Drive]] = []
        self.detached: list[tuple[str, str]] = []
        self.takes = self.lets_go = True
        self.has_died = False  #: While nobody has found out.
        self._is_gone = False

    def is_running(self, instance):
        return not self._is_gone and super().is_running(instance)

    def attach(self, instance, drive, *more):
        self._answer(self.takes)
        self.attached.append((instance, drive))

    def detach(self, instance, node):
        self._answer(self.lets_go)
        self.detached.append((instance, node))

    def _answer(self, is_willing):
        if self.has_died:
            self._is_gone = True
            raise MachineMissing
        if not is_willing:
            raise MachineRefused("the guest does not answer")


def watch(cloud: Cloud) -> WatchedMachines:
    """Have *cloud*'s machines watched."""
    machines = WatchedMachines(cloud.folder / "run")
    cloud.refit(machines=machines)
    return machines


def run(cloud: Cloud, instance: str) -> None:
    """Have a machine run for the instance."""
    mac = "52:54:00:00:00:01"
    cloud.ports.machines.start(
        Machine(
            instance=instance,
            cpus=1,
            memory_mib=512,
            architecture="x86_64",
            boot_mode="BIOS",
            drives=(),
            mac=mac,
            public_ip=None,
        )
    )


def exhaust(cloud: Cloud) -> None:
    """Carry out every task as often as a worker tries, whatever the pauses between."""
    for _ in range(12):
        cloud.settle()
        cloud.clock.now += 60
