"""ResizeDisk, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.states import InstanceStatus
from kiln.ground.units import GiB
from kiln.pools.errors import PoolFull
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.clouds import OTHER
from tests.operations.disks.watched import watch
from tests.reading import every, the
from tests.stock import a_disk, an_instance


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


class TestGrowing:
    def test_tells_the_size_at_once_and_grows_the_bytes_after(self, cloud, disk):
        answer = cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)

        assert answer == {"OrderId": ""}
        assert the(cloud, disks, id=disk.id) == replace(disk, size_gib=30)
        assert cloud.ports.pool.size(disk.volume) == 20 * GiB
        cloud.settle()
        assert cloud.ports.pool.size(disk.volume) == 30 * GiB
        assert the(cloud, volumes, id=disk.volume).size_bytes == 30 * GiB

    def test_grows_the_disk_of_a_stopped_instance(self, cloud):
        instance = an_instance(cloud)
        disk = the(cloud, disks, instance=instance.id)

        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)
        cloud.settle()

        assert cloud.ports.pool.size(disk.volume) == 30 * GiB

    @pytest.mark.parametrize("how", ["online", "offline"])
    def test_grows_the_disk_of_a_running_guest_through_its_machine(self, cloud, how):
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        disk = the(cloud, disks, instance=instance.id)
        machines = ResizingMachines.of(cloud)

        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30, Type=how)
        cloud.settle()

        assert machines.resized == [(cloud.ports.pool.node(disk.volume), 30 * GiB)]
        assert cloud.ports.pool.size(disk.volume) == 20 * GiB

    def test_grows_twice(self, cloud, disk):
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=40)
        cloud.settle()

        assert cloud.ports.pool.size(disk.volume) == 40 * GiB

    def test_comes_before_a_snapshot_that_is_asked_for_after(self, cloud, disk):
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)
        snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()

        snapshot = the(cloud, snapshots, id=snapshot_id)
        head = the(cloud, volumes, id=the(cloud, disks, id=disk.id).volume)
        assert (snapshot.source_disk_size_gib, snapshot.size_bytes) == (30, 30 * GiB)
        assert head.size_bytes == cloud.ports.pool.size(head.id) == 30 * GiB

    def test_goes_to_the_categorys_limit(self, cloud, disk):
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=32768)

        assert the(cloud, disks, id=disk.id).size_gib == 32768


class TestFailure:
    def test_tells_the_old_size_again_when_the_pool_is_full(self, cloud, disk):
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)
        cloud.settle()

        assert the(cloud, disks, id=disk.id) == disk
        assert the(cloud, volumes, id=disk.volume).size_bytes == 20 * GiB
        assert the(cloud, tasks).error_code == "ServiceUnavailable"

    def test_keeps_the_new_size_when_the_bytes_have_grown_all_the_same(self, cloud, disk):
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)
        cloud.ports.pool.resize(disk.volume, 30 * GiB)
        cloud.settle()

        assert the(cloud, disks, id=disk.id).size_gib == 30


class TestRefusals:
    def test_refuses_an_unknown_disk(self, cloud):
        cloud.refuses("ResizeDisk", "InvalidDiskId.NotFound", 404, DiskId="d-unknown", NewSize=30)

    def test_refuses_the_disk_of_another_account(self, cloud, disk):
        cloud.refuses("ResizeDisk", "InvalidDiskId.NotFound", 404, DiskId=disk.id, NewSize=30, account=OTHER)

    @pytest.mark.parametrize("missing", ["DiskId", "NewSize"])
    def test_refuses_what_is_incomplete(self, cloud, disk, missing):
        given = {"DiskId": disk.id, "NewSize": 30, missing: None}

        cloud.refuses("ResizeDisk", "MissingParameter", 400, given)

    @pytest.mark.parametrize(
        ("size", "code"),
        [(19, "InvalidDiskSize.TooSmall"), (20, "InvalidDiskSize"), (32769, "InvalidDiskSize.TooLarge")],
    )
    def test_refuses_a_size_that_is_not_more_or_too_much(self, cloud, disk, size, code):
        cloud.refuses("ResizeDisk", code, 403, DiskId=disk.id, NewSize=size)

    @pytest.mark.parametrize(
        ("category", "level", "size", "least"),
        [("cloud_efficiency", "", 19, 20), ("cloud", "", 4, 5), ("cloud_essd_entry", "", 9, 10),
         ("cloud_essd", "PL1", 19, 20), ("cloud_essd", "PL2", 460, 461), ("cloud_essd", "PL3", 1260, 1261)],
    )  # fmt: skip
    def test_refuses_a_data_disk_below_the_least_of_its_category(self, cloud, category, level, size, least):
        small = a_disk(cloud, size_gib=2, category=category, performance_level=level)

        refused = cloud.refuses(
            "ResizeDisk", "InvalidDataDiskSize.ValueNotSupported", 403, DiskId=small.id, NewSize=size
        )

        assert f"{least} to" in str(refused)
        cloud.call("ResizeDisk", DiskId=small.id, NewSize=least)

    @pytest.mark.parametrize("changes", [{"category": "cloud_essd", "performance_level": "PL0"}, {"type": "system"}])
    def test_takes_any_growth_where_there_is_no_least(self, cloud, changes):
        small = a_disk(cloud, size_gib=2, **changes)

        cloud.call("ResizeDisk", DiskId=small.id, NewSize=3)

    def test_refuses_an_unknown_type(self, cloud, disk):
        cloud.refuses("ResizeDisk", "InvalidParam.Type", 400, DiskId=disk.id, NewSize=30, Type="sideways")

    @pytest.mark.parametrize("status", ["Creating", "Attaching", "Detaching", "ReIniting"])
    def test_refuses_a_disk_that_is_on_its_way(self, cloud, status):
        disk = a_disk(cloud, status=status)

        cloud.refuses("ResizeDisk", "IncorrectDiskStatus", 403, DiskId=disk.id, NewSize=30)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping"])
    def test_refuses_while_the_instance_starts_or_stops(self, cloud, status):
        instance = an_instance(cloud, status=status)
        disk = the(cloud, disks, instance=instance.id)

        cloud.refuses("ResizeDisk", "IncorrectInstanceStatus", 403, DiskId=disk.id, NewSize=30)

    def test_refuses_when_the_instance_is_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")
        disk = the(cloud, disks, instance=instance.id)

        cloud.refuses("ResizeDisk", "InstanceLockedForSecurity", 403, DiskId=disk.id, NewSize=30)

    def test_refuses_online_unless_the_instance_runs(self, cloud, disk):
        instance = an_instance(cloud)
        attached = the(cloud, disks, instance=instance.id)

        for one in (disk, attached):
            cloud.refuses(
                "ResizeDisk", "InvalidInstanceStatus.NotRunning", 403, DiskId=one.id, NewSize=30, Type="online"
            )

    def test_refuses_while_a_snapshot_is_taken(self, cloud, disk):
        cloud.call("CreateSnapshot", DiskId=disk.id)

        cloud.refuses("ResizeDisk", "DiskCreatingSnapshot", 403, DiskId=disk.id, NewSize=30)

    def test_refuses_a_malformed_client_token(self, cloud, disk):
        given = {"DiskId": disk.id, "NewSize": 30, "ClientToken": "x" * 65}

        cloud.refuses("ResizeDisk", "InvalidClientToken.Malformed", 400, given)

    def test_refuses_a_client_token_with_other_parameters(self, cloud, disk):
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30, ClientToken="one")

        cloud.refuses("ResizeDisk", "IdempotentParameterMismatch", 400, DiskId=disk.id, NewSize=31, ClientToken="one")


def test_grows_once_for_one_client_token(cloud, disk):
    for _ in range(2):
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30, ClientToken="one")

    assert len(every(cloud, tasks)) == 1


class ResizingMachines:
    """Machines whose guests have every disk open."""

    kind = "none"

    def __init__(self, inner):
        self._inner = inner
        self.resized = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    @classmethod
    def of(cls, cloud):
        machines = cls(watch(cloud))
        cloud.refit(machines=machines)
        return machines

    def guest(self, instance):
        return self

    def has_node(self, node):
        return True

    def require_home(self, volumes, leads_home):
        return None

    def resize(self, node, size_bytes):
        self.resized.append((node, size_bytes))


class FullPool:
    """A pool in which nothing can grow."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def resize(self, volume, size_bytes, guest=None):
        raise PoolFull("no room")
