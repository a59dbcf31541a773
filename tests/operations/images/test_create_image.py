"""CreateImage, as a caller meets it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.states import ImageStatus, SnapshotStatus
from kiln.ground.units import GiB
from kiln.pools.errors import PoolFull
from kiln.store import images, tags, tasks
from kiln.store.disks import disks
from kiln.store.images import Image
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.clouds import OTHER, Cloud
from tests.operations.disks.watched import run
from tests.stock import a_disk, a_snapshot, an_instance


def image_of(cloud: Cloud, image_id: str) -> Image:
    with cloud.ports.database.read() as tx:
        found = images.images.find(tx, id=image_id)
    assert found is not None
    return found


def disks_of(cloud: Cloud, image_id: str) -> list[images.ImageDisk]:
    with cloud.ports.database.read() as tx:
        return images.disks_of(tx, [image_id])[image_id]


def mapping(n: int, **fields: object) -> dict[str, object]:
    return {f"DiskDeviceMapping.{n}.{name}": value for name, value in fields.items()}


class TestFromAnInstance:
    def test_is_creating_at_once_and_available_when_captured(self, cloud):
        instance = an_instance(cloud, data_disks=2)

        image_id = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

        assert image_of(cloud, image_id).status == ImageStatus.CREATING
        cloud.settle()
        assert image_of(cloud, image_id).status == ImageStatus.AVAILABLE
        assert image_of(cloud, image_id).progress == 100

    def test_takes_one_snapshot_of_each_disk(self, cloud):
        instance = an_instance(cloud, data_disks=2)

        image_id = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
        cloud.settle()

        named = disks_of(cloud, image_id)
        assert [(d.type, d.device, d.size_gib) for d in named] == [
            ("system", "/dev/xvda", 20),
            ("data", "/dev/xvdb", 20),
            ("data", "/dev/xvdc", 20),
        ]
        with cloud.ports.database.read() as tx:
            taken = snapshots.all(tx)
            assert {s.id for s in taken} == {d.snapshot for d in named}
            assert all(s.status == SnapshotStatus.ACCOMPLISHED and s.made_for == image_id for s in taken)

    def test_puts_the_instance_on_fresh_heads_above_the_captured_layers(self, cloud):
        instance = an_instance(cloud, data_disks=1)
        with cloud.ports.database.read() as tx:
            before = {d.id: d.volume for d in disks.all(tx, instance=instance.id)}

        cloud.call("CreateImage", InstanceId=instance.id)
        cloud.settle()

        with cloud.ports.database.read() as tx:
            for disk in disks.all(tx, instance=instance.id):
                head = volumes.find(tx, id=disk.volume)
                assert head.parent == before[disk.id]
                assert (head.kind, head.state, head.task) == ("head", "ready", None)
                assert cloud.ports.pool.parent(head.id) == before[disk.id]
                assert volumes.find(tx, id=before[disk.id]).kind == "layer"
            taken = snapshots.all(tx)
        assert {s.volume for s in taken} == set(before.values())

    def test_inherits_what_is_known_of_the_system_disk(self, cloud):
        instance = an_instance(cloud, system_disk=False)
        a_disk(
            cloud, type="system", instance=instance.id, device="/dev/xvda", status="In_use", platform="Ubuntu",
            architecture="arm64", boot_mode="UEFI", imds_support="v2",
        )  # fmt: skip

        image = image_of(cloud, cloud.call("CreateImage", InstanceId=instance.id)["ImageId"])

        assert (image.system.platform, image.system.architecture, image.system.boot_mode) == ("Ubuntu", "arm64", "UEFI")
        assert image.system.imds_support == "v2"

    def test_wins_over_mappings_and_snapshot(self, cloud):
        instance = an_instance(cloud)

        image_id = cloud.call(
            "CreateImage", mapping(1, SnapshotId="s-unknown"), InstanceId=instance.id, SnapshotId="s-unknown-too"
        )["ImageId"]

        assert image_of(cloud, image_id).source == instance.id

    def test_refuses_an_unknown_instance(self, cloud):
        cloud.refuses("CreateImage", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_refuses_the_instance_of_another_account(self, cloud):
        instance = an_instance(cloud)

        cloud.refuses("CreateImage", "InvalidInstanceId.NotFound", 404, InstanceId=instance.id, account=OTHER)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping"])
    def test_refuses_an_instance_that_is_neither_running_nor_stopped(self, cloud, status):
        instance = an_instance(cloud, status=status)

        cloud.refuses("CreateImage", "IncorrectInstanceStatus", 400, InstanceId=instance.id)

    def test_wants_a_restart_after_a_disk_was_attached_to_the_stopped_instance(self, cloud):
        instance, disk = an_instance(cloud, ever_started=True), a_disk(cloud)
        cloud.call("AttachDisk", InstanceId=instance.id, DiskId=disk.id)
        cloud.settle()
        cloud.refuses("CreateImage", "IncorrectInstanceStatus.NeedRestart", 403, InstanceId=instance.id)

        cloud.call("StartInstance", InstanceId=instance.id)
        cloud.settle()
        cloud.call("StopInstance", InstanceId=instance.id)
        cloud.settle()

        assert cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

    @pytest.mark.parametrize("facts", [{"status": "Running", "ever_started": True}, {"ever_started": False}])
    def test_wants_no_restart_when_nothing_ran_without_the_disk(self, cloud, facts):
        instance, disk = an_instance(cloud, **facts), a_disk(cloud)
        if facts["ever_started"]:
            run(cloud, instance.id)
        cloud.call("AttachDisk", InstanceId=instance.id, DiskId=disk.id)
        cloud.settle()
        if facts["ever_started"]:
            cloud.call("StopInstance", InstanceId=instance.id)
            cloud.settle()

        assert cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

    def test_refuses_an_instance_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")

        cloud.refuses("CreateImage", "InstanceLockedForSecurity", 400, InstanceId=instance.id)

    def test_refuses_an_instance_without_a_system_disk(self, cloud):
        instance = an_instance(cloud, system_disk=False, data_disks=1)

        cloud.refuses("CreateImage", "InvalidInstance.NotFoundSystemDisk", 400, InstanceId=instance.id)

    def test_refuses_while_a_disk_is_being_captured(self, cloud):
        instance = an_instance(cloud)
        cloud.call("CreateImage", InstanceId=instance.id)

        cloud.refuses("CreateImage", "IncorrectDiskStatus.CreatingSnapshot", 403, InstanceId=instance.id)

    def test_refuses_a_disk_that_is_on_its_way(self, cloud):
        instance = an_instance(cloud)
        a_disk(cloud, instance=instance.id, device="/dev/xvdb", status="Attaching")

        cloud.refuses("CreateImage", "IncorrectDiskStatus", 403, InstanceId=instance.id)


class TestFromMappings:
    def test_names_a_system_disk_data_disks_and_blank_disks(self, cloud):
        system, data = a_snapshot(cloud), a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=30)

        image_id = cloud.call(
            "CreateImage",
            mapping(1, SnapshotId=system.id)
            | mapping(2, SnapshotId=data.id, Size=100, Device="/dev/xvdd")
            | mapping(3, Size=50, Device="/dev/vdc")
            | mapping(4),
        )["ImageId"]
        cloud.settle()

        assert [(d.type, d.device, d.size_gib, d.snapshot) for d in disks_of(cloud, image_id)] == [
            ("system", "/dev/xvda", 20, system.id),
            ("data", "/dev/xvdc", 50, ""),
            ("data", "/dev/xvdd", 100, data.id),
        ]
        assert image_of(cloud, image_id).status == ImageStatus.AVAILABLE

    def test_moves_no_bytes(self, cloud):
        system = a_snapshot(cloud)
        before = set(cloud.ports.pool.volumes())

        cloud.call("CreateImage", mapping(1, SnapshotId=system.id))
        cloud.settle()

        assert set(cloud.ports.pool.volumes()) == before

    def test_wins_over_the_snapshot(self, cloud):
        system = a_snapshot(cloud)

        image_id = cloud.call("CreateImage", mapping(1, SnapshotId=system.id), SnapshotId="s-unknown")["ImageId"]

        assert image_of(cloud, image_id).source == system.id

    def test_makes_a_data_disks_snapshot_the_system_disk_when_told(self, cloud):
        data = a_snapshot(cloud, source_disk_type="data")

        image_id = cloud.call(
            "CreateImage", mapping(1, SnapshotId=data.id, DiskType="system"), Platform="Debian", Architecture="i386"
        )["ImageId"]

        image = image_of(cloud, image_id)
        assert (image.system.platform, image.system.architecture, disks_of(cloud, image_id)[0].type) == (
            "Debian",
            "i386",
            "system",
        )

    def test_falls_back_to_the_seeds_platform_and_architecture(self, cloud):
        data = a_snapshot(cloud, source_disk_type="data")

        image = image_of(cloud, cloud.call("CreateImage", mapping(1, SnapshotId=data.id, DiskType="system"))["ImageId"])

        assert (image.system.platform, image.system.architecture) == ("Others Linux", "x86_64")

    def test_takes_seventeen_disks_and_no_more(self, cloud):
        system = a_snapshot(cloud)
        disks_17 = mapping(1, SnapshotId=system.id)
        for n in range(2, 18):
            disks_17 |= mapping(n, Size=20)

        assert len(disks_of(cloud, cloud.call("CreateImage", disks_17)["ImageId"])) == 17
        cloud.refuses("CreateImage", "InvalidParameter", 400, disks_17 | mapping(18, Size=20))

    def test_treats_empty_fields_and_size_zero_as_not_sent(self, cloud):
        system = a_snapshot(cloud)

        image_id = cloud.call("CreateImage", mapping(1, SnapshotId=system.id, Size=0, Device="", DiskType=""))[
            "ImageId"
        ]

        assert [(d.device, d.size_gib) for d in disks_of(cloud, image_id)] == [("/dev/xvda", 20)]

    @pytest.mark.parametrize(
        ("device", "size", "expected"),
        [
            ("/dev/xvdb", None, 5),
            ("/dev/xvdb", 5, 5),
            ("/dev/xvdb", 2000, 2000),
            ("/dev/vdb", None, 20),
            ("/dev/vdb", 20, 20),
            ("/dev/vdb", 32768, 32768),
            (None, None, 20),
        ],
    )
    def test_knows_the_sizes_of_a_blank_disk_by_its_category(self, cloud, device, size, expected):
        system = a_snapshot(cloud)
        blank = mapping(2, Device=device, Size=size, DiskType="data")

        image_id = cloud.call("CreateImage", mapping(1, SnapshotId=system.id) | blank)["ImageId"]

        assert disks_of(cloud, image_id)[1].size_gib == expected

    @pytest.mark.parametrize(
        ("device", "size"), [("/dev/xvdb", 4), ("/dev/xvdb", 2001), ("/dev/vdb", 19), ("/dev/vdb", 32769), (None, -1)]
    )
    def test_refuses_a_blank_disks_size_out_of_range(self, cloud, device, size):
        system = a_snapshot(cloud)

        cloud.refuses(
            "CreateImage",
            "InvalidSize.ValueNotSupported",
            400,
            mapping(1, SnapshotId=system.id) | mapping(2, Device=device, Size=size),
        )

    @pytest.mark.parametrize("size", [39, 32769])
    def test_refuses_a_size_that_does_not_hold_the_snapshot_or_is_too_large(self, cloud, size):
        system = a_snapshot(cloud, source_disk_size_gib=40)

        cloud.refuses("CreateImage", "InvalidSize.ValueNotSupported", 400, mapping(1, SnapshotId=system.id, Size=size))

    @pytest.mark.parametrize("device", ["/dev/sda", "vdb", "/dev/vdaa", "/dev/vd1", "/dev/vdB"])
    def test_refuses_a_bad_device(self, cloud, device):
        system, data = a_snapshot(cloud), a_snapshot(cloud, source_disk_type="data")

        params = mapping(1, SnapshotId=system.id) | mapping(2, SnapshotId=data.id, Device=device)
        cloud.refuses("CreateImage", "InvalidDevice.Malformed", 400, params)

    def test_refuses_the_first_device_for_data_and_another_for_the_system(self, cloud):
        system = a_snapshot(cloud)

        cloud.refuses(
            "CreateImage", "InvalidDevice.Malformed", 400, mapping(1, SnapshotId=system.id, Device="/dev/vdb")
        )
        params = mapping(1, SnapshotId=system.id) | mapping(2, Size=20, Device="/dev/xvda")
        cloud.refuses("CreateImage", "InvalidDevice.Malformed", 400, params)

    def test_refuses_one_device_twice_in_either_spelling(self, cloud):
        system = a_snapshot(cloud)

        params = mapping(1, SnapshotId=system.id) | mapping(2, Size=20, Device="/dev/vdb")
        cloud.refuses("CreateImage", "InvalidDevice.InUse", 400, params | mapping(3, Size=20, Device="/dev/xvdb"))

    def test_refuses_two_system_disks(self, cloud):
        one, two = a_snapshot(cloud), a_snapshot(cloud)

        refused = cloud.refuses(
            "CreateImage", "OperationDenied", 400, mapping(1, SnapshotId=one.id) | mapping(2, SnapshotId=two.id)
        )

        assert "two or more" in str(refused)

    def test_refuses_no_system_disk(self, cloud):
        data = a_snapshot(cloud, source_disk_type="data")

        refused = cloud.refuses("CreateImage", "OperationDenied", 400, mapping(1, SnapshotId=data.id))
        assert "does not contain" in str(refused)
        cloud.refuses("CreateImage", "OperationDenied", 400, mapping(1, Size=20, DiskType="system"))

    def test_refuses_an_unknown_disk_type(self, cloud):
        system = a_snapshot(cloud)

        params = mapping(1, SnapshotId=system.id, DiskType="swap")
        cloud.refuses("CreateImage", "InvalidDiskType.ValueNotSupported", 400, params)


class TestFromASnapshot:
    def test_makes_a_system_disk_of_it(self, cloud):
        system = a_snapshot(cloud, source_disk_size_gib=40)

        image_id = cloud.call("CreateImage", SnapshotId=system.id)["ImageId"]
        cloud.settle()

        image = image_of(cloud, image_id)
        assert (image.status, image.size_gib, image.system.platform) == (ImageStatus.AVAILABLE, 40, "CentOS")
        assert [(d.type, d.snapshot) for d in disks_of(cloud, image_id)] == [("system", system.id)]

    def test_refuses_an_unknown_snapshot(self, cloud):
        cloud.refuses("CreateImage", "InvalidSnapshotId.NotFound", 404, SnapshotId="s-unknown")

    def test_refuses_the_snapshot_of_another_account(self, cloud):
        system = a_snapshot(cloud)

        cloud.refuses("CreateImage", "InvalidSnapshotId.NotFound", 404, SnapshotId=system.id, account=OTHER)

    @pytest.mark.parametrize("status", ["progressing", "failed"])
    def test_refuses_a_snapshot_that_is_not_finished(self, cloud, status):
        system = a_snapshot(cloud, status=status)

        refused = cloud.refuses("CreateImage", "InvalidSnapshotId.NotReady", 403, SnapshotId=system.id)

        assert str(refused).endswith("DiskDeviceMapping.n.SnapshotId or SnapshotId does not support this operation.")

    def test_refuses_a_data_disks_snapshot(self, cloud):
        data = a_snapshot(cloud, source_disk_type="data")

        refused = cloud.refuses("CreateImage", "OperationDenied", 403, SnapshotId=data.id)

        assert "not from system disk" in str(refused)

    def test_refuses_a_snapshot_of_a_system_disk_that_outlived_its_instance(self, cloud):
        left = a_snapshot(cloud, from_released_system=True)

        cloud.refuses("CreateImage", "OperationDenied", 403, SnapshotId=left.id)

    def test_refuses_a_snapshot_from_before_2013_07_16(self, cloud):
        old = a_snapshot(cloud, created_at=1_373_846_400.0)

        cloud.refuses("CreateImage", "InvalidSnapshot.TooOld", 403, SnapshotId=old.id)


class TestWhatTheImageIsCalled:
    @pytest.fixture
    def source(self, cloud):
        return a_snapshot(cloud).id

    def test_refuses_no_source(self, cloud):
        refused = cloud.refuses("CreateImage", "MissingParameter", 400, ImageName="web")

        assert "SnapshotId or InstanceId or DiskDeviceMapping" in str(refused)

    def test_is_named_as_told_or_not_at_all(self, cloud, source):
        named = cloud.call("CreateImage", SnapshotId=source, ImageName="TestCentOS")["ImageId"]
        unnamed = cloud.call("CreateImage", SnapshotId=source)["ImageId"]
        cloud.call("CreateImage", SnapshotId=source)

        assert (image_of(cloud, named).name, image_of(cloud, unnamed).name) == ("TestCentOS", "")

    @pytest.mark.parametrize("name", ["ab", "a" * 128, "镜像", "a1:_-.", "Aliyu"])
    def test_takes_a_name_that_keeps_the_rule(self, cloud, source, name):
        assert image_of(cloud, cloud.call("CreateImage", SnapshotId=source, ImageName=name)["ImageId"]).name == name

    @pytest.mark.parametrize(
        "name", ["a", "a" * 129, "1web", "_web", "http://web", "https://web", "a b", "a/b", "acs:web", "aliyunweb"]
    )
    def test_refuses_a_name_that_breaks_the_rule(self, cloud, source, name):
        cloud.refuses("CreateImage", "InvalidImageName.Malformed", 400, SnapshotId=source, ImageName=name)

    def test_refuses_a_name_already_taken(self, cloud, source):
        cloud.call("CreateImage", SnapshotId=source, ImageName="web")

        cloud.refuses("CreateImage", "InvalidImageName.Duplicated", 400, SnapshotId=source, ImageName="web")

    def test_shares_no_names_with_another_account(self, cloud, source):
        cloud.call("CreateImage", SnapshotId=source, ImageName="web")
        theirs = a_snapshot(cloud, account=OTHER)

        assert cloud.call("CreateImage", SnapshotId=theirs.id, ImageName="web", account=OTHER)["ImageId"]

    @pytest.mark.parametrize("text", ["a", "a" * 257, "http://x.y", "https://x.y"])
    def test_refuses_a_description_that_breaks_the_rule(self, cloud, source, text):
        cloud.refuses("CreateImage", "InvalidDescription.Malformed", 400, SnapshotId=source, Description=text)

    def test_keeps_family_version_and_the_rest(self, cloud, source):
        image = image_of(
            cloud,
            cloud.call(
                "CreateImage", SnapshotId=source, ImageFamily="daily", ImageVersion="2017011017", Description="Of now",
                Platform="Aliyun Linux", Architecture="x86_64", BootMode="UEFI", ResourceGroupId="rg-tests",
                DetectionStrategy="Standard",
            )["ImageId"],
        )  # fmt: skip

        assert (image.family, image.version, image.description) == ("daily", "2017011017", "Of now")
        assert (image.system.platform, image.system.boot_mode, image.resource_group) == (
            "Aliyun Linux",
            "UEFI",
            "rg-tests",
        )

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"ImageFamily": "a"}, "InvalidImageFamily.Malformed", 400),
            ({"ImageVersion": "x" * 129}, "InvalidImageVersion.Malformed", 400),
            ({"Platform": "BeOS"}, "InvalidPlatform.Malformed", 400),
            ({"Architecture": "sparc"}, "InvalidArchitecture.Malformed", 400),
            ({"BootMode": "U-Boot"}, "InvalidBootMode.NotSupport", 400),
            ({"BootMode": "BIOS", "Architecture": "arm64"}, "InvalidBootMode.NotSupport", 400),
            ({"Features.ImdsSupport": "v3"}, "InvalidParameter.FeaturesImdsSupport", 400),
            ({"Features.NvmeSupport": "perhaps"}, "InvalidParameter", 400),
            ({"DetectionStrategy": "Deep"}, "InvalidParameter.DetectionStrategy", 400),
            ({"SecureBootOptions.SecureBootSupport": "maybe"}, "InvalidParameter.SecureBootSupport", 400),
            ({"SecureBootOptions.SecureBootSupport": "supported"}, "InvalidParameter.SecureBootSupport", 400),
            ({"ResourceGroupId": "rg-unknown"}, "InvalidResourceGroup.NotFound", 404),
            ({"RegionId": "cn-nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"RegionId": ""}, "MissingParameter", 400),
            ({"ClientToken": "x" * 65}, "InvalidClientToken.Malformed", 400),
            ({"ClientToken": "é"}, "InvalidClientToken.Malformed", 400),
            ({"DryRun": "true"}, "DryRunOperation", 400),
        ],
    )
    def test_refuses_what_breaks_a_rule(self, cloud, source, params, code, status):
        cloud.refuses("CreateImage", code, status, {"SnapshotId": source, **params})

    def test_arm64_boots_by_uefi_when_nothing_is_said(self, cloud, source):
        image_id = cloud.call("CreateImage", SnapshotId=source, Architecture="arm64")["ImageId"]

        assert image_of(cloud, image_id).system.boot_mode == "UEFI"

    def test_refuses_more_than_the_quotas(self, cloud, source):
        quotas = cloud.ports.deployment.quotas
        object.__setattr__(quotas, "images", 1)
        cloud.call("CreateImage", SnapshotId=source)

        cloud.refuses("CreateImage", "QuotaExceed.Image", 403, SnapshotId=source)

    def test_refuses_more_of_a_family_than_its_quotas(self, cloud, source):
        quotas = cloud.ports.deployment.quotas
        object.__setattr__(quotas, "images_per_family", 1)
        object.__setattr__(quotas, "families", 1)
        cloud.call("CreateImage", SnapshotId=source, ImageFamily="daily")

        cloud.refuses("CreateImage", "ImageQuotaExceed.ImageFamily", 400, SnapshotId=source, ImageFamily="daily")
        cloud.refuses("CreateImage", "ImageFamilyQuotaExceed", 400, SnapshotId=source, ImageFamily="weekly")

    def test_refuses_more_snapshots_than_the_quota(self, cloud):
        object.__setattr__(cloud.ports.deployment.quotas, "snapshots", 0)
        instance = an_instance(cloud)

        cloud.refuses("CreateImage", "QuotaExceed.Snapshot", 403, InstanceId=instance.id)


class TestTags:
    @pytest.fixture
    def source(self, cloud):
        return a_snapshot(cloud).id

    def pairs(self, cloud: Cloud, image_id: str) -> dict[str, str]:
        with cloud.ports.database.read() as tx:
            return {t.key: t.value for t in tags.of(tx, "image", [image_id])[image_id]}

    def test_come_in_both_spellings(self, cloud, source):
        params = {"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.2.key": "b", "Tag.2.value": "2", "Tag.3.Key": "c"}

        image_id = cloud.call("CreateImage", params, SnapshotId=source)["ImageId"]

        assert self.pairs(cloud, image_id) == {"a": "1", "b": "2", "c": ""}

    def test_may_have_empty_values_and_twenty_pairs(self, cloud, source):
        params = {f"Tag.{n}.Key": f"k{n}" for n in range(1, 21)} | {"Tag.1.Value": ""}

        assert len(self.pairs(cloud, cloud.call("CreateImage", params, SnapshotId=source)["ImageId"])) == 20

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"Tag.1.Key": "a", "Tag.1.key": "b"}, "InvalidParameter", 400),
            ({"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.1.value": "2"}, "InvalidParameter", 400),
            ({"Tag.1.Key": ""}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Value": "x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "x" * 129}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "aliyunx"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "acs:x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "xhttp://y"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.1.Value": "x" * 129}, "InvalidTagValue.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.1.Value": "acs:x"}, "InvalidTagValue.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.1.Value": "https://y"}, "InvalidTagValue.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
            ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "QuotaExceed.Tags", 403),
            ({"Tag.21.Key": "a"}, "QuotaExceed.Tags", 403),
            ({"Tag.10000.Key": "a"}, "QuotaExceed.Tags", 403),
            ({"Tag.0.Key": "a"}, "InvalidParameter", 400),
        ],
    )
    def test_are_refused_when_they_break_a_rule(self, cloud, source, params, code, status):
        cloud.refuses("CreateImage", code, status, {"SnapshotId": source, **params})


class TestClientToken:
    def test_gives_the_same_image_for_the_same_request(self, cloud):
        source = a_snapshot(cloud).id
        again = {"SnapshotId": source, "ClientToken": "123e4567-e89b-12d3-a456-426655440000"}

        assert cloud.call("CreateImage", again) == cloud.call("CreateImage", again)
        with cloud.ports.database.read() as tx:
            assert images.images.count(tx) == 1

    def test_refuses_other_parameters(self, cloud):
        source = a_snapshot(cloud).id
        cloud.call("CreateImage", SnapshotId=source, ClientToken="t")

        cloud.refuses(
            "CreateImage", "IdempotenceParamNotMatch", 400, SnapshotId=source, ClientToken="t", ImageName="web"
        )

    @pytest.mark.parametrize(
        "again",
        [
            {"Tag.1.key": "a", "Tag.1.value": "b"},
            {"Tag.3.Key": "a", "Tag.3.Value": "b"},
            {"Tag.1.Key": "a", "Tag.1.Value": "b", "OwnerId": "3", "Unknown": "x", "Description": ""},
        ],
    )
    def test_compares_what_was_meant_not_how_it_was_spelled(self, cloud, again):
        common = {"SnapshotId": a_snapshot(cloud).id, "ClientToken": "t"}

        first = cloud.call("CreateImage", common | {"Tag.1.Key": "a", "Tag.1.Value": "b"})

        assert cloud.call("CreateImage", common | again) == first

    def test_is_each_accounts_own(self, cloud):
        mine, theirs = a_snapshot(cloud).id, a_snapshot(cloud, account=OTHER).id

        one = cloud.call("CreateImage", SnapshotId=mine, ClientToken="t")
        other = cloud.call("CreateImage", SnapshotId=theirs, ClientToken="t", account=OTHER)

        assert one != other

    def test_is_not_bound_by_a_call_that_failed(self, cloud):
        with pytest.raises(ApiError):
            cloud.call("CreateImage", SnapshotId="s-unknown", ClientToken="t")

        assert cloud.call("CreateImage", SnapshotId=a_snapshot(cloud).id, ClientToken="t")["ImageId"]

    def test_makes_one_image_of_many_calls_at_once(self, cloud):
        source = a_snapshot(cloud).id
        answers: list[str] = []
        start = threading.Barrier(8)

        def create() -> None:
            start.wait()
            answers.append(cloud.call("CreateImage", SnapshotId=source, ClientToken="t", ImageName="web")["ImageId"])

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(answers) == 8
        assert len(set(answers)) == 1


def test_lets_one_of_many_have_a_name(cloud):
    source = a_snapshot(cloud).id
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def create() -> None:
        start.wait()
        try:
            cloud.call("CreateImage", SnapshotId=source, ImageName="web")
            outcomes.append("made")
        except ApiError as e:
            outcomes.append(e.code)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["InvalidImageName.Duplicated"] * 5 + ["made"]


class FullPool:
    """The cloud's pool, with no room left for a freeze."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def freeze(self, disks, guest):
        raise PoolFull("no space left")


def test_fails_cleanly_when_the_pool_is_full(cloud):
    """The image says why, the snapshots are failed, and the instance stands where it stood."""
    instance = an_instance(cloud, data_disks=1)
    with cloud.ports.database.read() as tx:
        before = {d.id: d.volume for d in disks.all(tx, instance=instance.id)}
    image_id = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
    cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

    cloud.settle()

    image = image_of(cloud, image_id)
    assert (image.status, image.error_code) == (ImageStatus.CREATE_FAILED, "ServiceUnavailable")
    with cloud.ports.database.read() as tx:
        assert {d.id: d.volume for d in disks.all(tx, instance=instance.id)} == before
        assert {s.status for s in snapshots.all(tx)} == {SnapshotStatus.FAILED}
        assert {t.status for t in tasks.tasks.all(tx)} == {"Failed"}


def test_records_the_size_of_what_was_captured(cloud):
    instance = an_instance(cloud)

    cloud.call("CreateImage", InstanceId=instance.id)
    cloud.settle()

    with cloud.ports.database.read() as tx:
        assert [s.size_bytes for s in snapshots.all(tx)] == [20 * GiB]
