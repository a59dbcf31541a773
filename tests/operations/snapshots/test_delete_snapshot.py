"""DeleteSnapshot, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import SnapshotStatus
from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER
from tests.reading import find, the
from tests.stock import a_disk, a_snapshot, an_instance


def test_removes_the_snapshot_and_its_tags(cloud):
    snapshot = a_snapshot(cloud)
    cloud.ports.database.write(lambda tx: tags.put(tx, snapshot.account, "snapshot", snapshot.id, {"a": "b"}))

    answer = cloud.call("DeleteSnapshot", SnapshotId=snapshot.id)

    assert answer == {}
    assert find(cloud, snapshots, id=snapshot.id) is None
    assert find(cloud, tags.tags, resource=snapshot.id) is None


def test_gives_the_space_back(cloud):
    snapshot = a_snapshot(cloud)

    cloud.call("DeleteSnapshot", SnapshotId=snapshot.id)
    sweep(cloud.ports)

    assert not cloud.ports.pool.exists(snapshot.volume)
    assert find(cloud, volumes, id=snapshot.volume) is None


@pytest.mark.parametrize("status", ["failed", "progressing"])
def test_removes_one_that_is_not_accomplished(cloud, status):
    snapshot = a_snapshot(cloud, status=status)

    cloud.call("DeleteSnapshot", SnapshotId=snapshot.id)

    assert find(cloud, snapshots, id=snapshot.id) is None


def test_cancels_one_that_is_progressing_and_the_disk_goes_on(cloud):
    disk = a_disk(cloud)
    snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]

    cloud.call("DeleteSnapshot", SnapshotId=snapshot_id)
    cloud.settle()

    assert find(cloud, snapshots, id=snapshot_id) is None
    assert cloud.ports.pool.exists(the(cloud, disks, id=disk.id).volume)
    assert cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]


@pytest.mark.parametrize("force", [True, False])
def test_refuses_one_that_an_image_stands_on(cloud, force):
    snapshot = a_snapshot(cloud)
    cloud.call("CreateImage", SnapshotId=snapshot.id)
    cloud.settle()

    cloud.refuses("DeleteSnapshot", "SnapshotCreatedImage", 403, SnapshotId=snapshot.id, Force=force)


def test_refuses_one_that_an_image_is_being_made_of(cloud):
    instance = an_instance(cloud)
    cloud.call("CreateImage", InstanceId=instance.id)
    snapshot = the(cloud, snapshots, instance=instance.id)
    assert snapshot.status == SnapshotStatus.PROGRESSING

    cloud.refuses("DeleteSnapshot", "SnapshotCreatedImage", 403, SnapshotId=snapshot.id)


def test_refuses_one_that_a_disk_was_made_of(cloud):
    snapshot = a_snapshot(cloud)
    a_disk(cloud, source_snapshot=snapshot.id)

    cloud.refuses("DeleteSnapshot", "SnapshotCreatedDisk", 403, SnapshotId=snapshot.id)


def test_removes_one_that_a_disk_was_made_of_by_force(cloud):
    snapshot = a_snapshot(cloud)
    disk = a_disk(cloud, source_snapshot=snapshot.id)

    cloud.call("DeleteSnapshot", SnapshotId=snapshot.id, Force=True)

    assert find(cloud, snapshots, id=snapshot.id) is None
    assert the(cloud, disks, id=disk.id) == disk


def test_finds_it_whatever_region_is_named(cloud):
    """Packer deletes what a copy stood on with the region that it builds in."""
    snapshot = a_snapshot(cloud, region="cn-hangzhou")

    cloud.call("DeleteSnapshot", SnapshotId=snapshot.id)

    assert find(cloud, snapshots, id=snapshot.id) is None


def test_refuses_an_unknown_snapshot(cloud):
    cloud.refuses("DeleteSnapshot", "InvalidSnapshotId.NotFound", 404, SnapshotId="s-unknown")


def test_refuses_the_snapshot_of_another_account(cloud):
    snapshot = a_snapshot(cloud)

    cloud.refuses("DeleteSnapshot", "InvalidSnapshotId.NotFound", 404, SnapshotId=snapshot.id, account=OTHER)


def test_refuses_no_snapshot(cloud):
    refused = cloud.refuses("DeleteSnapshot", "MissingParameter", 400)

    assert "SnapshotId" in str(refused)
