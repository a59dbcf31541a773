"""DetachDisk, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.store.disks import disks
from tests.clouds import OTHER
from tests.operations.disks.watched import exhaust, run, watch
from tests.reading import the
from tests.stock import a_disk, an_instance


@pytest.fixture
def instance(cloud):
    return an_instance(cloud, data_disks=1)


@pytest.fixture
def disk(cloud, instance):
    return the(cloud, disks, instance=instance.id, type="data")


def detach(cloud, disk):
    return cloud.call("DetachDisk", InstanceId=disk.instance, DiskId=disk.id)


class TestDetaching:
    def test_is_detaching_at_once_and_available_when_done(self, cloud, disk):
        answer = detach(cloud, disk)

        assert answer == {}
        assert the(cloud, disks, id=disk.id).status == DiskStatus.DETACHING
        cloud.settle()
        free = the(cloud, disks, id=disk.id)
        assert (free.status, free.instance, free.device, free.volume) == (
            DiskStatus.AVAILABLE, None, "", disk.volume,
        )  # fmt: skip
        assert free.detached_at is not None

    def test_pulls_it_out_of_a_running_machine(self, cloud):
        machines = watch(cloud)
        instance = an_instance(cloud, data_disks=1, status=InstanceStatus.RUNNING)
        run(cloud, instance.id)
        disk = the(cloud, disks, instance=instance.id, type="data")

        detach(cloud, disk)
        cloud.settle()

        assert machines.detached == [(instance.id, cloud.ports.pool.node(disk.volume))]

    def test_is_done_when_the_machine_has_just_died(self, cloud, instance, disk):
        machines = watch(cloud)
        run(cloud, instance.id)
        machines.has_died = True

        detach(cloud, disk)
        cloud.settle()

        assert the(cloud, disks, id=disk.id).status == DiskStatus.AVAILABLE

    def test_comes_after_a_snapshot_that_was_asked_for_before(self, cloud, disk):
        cloud.call("CreateSnapshot", DiskId=disk.id)

        detach(cloud, disk)
        cloud.settle()

        free = the(cloud, disks, id=disk.id)
        assert free.status == DiskStatus.AVAILABLE
        assert cloud.ports.pool.parent(free.volume) == disk.volume

    def test_is_in_use_again_when_the_guest_does_not_let_go(self, cloud, instance, disk):
        machines = watch(cloud)
        run(cloud, instance.id)
        machines.lets_go = False

        detach(cloud, disk)
        exhaust(cloud)

        back = the(cloud, disks, id=disk.id)
        assert (back.status, back.instance) == (DiskStatus.IN_USE, instance.id)
        assert [drive.node for _, drive in machines.attached] == [cloud.ports.pool.node(disk.volume)]

    def test_remembers_whose_system_disk_it_was(self, cloud, instance):
        disk = the(cloud, disks, instance=instance.id, type="system")

        detach(cloud, disk)
        cloud.settle()

        free = the(cloud, disks, id=disk.id)
        assert (free.status, free.type, free.home) == (DiskStatus.AVAILABLE, "system", instance.id)


class TestRefusals:
    def test_refuses_an_unknown_instance(self, cloud, disk):
        cloud.refuses("DetachDisk", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown", DiskId=disk.id)

    def test_refuses_the_instance_of_another_account(self, cloud, disk):
        given = {"InstanceId": disk.instance, "DiskId": disk.id}

        cloud.refuses("DetachDisk", "InvalidInstanceId.NotFound", 404, given, account=OTHER)

    def test_refuses_an_unknown_disk(self, cloud, instance):
        cloud.refuses("DetachDisk", "InvalidDiskId.NotFound", 404, InstanceId=instance.id, DiskId="d-unknown")

    def test_refuses_the_disk_of_another_account(self, cloud, instance):
        disk = a_disk(cloud, account=OTHER)

        cloud.refuses("DetachDisk", "InvalidDiskId.NotFound", 404, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_a_disk_that_nothing_has(self, cloud, instance):
        disk = a_disk(cloud)

        cloud.refuses("DetachDisk", "InvalidDisk.AlreadyDetached", 404, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_a_disk_that_another_instance_has(self, cloud, disk):
        other = an_instance(cloud)

        cloud.refuses("DetachDisk", "DependencyViolation", 403, InstanceId=other.id, DiskId=disk.id)

    @pytest.mark.parametrize("status", ["Attaching", "Detaching", "ReIniting"])
    def test_refuses_a_disk_that_is_on_its_way(self, cloud, instance, status):
        disk = a_disk(cloud, instance=instance.id, status=status)

        cloud.refuses("DetachDisk", "IncorrectDiskStatus", 403, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_a_disk_that_is_being_made(self, cloud, instance):
        disk = a_disk(cloud, status="Creating")

        cloud.refuses("DetachDisk", "IncorrectDiskStatus", 403, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_a_disk_that_is_not_portable(self, cloud, instance):
        disk = a_disk(cloud, instance=instance.id, status="In_use", portable=False)

        cloud.refuses("DetachDisk", "DiskNotPortable", 403, InstanceId=instance.id, DiskId=disk.id)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping"])
    def test_refuses_while_the_instance_starts_or_stops(self, cloud, status):
        instance = an_instance(cloud, status=status)
        disk = a_disk(cloud, instance=instance.id, status="In_use")

        cloud.refuses("DetachDisk", "IncorrectInstanceStatus", 403, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_the_system_disk_of_a_running_instance(self, cloud):
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        disk = the(cloud, disks, instance=instance.id)

        cloud.refuses("DetachDisk", "IncorrectInstanceStatus", 403, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_an_instance_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")
        disk = the(cloud, disks, instance=instance.id)

        cloud.refuses("DetachDisk", "InstanceLockedForSecurity", 403, InstanceId=instance.id, DiskId=disk.id)
