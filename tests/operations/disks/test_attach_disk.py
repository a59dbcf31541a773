"""AttachDisk, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.store.disks import disks
from kiln.store.tasks import tasks
from tests.clouds import OTHER, REGION
from tests.operations.disks.watched import exhaust, run, watch
from tests.reading import the
from tests.stock import a_disk, an_instance


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


@pytest.fixture
def instance(cloud):
    return an_instance(cloud)


def attach(cloud, instance, disk, **more):
    return cloud.call("AttachDisk", InstanceId=instance.id, DiskId=disk.id, **more)


class TestAttaching:
    def test_is_attaching_at_once_and_in_use_when_done(self, cloud, instance, disk):
        answer = attach(cloud, instance, disk)

        assert answer == {}
        assert the(cloud, disks, id=disk.id).status == DiskStatus.ATTACHING
        cloud.settle()
        attached = the(cloud, disks, id=disk.id)
        assert (attached.status, attached.instance, attached.device) == (DiskStatus.IN_USE, instance.id, "/dev/xvdb")
        assert attached.attached_at is not None

    def test_plugs_it_into_a_running_machine(self, cloud, disk):
        machines = watch(cloud)
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        run(cloud, instance.id)

        attach(cloud, instance, disk)
        cloud.settle()

        ((where, drive),) = machines.attached
        node = cloud.ports.pool.node(disk.volume)
        assert (where, drive.node, drive.device) == (instance.id, node, "/dev/xvdb")
        assert (drive.serial, len(drive.serial)) == (disk.id.removeprefix("d-"), 20)
        assert drive.blockdevs == tuple(cloud.ports.pool.blockdevs(disk.volume))
        assert drive.blockdevs[-1]["node-name"] == node

    def test_leaves_it_to_the_next_start_when_no_machine_runs(self, cloud, instance, disk):
        machines = watch(cloud)

        attach(cloud, instance, disk)
        cloud.settle()

        assert machines.attached == []
        assert the(cloud, disks, id=disk.id).status == DiskStatus.IN_USE

    def test_leaves_it_to_the_next_start_when_the_machine_has_just_died(self, cloud, disk):
        machines = watch(cloud)
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        run(cloud, instance.id)
        machines.has_died = True

        attach(cloud, instance, disk)
        cloud.settle()

        assert the(cloud, disks, id=disk.id).status == DiskStatus.IN_USE

    def test_gives_the_next_free_device(self, cloud, instance):
        taken = a_disk(cloud, instance=instance.id, device="/dev/xvdc", status="In_use")
        first, second = a_disk(cloud), a_disk(cloud)

        attach(cloud, instance, first)
        attach(cloud, instance, second)

        devices = [the(cloud, disks, id=one.id).device for one in (taken, first, second)]
        assert devices == ["/dev/xvdc", "/dev/xvdb", "/dev/xvdd"]

    @pytest.mark.parametrize("wanted", ["/dev/vdf", "/dev/xvdf"])
    def test_takes_a_device_in_both_spellings(self, cloud, instance, disk, wanted):
        attach(cloud, instance, disk, Device=wanted)

        assert the(cloud, disks, id=disk.id).device == "/dev/xvdf"

    @pytest.mark.parametrize(("asked", "got"), [(None, False), (False, False), (True, True)])
    def test_says_whether_it_goes_with_the_instance(self, cloud, instance, disk, asked, got):
        attach(cloud, instance, disk, DeleteWithInstance=asked)

        assert the(cloud, disks, id=disk.id).delete_with_instance is got

    def test_lets_a_new_disk_be_captured_from_now_on(self, cloud, instance):
        disk = a_disk(cloud, ever_attached=False)

        attach(cloud, instance, disk)
        cloud.settle()

        assert cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]

    def test_waits_until_a_snapshot_of_the_free_disk_is_done(self, cloud, instance, disk):
        machines = watch(cloud)
        run(cloud, instance.id)
        cloud.call("CreateSnapshot", DiskId=disk.id)
        attach(cloud, instance, disk)
        capture, attachment = cloud.worker.claim(cloud.clock())

        cloud.worker.attempt(attachment)
        assert the(cloud, disks, id=disk.id).status == DiskStatus.ATTACHING
        cloud.worker.attempt(capture)
        exhaust(cloud)

        attached = the(cloud, disks, id=disk.id)
        assert attached.status == DiskStatus.IN_USE
        assert [drive.node for _, drive in machines.attached] == [cloud.ports.pool.node(attached.volume)]
        assert attached.volume != disk.volume

    def test_is_available_again_when_the_machine_refuses_it(self, cloud, disk):
        machines = watch(cloud)
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        run(cloud, instance.id)
        machines.takes = False

        attach(cloud, instance, disk)
        exhaust(cloud)

        after = the(cloud, disks, id=disk.id)
        assert (after.status, after.instance, after.device) == (DiskStatus.AVAILABLE, None, "")
        assert machines.detached == [(instance.id, cloud.ports.pool.node(disk.volume))]
        assert the(cloud, tasks, resource=disk.id).status == "Failed"


class TestASystemDisk:
    def detached(self, cloud, instance):
        disk = the(cloud, disks, instance=instance.id, type="system")
        cloud.call("DetachDisk", InstanceId=instance.id, DiskId=disk.id)
        cloud.settle()
        return disk

    def test_goes_back_to_its_instance(self, cloud, instance):
        disk = self.detached(cloud, instance)

        attach(cloud, instance, disk, Bootable=True)
        cloud.settle()

        back = the(cloud, disks, id=disk.id)
        assert (back.status, back.type, back.device) == (DiskStatus.IN_USE, "system", "/dev/xvda")

    def test_goes_back_after_it_was_another_ones_data_disk(self, cloud, instance):
        disk = self.detached(cloud, instance)
        rescuer = an_instance(cloud)

        attach(cloud, rescuer, disk)
        cloud.settle()
        rescued = the(cloud, disks, id=disk.id)
        cloud.call("DetachDisk", InstanceId=rescuer.id, DiskId=disk.id)
        cloud.settle()
        attach(cloud, instance, disk, Bootable=True)
        cloud.settle()

        assert (rescued.type, rescued.device) == ("data", "/dev/xvdb")
        assert the(cloud, disks, id=disk.id).type == "system"

    def test_refuses_another_instance(self, cloud, instance):
        disk = self.detached(cloud, instance)
        other = an_instance(cloud, system_disk=False)

        cloud.refuses(
            "AttachDisk", "InvalidInstance.NotOriginInstance", 400, InstanceId=other.id, DiskId=disk.id, Bootable=True
        )

    def test_refuses_a_disk_that_was_none(self, cloud, disk):
        bare = an_instance(cloud, system_disk=False)

        cloud.refuses(
            "AttachDisk", "InvalidDisk.DiskNotBootable", 400, InstanceId=bare.id, DiskId=disk.id, Bootable=True
        )

    def test_refuses_a_running_instance(self, cloud, instance):
        disk = self.detached(cloud, instance)
        running = an_instance(cloud, status=InstanceStatus.RUNNING)

        cloud.refuses(
            "AttachDisk", "IncorrectInstanceStatus", 400, InstanceId=running.id, DiskId=disk.id, Bootable=True
        )

    def test_refuses_where_there_is_one_already(self, cloud, instance):
        disk = self.detached(cloud, instance)
        a_disk(cloud, type="system", instance=instance.id, device="/dev/xvda", status="In_use")

        cloud.refuses("AttachDisk", "InvalidDevice.InUse", 403, InstanceId=instance.id, DiskId=disk.id, Bootable=True)


class TestRefusals:
    @pytest.mark.parametrize("account", [None, OTHER])
    def test_refuses_an_instance_that_is_not_ones_own(self, cloud, instance, disk, account):
        unseen = instance.id if account else "i-unknown"

        cloud.refuses(
            "AttachDisk", "InvalidInstanceId.NotFound", 404, InstanceId=unseen, DiskId=disk.id, account=account
        )

    def test_refuses_an_unknown_disk(self, cloud, instance):
        cloud.refuses("AttachDisk", "InvalidDiskId.NotFound", 404, InstanceId=instance.id, DiskId="d-unknown")

    def test_refuses_the_disk_of_another_account(self, cloud, instance):
        disk = a_disk(cloud, account=OTHER)

        cloud.refuses("AttachDisk", "InvalidDiskId.NotFound", 404, InstanceId=instance.id, DiskId=disk.id)

    @pytest.mark.parametrize("missing", ["InstanceId", "DiskId"])
    def test_refuses_what_is_incomplete(self, cloud, missing):
        given = {"InstanceId": "i-1", "DiskId": "d-1", missing: None}

        cloud.refuses("AttachDisk", "MissingParameter", 400, given)

    @pytest.mark.parametrize("status", ["Creating", "Attaching", "In_use", "Detaching", "ReIniting"])
    def test_refuses_a_disk_that_is_not_available(self, cloud, instance, status):
        disk = a_disk(cloud, status=status)

        cloud.refuses("AttachDisk", "IncorrectDiskStatus", 403, InstanceId=instance.id, DiskId=disk.id)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping"])
    def test_refuses_an_instance_that_starts_or_stops(self, cloud, disk, status):
        instance = an_instance(cloud, status=status)

        cloud.refuses("AttachDisk", "IncorrectInstanceStatus", 400, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_an_instance_locked_for_security(self, cloud, disk):
        instance = an_instance(cloud, lock_reason="security")

        cloud.refuses("AttachDisk", "InstanceLockedForSecurity", 403, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_a_disk_that_is_not_portable(self, cloud, instance):
        disk = a_disk(cloud, portable=False)

        cloud.refuses("AttachDisk", "DiskNotPortable", 403, InstanceId=instance.id, DiskId=disk.id)

    def test_refuses_a_disk_in_another_zone(self, cloud, instance):
        disk = a_disk(cloud, zone=REGION + "-b")

        cloud.refuses("AttachDisk", "ResourcesNotInSameZone", 403, InstanceId=instance.id, DiskId=disk.id)

    @pytest.mark.parametrize("device", ["/dev/xvda", "/dev/sdb", "xvdb", "/dev/xvdbb"])
    def test_refuses_a_malformed_device(self, cloud, instance, disk, device):
        given = {"InstanceId": instance.id, "DiskId": disk.id, "Device": device}

        cloud.refuses("AttachDisk", "InvalidDevice.Malformed", 400, given)

    def test_refuses_a_device_that_is_taken(self, cloud, disk):
        instance = an_instance(cloud, data_disks=1)
        given = {"InstanceId": instance.id, "DiskId": disk.id, "Device": "/dev/vdb"}

        cloud.refuses("AttachDisk", "InvalidDevice.InUse", 403, given)

    def test_refuses_an_18th_disk(self, cloud, disk):
        instance = an_instance(cloud, data_disks=16)

        cloud.refuses("AttachDisk", "InstanceDiskLimitExceeded", 403, InstanceId=instance.id, DiskId=disk.id)

    @pytest.mark.parametrize("login", [{"Password": "An0ther-one"}, {"KeyPairName": "mine"}], ids=list)
    def test_refuses_a_login_that_it_would_not_set(self, cloud, instance, disk, login):
        """It was taken and dropped: who attached a system disk with a password could not log in with it."""
        given = {"InstanceId": instance.id, "DiskId": disk.id, **login}

        cloud.refuses("AttachDisk", "InvalidParameter", 400, given)
