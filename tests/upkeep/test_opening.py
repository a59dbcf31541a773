"""The overlays of running machines' disks are opened ahead, and the next capture goes over to them."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest

from kiln.declare.errors import InternalError
from kiln.declare.states import ImageStatus, InstanceStatus
from kiln.machines.none import NoMachines
from kiln.pools.port import Succession
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.upkeep import unfinished
from kiln.upkeep.keeper import prepare
from kiln.upkeep.opening import want_again
from tests.pools.storage_daemon import KilledBefore, start_daemon
from tests.stock import an_instance
from tests.tools import needs


class Running(NoMachines):
    """Machines of which one runs, on QEMU's storage daemon."""

    def __init__(self, folder, guest, instance) -> None:
        super().__init__(folder)
        self._instance = instance
        self._guest = guest

    def running(self):
        return [self._instance]

    def guest(self, instance: str):
        return self._guest


@contextmanager
def running(cloud, tmp_path):
    """An instance whose machine runs, its disk and the guest that has that open."""
    needs("qemu-storage-daemon")
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    with cloud.ports.database.read() as tx:
        (disk,) = disks.all(tx, instance=instance.id)
    with start_daemon(tmp_path) as guest:
        guest.open(cloud.ports.pool.blockdevs(disk.volume))
        cloud.refit(machines=Running(cloud.folder / "run", guest, instance.id))
        yield instance, disk, guest


def test_a_running_machine_has_the_next_overlay_open_before_it_is_asked_for(cloud, tmp_path):
    pool, database = cloud.ports.pool, cloud.ports.database
    with running(cloud, tmp_path) as (instance, disk, guest):
        pool.grant(disk.volume, None)

        prepare(cloud.ports)
        heir = pool.overlays.name_of(disk.volume)
        assert heir is not None
        assert guest.has_node(heir)
        image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
        cloud.settle()

        assert pool.parent(heir) == disk.volume
        guest.put(disk.volume, {1: 1})
    with database.read() as tx:
        assert disks.find(tx, id=disk.id).volume == heir
        assert images.find(tx, id=image).status == ImageStatus.AVAILABLE


def test_a_machine_that_an_earlier_kiln_started_has_it_open_too(cloud, tmp_path):
    pool = cloud.ports.pool
    with running(cloud, tmp_path) as (_, disk, guest):
        pool.overlays.clear()  # An earlier Kiln may have granted it, this one has not.

        want_again(cloud.ports)
        prepare(cloud.ports)

        heir = pool.overlays.name_of(disk.volume)
        assert heir is not None
        assert guest.has_node(heir)


def test_a_name_that_a_capture_which_failed_has_used_is_not_used_again(cloud, tmp_path):
    pool, database = cloud.ports.pool, cloud.ports.database
    with running(cloud, tmp_path) as (instance, disk, _):
        pool.grant(disk.volume, None)
        prepare(cloud.ports)
        heir = pool.overlays.name_of(disk.volume)
        cloud.call("CreateImage", InstanceId=instance.id)
        (task,) = cloud.open_tasks()
        unfinished.end(cloud.ports, task, InternalError())

        cloud.call("CreateImage", InstanceId=instance.id)
        cloud.settle()

    with database.read() as tx:
        assert disks.find(tx, id=disk.id).volume not in (heir, disk.volume)


@pytest.mark.parametrize("has_switched", [False, True])
def test_a_capture_that_nobody_carries_on_has_happened_if_the_machine_went_over(cloud, tmp_path, has_switched):
    """Kiln was killed after the overlay had its name; what the machine has open tells nothing of where it writes."""
    needs("qemu-storage-daemon")
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    pool, database = cloud.ports.pool, cloud.ports.database
    with start_daemon(tmp_path) as guest, database.read() as tx:
        (disk,) = disks.all(tx, instance=instance.id)
        guest.open(pool.blockdevs(disk.volume))
        cloud.refit(machines=Running(cloud.folder / "run", guest, instance.id))
        pool.grant(disk.volume, None)
        prepare(cloud.ports)
        heir = pool.overlays.name_of(disk.volume)
        image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
        (task,) = cloud.open_tasks()
        with nullcontext() if has_switched else pytest.raises(InterruptedError):
            pool.freeze([Succession(disk.volume, heir)], guest if has_switched else KilledBefore(guest))
        assert pool.exists(heir)
        assert guest.has_node(heir)

        unfinished.end(cloud.ports, task, InternalError())

    with database.read() as tx:
        assert disks.find(tx, id=disk.id).volume == (heir if has_switched else disk.volume)
        status = ImageStatus.AVAILABLE if has_switched else ImageStatus.CREATE_FAILED
        assert images.find(tx, id=image).status == status
