"""ReInitDisk, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.pools.errors import PoolFull
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER
from tests.kill.checks import disk_holds
from tests.kill.scenarios import DATA, LATER, SYSTEM, an_image_with, fill
from tests.reading import every, find, the
from tests.stock import a_disk, a_key_pair, a_snapshot, an_instance
from tests.tools import needs

TYPE = "ecs.t5-lc1m1.small"


@pytest.fixture
def image(cloud):
    needs("qemu-img", "qemu-io")
    return an_image_with(cloud, SYSTEM, DATA)


@pytest.fixture
def instance(cloud, image):
    return an_instance_of(cloud, image)


def an_instance_of(cloud, image, **params):
    """A stopped instance that was made of the image, all of whose disks were written since."""
    account = params.pop("account", None)
    more = params.pop("more", {})
    answer = cloud.call("CreateInstance", more, ImageId=image, InstanceType=TYPE, account=account, **params)
    cloud.settle()
    for disk in every(cloud, disks, instance=answer["InstanceId"]):
        fill(cloud, disk.volume, LATER)
    return answer["InstanceId"]


def system_of(cloud, instance):
    return the(cloud, disks, instance=instance, type="system")


def data_of(cloud, instance, device="/dev/xvdb"):
    return the(cloud, disks, instance=instance, device=device)


def back(cloud, disk, **params):
    answer = cloud.call("ReInitDisk", DiskId=disk.id, **params)
    cloud.settle()
    assert answer == {}
    return the(cloud, disks, id=disk.id)


class TestGoingBack:
    def test_puts_a_system_disk_back_to_its_image(self, cloud, instance):
        before = system_of(cloud, instance)

        after = back(cloud, before)

        assert after == replace(before, volume=after.volume)
        disk_holds(cloud, after.id, SYSTEM)
        disk_holds(cloud, data_of(cloud, instance).id, LATER)
        sweep(cloud.ports)
        assert find(cloud, volumes, id=before.volume) is None

    def test_is_re_initing_meanwhile(self, cloud, instance):
        disk = system_of(cloud, instance)

        cloud.call("ReInitDisk", DiskId=disk.id)

        assert the(cloud, disks, id=disk.id).status == DiskStatus.REINITING

    def test_puts_a_data_disk_back_to_its_snapshot(self, cloud, instance):
        disk_holds(cloud, back(cloud, data_of(cloud, instance)).id, DATA)

    def test_empties_a_data_disk_that_was_blank(self, cloud, image):
        added = {"DataDisk.1.Size": 20, "DataDisk.1.Device": "/dev/xvdc"}
        instance = an_instance_of(cloud, image, more=added)

        after = back(cloud, data_of(cloud, instance, "/dev/xvdc"))

        disk_holds(cloud, after.id, [0])
        assert cloud.ports.pool.parent(after.volume) is None

    def test_empties_a_blank_disk_that_is_where_the_images_was(self, cloud, image):
        added = {"DataDisk.1.Size": 20, "DataDisk.1.Device": "/dev/xvdc"}
        instance = an_instance_of(cloud, image, more=added)
        blank = data_of(cloud, instance, "/dev/xvdc")
        for disk in (data_of(cloud, instance), blank):
            cloud.call("DetachDisk", InstanceId=instance, DiskId=disk.id)
            cloud.settle()
        cloud.call("AttachDisk", InstanceId=instance, DiskId=blank.id, Device="/dev/xvdb")
        cloud.settle()

        after = back(cloud, the(cloud, disks, id=blank.id))

        disk_holds(cloud, after.id, [0])

    def test_puts_the_disks_of_a_shared_image_back_to_it(self, cloud, image):
        cloud.call("ModifyImageSharePermission", {"AddAccount.1": OTHER}, ImageId=image)
        instance = an_instance_of(cloud, image, account=OTHER)

        for disk, held in ((system_of(cloud, instance), SYSTEM), (data_of(cloud, instance), DATA)):
            cloud.call("ReInitDisk", DiskId=disk.id, account=OTHER)
            cloud.settle()
            disk_holds(cloud, disk.id, held)

    def test_puts_a_disk_of_a_shared_image_back_to_it_wherever_it_is_attached(self, cloud, image):
        cloud.call("ModifyImageSharePermission", {"AddAccount.1": OTHER}, ImageId=image)
        instance = an_instance_of(cloud, image, account=OTHER)
        disk = data_of(cloud, instance)
        for action, more in (("DetachDisk", {}), ("AttachDisk", {"Device": "/dev/xvdc"})):
            cloud.call(action, more, InstanceId=instance, DiskId=disk.id, account=OTHER)
            cloud.settle()

        cloud.call("ReInitDisk", DiskId=disk.id, account=OTHER)
        cloud.settle()

        disk_holds(cloud, disk.id, DATA)

    def test_keeps_the_size_to_which_it_has_grown_and_its_snapshots(self, cloud, instance):
        disk = data_of(cloud, instance)
        snapshot = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=30)

        after = back(cloud, disk)

        assert after.size_gib == 30
        assert cloud.ports.pool.size(after.volume) == 30 << 30
        assert cloud.ports.pool.exists(the(cloud, snapshots, id=snapshot).volume)

    def test_starts_the_instance_when_that_is_asked_for(self, cloud, instance):
        back(cloud, system_of(cloud, instance), AutoStartInstance=True)

        assert the(cloud, instances, id=instance).status == InstanceStatus.RUNNING

    def test_leaves_a_start_that_was_asked_for_meanwhile_alone(self, cloud, instance):
        cloud.call("ReInitDisk", DiskId=system_of(cloud, instance).id, AutoStartInstance=True)
        cloud.call("StartInstance", InstanceId=instance)
        cloud.settle()

        assert len(every(cloud, tasks, action="StartInstance")) == 1

    def test_gives_the_instance_a_password_and_a_key_pair(self, cloud, instance):
        a_key_pair(cloud)

        back(cloud, system_of(cloud, instance), Password="EcsV587!", KeyPairName="ops")

        row = the(cloud, instances, id=instance)
        assert (row.password, row.key_pair, row.ever_started) == ("sealed:EcsV587!", "ops", False)
        assert row.password_due

    @pytest.mark.parametrize("inherit", [True, False])
    def test_gives_the_instance_the_password_that_it_had(self, cloud, instance, inherit):
        cloud.ports.database.write(lambda tx: instances.update(tx, {"password_inherit": inherit}, id=instance))

        back(cloud, system_of(cloud, instance))

        row = the(cloud, instances, id=instance)
        assert (row.password, row.password_inherit, row.password_due) == ("", inherit, not inherit)

    def test_leaves_password_and_key_pair_alone_with_a_data_disk(self, cloud, instance):
        before = the(cloud, instances, id=instance)

        back(cloud, data_of(cloud, instance), Password="EcsV587!", KeyPairName="nobodys")

        assert the(cloud, instances, id=instance) == before

    def test_is_as_before_when_the_pool_is_full(self, cloud, instance):
        before = system_of(cloud, instance)
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        after = back(cloud, before, AutoStartInstance=True)

        assert after == before
        assert find(cloud, volumes, state="planned") is None
        assert the(cloud, tasks, action="ReInitDisk").error_code == "ServiceUnavailable"
        assert the(cloud, instances, id=instance).status == InstanceStatus.STOPPED


class TestClientToken:
    def test_is_done_once(self, cloud, instance):
        disk = system_of(cloud, instance)
        back(cloud, disk, ClientToken="one")
        fill(cloud, system_of(cloud, instance).volume, LATER)

        after = back(cloud, disk, ClientToken="one")

        disk_holds(cloud, after.id, LATER)

    def test_refuses_the_token_with_other_parameters(self, cloud, instance):
        back(cloud, system_of(cloud, instance), ClientToken="one")
        other = {"DiskId": data_of(cloud, instance).id, "ClientToken": "one"}

        cloud.refuses("ReInitDisk", "IdempotentParameterMismatch", 400, other)


class TestRefusals:
    def test_refuses_an_unknown_disk(self, cloud):
        cloud.refuses("ReInitDisk", "InvalidDiskId.NotFound", 404, DiskId="d-unknown")

    def test_refuses_the_disk_of_another_account(self, cloud, instance):
        cloud.refuses("ReInitDisk", "InvalidDiskId.NotFound", 404, DiskId=system_of(cloud, instance).id, account=OTHER)

    def test_refuses_no_disk(self, cloud):
        cloud.refuses("ReInitDisk", "MissingParameter", 400)

    @pytest.mark.parametrize("status", ["Available", "Creating", "Attaching", "Detaching", "ReIniting"])
    def test_refuses_a_disk_that_no_instance_uses(self, cloud, status):
        disk = a_disk(cloud, status=status)

        cloud.refuses("ReInitDisk", "IncorrectDiskStatus", 403, DiskId=disk.id)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Running", "Stopping"])
    def test_refuses_unless_the_instance_is_stopped(self, cloud, status):
        disk = the(cloud, disks, instance=an_instance(cloud, status=InstanceStatus(status)).id)

        cloud.refuses("ReInitDisk", "IncorrectInstanceStatus", 403, DiskId=disk.id)

    def test_refuses_when_the_instance_is_locked_for_security(self, cloud):
        disk = the(cloud, disks, instance=an_instance(cloud, lock_reason="security").id)

        cloud.refuses("ReInitDisk", "InstanceLockedForSecurity", 403, DiskId=disk.id)

    def test_refuses_to_start_what_has_no_system_disk(self, cloud):
        disk = the(cloud, disks, instance=an_instance(cloud, data_disks=1, system_disk=False).id)

        cloud.refuses("ReInitDisk", "IncorrectInstanceStatus", 403, DiskId=disk.id, AutoStartInstance=True)

    def test_refuses_while_a_snapshot_is_taken(self, cloud, instance):
        disk = system_of(cloud, instance)
        cloud.call("CreateSnapshot", DiskId=disk.id)

        cloud.refuses("ReInitDisk", "DiskCreatingSnapshot", 403, DiskId=disk.id)

    def test_refuses_a_system_disk_whose_image_is_gone(self, cloud, instance, image):
        cloud.call("DeleteImage", ImageId=image, Force=True)

        cloud.refuses("ReInitDisk", "OperationDenied", 403, DiskId=system_of(cloud, instance).id)

    def test_refuses_a_system_disk_whose_image_is_not_shared_any_more(self, cloud, image):
        cloud.call("ModifyImageSharePermission", {"AddAccount.1": OTHER}, ImageId=image)
        disk = system_of(cloud, an_instance_of(cloud, image, account=OTHER))
        cloud.call("ModifyImageSharePermission", {"RemoveAccount.1": OTHER}, ImageId=image)

        cloud.refuses("ReInitDisk", "OperationDenied", 403, DiskId=disk.id, account=OTHER)

    def test_refuses_a_data_disk_whose_snapshot_is_gone(self, cloud):
        instance = an_instance(cloud)
        gone = a_snapshot(cloud, source_disk_type="data")
        disk = a_disk(cloud, instance=instance.id, device="/dev/xvdb", status="In_use", source_snapshot=gone.id)
        cloud.call("DeleteSnapshot", SnapshotId=gone.id, Force=True)

        cloud.refuses("ReInitDisk", "InvalidSourceSnapshot", 403, DiskId=disk.id)

    @pytest.mark.parametrize("password", ["short", "alllowercase"])
    def test_refuses_a_weak_password(self, cloud, password):
        cloud.refuses("ReInitDisk", "InvalidPassword.Malformed", 400, DiskId="d-1", Password=password)

    def test_refuses_an_unknown_key_pair(self, cloud, instance):
        given = {"DiskId": system_of(cloud, instance).id, "KeyPairName": "nobodys"}

        cloud.refuses("ReInitDisk", "InvalidKeyPairName.NotFound", 400, given)

    def test_refuses_a_key_pair_for_windows(self, cloud):
        a_key_pair(cloud)
        disk = the(cloud, disks, instance=an_instance(cloud).id)
        windows = {"os_type": "windows"}
        cloud.ports.database.write(lambda tx: disks.update(tx, windows, id=disk.id))

        cloud.refuses("ReInitDisk", "DependencyViolation.WindowsInstance", 403, DiskId=disk.id, KeyPairName="ops")


class FullPool:
    """A pool that has no room for another volume."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def clone(self, layer, volume, size_bytes):
        raise PoolFull("no room")
