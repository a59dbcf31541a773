"""CopySnapshot, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Quotas
from kiln.declare.states import SnapshotStatus
from kiln.ground.clock import from_text
from kiln.pools.qcow2 import Qcow2Pool
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER, REGION
from tests.kill.checks import snapshot_holds
from tests.kill.scenarios import SYSTEM, a_snapshot_with
from tests.operations.images.gallery import FAR, with_two_regions
from tests.reading import every, find, the
from tests.stock import a_disk, a_snapshot


class Plain(Qcow2Pool):
    """Keeps nothing encrypted, as a pool on Ceph."""

    encrypts = False


@pytest.fixture
def cloud(cloud):
    return with_two_regions(cloud)


def copied(cloud, snapshot, region=FAR, **more):
    return cloud.call("CopySnapshot", SnapshotId=snapshot, DestinationRegionId=region, **more)["SnapshotId"]


def told(cloud, snapshot, region=FAR):
    found = cloud.call("DescribeSnapshots", RegionId=region, SnapshotIds=f'["{snapshot}"]')["Snapshots"]["Snapshot"]
    return found[0] if found else None


class TestCopies:
    def test_to_another_region_by_a_task(self, cloud):
        source = a_snapshot(cloud, name="of the source", source_disk_type="data")
        before = every(cloud, volumes)

        given = {"Tag.1.Key": "k", "Tag.1.Value": "v"}
        copy = copied(
            cloud,
            source.id,
            DestinationSnapshotName="of-the-copy",
            DestinationSnapshotDescription="a copy",
            RetentionDays=3,
            **given,
        )

        begun = told(cloud, copy)
        assert (begun["Status"], begun["Progress"], begun["Available"]) == ("progressing", "0%", False)
        cloud.settle()
        done = told(cloud, copy)
        assert (done["Status"], done["Progress"], done["Available"]) == ("accomplished", "100%", True)
        assert (done["SnapshotName"], done["Description"], done["RetentionDays"]) == ("of-the-copy", "a copy", 3)
        assert (done["SourceSnapshotId"], done["SourceRegionId"], done["SourceDiskId"]) == (source.id, REGION, "")
        assert (done["SourceDiskType"], done["SourceDiskSize"]) == ("data", "20")
        assert done["Tags"]["Tag"] == [{"TagKey": "k", "TagValue": "v"}]
        assert told(cloud, copy, REGION) is None
        assert every(cloud, volumes) == before

    @pytest.mark.parametrize("region", [None, REGION])
    def test_within_a_region_at_once(self, cloud, region):
        copy = copied(cloud, a_snapshot(cloud).id, region)

        assert cloud.open_tasks() == []
        assert told(cloud, copy, REGION)["Status"] == "accomplished"

    def test_and_the_layer_stays_with_whichever_is_left(self, cloud):
        source = a_snapshot_with(cloud, SYSTEM)
        copy = copied(cloud, source)

        cloud.call("DeleteSnapshot", SnapshotId=source)
        cloud.settle()
        sweep(cloud.ports)

        snapshot_holds(cloud, copy, SYSTEM)
        cloud.call("DeleteSnapshot", RegionId=FAR, SnapshotId=copy)
        sweep(cloud.ports)
        assert list(cloud.ports.pool.volumes()) == []

    def test_and_deleting_it_meanwhile_cancels_it(self, cloud):
        source = a_snapshot_with(cloud, SYSTEM)
        copy = copied(cloud, source)

        cloud.call("DeleteSnapshot", RegionId=FAR, SnapshotId=copy)
        cloud.settle()

        assert find(cloud, snapshots, id=copy) is None
        assert cloud.open_tasks() == []
        snapshot_holds(cloud, source, SYSTEM)

    def test_what_an_image_can_be_made_of_there(self, cloud):
        copy = copied(cloud, a_snapshot(cloud).id)
        cloud.settle()

        assert cloud.call("CreateImage", RegionId=FAR, SnapshotId=copy)

    def test_what_no_disk_is_reset_to(self, cloud):
        disk = a_disk(cloud)
        copy = copied(cloud, a_snapshot(cloud, source_disk=disk.id).id, None)

        cloud.refuses("ResetDisk", "InvalidParameter.Mismatch", 403, DiskId=disk.id, SnapshotId=copy)

    def test_of_a_released_system_disk_what_still_makes_no_image(self, cloud):
        copy = copied(cloud, a_snapshot(cloud, from_released_system=True).id, None)

        cloud.refuses("CreateImage", "OperationDenied", 403, SnapshotId=copy)


class TestRefuses:
    def test_what_is_not_there(self, cloud):
        source = a_snapshot(cloud)

        code = "InvalidSnapshotId.NotFound"
        cloud.refuses("CopySnapshot", code, 404, SnapshotId="s-unknown")
        cloud.refuses("CopySnapshot", code, 404, SnapshotId=source.id, RegionId=FAR)
        cloud.refuses("CopySnapshot", code, 404, SnapshotId=source.id, account=OTHER)
        code = "InvalidResourceGroup.NotFound"
        cloud.refuses("CopySnapshot", code, 404, SnapshotId=source.id, ResourceGroupId="rg-no")

    def test_regions_that_are_not_served(self, cloud):
        source = a_snapshot(cloud)

        cloud.refuses("CopySnapshot", "SourceRegion.NotFound", 400, SnapshotId=source.id, RegionId="nowhere")
        code = "DestinationRegion.NotFound"
        cloud.refuses("CopySnapshot", code, 400, SnapshotId=source.id, DestinationRegionId="nowhere")

    @pytest.mark.parametrize("status", ["progressing", "failed"])
    def test_a_snapshot_that_is_not_accomplished(self, cloud, status):
        source = a_snapshot(cloud, status=status, volume=None)

        cloud.refuses("CopySnapshot", "InvalidSnapshotId.NotReady", 403, SnapshotId=source.id)

    def test_one_that_is_too_old(self, cloud):
        source = a_snapshot(cloud, created_at=from_text("2013-07-15T00:00:00Z"))

        cloud.refuses("CopySnapshot", "InvalidSnapshot.TooOld", 403, SnapshotId=source.id)

    def test_what_belongs_to_encryption(self, cloud):
        source = a_snapshot(cloud)

        unknown = {"Encrypted": True, "KMSKeyId": "k"}
        cloud.refuses("CopySnapshot", "InvalidParameter.KMSKeyId.NotFound", 404, unknown, SnapshotId=source.id)
        cloud.refuses("CopySnapshot", "InvalidParameter.EncryptedIllegal", 400, SnapshotId=source.id, KMSKeyId="k")

    def test_encryption_where_the_pool_keeps_nothing_encrypted(self, cloud):
        source = a_snapshot(cloud)
        cloud.refit(pool=Plain(cloud.folder / "pool"))

        code = "InvalidRegionId.NotSupportEncryptAlgorithm"
        cloud.refuses("CopySnapshot", code, 403, SnapshotId=source.id, Encrypted=True)

    def test_tags_that_make_no_sense(self, cloud):
        source = a_snapshot(cloud)

        cloud.refuses("CopySnapshot", "InvalidTagKey.Malformed", 400, {"Tag.1.Value": "v"}, SnapshotId=source.id)
        twice = {"Tag.1.Key": "k", "Tag.2.Key": "k"}
        cloud.refuses("CopySnapshot", "Duplicate.TagKey", 400, twice, SnapshotId=source.id)

    def test_more_than_the_quota_there(self, cloud):
        source = a_snapshot(cloud)
        with_two_regions(cloud, quotas=Quotas(snapshots=1))

        cloud.refuses("CopySnapshot", "QuotaExceed.Snapshot", 403, SnapshotId=source.id)
        copied(cloud, source.id)
        cloud.refuses("CopySnapshot", "QuotaExceed.Snapshot", 403, SnapshotId=source.id, DestinationRegionId=FAR)


def test_fails_when_the_layer_is_gone(cloud):
    source = a_snapshot(cloud)
    copy = copied(cloud, source.id)
    cloud.ports.pool.drop(source.volume)

    for _ in range(12):
        for task in cloud.open_tasks():
            cloud.worker.attempt(task)

    failed = the(cloud, snapshots, id=copy)
    assert (failed.status, failed.volume) == (SnapshotStatus.FAILED, None)


def test_a_token_gives_the_same_copy_again(cloud):
    source = a_snapshot(cloud)

    first = copied(cloud, source.id, ClientToken="once")

    assert copied(cloud, source.id, ClientToken="once") == first
    code = "IdempotentParameterMismatch"
    cloud.refuses("CopySnapshot", code, 400, SnapshotId=source.id, ClientToken="once")


def test_rehearses_when_asked(cloud):
    source = a_snapshot(cloud)

    cloud.refuses("CopySnapshot", "DryRunOperation", 400, SnapshotId=source.id, DryRun=True)
