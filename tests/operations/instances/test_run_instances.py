"""RunInstances, as a caller meets it."""

from __future__ import annotations

import base64
import ipaddress
import re

import pytest

from kiln.declare.deployment import Deployment
from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus
from kiln.ground.clock import from_text
from kiln.ground.units import GiB, KiB
from kiln.operations.instances.parts.launch import LaunchFacts
from kiln.store.disks import disks
from kiln.store.images import image_disks, images
from kiln.store.instances import instances
from kiln.store.interfaces import interfaces
from kiln.store.snapshots import snapshots
from kiln.store.tags import tags
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, OTHER, REGION, Cloud
from tests.operations.images.gallery import an_image
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
from tests.reading import every, find, the
from tests.stock import a_key_pair, a_snapshot


def run(cloud: Cloud, params=None, /, **more) -> list[str]:
    given = {"InstanceType": TYPE, **more}
    if "ImageId" not in given and "ImageFamily" not in given:
        given["ImageId"] = image_with(cloud).id
    return cloud.call("RunInstances", params or {}, **given)["InstanceIdSets"]["InstanceIdSet"]


def refuses(cloud: Cloud, code: str, status: int, params=None, /, **more) -> ApiError:
    given = {"InstanceType": TYPE, **more}
    if "ImageId" not in given and "ImageFamily" not in given:
        given["ImageId"] = image_with(cloud).id
    return cloud.refuses("RunInstances", code, status, params or {}, **given)


def disks_of(cloud: Cloud, instance: str) -> list:
    return sorted(every(cloud, disks, instance=instance), key=lambda disk: disk.device)


def layer_of(cloud: Cloud, image: str, position: int = 0) -> str:
    return the(cloud, snapshots, id=the(cloud, image_disks, image=image, position=position).snapshot).volume


class TestMakes:
    def test_an_instance_that_is_pending_at_once_and_running_in_the_end(self, cloud):
        (instance,) = run(cloud)

        assert status_of(cloud, instance) == "Pending"
        cloud.settle()
        assert status_of(cloud, instance) == "Running"
        assert cloud.ports.machines.is_running(instance)
        assert cloud.open_tasks() == []

    def test_a_system_disk_on_the_images_layer(self, cloud):
        image = image_with(cloud, system_gib=1)

        (instance,) = run(cloud, ImageId=image.id)
        cloud.settle()

        (disk,) = disks_of(cloud, instance)
        assert (disk.type, disk.device, disk.size_gib, disk.status) == ("system", "/dev/xvda", 1, DiskStatus.IN_USE)
        assert (disk.image, disk.system.platform, disk.delete_with_instance) == (image.id, "Debian", True)
        assert disk.attached_at is not None
        volume = the(cloud, volumes, id=disk.volume)
        assert (volume.state, volume.kind, volume.task) == ("ready", "head", None)
        assert cloud.ports.pool.parent(disk.volume) == volume.parent == layer_of(cloud, image.id)

    def test_disks_that_are_creating_and_have_no_volume_until_all_are_made(self, cloud):
        (instance,) = run(cloud)

        (disk,) = disks_of(cloud, instance)
        assert (disk.status, disk.volume) == (DiskStatus.CREATING, None)

    def test_the_images_data_disks_too(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", 30), data_disk(cloud, "d", 40, is_blank=True))

        (instance,) = run(cloud, ImageId=image.id)
        cloud.settle()

        _, copied, blank = disks_of(cloud, instance)
        assert (copied.device, copied.size_gib, copied.type) == ("/dev/xvdb", 30, "data")
        assert cloud.ports.pool.parent(copied.volume) == layer_of(cloud, image.id, 1)
        assert (blank.device, blank.size_gib, blank.source_snapshot) == ("/dev/xvdd", 40, "")
        assert cloud.ports.pool.parent(blank.volume) is None
        assert cloud.ports.pool.size(blank.volume) == 40 * GiB

    def test_a_machine_with_the_type_and_all_disks(self, cloud):
        machines = watched(cloud)
        image = image_with(cloud, data_disk(cloud, "b"), boot_mode="UEFI-Preferred")

        (instance,) = run(cloud, ImageId=image.id, InternetMaxBandwidthOut=5)
        cloud.settle()

        (machine,) = machines.started
        row = the(cloud, instances, id=instance)
        assert (machine.instance, machine.cpus, machine.memory_mib) == (instance, 1, 1024)
        assert (machine.architecture, machine.boot_mode) == ("x86_64", "UEFI")
        assert (machine.mac, machine.public_ip) == (the(cloud, interfaces, instance=instance).mac, row.public_ip)
        attached = disks_of(cloud, instance)
        assert [(d.device, d.node) for d in machine.drives] == [
            (d.device, cloud.ports.pool.node(d.volume)) for d in attached
        ]

    def test_up_to_a_hundred(self, cloud):
        ids = run(cloud, Amount=100)

        assert len(set(ids)) == 100
        assert len(cloud.open_tasks()) == 100

    def test_what_the_newest_available_image_of_a_family_is(self, cloud):
        image_with(cloud, family="web")
        newest = image_with(cloud, family="web")
        image_with(cloud, family="web", status=ImageStatus.DEPRECATED)

        (instance,) = run(cloud, ImageFamily="web")

        assert the(cloud, instances, id=instance).image == newest.id

    def test_an_instance_of_a_deprecated_image(self, cloud):
        assert run(cloud, ImageId=image_with(cloud, status=ImageStatus.DEPRECATED).id)

    def test_an_i386_image_on_an_x86_64_type(self, cloud):
        assert run(cloud, ImageId=image_with(cloud, architecture="i386").id)

    def test_an_arm64_image_on_an_arm64_type(self, cloud):
        assert run(cloud, ImageId=image_with(cloud, architecture="arm64").id, InstanceType=ARM)

    def test_the_same_answer_for_the_same_client_token(self, cloud):
        image = image_with(cloud).id

        first = run(cloud, ImageId=image, ClientToken="t-1", Amount=2)

        assert run(cloud, ImageId=image, ClientToken="t-1", Amount=2) == first
        assert len(every(cloud, instances)) == 2
        refuses(cloud, "IdempotentParameterMismatch", 400, ImageId=image, ClientToken="t-1", Amount=3)


class TestRemembers:
    def test_what_was_said(self, cloud):
        said = {
            "Description": "a web server",
            "HostName": "web.example",
            "KeyPairName": "ops",
            "UserData": base64.b64encode(b"#!/bin/sh\n").decode(),
            "InstanceChargeType": "PrePaid",
            "InternetChargeType": "PayByBandwidth",
            "InternetMaxBandwidthIn": 7,
            "DeletionProtection": True,
            "HttpTokens": "required",
            "HttpEndpoint": "disabled",
            "ResourceGroupId": "rg-tests",
            "ZoneId": REGION + "-a",
        }
        a_key_pair(cloud, name="ops")

        (instance,) = run(cloud, said)

        row = the(cloud, instances, id=instance)
        assert (row.account, row.region, row.zone, row.instance_type) == (ACCOUNT, REGION, REGION + "-a", TYPE)
        assert (row.description, row.host_name, row.key_pair) == ("a web server", "web.example", "ops")
        assert (row.user_data, row.charge_type) == (said["UserData"], "PrePaid")
        assert (row.internet_charge_type, row.bandwidth_in) == ("PayByBandwidth", 7)
        assert (row.deletion_protection, row.http_tokens, row.http_endpoint) == (True, "required", "disabled")
        assert row.resource_group == "rg-tests"
        assert disks_of(cloud, instance)[0].resource_group == "rg-tests"

    def test_what_changes_nothing_and_is_shown_again(self, cloud):
        said = {
            "Affinity": "host", "Tenancy": "host", "DedicatedHostId": "dh-1", "CreditSpecification": "Unlimited",
            "DeploymentSetId": "ds-1", "DeploymentSetGroupNo": "2", "HibernationOptions.Configured": "true",
            "HttpPutResponseHopLimit": "3", "HpcClusterId": "hpc-1", "Isp": "BGP",
            "ImageOptions.LoginAsNonRoot": "true", "SpotDuration": "1", "SpotPriceLimit": "0.25",
            "SpotStrategy": "SpotWithPriceLimit",
        }  # fmt: skip
        (instance,) = run(cloud, **said)

        (shown,) = cloud.call("DescribeInstances", InstanceIds=f'["{instance}"]')["Instances"]["Instance"]

        assert shown["DedicatedInstanceAttribute"] == {"Affinity": "host", "Tenancy": "host"}
        assert shown["DedicatedHostAttribute"]["DedicatedHostId"] == "dh-1"
        assert (shown["DeploymentSetId"], shown["DeploymentSetGroupNo"]) == ("ds-1", 2)
        assert shown["HibernationOptions"] == {"Configured": True}
        assert shown["MetadataOptions"]["HttpPutResponseHopLimit"] == 3
        assert (shown["HpcClusterId"], shown["ISP"], shown["CreditSpecification"]) == ("hpc-1", "BGP", "Unlimited")
        assert shown["ImageOptions"] == {"LoginAsNonRoot": True}
        assert (shown["SpotDuration"], shown["SpotPriceLimit"]) == (1, 0.25)
        assert shown["SpotStrategy"] == "SpotWithPriceLimit"
        cloud.settle()
        cloud.call("ModifyInstanceAttribute", InstanceId=instance, CreditSpecification="Standard")
        (shown,) = cloud.call("DescribeInstances", InstanceIds=f'["{instance}"]')["Instances"]["Instance"]
        assert shown["CreditSpecification"] == "Standard"

    def test_what_is_known_of_the_image(self, cloud):
        image = image_with(cloud, platform="Windows Server 2022", os_type="windows", boot_mode="UEFI")

        (instance,) = run(cloud, ImageId=image.id)

        row = the(cloud, instances, id=instance)
        system = row.system
        assert (system.platform, system.os_type, system.boot_mode) == ("Windows Server 2022", "windows", "UEFI")

    def test_a_password_sealed_and_nothing_else_of_it(self, cloud):
        (instance,) = run(cloud, Password="EcsV587!")

        row = the(cloud, instances, id=instance)
        assert (row.password, row.password_due) == ("sealed:EcsV587!", True)
        assert "EcsV587!" not in str(every(cloud, tasks))

    @pytest.mark.parametrize("inherit", [True, False])
    def test_whether_the_images_password_is_kept(self, cloud, inherit):
        (instance,) = run(cloud, PasswordInherit=inherit)

        row = the(cloud, instances, id=instance)
        assert (row.password, row.password_due) == ("", not inherit)

    def test_tags(self, cloud):
        ids = run(cloud, {"Tag.1.Key": "env", "Tag.1.Value": "test"}, Amount=2)

        assert {(t.resource, t.key, t.value) for t in every(cloud, tags)} == {(i, "env", "test") for i in ids}

    def test_when_it_was_started(self, cloud):
        (instance,) = run(cloud)
        cloud.settle()

        row = the(cloud, instances, id=instance)
        assert row.started_at is not None
        assert row.ever_started


class TestNames:
    def test_are_the_id_when_none_is_given(self, cloud):
        (instance,) = run(cloud)

        row = the(cloud, instances, id=instance)
        assert (row.name, row.host_name) == (instance, instance)

    def test_of_windows_hosts_are_cut_to_what_windows_takes(self, cloud):
        (instance,) = run(cloud, ImageId=image_with(cloud, os_type="windows").id)

        assert the(cloud, instances, id=instance).host_name == instance[:15]

    def test_are_numbered(self, cloud):
        ids = run(cloud, InstanceName="web[8,3]-x", HostName="h[]", Amount=3)

        rows = [the(cloud, instances, id=i) for i in ids]
        assert [row.name for row in rows] == ["web008-x", "web009-x", "web010-x"]
        assert [row.host_name for row in rows] == ["h000000", "h000001", "h000002"]

    def test_get_a_suffix(self, cloud):
        ids = run(cloud, InstanceName="web", HostName="h", UniqueSuffix=True, Amount=2)

        rows = [the(cloud, instances, id=i) for i in ids]
        assert [(row.name, row.host_name) for row in rows] == [("web001", "h001"), ("web002", "h002")]

    def test_of_hosts_one_by_one(self, cloud):
        ids = run(cloud, {"HostNames.1": "alpha"}, Amount=2)

        assert [the(cloud, instances, id=i).host_name for i in ids] == ["alpha", ids[1]]

    def test_of_hosts_with_the_id(self, cloud):
        (instance,) = run(cloud, HostName="k8s-${instance_id}")

        assert the(cloud, instances, id=instance).host_name == f"k8s-{instance}"


class TestAddresses:
    def test_are_private_and_unlike(self, cloud):
        rows = [the(cloud, interfaces, instance=i) for i in run(cloud, Amount=100)]

        assert len({row.private_ip for row in rows}) == len({row.mac for row in rows}) == 100
        assert all(row.private_ip.startswith("172.31.") for row in rows)
        assert all(re.fullmatch(r"00:16:3e(:[0-9a-f]{2}){3}", row.mac) for row in rows)

    def test_are_public_when_there_is_bandwidth(self, cloud):
        ids = run(cloud, InternetMaxBandwidthOut=1, Amount=2)

        rows = [the(cloud, instances, id=i) for i in ids]
        assert len({row.public_ip for row in rows}) == 2
        assert all(ipaddress.ip_address(r.public_ip) in ipaddress.ip_network("127.64.0.0/10") for r in rows)
        assert shown(cloud, ids[0])["PublicIpAddress"]["IpAddress"] == [rows[0].public_ip]

    def test_are_not_public_without(self, cloud):
        (instance,) = run(cloud, InternetMaxBandwidthOut=0)

        assert the(cloud, instances, id=instance).public_ip == ""

    def test_can_all_be_taken(self, cloud):
        cloud.refit(deployment=Deployment(public_network="127.64.0.0/29"))
        run(cloud, Amount=6, InternetMaxBandwidthOut=1)

        with pytest.raises(ApiError, match="The resource is out of usage") as refused:
            run(cloud, InternetMaxBandwidthOut=1)
        assert (refused.value.code, refused.value.status) == ("OperationDenied.NoStock", 403)


class TestDisks:
    def test_of_the_system_can_be_bigger(self, cloud):
        disk = {"SystemDisk.Size": "50", "SystemDisk.Category": "cloud_ssd", "SystemDisk.DiskName": "root"}

        (instance,) = run(cloud, disk)
        cloud.settle()

        (made,) = disks_of(cloud, instance)
        assert (made.size_gib, made.category, made.name) == (50, "cloud_ssd", "root")
        assert cloud.ports.pool.size(made.volume) == 50 * GiB

    def test_are_added(self, cloud):
        snapshot = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=30)
        wanted = {
            "DataDisk.1.Size": 100,
            "DataDisk.1.DeleteWithInstance": False,
            "DataDisk.1.Description": "logs",
            "DataDisk.2.SnapshotId": snapshot.id,
            "DataDisk.2.Size": 999,
            "DataDisk.3.Size": 25,
            "DataDisk.3.Device": "/dev/vdb",
        }

        (instance,) = run(cloud, wanted)
        cloud.settle()

        _, named, blank, copied = disks_of(cloud, instance)
        assert (named.device, named.size_gib) == ("/dev/xvdb", 25)
        assert (blank.device, blank.size_gib, blank.delete_with_instance) == ("/dev/xvdc", 100, False)
        assert (blank.description, blank.category) == ("logs", "cloud_efficiency")
        assert (copied.device, copied.size_gib, copied.source_snapshot) == ("/dev/xvdd", 30, snapshot.id)
        assert cloud.ports.pool.parent(copied.volume) == snapshot.volume

    def test_of_the_image_are_replaced_by_a_snapshot(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", 30))
        snapshot = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=10)

        (instance,) = run(
            cloud, {"DataDisk.1.Device": "/dev/xvdb", "DataDisk.1.SnapshotId": snapshot.id}, ImageId=image.id
        )
        cloud.settle()

        _, data = disks_of(cloud, instance)
        assert (data.device, data.size_gib) == ("/dev/xvdb", 10)
        assert cloud.ports.pool.parent(data.volume) == snapshot.volume

    def test_of_the_image_are_changed_and_keep_their_contents(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", 30))
        change = {"DataDisk.1.Device": "/dev/xvdb", "DataDisk.1.Size": 60, "DataDisk.1.Category": "cloud_essd"}

        (instance,) = run(cloud, change, ImageId=image.id)
        cloud.settle()

        _, data = disks_of(cloud, instance)
        assert (data.size_gib, data.category) == (60, "cloud_essd")
        assert cloud.ports.pool.parent(data.volume) == layer_of(cloud, image.id, 1)

    def test_stand_on_layers_that_outlive_image_and_snapshot(self, cloud):
        image = image_with(cloud)
        layer = layer_of(cloud, image.id)
        snapshot = the(cloud, image_disks, image=image.id).snapshot
        (instance,) = run(cloud, ImageId=image.id)

        def forget(tx):
            images.delete(tx, id=image.id)
            image_disks.delete(tx, image=image.id)
            snapshots.delete(tx, id=snapshot)

        cloud.ports.database.write(forget)
        sweep(cloud.ports)
        cloud.settle()

        (disk,) = disks_of(cloud, instance)
        assert status_of(cloud, instance) == "Running"
        assert the(cloud, volumes, id=disk.volume).parent == layer


class TestWhenItCannotBeDone:
    def test_the_instance_goes_away_when_the_pool_is_full(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b"))
        (instance,) = run(cloud, {"Tag.1.Key": "a"}, ImageId=image.id)
        fill(cloud, room=1)

        cloud.settle()

        assert status_of(cloud, instance) is None
        assert every(cloud, disks) == []
        assert every(cloud, tags) == []
        (task,) = every(cloud, tasks)
        assert (task.status, task.error_code) == ("Failed", "ServiceUnavailable")
        assert "no space left on device" in task.error_message
        sweep(cloud.ports)
        assert {v.kind for v in every(cloud, volumes)} == {"layer"}
        assert len(list(cloud.ports.pool.volumes())) == 2

    def test_the_others_are_made(self, cloud):
        ids = run(cloud, Amount=3)
        fill(cloud, room=2)

        cloud.settle()

        assert sorted(status_of(cloud, i) or "" for i in ids) == ["", "Running", "Running"]

    def test_the_instance_stays_stopped_when_its_machine_does_not_start(self, cloud):
        watched(cloud).refusal = "qemu-system-x86_64: no such machine"
        (instance,) = run(cloud)

        cloud.settle()

        assert status_of(cloud, instance) == "Stopped"
        assert disks_of(cloud, instance)[0].status == DiskStatus.IN_USE
        (task,) = every(cloud, tasks)
        assert (task.status, task.error_code) == ("Failed", "ServiceUnavailable")
        assert "no such machine" in task.error_message

    def test_the_instance_stays_stopped_when_its_type_is_offered_no_more(self, cloud):
        (instance,) = run(cloud)
        cloud.ports.database.write(lambda tx: instances.update(tx, {"instance_type": "ecs.gone.tiny"}, id=instance))

        cloud.settle()

        assert status_of(cloud, instance) == "Stopped"
        assert "ecs.gone.tiny" in every(cloud, tasks)[0].error_message


class TestKills:
    def test_are_made_good_by_the_next_worker(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", is_blank=True))

        def judge(ids):
            assert status_of(cloud, ids[0]) == "Running"
            assert cloud.ports.machines.is_running(ids[0])
            for disk in disks_of(cloud, ids[0]):
                assert disk.status == DiskStatus.IN_USE
                assert cloud.ports.pool.exists(disk.volume)

        outlive_kills(cloud, lambda: run(cloud, ImageId=image.id), judge, least=8)
        sweep(cloud.ports)
        assert len(list(cloud.ports.pool.volumes())) == 1 + len(every(cloud, disks))

    def test_leave_nothing_of_what_is_given_up(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", is_blank=True))
        full = cloud.worker

        def begin():
            cloud.worker = full
            ids = run(cloud, ImageId=image.id)
            fill(cloud, room=1)
            return ids

        # A pool that is full for the first worker is full for the next one too.
        def judge(ids):
            if status_of(cloud, ids[0]) is not None:
                assert status_of(cloud, ids[0]) == "Running"

        outlive_kills(cloud, begin, judge, least=3)
        sweep(cloud.ports)
        assert len(list(cloud.ports.pool.volumes())) == 1 + len(every(cloud, disks))


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

    def test_no_image(self, cloud):
        refused = refuses(cloud, "MissingParameter", 400, ImageId="")

        assert '"ImageId"' in str(refused)

    def test_two_ways_to_name_the_image(self, cloud):
        refuses(cloud, "UnexpectedImageFamily.ImageIdSupplied", 400, ImageFamily="web", ImageId="m-1")

    def test_a_family_without_an_available_image(self, cloud):
        image_with(cloud, family="web", status=ImageStatus.DEPRECATED)

        refuses(cloud, "InvalidImageFamily.MissingAvailableImage", 403, ImageFamily="web")

    @pytest.mark.parametrize("status", [ImageStatus.CREATING, ImageStatus.CREATE_FAILED])
    def test_an_image_that_is_not_whole(self, cloud, status):
        refuses(cloud, "OperationDenied.ImageNotValid", 403, ImageId=image_with(cloud, status=status).id)

    def test_an_image_whose_import_was_lost(self, cloud):
        refuses(cloud, "OperationDenied.ImageNotValid", 403, ImageId=an_image(cloud, disks=()).id)

    def test_an_image_that_is_not_there(self, cloud):
        refuses(cloud, "InvalidImageId.NotFound", 404, ImageId="m-unknown")

    def test_another_accounts_image(self, cloud):
        mine = image_with(cloud).id

        cloud.refuses("RunInstances", "InvalidImageId.NotFound", 404, account=OTHER, InstanceType=TYPE, ImageId=mine)

    def test_a_type_that_is_not_there(self, cloud):
        refuses(cloud, "InvalidInstanceType.ValueNotSupported", 400, InstanceType="ecs.no.such")

    def test_a_type_with_another_cpu(self, cloud):
        refuses(cloud, "InvalidParameter.Conflict", 400, InstanceType=ARM)

    def test_another_zone(self, cloud):
        refuses(cloud, "InvalidZoneId.NotFound", 404, ZoneId="elsewhere-a")

    def test_another_resource_group(self, cloud):
        refuses(cloud, "InvalidResourceGroup.NotFound", 404, ResourceGroupId="rg-none")

    @pytest.mark.parametrize(
        ("code", "status", "params"),
        [
            ("InvalidParam.Amount", 403, {"Amount": 0}),
            ("InvalidParam.Amount", 403, {"Amount": 101}),
            ("InvalidMinAmount.Malformed", 400, {"MinAmount": 101}),
            ("InvalidMinAmount.Malformed", 400, {"Amount": 2, "MinAmount": 3}),
            ("InvalidInstanceName.Malformed", 400, {"InstanceName": "1"}),
            ("InvalidInstanceName.Malformed", 400, {"InstanceName": "[1,3]web"}),
            ("InvalidInstanceName.CustomMalformed", 400, {"InstanceName": "web[7]"}),
            ("InvalidInstanceName.CustomMalformed", 400, {"HostName": "web[1,2,3]"}),
            ("InvalidHostName.Malformed", 400, {"HostName": "-web"}),
            ("InvalidHostName.Malformed", 400, {"HostName": "a..b"}),
            ("InvalidPassword.Malformed", 400, {"Password": "weakpassword"}),
            ("InvalidPassword.Malformed", 400, {"Password": "Sh0rt!"}),
            ("InvalidPasswordParam.Mismatch", 400, {"Password": "EcsV587!", "PasswordInherit": True}),
            ("InvalidUserData.Base64FormatInvalid", 400, {"UserData": "%%%"}),
            (
                "InvalidUserData.SizeExceeded",
                400,
                {"UserData": base64.b64encode(b"x" * (32 * KiB + 1)).decode()},
            ),
            ("InvalidParameter", 400, {"SecurityGroupId": "sg-1", "SecurityGroupIds.1": "sg-2"}),
            ("InvalidParameter", 400, {"HostName": "web", "HostNames.1": "web"}),
            ("InvalidParameter", 400, {"HostNames.1": "web", "HostNames.2": "web"}),
            ("InvalidTagKey.Malformed", 400, {"Tag.1.Value": "x"}),
            ("Duplicate.TagKey", 400, {"Tag.1.Key": "x", "Tag.2.Key": "x"}),
            ("QuotaExceed.Tags", 403, {f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}),
            ("InvalidClientToken.ValueNotSupported", 400, {"ClientToken": "x" * 65}),
            ("InvalidSystemDiskCategory.ValueNotSupported", 400, {"SystemDisk.Category": "floppy"}),
            ("InvalidSystemDiskSize.LessThanImageSize", 404, {"SystemDisk.Size": "19"}),
            ("InvalidSystemDiskSize.MoreThanMaxSize", 404, {"SystemDisk.Size": "32769"}),
            ("InvalidDiskName.Malformed", 400, {"SystemDisk.DiskName": "1"}),
            ("InvalidDiskName.Malformed", 400, {"DataDisk.1.DiskName": "1"}),
            ("InvalidDataDiskCategory.ValueNotSupported", 400, {"DataDisk.1.Category": "floppy"}),
            ("InvalidDataDiskSize.ValueNotSupported", 400, {"DataDisk.1.Size": 19}),
            ("InvalidDataDiskSize.ValueNotSupported", 400, {"DataDisk.1.Device": "/dev/xvdb"}),
            ("InvalidDataDevice.Malformed", 400, {"DataDisk.1.Size": 20, "DataDisk.1.Device": "/dev/xvda"}),
            ("InvalidDataDevice.Malformed", 400, {"DataDisk.1.Size": 20, "DataDisk.1.Device": "/dev/sdb"}),
            (
                "InvalidDevice.InUse",
                403,
                {
                    "DataDisk.1.Size": 20,
                    "DataDisk.1.Device": "/dev/xvdb",
                    "DataDisk.2.Size": 20,
                    "DataDisk.2.Device": "/dev/vdb",
                },
            ),
            ("InvalidDataDiskSnapshotId.NotFound", 404, {"DataDisk.1.SnapshotId": "s-unknown"}),
        ],
    )
    def test_what_is_not_valid(self, cloud, code, status, params):
        refuses(cloud, code, status, params)

    def test_a_password_that_windows_does_not_take(self, cloud):
        windows = image_with(cloud, os_type="windows").id

        refuses(cloud, "InvalidPassword.Malformed", 400, ImageId=windows, Password="/EcsV587!")

    @pytest.mark.parametrize("name", ["1234", "averyveryverylongname", "a.b"])
    def test_a_host_name_that_windows_does_not_take(self, cloud, name):
        windows = image_with(cloud, os_type="windows").id

        refuses(cloud, "InvalidHostName.Malformed", 400, ImageId=windows, HostName=name)

    def test_more_disks_than_an_instance_may_have(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b"))
        wanted = {f"DataDisk.{n}.Size": 20 for n in range(1, 17)}

        refuses(cloud, "InstanceDiskLimitExceeded", 403, wanted, ImageId=image.id)

    def test_a_disk_of_the_image_made_smaller(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", 30))
        wanted = {"DataDisk.1.Device": "/dev/xvdb", "DataDisk.1.Size": 29}

        refuses(cloud, "InvalidDiskSize.TooSmall", 403, wanted, ImageId=image.id)

    def test_a_disk_of_the_image_bigger_than_its_category_allows(self, cloud):
        image = image_with(cloud, data_disk(cloud, "b", 30))
        wanted = {"DataDisk.1.Device": "/dev/xvdb", "DataDisk.1.Category": "cloud", "DataDisk.1.Size": 2001}

        refuses(cloud, "InvalidDataDiskSize.ValueNotSupported", 400, wanted, ImageId=image.id)

    def test_a_performance_level_that_there_is_not(self, cloud):
        refuses(cloud, "InvalidParameter", 400, {"DataDisk.1.Size": 20, "DataDisk.1.PerformanceLevel": "PL4"})

    def test_another_accounts_snapshot(self, cloud):
        theirs = a_snapshot(cloud, account=OTHER).id

        refuses(cloud, "InvalidDataDiskSnapshotId.NotFound", 404, {"DataDisk.1.SnapshotId": theirs})

    def test_a_snapshot_that_is_not_ready(self, cloud):
        early = a_snapshot(cloud, status=SnapshotStatus.PROGRESSING).id

        refuses(cloud, "InvalidSnapshotId.NotReady", 403, {"DataDisk.1.SnapshotId": early})

    def test_a_snapshot_that_is_too_old(self, cloud):
        old = a_snapshot(cloud, created_at=from_text("2013-07-15T00:00:00Z")).id

        refuses(cloud, "InvalidSnapshotId.BasedSnapshotTooOld", 400, {"DataDisk.1.SnapshotId": old})

    def test_a_snapshot_bigger_than_the_category_allows(self, cloud):
        big = a_snapshot(cloud, source_disk_size_gib=2001).id
        wanted = {"DataDisk.1.SnapshotId": big, "DataDisk.1.Category": "cloud"}

        refuses(cloud, "InvalidDataDiskSize.ValueNotSupported", 400, wanted)


def test_a_task_for_an_instance_that_is_gone_ends(cloud):
    (instance,) = run(cloud)
    cloud.ports.database.write(lambda tx: instances.delete(tx, id=instance))

    cloud.settle()

    assert find(cloud, instances, id=instance) is None
    assert not cloud.ports.machines.is_running(instance)


def test_each_instance_has_a_lane_of_its_own(cloud):
    ids = run(cloud, Amount=2)

    assert {task.lane for task in cloud.open_tasks()} == set(ids)


def test_a_starting_instance_is_started_by_the_next_worker(cloud):
    (instance,) = run(cloud)
    cloud.settle()
    cloud.ports.machines.stop(instance, force=True)
    cloud.ports.database.write(lambda tx: instances.update(tx, {"status": InstanceStatus.STARTING}, id=instance))
    cloud.ports.database.write(
        lambda tx: cloud.as_call(tx, "RunInstances").enqueue(instance, LaunchFacts(disks=()), lane=instance)
    )

    cloud.settle()

    assert status_of(cloud, instance) == "Running"
    assert cloud.ports.machines.is_running(instance)


def test_disks_of_cloud_essd_have_a_performance_level(cloud):
    given = {"SystemDisk.Category": "cloud_essd", "SystemDisk.PerformanceLevel": "PL0"}
    given |= {"DataDisk.1.Category": "cloud_essd", "DataDisk.1.Size": 20, "DataDisk.2.Size": 20}

    (instance,) = run(cloud, given)

    with cloud.ports.database.read() as tx:
        found = [disk.performance_level for disk in disks.all(tx, disks.c.instance == instance)]
    assert sorted(found) == ["", "PL0", "PL1"]


def test_an_instance_has_the_role_that_is_named(cloud):
    for named, role in (("build.1-a", "build.1-a"), ("", "")):
        (made,) = run(cloud, RamRoleName=named)
        assert the(cloud, instances, id=made).ram_role == role
    for wrong in ("a role", "x" * 65, "é"):
        refuses(cloud, "InvalidRamRole.NotFound", 404, RamRoleName=wrong)
