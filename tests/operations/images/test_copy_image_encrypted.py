"""CopyImage with Encrypted, and what is made of such a copy, as a caller meets them."""

from __future__ import annotations

import pytest

from kiln.ground.units import GiB
from kiln.operations.steps.encryption import key_of
from kiln.pools import overlay
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.transfers import transfer_lanes
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.kill.checks import image_holds, nothing_is_astray, nothing_is_halfway
from tests.kill.scenarios import DATA, SYSTEM, an_image_with, arrange_image_to_delete
from tests.operations.images.gallery import (
    FAR,
    a_bucket,
    a_disk_of,
    an_image,
    copied,
    share,
    shown,
    with_two_regions,
)
from tests.reading import every, find, the
from tests.ring import another
from tests.stock import a_snapshot

pytestmark = pytest.mark.qcow2

HERE, THERE = key_of(ACCOUNT, REGION), key_of(ACCOUNT, FAR)
TYPE = "ecs.t5-lc1m1.small"


@pytest.fixture
def cloud(cloud):
    return with_two_regions(cloud)


@pytest.fixture
def sealed(cloud):
    """The ID of an encrypted copy, within the region, of an image with two disks."""
    copy = copied(cloud, an_image_with(cloud, SYSTEM, DATA), None, Encrypted=True)
    cloud.settle()
    return copy


def mappings(cloud, image_id, **more):
    return shown(cloud, image_id, **more)["DiskDeviceMappings"]["DiskDeviceMapping"]


def keys_in_the_pool(cloud):
    """The keys of all volumes, by their IDs; "" of those that are not encrypted."""
    pool = cloud.ports.pool
    locks = {
        volume: overlay.read(path).lock
        for volume in pool.volumes()
        for path in pool.files(volume)
        if path.stem == volume
    }
    return {volume: "" if lock is None else lock.key for volume, lock in locks.items()}


def is_sound(cloud):
    sweep(cloud.ports)
    nothing_is_halfway(cloud)
    nothing_is_astray(cloud)
    return True


class TestACopy:
    def test_is_creating_and_then_reads_as_its_source_and_is_encrypted(self, cloud):
        source = an_image_with(cloud, SYSTEM, DATA)

        copy = copied(cloud, source, None, Encrypted=True)

        assert shown(cloud, copy)["Status"] == "Creating"
        cloud.settle()
        assert shown(cloud, copy)["Status"] == "Available"
        assert [disk["Encrypted"] for disk in mappings(cloud, copy)] == [True, True]
        assert [disk["Encrypted"] for disk in mappings(cloud, source)] == [False, False]
        image_holds(cloud, copy, [SYSTEM, DATA])
        told = cloud.call("DescribeSnapshots", Encrypted=True)["Snapshots"]["Snapshot"]
        assert [(one["Encrypted"], one["KMSKeyId"]) for one in told] == [(True, HERE)] * 2
        assert {the(cloud, volumes, id=the(cloud, snapshots, id=one["SnapshotId"]).volume).parent for one in told} == {
            None
        }
        assert cloud.call("DescribeSnapshots", KMSKeyId=THERE)["TotalCount"] == 0
        assert is_sound(cloud)

    def test_keeps_its_source_until_it_is_made(self, cloud):
        made = arrange_image_to_delete(cloud)
        copy = copied(cloud, made["image"], FAR, Encrypted=True, KMSKeyId=THERE, EncryptAlgorithm="AES-256")

        cloud.call("DeleteImage", ImageId=made["image"])
        for snapshot in made["snapshots"]:
            cloud.call("DeleteSnapshot", SnapshotId=snapshot)
        sweep(cloud.ports)
        cloud.settle()
        sweep(cloud.ports)

        image_holds(cloud, copy, [SYSTEM, DATA])
        assert set(keys_in_the_pool(cloud).values()) == {THERE}

    def test_leaves_nothing_when_it_is_cancelled(self, cloud):
        source = an_image_with(cloud, SYSTEM, DATA)
        copy = copied(cloud, source, None, Encrypted=True)

        cloud.call("CancelCopyImage", ImageId=copy)
        cloud.settle()
        sweep(cloud.ports)

        assert shown(cloud, copy) is None
        assert set(keys_in_the_pool(cloud).values()) == {""}
        assert len(every(cloud, volumes)) == 2

    def test_within_the_region_of_an_encrypted_image_is_a_name(self, cloud, sealed):
        before = every(cloud, volumes)

        copy = copied(cloud, sealed, None)

        assert shown(cloud, copy)["Status"] == "Available"
        assert [disk["Encrypted"] for disk in mappings(cloud, copy)] == [True, True]
        assert every(cloud, volumes) == before

    def test_in_another_region_of_an_encrypted_image_has_the_key_there(self, cloud, sealed):
        copy = copied(cloud, sealed)
        cloud.settle()

        image_holds(cloud, copy, [SYSTEM, DATA])
        told = cloud.call("DescribeSnapshots", RegionId=FAR)["Snapshots"]["Snapshot"]
        assert {one["KMSKeyId"] for one in told} == {THERE}
        assert sorted(keys_in_the_pool(cloud).values()) == sorted(["", "", HERE, HERE, THERE, THERE])

    def test_of_an_encrypted_image_is_not_plain(self, cloud, sealed):
        code = "OperationDeined.EncryptedSnapshot"
        cloud.refuses("CopyImage", code, 403, ImageId=sealed, Encrypted=False)
        (one, _) = cloud.call("DescribeSnapshots", Encrypted=True)["Snapshots"]["Snapshot"]
        cloud.refuses("CopySnapshot", code, 403, SnapshotId=one["SnapshotId"], Encrypted=False)

    def test_fails_and_says_so_where_the_key_is_another(self, cloud, sealed):
        right, cloud.ports.pool.keys = cloud.ports.pool.keys, another

        copy = copied(cloud, sealed)
        for _ in range(12):
            for task in cloud.open_tasks():
                cloud.worker.attempt(task)

        cloud.ports.pool.keys = right
        assert shown(cloud, copy, RegionId=FAR)["Status"] == "CreateFailed"
        image_holds(cloud, sealed, [SYSTEM, DATA])


class TestWhatIsMadeOfIt:
    def test_instances_have_encrypted_disks_and_so_have_their_images(self, cloud, sealed):
        run = cloud.call("RunInstances", ImageId=sealed, InstanceType=TYPE)
        (instance,) = run["InstanceIdSets"]["InstanceIdSet"]
        cloud.settle()
        told = cloud.call("DescribeDisks", InstanceId=instance, Encrypted=True, KMSKeyId=HERE)["Disks"]["Disk"]
        assert [(disk["Type"], disk["Encrypted"], disk["KMSKeyId"]) for disk in told] == [
            ("system", True, HERE),
            ("data", True, HERE),
        ]

        image = cloud.call("CreateImage", InstanceId=instance)["ImageId"]
        cloud.settle()

        assert [disk["Encrypted"] for disk in mappings(cloud, image)] == [True, True]
        image_holds(cloud, image, [SYSTEM, DATA])
        assert sorted(keys_in_the_pool(cloud).values()) == sorted(["", "", *[HERE] * 6])
        assert is_sound(cloud)

    def test_a_blank_disk_of_the_image_is_encrypted_too(self, cloud):
        source = an_image(cloud, (a_disk_of(None, a_snapshot(cloud).id), a_disk_of(None, "", 1, size_gib=40)))
        copy = copied(cloud, source.id, None, Encrypted=True)
        cloud.settle()

        cloud.call("RunInstances", ImageId=copy, InstanceType=TYPE)
        cloud.settle()

        assert {disk.kms_key for disk in every(cloud, disks)} == {HERE}
        keys = keys_in_the_pool(cloud)
        assert {keys[disk.volume] for disk in every(cloud, disks)} == {HERE}

    def test_goes_back_to_it_and_to_another_system_disk(self, cloud, sealed):
        plain = an_image_with(cloud, SYSTEM)
        run = cloud.call("RunInstances", ImageId=plain, InstanceType=TYPE)
        (instance,) = run["InstanceIdSets"]["InstanceIdSet"]
        cloud.settle()
        cloud.call("StopInstance", InstanceId=instance)
        cloud.settle()

        image = cloud.call("CopyImage", ImageId=plain, Encrypted=True)["ImageId"]
        cloud.settle()
        disk = cloud.call("ReplaceSystemDisk", InstanceId=instance, ImageId=image)["DiskId"]
        cloud.settle()
        cloud.call("ReInitDisk", DiskId=disk)
        cloud.settle()
        cloud.call("ResizeDisk", DiskId=disk, NewSize=60, Type="offline")
        cloud.settle()

        row = the(cloud, disks, id=disk)
        assert (row.kms_key, row.size_gib) == (HERE, 60)
        assert keys_in_the_pool(cloud)[row.volume] == HERE
        assert cloud.ports.pool.size(row.volume) == 60 * GiB

    def test_is_neither_exported_nor_shared(self, cloud, sealed):
        bucket = a_bucket(cloud)

        cloud.refuses("ExportImage", "ImageNotSupported", 400, ImageId=sealed, OSSBucket=bucket.name)
        added = {"AddAccount.1": OTHER}
        cloud.refuses("ModifyImageSharePermission", "AssumeRoleError", 403, added, ImageId=sealed)
        plain = an_image(cloud)
        share(cloud, plain.id)
        mine = cloud.call("CopyImage", account=OTHER, ImageId=plain.id, Encrypted=True)["ImageId"]
        cloud.settle()
        told = cloud.call("DescribeSnapshots", account=OTHER)["Snapshots"]["Snapshot"]
        assert [one["KMSKeyId"] for one in told] == [key_of(OTHER, REGION)]
        assert find(cloud, snapshots, id=told[0]["SnapshotId"]).made_for == mine

    def test_an_encrypted_data_snapshot_makes_no_system_disk(self, cloud):
        data = a_snapshot(cloud, source_disk_type="data")
        copy = cloud.call("CopySnapshot", SnapshotId=data.id, Encrypted=True)["SnapshotId"]
        cloud.settle()

        mapping = {"DiskDeviceMapping.1.SnapshotId": copy, "DiskDeviceMapping.1.DiskType": "system"}
        cloud.refuses("CreateImage", "InvalidParameter.DiskType", 400, mapping)
        assert cloud.call("DescribeSnapshots", Encrypted=True)["TotalCount"] == 1


def test_keeps_nobody_elses_lane_while_its_bytes_are_written(cloud):
    image, snapshot = an_image_with(cloud, SYSTEM), a_snapshot(cloud)
    for place in (None, FAR):
        copied(cloud, image, place, Encrypted=True)
    cloud.call("CopySnapshot", SnapshotId=snapshot.id, Encrypted=True)

    lanes = [task.lane for task in every(cloud, tasks) if task.action.startswith("Copy")]

    assert set(lanes) == set(transfer_lanes(ACCOUNT))
    assert len(lanes) == 3
    cloud.settle()
