"""ReplaceSystemDisk, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus
from kiln.ground.units import GiB
from kiln.store.disks import disks
from kiln.store.images import image_disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.tags import put, tags
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, OTHER, Cloud
from tests.operations.instances.things import (
    ARM,
    data_disk,
    fill,
    image_with,
    outlive_kills,
    shown,
    status_of,
    watched,
)
from tests.reading import every, find, the
from tests.stock import a_key_pair, an_instance


def replace(cloud: Cloud, instance: str, image: str, params=None, /, **more) -> str:
    return cloud.call("ReplaceSystemDisk", params or {}, InstanceId=instance, ImageId=image, **more)["DiskId"]


def refuses(cloud: Cloud, code: str, status: int, params=None, /, **more) -> ApiError:
    given = dict(more)
    if "InstanceId" not in given:
        given["InstanceId"] = an_instance(cloud).id
    if "ImageId" not in given:
        given["ImageId"] = image_with(cloud).id
    return cloud.refuses("ReplaceSystemDisk", code, status, params or {}, **given)


def system_of(cloud: Cloud, instance: str):
    return the(cloud, disks, instance=instance, type="system")


class TestReplaces:
    def test_the_disk_by_one_made_of_the_image(self, cloud):
        instance = an_instance(cloud, data_disks=1).id
        old, image = system_of(cloud, instance), image_with(cloud, platform="Ubuntu", boot_mode="UEFI")

        disk_id = replace(cloud, instance, image.id)
        cloud.settle()

        new = system_of(cloud, instance)
        assert new.id == disk_id != old.id
        assert (new.status, new.device, new.image, new.system.platform) == (
            DiskStatus.IN_USE, "/dev/xvda", image.id, "Ubuntu",
        )  # fmt: skip
        layer = the(cloud, snapshots, id=the(cloud, image_disks, image=image.id).snapshot).volume
        assert cloud.ports.pool.parent(new.volume) == layer
        assert find(cloud, disks, id=old.id) is None
        assert len(every(cloud, disks, instance=instance)) == 2
        row = the(cloud, instances, id=instance)
        assert (row.system.platform, row.system.boot_mode) == ("Ubuntu", "UEFI")
        assert (row.image, row.ever_started) == (image.id, False)

    def test_and_gives_the_old_ones_space_back(self, cloud):
        instance = an_instance(cloud).id
        old = system_of(cloud, instance)
        cloud.ports.database.write(lambda tx: put(tx, ACCOUNT, "disk", old.id, {"a": "b"}))

        replace(cloud, instance, image_with(cloud).id)
        cloud.settle()
        sweep(cloud.ports)

        assert find(cloud, volumes, id=old.volume) is None
        assert not cloud.ports.pool.exists(old.volume)
        assert every(cloud, tags) == []

    def test_with_the_lock_shown_until_it_is_done(self, cloud):
        instance = an_instance(cloud).id

        disk_id = replace(cloud, instance, image_with(cloud).id)

        (lock,) = shown(cloud, instance)["OperationLocks"]["LockReason"]
        assert lock["LockReason"] == "replacing"
        assert the(cloud, disks, id=disk_id).status == DiskStatus.CREATING
        cloud.settle()
        assert shown(cloud, instance)["OperationLocks"] == {"LockReason": []}

    def test_so_that_a_start_at_once_boots_the_new_disk(self, cloud):
        machines = watched(cloud)
        instance = an_instance(cloud).id

        disk_id = replace(cloud, instance, image_with(cloud).id)
        cloud.call("StartInstance", InstanceId=instance)
        cloud.settle()

        assert status_of(cloud, instance) == "Running"
        (drive,) = machines.started[0].drives
        assert drive.node == cloud.ports.pool.node(the(cloud, disks, id=disk_id).volume)

    def test_once_more(self, cloud):
        instance = an_instance(cloud).id
        replace(cloud, instance, image_with(cloud).id)
        cloud.settle()

        disk_id = replace(cloud, instance, image_with(cloud).id)
        cloud.settle()

        assert system_of(cloud, instance).id == disk_id

    @pytest.mark.parametrize(("said", "made"), [(None, 30), (0, 30), (50, 50)])
    def test_in_the_size_that_fits(self, cloud, said, made):
        instance = an_instance(cloud).id
        image = image_with(cloud, system_gib=30)

        replace(cloud, instance, image.id, {"SystemDisk.Size": said})
        cloud.settle()

        new = system_of(cloud, instance)
        assert new.size_gib == made
        assert cloud.ports.pool.size(new.volume) == made * GiB

    def test_in_no_less_than_the_old_size(self, cloud):
        instance = an_instance(cloud).id

        replace(cloud, instance, image_with(cloud, system_gib=1).id)
        cloud.settle()

        assert system_of(cloud, instance).size_gib == 20

    def test_with_an_image_that_has_blank_data_disks(self, cloud):
        instance = an_instance(cloud).id

        assert replace(cloud, instance, image_with(cloud, data_disk(cloud, "b", is_blank=True)).id)

    def test_and_the_password_and_key_when_they_are_given(self, cloud):
        instance = an_instance(cloud, password="sealed:old", key_pair="old").id
        a_key_pair(cloud, name="ops")

        replace(cloud, instance, image_with(cloud).id, Password="EcsV587!", KeyPairName="ops")
        assert the(cloud, instances, id=instance).password == "sealed:old"
        cloud.settle()

        row = the(cloud, instances, id=instance)
        assert (row.password, row.key_pair, row.password_due) == ("sealed:EcsV587!", "ops", True)

    def test_and_forgets_the_password_for_the_images(self, cloud):
        instance = an_instance(cloud, password="sealed:old").id

        replace(cloud, instance, image_with(cloud).id, PasswordInherit=True)
        cloud.settle()

        row = the(cloud, instances, id=instance)
        assert (row.password, row.password_due) == ("", False)

    def test_but_leaves_the_password_otherwise(self, cloud):
        instance = an_instance(cloud, password="sealed:old", key_pair="old").id

        replace(cloud, instance, image_with(cloud).id)
        cloud.settle()

        row = the(cloud, instances, id=instance)
        assert (row.password, row.key_pair, row.password_due) == ("sealed:old", "old", True)

    def test_once_for_the_same_client_token(self, cloud):
        instance, image = an_instance(cloud).id, image_with(cloud).id

        first = replace(cloud, instance, image, ClientToken="t-1")

        assert replace(cloud, instance, image, ClientToken="t-1") == first
        other = {"SystemDisk.Size": 40}
        refuses(cloud, "IdempotentParameterMismatch", 400, other, InstanceId=instance, ImageId=image, ClientToken="t-1")


def test_keeps_the_old_disk_when_the_pool_is_full(cloud):
    instance = an_instance(cloud).id
    old = system_of(cloud, instance)
    disk_id = replace(cloud, instance, image_with(cloud).id)
    fill(cloud)

    cloud.settle()

    assert system_of(cloud, instance) == old
    assert find(cloud, disks, id=disk_id) is None
    assert shown(cloud, instance)["OperationLocks"]["LockReason"] == []
    (task,) = every(cloud, tasks)
    assert (task.status, task.error_code) == ("Failed", "ServiceUnavailable")
    assert "no space left" in task.error_message
    sweep(cloud.ports)
    assert {v.id for v in every(cloud, volumes, kind="head")} == {old.volume}


def test_lets_nobody_touch_the_old_disk_meanwhile(cloud):
    instance = an_instance(cloud).id
    replace(cloud, instance, image_with(cloud).id)

    cloud.refuses("CreateImage", "IncorrectDiskStatus", 403, InstanceId=instance)
    cloud.refuses("DeleteInstance", "IncorrectInstanceStatus", 403, InstanceId=instance)
    refuses(cloud, "IncorrectDiskStatus", 403, InstanceId=instance)


def test_outlives_kills(cloud):
    image = image_with(cloud).id

    def begin():
        instance = an_instance(cloud).id
        return instance, replace(cloud, instance, image)

    def judge(begun):
        instance, disk_id = begun
        system = system_of(cloud, instance)
        assert (system.id, system.status) == (disk_id, DiskStatus.IN_USE)
        assert cloud.ports.pool.exists(system.volume)
        assert shown(cloud, instance)["OperationLocks"]["LockReason"] == []

    outlive_kills(cloud, begin, judge, least=3)
    sweep(cloud.ports)
    assert {v.state for v in every(cloud, volumes)} == {"ready"}
    assert len(list(cloud.ports.pool.volumes())) == 1 + len(every(cloud, disks))


class TestRefuses:
    def test_a_key_pair_that_is_not_there(self, cloud):
        a_key_pair(cloud, account=OTHER)
        a_key_pair(cloud, region="elsewhere")

        refuses(cloud, "InvalidKeyPairName.NotFound", 400, ImageId=image_with(cloud).id, KeyPairName="ops")

    def test_a_key_pair_for_windows(self, cloud):
        image = image_with(cloud, os_type="windows", platform="Windows Server 2022").id
        a_key_pair(cloud)

        refuses(cloud, "DependencyViolation.WindowsInstance", 403, ImageId=image, KeyPairName="ops")

    def test_an_instance_that_is_not_there(self, cloud):
        refuses(cloud, "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine, theirs = an_instance(cloud).id, image_with(cloud, account=OTHER).id

        refuses(cloud, "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine, ImageId=theirs)

    def test_another_accounts_image(self, cloud):
        refuses(cloud, "InvalidImageId.NotFound", 404, ImageId=image_with(cloud, account=OTHER).id)

    def test_no_image(self, cloud):
        refused = refuses(cloud, "MissingParameter", 400, ImageId="")

        assert '"ImageId"' in str(refused)

    def test_an_instance_that_is_being_made(self, cloud):
        instance = an_instance(cloud, status=InstanceStatus.PENDING).id

        refuses(cloud, "OperationDenied.InstanceCreating", 403, InstanceId=instance)

    @pytest.mark.parametrize("status", [InstanceStatus.STARTING, InstanceStatus.RUNNING, InstanceStatus.STOPPING])
    def test_an_instance_that_is_not_stopped(self, cloud, status):
        instance = an_instance(cloud, status=status).id

        refuses(cloud, "IncorrectInstanceStatus", 403, InstanceId=instance)

    def test_a_locked_instance(self, cloud):
        instance = an_instance(cloud, lock_reason="security").id

        refuses(cloud, "InstanceLockedForSecurity", 403, InstanceId=instance)

    def test_an_instance_without_a_system_disk(self, cloud):
        instance = an_instance(cloud, system_disk=False).id

        refuses(cloud, "InvalidInstance.NotFoundSystemDisk", 400, InstanceId=instance)

    def test_a_disk_whose_snapshot_is_being_taken(self, cloud):
        instance = an_instance(cloud).id
        cloud.call("CreateImage", InstanceId=instance)

        refuses(cloud, "DiskCreatingSnapshot", 403, InstanceId=instance)

    def test_an_image_that_is_not_whole(self, cloud):
        creating = image_with(cloud, status=ImageStatus.CREATING).id

        refuses(cloud, "OperationDenied.ImageNotValid", 403, ImageId=creating)

    def test_an_image_with_a_data_disks_snapshot(self, cloud):
        whole = image_with(cloud, data_disk(cloud, "b")).id

        refuses(cloud, "OperationDenied", 400, ImageId=whole)

    @pytest.mark.parametrize(
        ("instance_type", "architecture"), [(ARM, "x86_64"), ("ecs.t5-lc1m1.small", "arm64"), ("ecs.gone", "x86_64")]
    )
    def test_an_image_for_another_cpu(self, cloud, instance_type, architecture):
        instance = an_instance(cloud, instance_type=instance_type).id
        image = image_with(cloud, architecture=architecture).id

        refuses(cloud, "InvalidInstanceType.NotSupported", 400, InstanceId=instance, ImageId=image)

    @pytest.mark.parametrize(
        ("code", "status", "size"),
        [
            ("InvalidSystemDiskSize.LessThanImageSize", 404, 29),
            ("InvalidSystemDiskSize.MoreThanMaxSize", 404, 32769),
        ],
    )
    def test_a_size_that_cannot_be(self, cloud, code, status, size):
        image = image_with(cloud, system_gib=30).id

        refuses(cloud, code, status, {"SystemDisk.Size": size}, ImageId=image)

    def test_a_size_below_the_old_disks(self, cloud):
        image = image_with(cloud, system_gib=1).id

        refuses(cloud, "InvalidSystemDiskSize.LessThanMinSize", 404, {"SystemDisk.Size": 19}, ImageId=image)

    @pytest.mark.parametrize(
        ("code", "params"),
        [
            ("InvalidPassword.Malformed", {"Password": "weakpassword"}),
            ("InvalidPasswordParam.Mismatch", {"Password": "EcsV587!", "PasswordInherit": True}),
            ("InvalidClientToken.ValueNotSupported", {"ClientToken": "x" * 65}),
        ],
    )
    def test_what_is_not_valid(self, cloud, code, params):
        refuses(cloud, code, 400, params)

    def test_a_password_that_windows_does_not_take(self, cloud):
        windows = image_with(cloud, os_type="windows").id

        refuses(cloud, "InvalidPassword.Malformed", 400, ImageId=windows, Password="/EcsV587!")
