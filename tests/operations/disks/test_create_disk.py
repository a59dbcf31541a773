"""CreateDisk, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.units import GiB
from kiln.pools.errors import PoolFull
from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER, REGION
from tests.operations.disks.watched import exhaust, run, watch
from tests.reading import every, find, the
from tests.stock import a_disk, a_snapshot, an_instance

ZONE = REGION + "-a"


def create(cloud, params=None, /, **more):
    return cloud.call("CreateDisk", {"ZoneId": ZONE, **(params or {})}, **more)["DiskId"]


class TestABlankDisk:
    def test_is_creating_at_once_and_available_when_its_volume_is_there(self, cloud):
        answer = cloud.call("CreateDisk", ZoneId=ZONE, Size=20)

        disk = the(cloud, disks, id=answer["DiskId"])
        assert answer["OrderId"] == ""
        assert (disk.status, disk.volume) == (DiskStatus.CREATING, None)
        cloud.settle()
        disk = the(cloud, disks, id=answer["DiskId"])
        assert disk.status == DiskStatus.AVAILABLE
        assert cloud.ports.pool.size(disk.volume) == 20 * GiB
        volume = the(cloud, volumes, id=disk.volume)
        assert (volume.state, volume.kind, volume.task, volume.parent) == ("ready", "head", None, None)

    def test_is_what_was_asked_for(self, cloud):
        disk_id = create(
            cloud,
            {"Tag.1.Key": "team", "Tag.1.Value": "db"},
            Size=30,
            DiskCategory="cloud_essd",
            DiskName="data",
            Description="for the tables",
            ResourceGroupId="rg-tests",
        )

        disk = the(cloud, disks, id=disk_id)
        assert (disk.zone, disk.type, disk.category, disk.size_gib) == (ZONE, "data", "cloud_essd", 30)
        assert (disk.name, disk.description, disk.resource_group) == ("data", "for the tables", "rg-tests")
        assert (disk.performance_level, disk.portable, disk.ever_attached) == ("PL1", True, False)
        assert the(cloud, tags.tags, resource=disk_id).value == "db"

    def test_is_an_ordinary_cloud_disk_when_nothing_else_is_said(self, cloud):
        assert the(cloud, disks, id=create(cloud, Size=5)).category == "cloud"

    @pytest.mark.parametrize(
        ("category", "level", "least", "most"),
        [
            ("cloud", None, 5, 2000),
            ("cloud_efficiency", None, 20, 32768),
            ("cloud_ssd", None, 20, 32768),
            ("cloud_essd", "PL0", 1, 65536),
            ("cloud_essd", None, 20, 65536),
            ("cloud_essd", "PL2", 461, 65536),
            ("cloud_essd", "PL3", 1261, 65536),
            ("cloud_auto", None, 1, 65536),
            ("cloud_essd_entry", None, 10, 32768),
        ],
    )
    def test_is_within_its_categorys_limits(self, cloud, category, level, least, most):
        wanted = {"ZoneId": ZONE, "DiskCategory": category, "PerformanceLevel": level}

        for size in (least - 1, most + 1):
            if size > 0:
                cloud.refuses("CreateDisk", "InvalidSize.ValueNotSupported", 400, wanted, Size=size)
        for size in (least, most):
            assert the(cloud, disks, id=create(cloud, wanted, Size=size)).size_gib == size


class TestOfASnapshot:
    def test_reads_as_the_snapshot_and_copies_nothing(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=30)

        disk_id = create(cloud, SnapshotId=snapshot.id)
        cloud.settle()

        disk = the(cloud, disks, id=disk_id)
        assert (disk.size_gib, disk.source_snapshot) == (30, snapshot.id)
        assert cloud.ports.pool.parent(disk.volume) == snapshot.volume == the(cloud, volumes, id=disk.volume).parent

    @pytest.mark.parametrize(("asked", "got"), [(None, 30), (0, 30), (20, 30), (50, 50)])
    def test_is_at_least_as_big_as_the_snapshot(self, cloud, asked, got):
        snapshot = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=30)

        disk_id = create(cloud, SnapshotId=snapshot.id, Size=asked)
        cloud.settle()

        disk = the(cloud, disks, id=disk_id)
        assert disk.size_gib == got
        assert cloud.ports.pool.size(disk.volume) == got * GiB

    def test_is_at_least_as_big_as_its_category_allows(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=5)

        disk_id = create(cloud, SnapshotId=snapshot.id, DiskCategory="cloud_efficiency")

        assert the(cloud, disks, id=disk_id).size_gib == 20

    def test_stands_though_the_snapshot_is_deleted_before_it_is_made(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data")

        disk_id = create(cloud, SnapshotId=snapshot.id)
        cloud.call("DeleteSnapshot", SnapshotId=snapshot.id, Force=True)
        sweep(cloud.ports)
        exhaust(cloud)

        assert the(cloud, disks, id=disk_id).status == DiskStatus.AVAILABLE

    def test_refuses_an_unknown_snapshot(self, cloud):
        cloud.refuses("CreateDisk", "InvalidSnapshotId.NotFound", 404, ZoneId=ZONE, SnapshotId="s-unknown")

    def test_refuses_the_snapshot_of_another_account(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data")

        cloud.refuses(
            "CreateDisk", "InvalidSnapshotId.NotFound", 404, ZoneId=ZONE, SnapshotId=snapshot.id, account=OTHER
        )

    def test_refuses_one_that_is_not_accomplished(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data", status="progressing")

        cloud.refuses("CreateDisk", "InvalidSnapshotId.NotReady", 403, ZoneId=ZONE, SnapshotId=snapshot.id)

    def test_refuses_a_system_disks_snapshot(self, cloud):
        snapshot = a_snapshot(cloud)

        cloud.refuses("CreateDisk", "InvalidSnapshotId.NotDataDiskSnapshot", 403, ZoneId=ZONE, SnapshotId=snapshot.id)

    def test_refuses_one_that_is_too_big_for_the_category(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=2001)

        cloud.refuses("CreateDisk", "InvalidSize.ValueNotSupported", 400, ZoneId=ZONE, SnapshotId=snapshot.id)


class TestForAnInstance:
    def test_is_attached_as_soon_as_it_is_there(self, cloud):
        machines = watch(cloud)
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        run(cloud, instance.id)

        disk_id = cloud.call("CreateDisk", InstanceId=instance.id, Size=20)["DiskId"]
        cloud.settle()

        disk = the(cloud, disks, id=disk_id)
        assert (disk.status, disk.instance, disk.device) == (DiskStatus.IN_USE, instance.id, "/dev/xvdb")
        assert (disk.zone, disk.ever_attached) == (instance.zone, True)
        ((where, drive),) = machines.attached
        assert (where, drive.node) == (instance.id, cloud.ports.pool.node(disk.volume))
        assert drive.device == "/dev/xvdb"

    def test_waits_for_the_next_start_of_a_stopped_one(self, cloud):
        machines = watch(cloud)
        instance = an_instance(cloud)

        disk_id = cloud.call("CreateDisk", InstanceId=instance.id, Size=20)["DiskId"]
        cloud.settle()

        assert the(cloud, disks, id=disk_id).status == DiskStatus.IN_USE
        assert machines.attached == []

    def test_is_gone_when_the_machine_does_not_take_it(self, cloud):
        machines = watch(cloud)
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        run(cloud, instance.id)
        machines.takes = False

        disk_id = cloud.call("CreateDisk", InstanceId=instance.id, Size=20)["DiskId"]
        exhaust(cloud)

        assert find(cloud, disks, id=disk_id) is None
        assert the(cloud, tasks, resource=disk_id).status == "Failed"

    def test_refuses_an_unknown_instance(self, cloud):
        cloud.refuses("CreateDisk", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown", Size=20)

    def test_refuses_the_instance_of_another_account(self, cloud):
        instance = an_instance(cloud)

        cloud.refuses("CreateDisk", "InvalidInstanceId.NotFound", 404, InstanceId=instance.id, Size=20, account=OTHER)

    def test_refuses_a_zone_beside_it(self, cloud):
        instance = an_instance(cloud)
        both = {"ZoneId": ZONE, "InstanceId": instance.id}

        cloud.refuses("CreateDisk", "InvalidParam.ZoneIdAndInstanceId.Conflict", 403, both, Size=20)

    def test_refuses_one_that_starts(self, cloud):
        instance = an_instance(cloud, status=InstanceStatus.STARTING)

        cloud.refuses("CreateDisk", "IncorrectInstanceStatus", 403, InstanceId=instance.id, Size=20)

    def test_refuses_one_that_is_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")

        cloud.refuses("CreateDisk", "InstanceLockedForSecurity", 403, InstanceId=instance.id, Size=20)

    def test_refuses_one_with_17_disks(self, cloud):
        instance = an_instance(cloud, system_disk=False)
        for letter in "abcdefghijklmnopq":
            a_disk(cloud, instance=instance.id, device=f"/dev/xvd{letter}", status="In_use")

        cloud.refuses("CreateDisk", "InstanceDiskLimitExceeded", 403, InstanceId=instance.id, Size=20)


class TestRefusals:
    def test_refuses_neither_size_nor_snapshot(self, cloud):
        refused = cloud.refuses("CreateDisk", "MissingParameter", 400, ZoneId=ZONE)

        assert '"SnapshotId" or "Size"' in str(refused)

    def test_refuses_neither_zone_nor_instance(self, cloud):
        refused = cloud.refuses("CreateDisk", "MissingParameter", 400, Size=20)

        assert "ZoneId" in str(refused)

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ZoneId": "nowhere-a"}, "InvalidZoneId.NotFound", 404),
            ({"DiskCategory": "floppy"}, "InvalidDiskCategory.ValueNotSupported", 400),
            ({"DiskName": "1st"}, "InvalidDiskName.Malformed", 400),
            ({"Description": "x"}, "InvalidDescription.Malformed", 400),
            ({"ResourceGroupId": "rg-unknown"}, "InvalidResourceGroup.NotFound", 404),
            ({"Tag.1.Value": "x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "acs:x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "x", "Tag.1.Value": "acs:x"}, "InvalidTagValue.Malformed", 400),
            ({"Tag.1.Key": "x", "Tag.2.Key": "x"}, "Duplicate.TagKey", 400),
            ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "QuotaExceed.Tags", 403),
            ({"ClientToken": "x" * 65}, "InvalidClientToken.Malformed", 400),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("CreateDisk", code, status, {"ZoneId": ZONE, "Size": 20, **params})


class TestClientToken:
    def test_answers_a_repetition_with_the_same_disk(self, cloud):
        first = create(cloud, Size=20, ClientToken="one")

        assert create(cloud, Size=20, ClientToken="one") == first
        assert len(every(cloud, disks)) == 1

    def test_refuses_the_token_with_other_parameters(self, cloud):
        create(cloud, Size=20, ClientToken="one")

        cloud.refuses("CreateDisk", "IdempotentParameterMismatch", 400, ZoneId=ZONE, Size=21, ClientToken="one")


class FullPool:
    """A pool that has no room for another volume."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def create(self, volume, size_bytes, key=""):
        raise PoolFull("no room")


def test_is_gone_when_the_pool_is_full(cloud):
    cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

    disk_id = create(cloud, {"Tag.1.Key": "x"}, Size=20)
    cloud.settle()

    assert find(cloud, disks, id=disk_id) is None
    assert every(cloud, tags.tags) == []
    assert the(cloud, volumes).state == "doomed"
    assert the(cloud, tasks).error_code == "ServiceUnavailable"
