"""ResetDisk, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.units import GiB
from kiln.pools.errors import PoolFull
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER
from tests.reading import find, the
from tests.stock import a_disk, a_snapshot, an_instance


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


def snapshot_of(cloud, disk):
    snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
    cloud.settle()
    return the(cloud, snapshots, id=snapshot_id)


class TestResetting:
    def test_stands_on_the_snapshot_again(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)
        before = the(cloud, disks, id=disk.id)

        answer = cloud.call("ResetDisk", DiskId=disk.id, SnapshotId=snapshot.id)

        assert answer == {}
        assert the(cloud, disks, id=disk.id).status == DiskStatus.REINITING
        cloud.settle()
        after = the(cloud, disks, id=disk.id)
        assert after == replace(before, volume=after.volume)
        assert after.volume != before.volume
        assert cloud.ports.pool.parent(after.volume) == snapshot.volume
        sweep(cloud.ports)
        assert find(cloud, volumes, id=before.volume) is None
        assert not cloud.ports.pool.exists(before.volume)

    def test_is_in_use_again_on_a_stopped_instance(self, cloud):
        instance = an_instance(cloud)
        disk = the(cloud, disks, instance=instance.id)
        snapshot = snapshot_of(cloud, disk)

        cloud.call("ResetDisk", DiskId=disk.id, SnapshotId=snapshot.id)
        cloud.settle()

        after = the(cloud, disks, id=disk.id)
        assert (after.status, after.instance) == (DiskStatus.IN_USE, instance.id)

    def test_leaves_younger_snapshots(self, cloud, disk):
        old, young = snapshot_of(cloud, disk), snapshot_of(cloud, disk)

        cloud.call("ResetDisk", DiskId=disk.id, SnapshotId=old.id)
        cloud.settle()
        sweep(cloud.ports)

        assert cloud.ports.pool.exists(young.volume)
        assert the(cloud, snapshots, id=young.id) == young

    def test_keeps_the_size_to_which_it_has_grown(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)

        cloud.call("ResetDisk", DiskId=disk.id, SnapshotId=snapshot.id)
        cloud.settle()

        after = the(cloud, disks, id=disk.id)
        assert after.size_gib == 30
        assert cloud.ports.pool.size(after.volume) == the(cloud, volumes, id=after.volume).size_bytes == 30 * GiB

    def test_is_as_before_when_the_pool_is_full(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)
        before = the(cloud, disks, id=disk.id)
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        cloud.call("ResetDisk", DiskId=disk.id, SnapshotId=snapshot.id)
        cloud.settle()

        assert the(cloud, disks, id=disk.id) == before
        assert find(cloud, volumes, state="planned") is None
        assert the(cloud, tasks, action="ResetDisk").error_code == "ServiceUnavailable"


class TestDryRun:
    def test_says_that_all_is_well(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)

        cloud.refuses("ResetDisk", "DryRunOperation", 400, DiskId=disk.id, SnapshotId=snapshot.id, DryRun=True)

    def test_says_what_is_not(self, cloud, disk):
        cloud.refuses("ResetDisk", "InvalidSnapshotId.NotFound", 404, DiskId=disk.id, SnapshotId="s-1", DryRun=True)


class TestRefusals:
    def test_refuses_an_unknown_disk(self, cloud):
        cloud.refuses("ResetDisk", "InvalidDiskId.NotFound", 404, DiskId="d-unknown", SnapshotId="s-unknown")

    def test_refuses_the_disk_of_another_account(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)

        cloud.refuses("ResetDisk", "InvalidDiskId.NotFound", 404, DiskId=disk.id, SnapshotId=snapshot.id, account=OTHER)

    def test_refuses_an_unknown_snapshot(self, cloud, disk):
        cloud.refuses("ResetDisk", "InvalidSnapshotId.NotFound", 404, DiskId=disk.id, SnapshotId="s-unknown")

    def test_refuses_the_snapshot_of_another_account(self, cloud, disk):
        snapshot = a_snapshot(cloud, source_disk=disk.id, account=OTHER)

        cloud.refuses("ResetDisk", "InvalidSnapshotId.NotFound", 404, DiskId=disk.id, SnapshotId=snapshot.id)

    def test_refuses_the_snapshot_of_another_disk(self, cloud, disk):
        snapshot = a_snapshot(cloud)

        cloud.refuses("ResetDisk", "InvalidParameter.Mismatch", 403, DiskId=disk.id, SnapshotId=snapshot.id)

    @pytest.mark.parametrize("missing", ["DiskId", "SnapshotId"])
    def test_refuses_what_is_incomplete(self, cloud, missing):
        given = {"DiskId": "d-1", "SnapshotId": "s-1", missing: None}

        cloud.refuses("ResetDisk", "MissingParameter", 400, given)

    @pytest.mark.parametrize("status", ["progressing", "failed"])
    def test_refuses_a_snapshot_that_is_not_accomplished(self, cloud, disk, status):
        snapshot = a_snapshot(cloud, source_disk=disk.id, status=status)

        cloud.refuses("ResetDisk", "InvalidSnapshotId.NotReady", 403, DiskId=disk.id, SnapshotId=snapshot.id)

    def test_refuses_while_a_snapshot_is_taken(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)
        cloud.call("CreateSnapshot", DiskId=disk.id)
        given = {"DiskId": disk.id, "SnapshotId": snapshot.id}

        cloud.refuses("ResetDisk", "IncorrectDiskStatus.HasUnfinishedSnapshot", 403, given)

    @pytest.mark.parametrize("status", ["Creating", "Attaching", "Detaching"])
    def test_refuses_a_disk_that_is_on_its_way(self, cloud, status):
        disk = a_disk(cloud, status=status)
        snapshot = a_snapshot(cloud, source_disk=disk.id)

        cloud.refuses("ResetDisk", "IncorrectDiskStatus", 403, DiskId=disk.id, SnapshotId=snapshot.id)

    def test_refuses_a_disk_that_is_being_reset(self, cloud, disk):
        snapshot = snapshot_of(cloud, disk)
        cloud.call("ResetDisk", DiskId=disk.id, SnapshotId=snapshot.id)
        given = {"DiskId": disk.id, "SnapshotId": snapshot.id}

        cloud.refuses("ResetDisk", "InvalidOperation.DiskResetInProgress", 403, given)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Running", "Stopping"])
    def test_refuses_unless_the_instance_is_stopped(self, cloud, status):
        instance = an_instance(cloud, status=InstanceStatus(status))
        disk = the(cloud, disks, instance=instance.id)
        snapshot = a_snapshot(cloud, source_disk=disk.id)

        cloud.refuses("ResetDisk", "IncorrectInstanceStatus", 403, DiskId=disk.id, SnapshotId=snapshot.id)

    def test_refuses_when_the_instance_is_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")
        disk = the(cloud, disks, instance=instance.id)
        snapshot = a_snapshot(cloud, source_disk=disk.id)

        cloud.refuses("ResetDisk", "InstanceLockedForSecurity", 403, DiskId=disk.id, SnapshotId=snapshot.id)


class FullPool:
    """A pool that has no room for another volume."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def clone(self, layer, volume, size_bytes):
        raise PoolFull("no room")
