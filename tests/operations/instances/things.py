"""Images to make instances of, machines that remember what they were asked, and kills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kiln.machines.errors import MachineRefused
from kiln.machines.none import NoMachines
from kiln.machines.port import Machine
from kiln.pools.errors import PoolFull
from kiln.store.images import Image, ImageDisk
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.clouds import Cloud
from tests.dying import settle_killing
from tests.operations.images.gallery import a_disk_of, an_image
from tests.stock import a_snapshot

TYPE = "ecs.t5-lc1m1.small"
ARM = "ecs.c8y.small"


class Machines(NoMachines):
    """Machines that are only states and remember how they were started and stopped."""

    def __init__(self, folder: Any) -> None:
        super().__init__(folder)
        self.started: list[Machine] = []
        self.stopped: list[tuple[str, bool]] = []
        self.rebooted: list[tuple[str, bool]] = []
        self.refusal = ""

    def start(self, machine: Machine, *more: Any) -> None:
        if self.refusal:
            raise MachineRefused(self.refusal)
        super().start(machine, *more)
        self.started.append(machine)

    def stop(self, instance: str, force: bool) -> None:
        self.stopped.append((instance, force))
        super().stop(instance, force)

    def reboot(self, instance: str, force: bool) -> None:
        super().reboot(instance, force)
        self.rebooted.append((instance, force))


def watched(cloud: Cloud) -> Machines:
    """Have *cloud*'s machines remember."""
    machines = Machines(cloud.folder / "run")
    cloud.refit(machines=machines)
    return machines


class FullPool:
    """A pool that has no room for the volumes after the first few."""

    def __init__(self, pool: Any, room: int = 0) -> None:
        self._pool = pool
        self._room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def create(self, volume: str, size_bytes: int, key: str = "") -> None:
        self._take()
        self._pool.create(volume, size_bytes)

    def clone(self, layer: str, volume: str, size_bytes: int) -> None:
        self._take()
        self._pool.clone(layer, volume, size_bytes)

    def _take(self) -> None:
        if self._room == 0:
            raise PoolFull("no space left on device")
        self._room -= 1


def fill(cloud: Cloud, room: int = 0) -> None:
    """Have *cloud*'s worker find the pool full after so many volumes."""
    cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool, room)), DUTIES, unfinished)


def image_with(cloud: Cloud, *data: ImageDisk, system_gib: int = 20, **changes: Any) -> Image:
    """An Available image whose system disk has so many GiB, with these data disks."""
    system = a_disk_of(None, a_snapshot(cloud, source_disk_size_gib=system_gib).id, size_gib=system_gib)
    disks = (system, *(replace(disk, position=n) for n, disk in enumerate(data, 1)))
    return an_image(cloud, disks=disks, size_gib=system_gib, **changes)


def data_disk(cloud: Cloud, letter: str, size_gib: int = 20, is_blank: bool = False) -> ImageDisk:
    """A data disk of an image."""
    snapshot = "" if is_blank else a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=size_gib).id
    return a_disk_of(None, snapshot, 1, device=f"/dev/xvd{letter}", size_gib=size_gib)


def shown(cloud: Cloud, instance: str, **more: Any) -> dict[str, Any] | None:
    """The instance in DescribeInstances, or None."""
    found = cloud.call("DescribeInstances", InstanceIds=f'["{instance}"]', **more)["Instances"]["Instance"]
    return found[0] if found else None


def status_of(cloud: Cloud, instance: str) -> str | None:
    """The instance's status, or None when there is no such instance."""
    found = shown(cloud, instance)
    return found["Status"] if found else None


def outlive_kills(cloud: Cloud, begin: Callable[[], Any], judge: Callable[[Any], None], least: int) -> None:
    """Kill what *begin* began one point later each time, and *judge* what the next worker made of it."""
    for n in range(1000):
        begun = begin()
        was_killed = settle_killing(cloud, after=n)
        cloud.clock.now += 120
        cloud.settle()
        judge(begun)
        if not was_killed:
            break
    assert n >= least
