"""Automatic snapshots: taken once for each disk at each hour of its policy."""

from __future__ import annotations

import logging

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.upkeep.keeper import CHORES, release_snapshots
from kiln.upkeep.scheduled import Scheduler
from tests.reading import every, the
from tests.stock import a_disk, a_policy, a_snapshot, an_instance

HOUR, DAY = 3600, 86400
MONDAY = 1_794_844_800.0  #: 2026-11-16T16:00Z, which is Tuesday's first hour in UTC+8.


@pytest.fixture(autouse=True)
def beginning(cloud):
    """It is the beginning of Tuesday, in UTC+8."""
    cloud.clock.now = MONDAY


def a_disk_with(cloud, **changes):
    """A disk whose policy, of these fields, it was given an hour ago."""
    policy = a_policy(cloud, **changes)
    return a_disk(cloud, snapshot_policy=policy.id, snapshots_until=cloud.clock.now - HOUR), policy


def test_a_snapshot_is_taken_at_the_hour_and_named_for_its_policy(cloud):
    disk, policy = a_disk_with(cloud, hours="0", weekdays="2")

    assert Scheduler()(cloud.ports) == [disk.id]
    cloud.settle()

    (shown,) = cloud.call("DescribeSnapshots", SnapshotType="auto")["Snapshots"]["Snapshot"]
    assert shown["SnapshotName"] == f"auto2.0_20261117_{policy.id}"
    assert (shown["SnapshotType"], shown["Status"], shown["SourceDiskId"]) == ("auto", "accomplished", disk.id)
    assert shown["RetentionDays"] == 7


@pytest.mark.parametrize(
    ("hours", "weekdays", "is_due"),
    [("0", "2", True), ("1", "2", False), ("0,23", "1,2", True), ("0", "1,3,4,5,6,7", False), ("16", "1", False)],
)
def test_hours_and_days_are_those_of_china(cloud, hours, weekdays, is_due):
    a_disk_with(cloud, hours=hours, weekdays=weekdays)

    assert bool(Scheduler()(cloud.ports)) == is_due


def test_every_hour_of_a_day_and_every_day_of_a_week_comes(cloud):
    disk, _ = a_disk_with(cloud, hours="5", weekdays="1,4,7")
    scheduler, taken = Scheduler(), []

    for _ in range(7 * 24):
        taken += scheduler(cloud.ports)
        cloud.settle()
        cloud.clock.now += HOUR

    assert taken == [disk.id] * 3


def test_an_hour_is_done_once(cloud):
    a_disk_with(cloud)
    scheduler = Scheduler()
    assert scheduler(cloud.ports)
    cloud.settle()

    for later in (10, 1800, 1700):
        cloud.clock.now += later
        assert scheduler(cloud.ports) == Scheduler()(cloud.ports) == []
    cloud.clock.now += 100
    assert scheduler(cloud.ports)


class TestWhatWasMissed:
    def test_within_the_hour_is_made_up_for_once(self, cloud):
        a_disk_with(cloud, hours="0")
        cloud.clock.now += HOUR - 5

        assert Scheduler()(cloud.ports)

    def test_for_longer_is_not(self, cloud):
        a_disk_with(cloud, hours="0")
        cloud.clock.now += HOUR

        assert Scheduler()(cloud.ports) == []

    def test_by_a_clock_that_is_set_forward_is_one_snapshot(self, cloud):
        disk, _ = a_disk_with(cloud)
        scheduler = Scheduler()
        cloud.clock.now += 30 * DAY

        assert scheduler(cloud.ports) == [disk.id]
        cloud.settle()
        assert scheduler(cloud.ports) == []

    def test_by_a_clock_that_is_set_back_is_taken_by_its_new_time(self, cloud):
        disk, _ = a_disk_with(cloud)
        cloud.clock.now += 30 * DAY
        Scheduler()(cloud.ports)
        cloud.settle()
        cloud.clock.now -= 30 * DAY

        assert Scheduler()(cloud.ports) == [disk.id]

    def test_by_a_clock_that_is_corrected_is_not_done_twice(self, cloud):
        a_disk_with(cloud)
        Scheduler()(cloud.ports)
        cloud.settle()
        cloud.clock.now = MONDAY - 2
        assert Scheduler()(cloud.ports) == []
        cloud.clock.now = MONDAY + 2

        assert Scheduler()(cloud.ports) == []

    def test_before_the_policy_was_given_is_not(self, cloud):
        disk, policy = a_disk(cloud), a_policy(cloud)
        cloud.clock.now += 60
        given = {"autoSnapshotPolicyId": policy.id, "diskIds": f'["{disk.id}"]'}
        cloud.call("ApplyAutoSnapshotPolicy", given)

        assert Scheduler()(cloud.ports) == []
        cloud.clock.now += HOUR
        assert Scheduler()(cloud.ports) == [disk.id]

    def test_before_the_policy_was_changed_is_not(self, cloud):
        disk, policy = a_disk_with(cloud, hours="7")
        cloud.clock.now += 60
        given = {"autoSnapshotPolicyId": policy.id, "timePoints": '["0","1"]'}
        cloud.call("ModifyAutoSnapshotPolicyEx", given)

        assert Scheduler()(cloud.ports) == []
        cloud.clock.now += HOUR
        assert Scheduler()(cloud.ports) == [disk.id]


class TestWhatIsRefused:
    def test_is_asked_for_again_within_the_hour(self, cloud, caplog):
        instance = an_instance(cloud, status=InstanceStatus.STOPPING)
        disk = the(cloud, disks, instance=instance.id)
        policy = a_policy(cloud)
        cloud.ports.database.write(lambda tx: disks.update(tx, {"snapshot_policy": policy.id}, id=disk.id))
        scheduler = Scheduler()
        with caplog.at_level(logging.WARNING, "kiln.upkeep"):
            assert scheduler(cloud.ports) == scheduler(cloud.ports) == []
        stopped = {"status": InstanceStatus.STOPPED}
        cloud.ports.database.write(lambda tx: instances.update(tx, stopped, id=instance.id))

        assert scheduler(cloud.ports) == [disk.id]
        assert [record.getMessage() for record in caplog.records].count("auto_snapshot_put_off") == 1

    def test_holds_up_no_other_disk(self, cloud):
        policy = a_policy(cloud)
        a_disk(cloud, snapshot_policy=policy.id, ever_attached=False)
        other = a_disk(cloud, snapshot_policy=policy.id)

        assert Scheduler()(cloud.ports) == [other.id]


def test_nothing_is_taken_of_a_disk_whose_policy_is_not_heeded(cloud):
    disk, _ = a_disk_with(cloud)
    cloud.call("ModifyDiskAttribute", DiskId=disk.id, EnableAutoSnapshot=False)

    assert Scheduler()(cloud.ports) == []


def test_what_is_kept_for_good_has_no_days(cloud):
    a_disk_with(cloud, retention_days=-1)
    Scheduler()(cloud.ports)
    cloud.settle()
    cloud.clock.now += 70_000 * DAY

    assert the(cloud, snapshots).retention_days == 0
    assert release_snapshots(cloud.ports) == []


def test_what_is_kept_for_days_goes_after_them(cloud):
    a_disk_with(cloud)
    Scheduler()(cloud.ports)
    cloud.settle()
    cloud.clock.now += 8 * DAY

    released = release_snapshots(cloud.ports)

    assert len(released) == 1
    assert every(cloud, snapshots) == []


class TestADiskThatGoes:
    def of(self, cloud, disk):
        return [a_snapshot(cloud, source_disk=disk.id, snapshot_policy=policy).id for policy in ("sp-1", "sp-1", "")]

    def test_takes_its_automatic_snapshots_along_when_that_is_asked_for(self, cloud):
        disk = a_disk(cloud)
        cloud.call("ModifyDiskAttribute", DiskId=disk.id, DeleteAutoSnapshot=True)
        kept, _, own = self.of(cloud, disk)
        cloud.call("CreateImage", SnapshotId=kept)

        cloud.call("DeleteDisk", DiskId=disk.id)

        assert {row.id for row in every(cloud, snapshots)} == {kept, own}

    def test_leaves_them_otherwise(self, cloud):
        disk = a_disk(cloud)
        taken = self.of(cloud, disk)

        cloud.call("DeleteDisk", DiskId=disk.id)

        assert {row.id for row in every(cloud, snapshots)} == set(taken)

    def test_does_so_with_its_instance_and_when_it_is_replaced(self, cloud):
        image = cloud.call("CreateImage", SnapshotId=a_snapshot(cloud).id)["ImageId"]
        for action, more in (("DeleteInstance", {}), ("ReplaceSystemDisk", {"ImageId": image})):
            instance = an_instance(cloud)
            disk = the(cloud, disks, instance=instance.id)
            chosen = {"drops_auto_snapshots": True, "snapshot_policy": "sp-1"}
            cloud.ports.database.write(lambda tx, disk=disk, chosen=chosen: disks.update(tx, chosen, id=disk.id))
            *_, own = self.of(cloud, disk)

            cloud.call(action, InstanceId=instance.id, **more)
            cloud.settle()

            assert [row.id for row in every(cloud, snapshots, source_disk=disk.id)] == [own]
            assert every(cloud, disks, snapshot_policy="sp-1") == []


def test_is_a_chore_that_comes_within_seconds_of_the_hour():
    (chore,) = (chore for chore in CHORES if chore.name == "take_snapshots")

    assert isinstance(chore.do, Scheduler)
    assert chore.every_seconds <= 15
