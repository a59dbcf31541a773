"""CreateInstance, as a caller meets it. What it shares with RunInstances is tested there."""

from __future__ import annotations

import base64

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, ImageStatus, SnapshotStatus
from kiln.ground.clock import from_text
from kiln.ground.units import GiB, KiB
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.tags import tags
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER, Cloud
from tests.nets import a_vpc, a_vswitch
from tests.operations.instances.things import (
    ARM,
    TYPE,
    data_disk,
    fill,
    image_with,
    outlive_kills,
    shown,
    status_of,
    watched,
)
from tests.reading import every, the
from tests.stock import a_key_pair, a_snapshot


def create(cloud: Cloud, params=None, /, **more) -> str:
    given = {"InstanceType": TYPE, **more}
    if "ImageId" not in given:
        given["ImageId"] = image_with(cloud).id
    return cloud.call("CreateInstance", params or {}, **given)["InstanceId"]


def refuses(cloud: Cloud, code: str, status: int, params=None, /, **more) -> None:
    given = {"InstanceType": TYPE, **more}
    if "ImageId" not in given:
        given["ImageId"] = image_with(cloud).id
    cloud.refuses("CreateInstance", code, status, params or {}, **given)


def test_makes_an_instance_that_is_pending_at_once_and_stopped_in_the_end(cloud):
    machines = watched(cloud)

    instance = create(cloud)

    assert status_of(cloud, instance) == "Pending"
    cloud.settle()
    assert status_of(cloud, instance) == "Stopped"
    assert machines.started == []
    assert every(cloud, disks, instance=instance)[0].status == DiskStatus.IN_USE


def test_can_be_started_then(cloud):
    instance = create(cloud)
    cloud.settle()

    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()

    assert status_of(cloud, instance) == "Running"


def test_takes_the_sizes_and_the_disks_that_are_asked_for(cloud):
    image = image_with(cloud, data_disk(cloud, "b"))
    wanted = {"SystemDisk.Size": 40, "DataDisk.1.Size": 30, "DataDisk.1.Encrypted": False}

    instance = create(cloud, wanted, ImageId=image.id)
    cloud.settle()

    made = sorted(every(cloud, disks, instance=instance), key=lambda disk: disk.device)
    assert [(d.device, d.size_gib) for d in made] == [("/dev/xvda", 40), ("/dev/xvdb", 20), ("/dev/xvdc", 30)]
    assert [cloud.ports.pool.size(d.volume) // GiB for d in made] == [40, 20, 30]


def test_takes_a_size_of_0_for_none(cloud):
    instance = create(cloud, {"SystemDisk.Size": 0})

    assert every(cloud, disks, instance=instance)[0].size_gib == 20


def test_remembers_bandwidth_but_gives_no_public_address(cloud):
    instance = create(cloud, InternetMaxBandwidthOut=5)

    found = shown(cloud, instance)
    assert found["InternetMaxBandwidthOut"] == 5
    assert found["PublicIpAddress"]["IpAddress"] == []


def test_numbers_a_name(cloud):
    instance = create(cloud, {"Tag.1.Key": "a"}, InstanceName="web[5,2]")

    assert the(cloud, instances, id=instance).name == "web05"
    assert the(cloud, tags, resource=instance).key == "a"


def test_answers_a_repeated_client_token_with_the_same_instance(cloud):
    image = image_with(cloud).id

    first = create(cloud, ImageId=image, ClientToken="t-1")

    assert create(cloud, ImageId=image, ClientToken="t-1") == first
    refuses(cloud, "IdempotentParameterMismatch", 400, ImageId=image, ClientToken="t-1", InstanceName="other")


def test_goes_away_when_the_pool_is_full(cloud):
    instance = create(cloud)
    fill(cloud)

    cloud.settle()

    assert status_of(cloud, instance) is None
    assert every(cloud, disks) == []
    assert "no space left" in every(cloud, tasks)[0].error_message
    sweep(cloud.ports)
    assert {v.kind for v in every(cloud, volumes)} == {"layer"}


def test_outlives_kills(cloud):
    image = image_with(cloud).id

    def judge(instance):
        assert status_of(cloud, instance) == "Stopped"
        (disk,) = every(cloud, disks, instance=instance)
        assert cloud.ports.pool.exists(disk.volume)

    outlive_kills(cloud, lambda: create(cloud, ImageId=image), judge, least=4)


class TestRefuses:
    def test_a_key_pair_that_is_not_there(self, cloud):
        a_key_pair(cloud, account=OTHER)
        a_key_pair(cloud, region="elsewhere")

        refuses(cloud, "InvalidKeyPairName.NotFound", 404, ImageId=image_with(cloud).id, KeyPairName="ops")

    def test_a_key_pair_for_windows(self, cloud):
        image = image_with(cloud, os_type="windows", platform="Windows Server 2022").id
        a_key_pair(cloud)

        refuses(cloud, "DependencyViolation.WindowsInstance", 403, ImageId=image, KeyPairName="ops")

    def test_a_dry_run_that_would_succeed(self, cloud):
        refuses(cloud, "DryRunOperation", 400, DryRun=True)

    def test_a_type_that_is_not_there(self, cloud):
        refuses(cloud, "InvalidInstanceType.ValueNotSupported", 400, InstanceType="ecs.no.such")

    def test_a_type_with_another_cpu(self, cloud):
        refuses(cloud, "InvalidParameter.Conflict", 400, InstanceType=ARM)

    def test_no_image(self, cloud):
        refuses(cloud, "MissingParameter", 400, ImageId="")

    def test_two_ways_to_name_the_image(self, cloud):
        refuses(cloud, "UnexpectedImageFamily.ImageIdSupplied", 400, ImageFamily="web")

    def test_a_family_without_an_available_image(self, cloud):
        refuses(cloud, "InvalidImageFamily.MissingAvailableImage", 403, ImageFamily="web", ImageId="")

    def test_an_image_that_is_not_whole(self, cloud):
        creating = image_with(cloud, status=ImageStatus.CREATING).id

        refuses(cloud, "OperationDenied.ImageNotValid", 403, ImageId=creating)

    def test_another_accounts_image(self, cloud):
        mine = image_with(cloud).id

        cloud.refuses("CreateInstance", "InvalidImageId.NotFound", 404, account=OTHER, InstanceType=TYPE, ImageId=mine)

    @pytest.mark.parametrize(
        ("code", "status", "params"),
        [
            ("InvalidZoneId.NotFound", 404, {"ZoneId": "elsewhere-a"}),
            ("InvalidResourceGroup.NotFound", 404, {"ResourceGroupId": "rg-none"}),
            ("InvalidInstanceName.Malformed", 400, {"InstanceName": "1"}),
            ("InvalidInstanceName.CustomMalformed", 400, {"InstanceName": "web[7]"}),
            ("InvalidHostName.Malformed", 400, {"HostName": "-web"}),
            ("InvalidPassword.Malformed", 400, {"Password": "weakpassword"}),
            ("InvalidPasswordParam.Mismatch", 400, {"Password": "EcsV587!", "PasswordInherit": True}),
            ("InvalidUserData.Base64FormatInvalid", 400, {"UserData": "%%%"}),
            ("InvalidUserData.SizeExceeded", 400, {"UserData": base64.b64encode(b"x" * (32 * KiB + 1)).decode()}),
            ("InvalidTagKey.Malformed", 400, {"Tag.1.Value": "x"}),
            ("Duplicate.TagKey", 400, {"Tag.1.Key": "x", "Tag.2.Key": "x"}),
            ("InvalidClientToken.ValueNotSupported", 400, {"ClientToken": "x" * 65}),
            ("InvalidSystemDiskSize.LessThanImageSize", 404, {"SystemDisk.Size": 19}),
            ("InvalidSystemDiskSize.LessThanImageSize", 404, {"SystemDisk.Size": -1}),
            ("InvalidSystemDiskSize.MoreThanMaxSize", 404, {"SystemDisk.Size": 32769}),
            ("InvalidDataDiskSize.ValueNotSupported", 400, {"DataDisk.1.Size": 19}),
            ("InvalidDataDevice.Malformed", 400, {"DataDisk.1.Size": 20, "DataDisk.1.Device": "/dev/xvda"}),
            ("InvalidDataDiskSnapshotId.NotFound", 404, {"DataDisk.1.SnapshotId": "s-unknown"}),
            (
                "InvalidDevice.InUse",
                403,
                {f"DataDisk.{n}.{k}": v for n in (1, 2) for k, v in (("Size", 20), ("Device", "/dev/xvdb"))},
            ),
        ],
    )
    def test_what_is_not_valid(self, cloud, code, status, params):
        refuses(cloud, code, status, params)

    def test_a_snapshot_that_is_not_ready_or_too_old(self, cloud):
        early = a_snapshot(cloud, status=SnapshotStatus.PROGRESSING).id
        old = a_snapshot(cloud, created_at=from_text("2013-07-15T00:00:00Z")).id

        refuses(cloud, "InvalidSnapshotId.NotReady", 403, {"DataDisk.1.SnapshotId": early})
        refuses(cloud, "InvalidSnapshotId.BasedSnapshotTooOld", 400, {"DataDisk.1.SnapshotId": old})

    def test_a_disk_of_the_image_made_smaller(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", 30))
        wanted = {"DataDisk.1.Device": "/dev/xvdb", "DataDisk.1.Size": 29}

        refuses(cloud, "InvalidDiskSize.TooSmall", 403, wanted, ImageId=image.id)

    def test_more_disks_than_an_instance_may_have(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b"))
        wanted = {f"DataDisk.{n}.Size": 20 for n in range(1, 17)}

        refuses(cloud, "InstanceDiskLimitExceeded", 403, wanted, ImageId=image.id)

    def test_more_instances_than_there_are_addresses(self, cloud):
        switch = a_vswitch(cloud, a_vpc(cloud))
        for _ in range(4):
            create(cloud, VSwitchId=switch.id)

        with pytest.raises(ApiError, match="has not enough IpAddress") as refused:
            create(cloud, VSwitchId=switch.id)
        assert (refused.value.code, refused.value.status) == ("InvalidVSwitchId.IpNotEnough", 403)
