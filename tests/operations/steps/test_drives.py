"""What no operation does to a disk that the database is wrong about."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.pools.port import Succession
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.volumes import Volume, volumes
from tests.stock import a_disk, an_instance

pytestmark = pytest.mark.qcow2


def file_of(cloud, volume):
    return cloud.folder / "pool" / f"{volume}.qcow2"


def status_of(cloud, instance):
    with cloud.ports.database.read() as tx:
        return instances.find(tx, id=instance).status


def put_under(cloud, volume, heir="v-heir"):
    """Make the volume a layer behind the database's back, as an older copy of it knows it."""
    cloud.ports.pool.freeze([Succession(volume, heir)], None)
    return file_of(cloud, volume).read_bytes(), file_of(cloud, volume).stat().st_mode


def test_starting_fails_on_a_layer_and_leaves_it_as_it_is(cloud):
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        (disk,) = disks.all(tx, instance=instance.id)
    before = put_under(cloud, disk.volume)

    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()

    assert status_of(cloud, instance.id) == InstanceStatus.STOPPED
    assert not cloud.ports.machines.is_running(instance.id)
    assert (file_of(cloud, disk.volume).read_bytes(), file_of(cloud, disk.volume).stat().st_mode) == before
    assert cloud.open_tasks() == []


def test_attaching_fails_on_a_layer_and_leaves_it_as_it_is(cloud):
    instance = an_instance(cloud)
    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()
    disk = a_disk(cloud)
    before = put_under(cloud, disk.volume)

    cloud.call("AttachDisk", InstanceId=instance.id, DiskId=disk.id)
    cloud.settle()

    with cloud.ports.database.read() as tx:
        assert disks.find(tx, id=disk.id).status == "Available"
    assert (file_of(cloud, disk.volume).read_bytes(), file_of(cloud, disk.volume).stat().st_mode) == before


def test_starting_waits_until_the_heirs_of_a_failed_capture_are_gone(cloud):
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        (disk,) = disks.all(tx, instance=instance.id)
    put_under(cloud, disk.volume)
    row = Volume(
        id="v-heir", state="doomed", kind="head", parent=disk.volume, size_bytes=1024**3, task=None, created_at=0.0
    )
    cloud.ports.database.write(lambda tx: volumes.insert(tx, row))

    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()
    assert status_of(cloud, instance.id) == InstanceStatus.STARTING
    cloud.ports.pool.drop("v-heir")
    cloud.ports.database.write(lambda tx: volumes.delete(tx, id="v-heir"))
    cloud.clock.now += 1
    cloud.settle()

    assert status_of(cloud, instance.id) == InstanceStatus.RUNNING
