"""DeleteDisk, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, OTHER
from tests.operations.disks.watched import exhaust
from tests.reading import find, the
from tests.stock import a_disk, an_instance


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


def test_removes_the_disk_and_its_tags(cloud, disk):
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, "disk", disk.id, {"a": "b"}))

    answer = cloud.call("DeleteDisk", DiskId=disk.id)

    assert answer == {}
    assert find(cloud, disks, id=disk.id) is None
    assert find(cloud, tags.tags, resource=disk.id) is None


def test_gives_the_space_back(cloud, disk):
    cloud.call("DeleteDisk", DiskId=disk.id)
    sweep(cloud.ports)

    assert not cloud.ports.pool.exists(disk.volume)
    assert find(cloud, volumes, id=disk.volume) is None


def test_leaves_its_snapshots(cloud, disk):
    snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
    cloud.settle()

    cloud.call("DeleteDisk", DiskId=disk.id)
    sweep(cloud.ports)

    snapshot = the(cloud, snapshots, id=snapshot_id)
    assert snapshot.volume == disk.volume
    assert cloud.ports.pool.exists(disk.volume)


def test_leaves_nothing_of_a_growth_that_was_under_way(cloud, disk):
    cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)

    cloud.call("DeleteDisk", DiskId=disk.id)
    sweep(cloud.ports)
    exhaust(cloud)

    assert cloud.open_tasks() == []
    assert list(cloud.ports.pool.volumes()) == []


def test_removes_a_system_disk_that_was_detached(cloud):
    instance = an_instance(cloud)
    disk = the(cloud, disks, instance=instance.id)
    cloud.call("DetachDisk", InstanceId=instance.id, DiskId=disk.id)
    cloud.settle()

    cloud.call("DeleteDisk", DiskId=disk.id)

    assert find(cloud, disks, id=disk.id) is None


def test_refuses_an_unknown_disk(cloud):
    cloud.refuses("DeleteDisk", "InvalidDiskId.NotFound", 404, DiskId="d-unknown")


def test_refuses_the_disk_of_another_account(cloud, disk):
    cloud.refuses("DeleteDisk", "InvalidDiskId.NotFound", 404, DiskId=disk.id, account=OTHER)


def test_refuses_no_disk(cloud):
    cloud.refuses("DeleteDisk", "MissingParameter", 400)


@pytest.mark.parametrize("status", ["Attaching", "In_use", "Detaching", "ReIniting"])
def test_refuses_one_that_is_not_available(cloud, status):
    disk = a_disk(cloud, status=status)

    cloud.refuses("DeleteDisk", "IncorrectDiskStatus", 403, DiskId=disk.id)


def test_refuses_one_that_is_being_made(cloud):
    disk = a_disk(cloud, status="Creating")

    cloud.refuses("DeleteDisk", "IncorrectDiskStatus.Initializing", 403, DiskId=disk.id)


def test_refuses_the_system_disk_of_an_instance(cloud):
    instance = an_instance(cloud)

    cloud.refuses("DeleteDisk", "DiskTypeViolation", 403, DiskId=the(cloud, disks, instance=instance.id).id)


def test_refuses_one_that_a_snapshot_is_taken_of(cloud, disk):
    cloud.call("CreateSnapshot", DiskId=disk.id)

    cloud.refuses("DeleteDisk", "DiskCreatingSnapshot", 403, DiskId=disk.id)
