"""DeleteInstance, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.machines.errors import MachineSilent
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.tags import put, tags
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, OTHER
from tests.operations.disks.watched import exhaust, run
from tests.operations.instances.things import Machines, outlive_kills, shown, status_of, watched
from tests.reading import every, the
from tests.stock import an_instance


def a_running_instance(cloud, **more):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, **more)
    run(cloud, instance.id)
    return instance.id


def keep(cloud, instance, kind):
    """Have the instance's disk of that type outlive it."""
    cloud.ports.database.write(
        lambda tx: disks.update(tx, {"delete_with_instance": False}, instance=instance, type=kind)
    )
    return the(cloud, disks, instance=instance, type=kind)


def test_removes_the_instance_and_its_disks(cloud):
    instance = an_instance(cloud, data_disks=2).id

    cloud.call("DeleteInstance", InstanceId=instance)

    assert status_of(cloud, instance) == "Stopping"
    cloud.settle()
    assert shown(cloud, instance) is None
    assert every(cloud, disks) == []
    sweep(cloud.ports)
    assert every(cloud, volumes) == []
    assert list(cloud.ports.pool.volumes()) == []


def test_removes_the_run_folder(cloud):
    instance = a_running_instance(cloud)

    cloud.call("DeleteInstance", InstanceId=instance, Force=True)
    cloud.settle()

    assert cloud.ports.machines.console(instance) == b""
    assert not (cloud.folder / "run" / instance).exists()


def test_removes_tags_of_the_instance_and_its_disks(cloud):
    instance = an_instance(cloud).id
    disk = every(cloud, disks, instance=instance)[0].id

    def label(tx):
        put(tx, ACCOUNT, "instance", instance, {"a": "b"})
        put(tx, ACCOUNT, "disk", disk, {"a": "b"})

    cloud.ports.database.write(label)

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()

    assert every(cloud, tags) == []


@pytest.mark.parametrize(("said", "forced"), [({}, True), ({"ForceStop": False}, False)])
def test_stops_a_running_instance_first(cloud, said, forced):
    machines = watched(cloud)
    instance = a_running_instance(cloud)

    cloud.call("DeleteInstance", InstanceId=instance, Force=True, **said)
    cloud.settle()

    assert machines.stopped == [(instance, forced)]
    assert shown(cloud, instance) is None


def test_keeps_a_data_disk_that_shall_stay(cloud):
    instance = an_instance(cloud, data_disks=1).id
    kept = keep(cloud, instance, "data")

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()

    disk = the(cloud, disks, id=kept.id)
    assert (disk.status, disk.instance, disk.device) == (DiskStatus.AVAILABLE, None, "")
    assert (disk.type, disk.was_system, disk.volume) == ("data", False, kept.volume)
    assert disk.detached_at is not None
    sweep(cloud.ports)
    assert list(cloud.ports.pool.volumes()) == [kept.volume]


def test_makes_a_data_disk_of_a_system_disk_that_stays(cloud):
    instance = an_instance(cloud).id
    kept = keep(cloud, instance, "system")

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()

    disk = the(cloud, disks, id=kept.id)
    assert (disk.status, disk.type, disk.was_system) == (DiskStatus.AVAILABLE, "data", True)


def test_makes_a_data_disk_of_a_system_disk_that_was_detached_before(cloud):
    instance = an_instance(cloud).id
    system = the(cloud, disks, instance=instance, type="system")
    cloud.call("DetachDisk", InstanceId=instance, DiskId=system.id)
    cloud.settle()

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()

    assert the(cloud, disks, id=system.id).type == "data"
    snapshot = cloud.call("CreateSnapshot", DiskId=system.id)["SnapshotId"]
    cloud.settle()
    refused = cloud.refuses("CreateImage", "OperationDenied", 403, SnapshotId=snapshot)
    assert str(refused) == "The specified snapshot is not allowed to create image."


def test_lets_nobody_take_a_kept_disk_before_the_machine_is_gone(cloud):
    instance = a_running_instance(cloud, data_disks=1)
    kept = keep(cloud, instance, "data")

    cloud.call("DeleteInstance", InstanceId=instance, Force=True)

    assert the(cloud, disks, id=kept.id).status == DiskStatus.DETACHING


def test_keeps_all_when_the_machine_does_not_stop(cloud):
    class Deaf(Machines):
        def stop(self, instance, force):
            raise MachineSilent("no answer")

    instance = a_running_instance(cloud, data_disks=1)
    cloud.refit(machines=Deaf(cloud.folder / "run"))

    cloud.call("DeleteInstance", InstanceId=instance, Force=True)
    exhaust(cloud)

    assert status_of(cloud, instance) == "Running"
    assert {disk.status for disk in every(cloud, disks)} == {DiskStatus.IN_USE}
    assert every(cloud, tasks)[0].status == "Failed"


def test_outlives_kills(cloud):
    kept = []

    def begin():
        instance = a_running_instance(cloud, data_disks=1)
        kept.append(keep(cloud, instance, "data").volume)
        cloud.call("DeleteInstance", InstanceId=instance, Force=True)
        return instance

    def judge(instance):
        assert shown(cloud, instance) is None
        assert not (cloud.folder / "run" / instance).exists()
        assert cloud.open_tasks() == []

    outlive_kills(cloud, begin, judge, least=6)
    sweep(cloud.ports)
    assert sorted(cloud.ports.pool.volumes()) == sorted(kept)
    assert {disk.status for disk in every(cloud, disks)} == {DiskStatus.AVAILABLE}


class TestRefuses:
    def test_a_dry_run_that_would_succeed(self, cloud):
        cloud.refuses("DeleteInstance", "DryRunOperation", 400, InstanceId=an_instance(cloud).id, DryRun=True)

    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses("DeleteInstance", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine = an_instance(cloud).id

        cloud.refuses("DeleteInstance", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    def test_a_running_instance_without_force(self, cloud):
        instance = a_running_instance(cloud)

        cloud.refuses("DeleteInstance", "IncorrectInstanceStatus", 403, InstanceId=instance)

    def test_an_instance_that_is_being_stopped(self, cloud):
        instance = an_instance(cloud, status=InstanceStatus.STOPPING)

        cloud.refuses("DeleteInstance", "IncorrectInstanceStatus", 403, InstanceId=instance.id, Force=True)

    @pytest.mark.parametrize("status", [InstanceStatus.PENDING, InstanceStatus.STARTING])
    def test_an_instance_that_is_being_made_or_started(self, cloud, status):
        instance = an_instance(cloud, status=status)

        cloud.refuses("DeleteInstance", "IncorrectInstanceStatus.Initializing", 403, InstanceId=instance.id, Force=True)

    def test_an_instance_with_a_disk_on_its_way(self, cloud):
        instance = an_instance(cloud)
        cloud.ports.database.write(lambda tx: disks.update(tx, {"status": DiskStatus.REINITING}, instance=instance.id))

        cloud.refuses("DeleteInstance", "IncorrectInstanceStatus", 403, InstanceId=instance.id)

    def test_a_protected_instance(self, cloud):
        instance = an_instance(cloud, deletion_protection=True)

        cloud.refuses("DeleteInstance", "InvalidOperation.DeletionProtection", 403, InstanceId=instance.id)
        assert len(every(cloud, instances)) == 1

    def test_a_locked_instance(self, cloud):
        instance = an_instance(cloud, lock_reason="security")

        cloud.refuses("DeleteInstance", "InstanceLockedForSecurity", 403, InstanceId=instance.id)
