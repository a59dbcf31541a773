"""CancelCopyImage, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import ImageStatus, TaskStatus
from kiln.ground import killpoints
from kiln.store.images import image_disks, images
from kiln.store.shares import image_shares
from kiln.store.snapshots import snapshots
from kiln.store.tags import tags
from kiln.store.tasks import tasks
from tests.clouds import OTHER
from tests.operations.images.gallery import FAR, an_image, copied, share, shown, with_two_regions
from tests.reading import every, the


@pytest.fixture
def cloud(cloud):
    return with_two_regions(cloud)


def nothing_is_left(cloud, source):
    assert [one.id for one in every(cloud, images)] == [source.id]
    assert {one.image for one in every(cloud, image_disks)} == {source.id}
    assert [one.region for one in every(cloud, snapshots)] == [source.region]
    assert every(cloud, tags) == []
    assert every(cloud, image_shares) == []


class TestCancels:
    def test_a_copy_that_is_creating_and_leaves_nothing_of_it(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id, **{"Tag.1.Key": "k"})
        share(cloud, copy, RegionId=FAR)
        (snapshot,) = every(cloud, snapshots, region=FAR)
        tag = {"Tag.1.Key": "k", "Tag.1.Value": "v"}
        cloud.call("AddTags", tag, RegionId=FAR, ResourceType="snapshot", ResourceId=snapshot.id)

        assert cloud.call("CancelCopyImage", RegionId=FAR, ImageId=copy) == {}

        nothing_is_left(cloud, source)
        (task,) = every(cloud, tasks)
        assert (task.status, task.error_code) == (TaskStatus.FAILED, "TaskCancelled")
        cloud.settle()
        nothing_is_left(cloud, source)
        assert shown(cloud, source.id)["Usable"]

    @pytest.mark.parametrize("point", ["copying.before", "copying.accomplished"])
    def test_a_copy_that_a_worker_is_at(self, cloud, point):
        source = an_image(cloud)
        copy = copied(cloud, source.id)
        (task,) = cloud.worker.claim(cloud.clock())

        def cancel(passed: str) -> None:
            if passed == point:
                killpoints.listen(None)
                cloud.call("CancelCopyImage", RegionId=FAR, ImageId=copy)

        killpoints.listen(cancel)
        try:
            cloud.worker.attempt(task)
        finally:
            killpoints.listen(None)

        nothing_is_left(cloud, source)
        assert the(cloud, tasks, id=task.id).status == TaskStatus.FAILED

    def test_a_copy_but_for_a_snapshot_that_another_image_stands_on(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id)
        (task,) = cloud.worker.claim(cloud.clock())
        made = []

        def use(passed: str) -> None:
            if passed == "copying.accomplished":
                killpoints.listen(None)
                (snapshot,) = every(cloud, snapshots, region=FAR)
                made.append(cloud.call("CreateImage", RegionId=FAR, SnapshotId=snapshot.id)["ImageId"])
                cloud.call("CancelCopyImage", RegionId=FAR, ImageId=copy)

        killpoints.listen(use)
        try:
            cloud.worker.attempt(task)
        finally:
            killpoints.listen(None)

        assert sorted(one.id for one in every(cloud, images)) == sorted([source.id, *made])
        assert len(every(cloud, snapshots, region=FAR)) == 1
        assert copied(cloud, made[0], source.region, RegionId=FAR)

    def test_a_name_that_can_be_taken_again(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id, DestinationImageName="web")
        cloud.call("CancelCopyImage", RegionId=FAR, ImageId=copy)

        copied(cloud, source.id, DestinationImageName="web")

    def test_a_copy_whose_source_is_gone(self, cloud):
        source = an_image(cloud)
        copy = copied(cloud, source.id)
        cloud.call("DeleteImage", ImageId=source.id)

        cloud.call("CancelCopyImage", RegionId=FAR, ImageId=copy)

        assert every(cloud, images) == []


class TestRefuses:
    def test_a_copy_that_is_complete(self, cloud):
        copy = copied(cloud, an_image(cloud).id)
        cloud.settle()

        refused = cloud.refuses("CancelCopyImage", "IncorrectImageStatus", 400, RegionId=FAR, ImageId=copy)
        assert str(refused).startswith("The image copy has completed.")

    def test_a_copy_that_failed(self, cloud):
        copy = copied(cloud, an_image(cloud).id)
        cloud.ports.database.write(lambda tx: images.update(tx, {"status": ImageStatus.CREATE_FAILED}, id=copy))

        refused = cloud.refuses("CancelCopyImage", "IncorrectImageStatus", 400, RegionId=FAR, ImageId=copy)
        assert str(refused).startswith("The Image copy has been failed.")

    @pytest.mark.parametrize("source", ["", "images/disk.raw", "m-bucket/disk.raw", "i-bp1"])
    def test_an_image_that_is_no_copy(self, cloud, source):
        image = an_image(cloud, status="Creating", source=source)

        cloud.refuses("CancelCopyImage", "ImageCreatedNotFromCopy", 400, ImageId=image.id)

    def test_what_is_not_there(self, cloud):
        copy = copied(cloud, an_image(cloud).id)

        cloud.refuses("CancelCopyImage", "InvalidImageId.NotFound", 404, ImageId="m-unknown")
        cloud.refuses("CancelCopyImage", "InvalidImageId.NotFound", 404, ImageId=copy)  # The source's region.
        cloud.refuses("CancelCopyImage", "InvalidRegionId.NotFound", 404, ImageId=copy, RegionId="nowhere")
        cloud.call("CancelCopyImage", RegionId=FAR, ImageId=copy)
        cloud.refuses("CancelCopyImage", "InvalidImageId.NotFound", 404, RegionId=FAR, ImageId=copy)

    def test_anybody_but_the_owner(self, cloud):
        copy = copied(cloud, an_image(cloud).id)
        share(cloud, copy, RegionId=FAR)

        cloud.refuses("CancelCopyImage", "InvalidImageId.NotFound", 404, RegionId=FAR, ImageId=copy, account=OTHER)


def test_rehearses_when_asked(cloud):
    copy = copied(cloud, an_image(cloud).id)

    cloud.refuses("CancelCopyImage", "DryRunOperation", 400, RegionId=FAR, ImageId=copy, DryRun=True)
