"""ExportImage, as a caller meets it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace

import pytest

from kiln.ground import killpoints
from kiln.pools.errors import PoolFull
from kiln.store import buckets
from kiln.store.images import images
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER, REGION
from tests.dying import settle_killing
from tests.mounts import mounted
from tests.operations.disks.watched import exhaust
from tests.operations.images.gallery import (
    BUCKET,
    FAR,
    a_bucket,
    a_disk_of,
    an_image,
    an_object,
    bytes_of,
    shown,
    with_two_regions,
)
from tests.reading import every, the
from tests.stock import a_snapshot, an_instance
from tests.tools import needs


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "qemu-io")


@pytest.fixture(autouse=True)
def _nobody_listens():
    yield
    killpoints.listen(None)


@pytest.fixture
def bucket(cloud):
    return a_bucket(cloud)


@pytest.fixture
def image(cloud, bucket):
    """An image that was imported: its disk holds something."""
    an_object(cloud, "source.qcow2")
    given = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "source.qcow2"}
    image_id = cloud.call("ImportImage", given)["ImageId"]
    cloud.settle()
    (bucket / "source.qcow2").rename(cloud.folder / "source.qcow2")
    return image_id


def export(cloud, image_id, **more):
    return cloud.call("ExportImage", ImageId=image_id, OSSBucket=BUCKET, **more)["TaskId"]


def names_in(bucket):
    return sorted(path.name for path in bucket.iterdir())


def attribute(cloud, task_id):
    return cloud.call("DescribeTaskAttribute", TaskId=task_id)


class TestWrites:
    def test_one_file_for_the_system_disk_named_for_image_and_task(self, cloud, bucket, image):
        answer = cloud.call("ExportImage", ImageId=image, OSSBucket=BUCKET, OSSPrefix="backup", RoleName="AnyRole")

        task_id = answer["TaskId"]
        assert answer == {"RegionId": REGION, "TaskId": task_id}
        assert names_in(bucket) == []
        assert attribute(cloud, task_id)["TaskStatus"] == "Processing"
        cloud.settle()
        name = f"backup_{image}_{task_id}.raw"
        assert names_in(bucket) == [name]
        assert (bucket / name).read_bytes() == bytes_of(cloud.folder / "source.qcow2", "qcow2")
        task = attribute(cloud, task_id)
        (progress,) = task["OperationProgressSet"]["OperationProgress"]
        assert (task["TaskStatus"], task["TaskProcess"]) == ("Finished", "100%")
        assert progress["RelatedItemSet"] == {"RelatedItem": [{"Name": "OSSObject", "Value": name}]}

    @pytest.mark.parametrize(
        ("form", "found"), [("raw", "raw"), ("vhd", "vpc"), ("qcow2", "qcow2"), ("VMDK", "vmdk"), ("vdi", "vdi")]
    )
    def test_every_format(self, cloud, bucket, image, form, found):
        task_id = export(cloud, image, ImageFormat=form)
        cloud.settle()

        path = bucket / f"{image}_{task_id}.{form.lower()}"
        said = json.loads(subprocess.check_output(["qemu-img", "info", "-f", found, "--output=json", path]))
        assert said["virtual-size"] == 2**20
        assert "backing-filename" not in said
        assert bytes_of(path, found) == bytes_of(cloud.folder / "source.qcow2", "qcow2")

    def test_one_file_for_each_data_disk_but_none_for_blank_ones(self, cloud, bucket):
        system, data = a_snapshot(cloud, source_disk_size_gib=1), a_snapshot(cloud, source_disk_size_gib=2)
        disks = (a_disk_of(None, system.id), a_disk_of(None, "", 1), a_disk_of(None, data.id, 2))
        image = an_image(cloud, disks=disks)

        task_id = export(cloud, image.id, ImageFormat="qcow2")
        cloud.settle()

        stem = f"{image.id}_{task_id}"
        assert names_in(bucket) == [f"{stem}.qcow2", f"{stem}_1.qcow2"]
        said = subprocess.check_output(["qemu-img", "info", "--output=json", bucket / f"{stem}_1.qcow2"])
        assert json.loads(said)["virtual-size"] == 2 * 2**30
        task = attribute(cloud, task_id)
        assert (task["TotalCount"], task["SuccessCount"], task["FailedCount"]) == (2, 2, 0)

    def test_what_can_be_imported_again(self, cloud, bucket, image):
        task_id = export(cloud, image, ImageFormat="vmdk")
        cloud.settle()
        given = {
            "DiskDeviceMapping.1.OSSBucket": BUCKET,
            "DiskDeviceMapping.1.OSSObject": f"{image}_{task_id}.vmdk",
        }

        again = cloud.call("ImportImage", given)["ImageId"]
        cloud.settle()

        assert shown(cloud, again)["Status"] == "Available"

    def test_while_the_sweeper_leaves_the_layers_alone(self, cloud, bucket, image):
        task_id = export(cloud, image)

        sweep(cloud.ports)
        cloud.settle()

        assert attribute(cloud, task_id)["TaskStatus"] == "Finished"
        with cloud.ports.database.read() as tx:
            assert [volume.state for volume in volumes.all(tx)] == ["ready"]


class TestLeavesNothing:
    @pytest.mark.parametrize("point", ["worker.ExportImage.claimed", ".send_out.copied", "export_image.sent_out"])
    def test_when_it_is_cancelled_at_any_time(self, cloud, bucket, image, point):
        task_id = export(cloud, image)
        killpoints.listen(lambda at: at.endswith(point) and cloud.call("CancelTask", TaskId=task_id))

        cloud.settle()

        assert names_in(bucket) == []
        task = attribute(cloud, task_id)
        (progress,) = task["OperationProgressSet"]["OperationProgress"]
        assert (task["TaskStatus"], progress["ErrorCode"]) == ("Failed", "TaskCancelled")
        assert shown(cloud, image)["Status"] == "Available"

    def test_when_there_is_no_room(self, cloud, bucket, image):
        task_id = export(cloud, image)
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        cloud.settle()

        assert names_in(bucket) == []
        (progress,) = attribute(cloud, task_id)["OperationProgressSet"]["OperationProgress"]
        assert (progress["ErrorCode"], progress["OperationStatus"]) == ("ExportImageFailed", "Failed")

    def test_when_the_bucket_is_gone(self, cloud, bucket, image):
        task_id = export(cloud, image)
        bucket.rmdir()

        cloud.settle()

        (progress,) = attribute(cloud, task_id)["OperationProgressSet"]["OperationProgress"]
        assert progress["ErrorCode"] == "ExportImageFailed"

    def test_when_a_folder_has_the_files_name(self, cloud, bucket, image):
        task_id = export(cloud, image)
        (bucket / f"{image}_{task_id}.raw").mkdir()

        cloud.settle()

        (progress,) = attribute(cloud, task_id)["OperationProgressSet"]["OperationProgress"]
        assert progress["ErrorCode"] == "ExportImageFailed"
        assert "can't be written" in progress["ErrorMsg"]


class FullPool:
    """A pool that finds no room for what it sends out."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def send_out(self, _layer, path, *_):
        path.write_bytes(b"half")
        raise PoolFull("no space left")


@pytest.mark.qcow2
@pytest.mark.parametrize("cut", ["cut", "gone"])
def test_writes_no_file_of_a_layer_that_lost_its_bytes(cloud, bucket, cut):
    """QEMU reads what is gone as zeros: the task was Finished. Nor is it called whole what stands on such a layer."""
    cloud = with_two_regions(cloud)
    instance = an_instance(cloud)
    image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
    cloud.settle()
    (layer,) = every(cloud, volumes, kind="layer")
    path = cloud.folder / "pool" / f"{layer.id}.qcow2"
    path.chmod(0o600)
    if cut == "cut":
        os.truncate(path, path.stat().st_size - 1)
    else:
        path.unlink()

    cloud.call("ExportImage", ImageId=image, OSSBucket=BUCKET)
    second = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
    far = cloud.call("CopyImage", ImageId=image, DestinationRegionId=FAR)["ImageId"]
    exhaust(cloud)

    assert list(bucket.iterdir()) == []
    assert the(cloud, images, id=far).status == "CreateFailed"
    for task in every(cloud, tasks, status="Failed"):
        assert (task.error_code, layer.id in task.error_message) == ("ServiceUnavailable", True)
    shown_ = cloud.call("DescribeImages", Status="CreateFailed,Available")["Images"]["Image"]
    assert {one["ImageId"]: one["Status"] for one in shown_} == {image: "Available", second: "CreateFailed"}


@pytest.mark.slow
def test_is_made_good_by_the_next_worker_wherever_it_is_killed(cloud, bucket, image):
    """Each export is killed one point later than the one before, until one gets through."""
    for n in range(1000):
        task_id = export(cloud, image)
        was_killed = settle_killing(cloud, after=n)

        cloud.clock.now += 120
        cloud.settle()

        assert attribute(cloud, task_id)["TaskStatus"] == "Finished"
        content = (bucket / f"{image}_{task_id}.raw").read_bytes()
        assert content == bytes_of(cloud.folder / "source.qcow2", "qcow2")
        if not was_killed:
            break
    assert n > 5
    assert len(names_in(bucket)) == n + 1


class TestRefuses:
    def refuses(self, cloud, code, status, image_id, **more):
        return cloud.refuses("ExportImage", code, status, {"ImageId": image_id, "OSSBucket": BUCKET, **more})

    def test_an_unknown_image_and_that_of_another_account(self, cloud, bucket):
        image = an_image(cloud)

        self.refuses(cloud, "InvalidImageId.NotFound", 404, "m-unknown")
        given = {"ImageId": image.id, "OSSBucket": BUCKET}
        cloud.refuses("ExportImage", "InvalidImageId.NotFound", 404, given, account=OTHER)

    @pytest.mark.parametrize("status", ["Creating", "CreateFailed", "Deprecated"])
    def test_an_image_that_is_not_available(self, cloud, bucket, status):
        image = an_image(cloud, status=status)

        self.refuses(cloud, "IncorrectImageStatus", 400, image.id)

    def test_an_image_that_is_being_exported(self, cloud, bucket):
        image = an_image(cloud)
        export(cloud, image.id)

        self.refuses(cloud, "ImageIsExporting", 403, image.id)
        cloud.settle()
        export(cloud, image.id)

    def test_an_unknown_bucket(self, cloud):
        image = an_image(cloud)

        self.refuses(cloud, "InvalidOSSBucket.NotFound", 400, image.id)

    def test_a_bucket_of_another_account(self, cloud, bucket):
        image = an_image(cloud)
        cloud.ports.database.write(lambda tx: buckets.claim(tx, BUCKET, OTHER, 0.0))

        self.refuses(cloud, "InvalidOSS.NotAuthorized", 403, image.id)
        cloud.ports.database.write(lambda tx: buckets.share(tx, BUCKET, 0.0, is_shared=True))
        self.refuses(cloud, "InvalidOSS.NotAuthorized", 403, image.id)
        cloud.ports.database.write(lambda tx: buckets.give(tx, BUCKET, image.account, 0.0))
        export(cloud, image.id)

    def test_a_bucket_that_may_not_be_written(self, cloud, bucket):
        image = an_image(cloud)
        with mounted("-t", "tmpfs", "-o", "ro", "tmpfs", bucket):
            self.refuses(cloud, "InvalidOSS.NotAuthorized", 403, image.id)

    @pytest.mark.parametrize(("form", "most_gib"), [("vhd", 2040), ("VHD", 2040), ("vmdk", 2048)])
    def test_a_disk_that_the_format_cannot_hold(self, cloud, bucket, form, most_gib):
        def of(size_bytes):
            snapshot = a_snapshot(cloud, size_bytes=size_bytes)
            return an_image(cloud, disks=(a_disk_of(None, snapshot.id, size_gib=most_gib + 1),)).id

        self.refuses(cloud, "InvalidImage.DiskAmountOrSize", 400, of(most_gib * 2**30 + 512), ImageFormat=form)
        export(cloud, of(most_gib * 2**30), ImageFormat=form)
        export(cloud, of(most_gib * 2**30 + 512), ImageFormat="qcow2")

    def test_more_than_four_data_disks_that_hold_something(self, cloud, bucket):
        disks = tuple(a_disk_of(None, a_snapshot(cloud).id, n) for n in range(6))

        refused = self.refuses(cloud, "InvalidImage.DiskAmountOrSize", 400, an_image(cloud, disks=disks).id)

        assert "5 data disks" in str(refused)
        four = (*disks[:5], a_disk_of(None, "", 5))
        export(cloud, an_image(cloud, disks=four).id)

    def test_a_data_disk_of_more_than_500_gib(self, cloud, bucket):
        snapshot = a_snapshot(cloud).id
        disks = (a_disk_of(None, snapshot, size_gib=2000), a_disk_of(None, snapshot, 1, size_gib=501))

        self.refuses(cloud, "InvalidImage.DiskAmountOrSize", 400, an_image(cloud, disks=disks).id)
        export(cloud, an_image(cloud, disks=(disks[0], replace(disks[1], size_gib=500))).id)

    @pytest.mark.parametrize(
        ("code", "given"),
        [
            ("InvalidOSSPrefix.Malformed", {"OSSPrefix": "my-prefix"}),
            ("InvalidOSSPrefix.Malformed", {"OSSPrefix": "x" * 31}),
            ("InvalidImageFormat.Malformed", {"ImageFormat": "iso"}),
            ("InvalidRegionId.NotFound", {"RegionId": "cn-nowhere"}),
            ("MissingParameter", {"RegionId": ""}),
            ("MissingParameter", {"ImageId": ""}),
            ("MissingParameter", {"OSSBucket": ""}),
        ],
    )
    def test_malformed_values(self, cloud, bucket, code, given):
        image = an_image(cloud)

        self.refuses(cloud, code, 400, **{"image_id": image.id, **given})


def test_rehearses_when_asked(cloud, bucket):
    image = an_image(cloud)

    cloud.refuses("ExportImage", "DryRunOperation", 400, ImageId=image.id, OSSBucket=BUCKET, DryRun=True)
