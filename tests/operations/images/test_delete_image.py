"""DeleteImage, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import SnapshotStatus
from kiln.store import images, tags
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from tests.clouds import OTHER
from tests.operations.images.gallery import BUCKET, a_bucket, an_image, an_object, shown
from tests.stock import an_instance


class TestDeletes:
    def test_the_image_and_its_tags(self, cloud):
        image = an_image(cloud, tagged={"k": "v"})
        kept = an_image(cloud, tagged={"k": "v"})

        assert cloud.call("DeleteImage", ImageId=image.id) == {}

        with cloud.ports.database.read() as tx:
            assert [found.id for found in images.images.all(tx)] == [kept.id]
            assert {found.image for found in images.image_disks.all(tx)} == {kept.id}
            assert {found.resource for found in tags.tags.all(tx)} == {kept.id}

    def test_and_leaves_the_snapshots_free_to_be_deleted(self, cloud):
        image = an_image(cloud)
        (mapping,) = shown(cloud, image.id)["DiskDeviceMappings"]["DiskDeviceMapping"]
        cloud.refuses("DeleteSnapshot", "SnapshotCreatedImage", 403, SnapshotId=mapping["SnapshotId"])

        cloud.call("DeleteImage", ImageId=image.id)

        cloud.call("DeleteSnapshot", SnapshotId=mapping["SnapshotId"])

    def test_an_image_that_failed(self, cloud):
        image = an_image(cloud, status="CreateFailed")

        cloud.call("DeleteImage", ImageId=image.id)

        assert shown(cloud, image.id) is None

    def test_an_image_of_instances_by_force(self, cloud):
        image = an_image(cloud)
        an_instance(cloud, image=image.id)

        cloud.refuses("DeleteImage", "ImageUsingByInstance", 403, ImageId=image.id)
        cloud.call("DeleteImage", ImageId=image.id, Force=True)

        assert shown(cloud, image.id) is None

    def test_a_name_that_can_be_taken_again(self, cloud):
        image = an_image(cloud, name="web")
        cloud.call("DeleteImage", ImageId=image.id)

        an_image(cloud, name="web")

    def test_once_more_what_was_deleted_before(self, cloud):
        image = an_image(cloud)
        cloud.call("DeleteImage", ImageId=image.id)

        assert cloud.call("DeleteImage", ImageId=image.id, Force=True) == {}

    def test_an_image_that_is_creating_while_its_snapshots_are_finished(self, cloud):
        instance = an_instance(cloud, data_disks=1)
        image_id = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

        cloud.call("DeleteImage", ImageId=image_id)
        cloud.settle()

        assert shown(cloud, image_id) is None
        assert cloud.open_tasks() == []
        with cloud.ports.database.read() as tx:
            taken = snapshots.all(tx)
        assert [snapshot.status for snapshot in taken] == [SnapshotStatus.ACCOMPLISHED] * 2
        for snapshot in taken:
            cloud.call("DeleteSnapshot", SnapshotId=snapshot.id)


class TestRefuses:
    def test_an_unknown_image(self, cloud):
        cloud.refuses("DeleteImage", "InvalidImageId.NotFound", 404, ImageId="m-unknown")

    def test_what_is_no_image(self, cloud):
        instance = an_instance(cloud)

        cloud.refuses("DeleteImage", "InvalidImageId.NotFound", 404, ImageId=instance.id)

    def test_the_image_of_another_account_also_when_it_is_deleted(self, cloud):
        image = an_image(cloud)

        cloud.refuses("DeleteImage", "InvalidImageId.NotFound", 404, ImageId=image.id, Force=True, account=OTHER)
        cloud.call("DeleteImage", ImageId=image.id)
        cloud.refuses("DeleteImage", "InvalidImageId.NotFound", 404, ImageId=image.id, account=OTHER)

    def test_an_image_that_is_being_imported(self, cloud):
        an_object(cloud)
        mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "disk.qcow2"}
        image_id = cloud.call("ImportImage", mapping)["ImageId"]

        cloud.refuses("DeleteImage", "ImageIsImporting", 403, ImageId=image_id, Force=True)
        cloud.settle()
        cloud.call("DeleteImage", ImageId=image_id)

    def test_an_image_that_is_being_exported(self, cloud):
        a_bucket(cloud)
        image = an_image(cloud)
        cloud.call("ExportImage", ImageId=image.id, OSSBucket=BUCKET)

        cloud.refuses("DeleteImage", "ImageIsExporting", 403, ImageId=image.id, Force=True)
        with cloud.ports.database.read() as tx:
            (task,) = tasks.all(tx)
        cloud.call("CancelTask", TaskId=task.id)
        cloud.settle()
        cloud.call("DeleteImage", ImageId=image.id)


def test_rehearses_when_asked(cloud):
    image = an_image(cloud)

    cloud.refuses("DeleteImage", "DryRunOperation", 400, ImageId=image.id, DryRun=True)
    cloud.refuses("DeleteImage", "InvalidImageId.NotFound", 404, ImageId="m-unknown", DryRun=True)


@pytest.mark.parametrize("missing", ["RegionId", "ImageId"])
def test_needs_region_and_image(cloud, missing):
    cloud.refuses("DeleteImage", "MissingParameter", 400, {"ImageId": "m-1", missing: ""})
