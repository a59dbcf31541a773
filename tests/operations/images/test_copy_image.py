"""CopyImage, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Quotas
from kiln.declare.states import ImageStatus, SnapshotStatus
from kiln.ground.clock import from_text
from kiln.store.images import image_disks, images
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER, REGION
from tests.kill.checks import image_holds
from tests.kill.scenarios import DATA, SYSTEM, an_image_with
from tests.operations.images.gallery import (
    FAR,
    a_disk_of,
    an_image,
    copied,
    share,
    shown,
    unshare,
    with_two_regions,
)
from tests.reading import every, find, the
from tests.stock import a_snapshot, an_instance


@pytest.fixture
def cloud(cloud):
    return with_two_regions(cloud)


def snapshots_of(cloud, image_id):
    return [disk.snapshot for disk in every(cloud, image_disks, image=image_id) if disk.snapshot]


class TestToAnotherRegion:
    def test_is_creating_with_its_progress_and_then_available(self, cloud):
        source = an_image(cloud, name="web", version="7", family="webs", tagged={"k": "v"}, description="of the source")

        copy = copied(cloud, source.id, DestinationImageName="web", DestinationDescription="of the copy")

        begun = shown(cloud, copy, RegionId=FAR)
        (disk,) = begun["DiskDeviceMappings"]["DiskDeviceMapping"]
        assert (begun["Status"], begun["Progress"], begun["IsCopied"]) == ("Creating", "0%", True)
        assert (disk["Progress"], disk["RemainTime"]) == ("0%", 1)
        cloud.settle()
        done = shown(cloud, copy, RegionId=FAR)
        (disk,) = done["DiskDeviceMappings"]["DiskDeviceMapping"]
        assert (done["Status"], done["Progress"], done["IsCopied"]) == ("Available", "100%", True)
        assert (disk["Progress"], disk["RemainTime"]) == ("", 0)
        assert (done["ImageName"], done["Description"], done["ImageVersion"]) == ("web", "of the copy", "7")
        assert (done["ImageFamily"], done["Tags"], done["Size"]) == ("", {"Tag": []}, source.size_gib)
        assert done["Platform"] == source.system.platform

    def test_is_listed_there_alone_and_the_source_here_alone(self, cloud):
        source = an_image(cloud)

        copy = copied(cloud, source.id)
        cloud.settle()

        there = cloud.call("DescribeImages", RegionId=FAR)["Images"]["Image"]
        here = cloud.call("DescribeImages")["Images"]["Image"]
        assert [one["ImageId"] for one in there] == [copy]
        assert [one["ImageId"] for one in here] == [source.id]
        assert shown(cloud, copy) is None
        assert not here[0]["IsCopied"]

    def test_has_snapshots_of_its_own_that_name_the_same_layers(self, cloud):
        system, data = a_snapshot(cloud), a_snapshot(cloud, source_disk_type="data")
        disks = (a_disk_of(None, system.id), a_disk_of(None, data.id, 1), a_disk_of(None, "", 2, size_gib=40))
        source = an_image(cloud, disks)
        before = every(cloud, volumes)

        copy = copied(cloud, source.id)
        cloud.settle()

        rows = every(cloud, image_disks, image=copy)
        assert [(row.type, row.device, row.size_gib) for row in rows] == [
            (row.type, row.device, row.size_gib) for row in disks
        ]
        made = [the(cloud, snapshots, id=one) for one in snapshots_of(cloud, copy)]
        assert [one.volume for one in made] == [system.volume, data.volume]
        assert {one.region for one in made} == {FAR}
        assert not {one.id for one in made} & {system.id, data.id}
        assert every(cloud, volumes) == before
        (told, _) = cloud.call("DescribeSnapshots", RegionId=FAR)["Snapshots"]["Snapshot"]
        assert (told["SourceSnapshotId"], told["SourceRegionId"], told["SourceDiskId"]) == (system.id, REGION, "")

    def test_takes_its_own_tags_and_resource_group(self, cloud):
        source = an_image(cloud, resource_group="rg-tests", tagged={"of": "source"})

        copy = copied(cloud, source.id, ResourceGroupId="rg-tests", **{"Tag.1.Key": "of", "Tag.1.Value": "copy"})

        begun = shown(cloud, copy, RegionId=FAR)
        assert begun["Tags"] == {"Tag": [{"TagKey": "of", "TagValue": "copy"}]}
        assert begun["ResourceGroupId"] == "rg-tests"

    def test_can_be_used_there(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id)
        cloud.settle()

        cloud.call("RunInstances", RegionId=FAR, ImageId=copy, InstanceType="ecs.t5-lc1m1.small")
        cloud.refuses("RunInstances", "InvalidImageId.NotFound", 404, ImageId=copy, InstanceType="ecs.t5-lc1m1.small")

    def test_may_be_copied_on_when_it_is_available(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id)

        cloud.refuses("CopyImage", "OperationDenied.ImageCopying", 403, RegionId=FAR, ImageId=copy)
        cloud.settle()

        again = copied(cloud, copy, REGION, RegionId=FAR)
        cloud.settle()
        assert shown(cloud, again)["Status"] == "Available"

    def test_is_made_several_times_at_once(self, cloud):
        source = an_image(cloud)

        copies = [copied(cloud, source.id) for _ in range(12)]

        assert len({task.lane for task in cloud.open_tasks()}) == 5
        cloud.settle()
        assert {the(cloud, images, id=one).status for one in copies} == {ImageStatus.AVAILABLE}

    def test_cannot_be_deleted_while_it_is_creating(self, cloud):
        copy = copied(cloud, an_image(cloud).id)

        cloud.refuses("DeleteImage", "OperationDenied.ImageCopying", 403, RegionId=FAR, ImageId=copy, Force=True)
        (snapshot,) = snapshots_of(cloud, copy)
        cloud.refuses("DeleteSnapshot", "SnapshotCreatedImage", 403, SnapshotId=snapshot, Force=True, RegionId=FAR)
        cloud.settle()

        cloud.call("DeleteImage", RegionId=FAR, ImageId=copy)

    def test_fails_with_the_reason_when_a_layer_is_gone(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id)
        (layer,) = every(cloud, volumes)
        cloud.ports.pool.drop(layer.id)

        for _ in range(12):
            for task in cloud.open_tasks():
                cloud.worker.attempt(task)

        assert shown(cloud, copy, RegionId=FAR)["Status"] == "CreateFailed"
        reason = cloud.call("DescribeReasons", RegionId=FAR, ResourceId=copy)
        assert reason
        (made,) = (one for one in every(cloud, snapshots) if one.region == FAR)
        assert (made.status, made.volume) == (SnapshotStatus.FAILED, None)
        cloud.call("DeleteImage", RegionId=FAR, ImageId=copy)

    @pytest.mark.qcow2
    def test_fails_when_a_layer_below_is_gone(self, cloud):
        image = cloud.call("CreateImage", InstanceId=an_instance(cloud).id)["ImageId"]
        cloud.settle()
        instance = cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc1m1.small", Amount=1)
        cloud.settle()
        (above,) = instance["InstanceIdSets"]["InstanceIdSet"]
        second = cloud.call("CreateImage", InstanceId=above)["ImageId"]
        cloud.settle()
        below = next(one for one in every(cloud, volumes) if one.kind == "layer" and one.parent is None)
        (cloud.folder / "pool" / f"{below.id}.qcow2").unlink()

        copy = copied(cloud, second)
        cloud.settle()

        assert shown(cloud, copy, RegionId=FAR)["Status"] == "CreateFailed"


class TestWithinARegion:
    @pytest.mark.qcow2
    def test_is_refused_where_a_layer_is_gone(self, cloud):
        image = cloud.call("CreateImage", InstanceId=an_instance(cloud).id)["ImageId"]
        cloud.settle()
        layer = next(one for one in every(cloud, volumes) if one.kind == "layer")
        (cloud.folder / "pool" / f"{layer.id}.qcow2").unlink()

        cloud.refuses("CopyImage", "ServiceUnavailable", 503, ImageId=image)

    def test_tells_how_its_disks_were_captured(self, cloud):
        source = an_image(cloud)
        cloud.ports.database.write(lambda tx: images.update(tx, {"consistency": "crash-consistent"}, id=source.id))

        assert the(cloud, images, id=copied(cloud, source.id, None)).consistency == "crash-consistent"

    @pytest.mark.parametrize("region", [None, REGION])
    def test_is_available_with_the_answer(self, cloud, region):
        source = an_image(cloud)

        copy = copied(cloud, source.id, region)

        assert cloud.open_tasks() == []
        made = shown(cloud, copy)
        assert (made["Status"], made["Progress"], made["IsCopied"]) == ("Available", "100%", True)
        (snapshot,) = snapshots_of(cloud, copy)
        assert the(cloud, snapshots, id=snapshot).status == SnapshotStatus.ACCOMPLISHED

    def test_lets_the_source_and_its_snapshots_go_at_once(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id, None)

        cloud.call("DeleteImage", ImageId=source.id)
        for snapshot in snapshots_of(cloud, copy):
            cloud.refuses("DeleteSnapshot", "SnapshotCreatedImage", 403, SnapshotId=snapshot)
        (old,) = (one.id for one in every(cloud, snapshots) if one.made_for != copy)
        cloud.call("DeleteSnapshot", SnapshotId=old)

        assert shown(cloud, copy)["Usable"]


class TestWhatStaysTogether:
    @pytest.mark.parametrize("first", ["source", "copy"])
    def test_the_layers_stay_whichever_goes_first_and_go_with_the_last(self, cloud, first):
        source = an_image_with(cloud, SYSTEM, DATA)
        copy = copied(cloud, source)
        if first == "copy":
            cloud.settle()
        region = {source: REGION, copy: FAR}
        order = [source, copy] if first == "source" else [copy, source]

        for n, image_id in enumerate(order):
            gone = snapshots_of(cloud, image_id)
            cloud.call("DeleteImage", ImageId=image_id, RegionId=region[image_id])
            for snapshot in gone:
                cloud.call("DeleteSnapshot", SnapshotId=snapshot, RegionId=region[image_id])
            cloud.settle()
            sweep(cloud.ports)
            cloud.settle()
            if n == 0:
                image_holds(cloud, order[1], [SYSTEM, DATA])

        assert list(cloud.ports.pool.volumes()) == []

    def test_a_failed_task_that_nobody_understands_leaves_no_layer_behind(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id)
        (task,) = cloud.open_tasks()
        cloud.ports.database.write(lambda tx: tasks.update(tx, {"payload": "{"}, id=task.id))

        cloud.settle()

        assert the(cloud, images, id=copy).status == ImageStatus.CREATE_FAILED
        assert [one.volume for one in every(cloud, snapshots) if one.region == FAR] == [None]


class TestOfOthers:
    def test_a_shared_image_is_copied_within_its_region_and_is_the_receivers_then(self, cloud):
        source = an_image(cloud)
        share(cloud, source.id)

        copy = copied(cloud, source.id, None, account=OTHER)

        unshare(cloud, source.id)
        cloud.call("DeleteImage", ImageId=source.id)
        made = shown(cloud, copy, account=OTHER)
        assert (made["ImageOwnerAlias"], made["ImageOwnerId"], made["Usable"]) == ("self", int(OTHER), True)
        (snapshot,) = cloud.call("DescribeSnapshots", account=OTHER)["Snapshots"]["Snapshot"]
        assert (snapshot["SourceSnapshotId"], snapshot["SourceDiskId"]) == ("", "")
        assert shown(cloud, copy) is None

    def test_it_does_not_tell_its_receiver_which_object_it_came_from(self, cloud):
        source = an_image(cloud)
        imported = {"bucket": "owners", "object": "disk.raw", "format": "RAW"}
        cloud.ports.database.write(lambda tx: image_disks.update(tx, imported, image=source.id))
        share(cloud, source.id)

        copy = copied(cloud, source.id, None, account=OTHER)

        owners, receivers = shown(cloud, source.id), shown(cloud, copy, account=OTHER)
        (told,), (hidden,) = (one["DiskDeviceMappings"]["DiskDeviceMapping"] for one in (owners, receivers))
        assert (told["ImportOSSBucket"], told["ImportOSSObject"]) == ("owners", "disk.raw")
        assert (hidden["ImportOSSBucket"], hidden["ImportOSSObject"], hidden["Format"]) == ("", "", "")

    def test_it_is_refused_to_another_region(self, cloud):
        source = an_image(cloud)
        share(cloud, source.id)

        code = "OperationDenied.SameRegionOnly"
        cloud.refuses("CopyImage", code, 403, ImageId=source.id, DestinationRegionId=FAR, account=OTHER)

    def test_it_is_not_there_before_it_is_shared_and_after(self, cloud):
        source = an_image(cloud)

        cloud.refuses("CopyImage", "InvalidImageId.NotFound", 404, ImageId=source.id, account=OTHER)
        share(cloud, source.id)
        unshare(cloud, source.id)
        cloud.refuses("CopyImage", "InvalidImageId.NotFound", 404, ImageId=source.id, account=OTHER)


class TestRefuses:
    def test_what_is_not_there(self, cloud):
        source = an_image(cloud)

        cloud.refuses("CopyImage", "InvalidImageId.NotFound", 404, ImageId="m-unknown")
        cloud.refuses("CopyImage", "InvalidImageId.NotFound", 404, ImageId=source.id, RegionId=FAR)
        cloud.refuses("CopyImage", "InvalidResourceGroup.NotFound", 404, ImageId=source.id, ResourceGroupId="rg-no")

    def test_regions_that_are_not_served(self, cloud):
        source = an_image(cloud)

        cloud.refuses("CopyImage", "SourceRegion.NotFound", 400, ImageId=source.id, RegionId="nowhere")
        code = "DestinationRegion.NotFound"
        cloud.refuses("CopyImage", code, 400, ImageId=source.id, DestinationRegionId="nowhere")
        cloud.refuses("CopyImage", code, 400, ImageId=source.id, DestinationRegionId="../" + FAR)

    @pytest.mark.parametrize("status", ["Creating", "CreateFailed", "Deprecated"])
    def test_an_image_that_is_not_available(self, cloud, status):
        source = an_image(cloud, status=status)

        cloud.refuses("CopyImage", "IncorrectImageStatus", 400, ImageId=source.id, DestinationRegionId=FAR)

    def test_a_name_that_is_taken_there_but_not_one_that_is_taken_here(self, cloud):
        source = an_image(cloud, name="web")
        copied(cloud, source.id, DestinationImageName="web")

        for more in ({"DestinationRegionId": FAR}, {}):
            code = "InvalidImageName.Duplicated"
            cloud.refuses("CopyImage", code, 400, ImageId=source.id, DestinationImageName="web", **more)

    def test_what_belongs_to_encryption(self, cloud):
        source = an_image(cloud)

        unknown = {"Encrypted": True, "KMSKeyId": "k"}
        cloud.refuses("CopyImage", "InvalidParameter.KMSKeyId.NotFound", 404, unknown, ImageId=source.id)
        cloud.refuses("CopyImage", "InvalidParameter.EncryptedIllegal", 400, ImageId=source.id, KMSKeyId="k")
        code = "InvalidEncrypted.NotMatchEncryptAlgorithm"
        cloud.refuses("CopyImage", code, 400, ImageId=source.id, EncryptAlgorithm="AES-256")
        cloud.refuses("CopyImage", "InvalidEncryptAlgorithm", 400, ImageId=source.id, EncryptAlgorithm="rot13")
        code = "InvalidRegionId.NotSupportEncryptAlgorithm"
        cloud.refuses("CopyImage", code, 403, ImageId=source.id, Encrypted=True, EncryptAlgorithm="SM4-128")
        copied(cloud, source.id, Encrypted=False)

    def test_a_source_whose_snapshot_is_gone_or_too_old(self, cloud):
        old = a_snapshot(cloud, created_at=from_text("2013-07-15T00:00:00Z"))
        source, lost = an_image(cloud, (a_disk_of(None, old.id),)), an_image(cloud, (a_disk_of(None, "s-gone"),))

        cloud.refuses("CopyImage", "InvalidSnapshot.TooOld", 403, ImageId=source.id)
        cloud.refuses("CopyImage", "InvalidSnapshotId.NotFound", 400, ImageId=lost.id)

    def test_tags_that_make_no_sense(self, cloud):
        source = an_image(cloud)

        cloud.refuses("CopyImage", "InvalidTagKey.Malformed", 400, {"Tag.1.Value": "v"}, ImageId=source.id)
        twice = {"Tag.1.Key": "k", "Tag.2.Key": "k"}
        cloud.refuses("CopyImage", "Duplicate.TagKey", 400, twice, ImageId=source.id)

    @pytest.mark.parametrize("name", ["a", "1web", "http://web", "acs:web", "w" * 129, "we\nb"])
    def test_names_that_break_the_rule(self, cloud, name):
        source = an_image(cloud)

        code = "InvalidImageName.Malformed"
        cloud.refuses("CopyImage", code, 400, ImageId=source.id, DestinationImageName=name)

    def test_more_images_and_snapshots_than_the_quota_there(self, cloud):
        source = an_image(cloud)
        with_two_regions(cloud, quotas=Quotas(images=1))
        cloud.refuses("CopyImage", "QuotaExceed.Image", 403, ImageId=source.id)
        copied(cloud, source.id)
        cloud.refuses("CopyImage", "QuotaExceed.Image", 403, ImageId=source.id, DestinationRegionId=FAR)

        with_two_regions(cloud, quotas=Quotas(snapshots=1))
        cloud.refuses("CopyImage", "QuotaExceed.Snapshot", 403, ImageId=source.id)


def test_a_token_gives_the_same_copy_again(cloud):
    source = an_image(cloud)

    first = copied(cloud, source.id, ClientToken="once")

    cloud.call("DeleteImage", ImageId=source.id)
    assert copied(cloud, source.id, ClientToken="once") == first
    code = "IdempotentParameterMismatch"
    cloud.refuses("CopyImage", code, 400, ImageId=source.id, ClientToken="once")
    assert len(every(cloud, images)) == 1


def test_rehearses_when_asked(cloud):
    source = an_image(cloud)

    cloud.refuses("CopyImage", "DryRunOperation", 400, ImageId=source.id, DestinationRegionId=FAR, DryRun=True)
    cloud.refuses("CopyImage", "InvalidImageId.NotFound", 404, ImageId="m-unknown", DryRun=True)
    assert find(cloud, images, region=FAR) is None
