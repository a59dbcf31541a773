"""ImportImage, as a caller meets it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from dataclasses import replace

import pytest

from kiln.buckets.port import BucketClosed
from kiln.declare.deployment import Deployment, Quotas
from kiln.ground import killpoints
from kiln.ground.units import GiB
from kiln.pools.errors import PoolFull
from kiln.store import buckets, images, tags
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER, REGION, make_cloud
from tests.dying import settle_killing
from tests.operations.images.gallery import BUCKET, a_bucket, an_image, an_object, shown
from tests.pools.test_unpacking import an_ova
from tests.tools import needs

CONTENT = b"\x5a" * 65536


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "qemu-io")


@pytest.fixture(autouse=True)
def _nobody_listens():
    yield
    killpoints.listen(None)


def an_ova_of(disk):
    return an_ova({"web.ovf": b"<Envelope/>", "web-disk1.vmdk": disk})


def mapping(n=1, name="disk.qcow2", **fields):
    fields = {"OSSBucket": BUCKET, "OSSObject": name, **fields}
    return {f"DiskDeviceMapping.{n}.{key}": value for key, value in fields.items()}


def disks_shown(cloud, image_id):
    return shown(cloud, image_id)["DiskDeviceMappings"]["DiskDeviceMapping"]


def layer_of(cloud, snapshot_id):
    with cloud.ports.database.read() as tx:
        return snapshots.find(tx, id=snapshot_id).volume


def content_of(cloud, snapshot_id, tmp_path):
    """The first bytes that the snapshot holds."""
    target = tmp_path / "content.raw"
    never = lambda: False  # noqa: E731 - a callback of one word.
    cloud.ports.pool.send_out(layer_of(cloud, snapshot_id), target, "raw", lambda _: None, never)
    return target.read_bytes()[: len(CONTENT)]


def attribute(cloud, task_id):
    return cloud.call("DescribeTaskAttribute", TaskId=task_id)


def is_nothing_left(cloud):
    """Whether, once the sweeper has been, neither pool nor database knows of a volume."""
    sweep(cloud.ports)
    with cloud.ports.database.read() as tx:
        return list(cloud.ports.pool.volumes()) == [] and volumes.all(tx) == [] and snapshots.all(tx) == []


class TestImports:
    def test_an_image_that_is_creating_at_once_and_available_when_it_is_in(self, cloud, tmp_path):
        an_object(cloud)

        answer = cloud.call("ImportImage", mapping(), ImageName="imported")

        image_id = answer["ImageId"]
        assert answer == {"ImageId": image_id, "RegionId": REGION, "TaskId": answer["TaskId"]}
        before = shown(cloud, image_id)
        assert (before["Status"], before["Progress"], before["Usable"]) == ("Creating", "0%", False)
        assert cloud.call("DescribeTasks")["TaskSet"]["Task"][0]["TaskStatus"] == "Processing"
        cloud.settle()
        image = shown(cloud, image_id)
        assert (image["Status"], image["Progress"], image["Size"]) == ("Available", "100%", 1)
        (disk,) = disks_shown(cloud, image_id)
        assert (disk["Type"], disk["Device"], disk["Size"], disk["Format"]) == ("system", "/dev/xvda", "1", "QCOW2")
        assert (disk["ImportOSSBucket"], disk["ImportOSSObject"]) == (BUCKET, "disk.qcow2")
        assert content_of(cloud, disk["SnapshotId"], tmp_path) == CONTENT
        assert attribute(cloud, answer["TaskId"])["TaskProcess"] == "100%"

    @pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, an_ova_of])
    def test_what_is_packed(self, cloud, tmp_path, pack):
        path = an_object(cloud, form="vmdk" if pack is an_ova_of else "qcow2")
        path.write_bytes(pack(path.read_bytes()))

        image_id = cloud.call("ImportImage", mapping())["ImageId"]
        cloud.settle()

        (disk,) = disks_shown(cloud, image_id)
        assert disk["Format"] == ("VMDK" if pack is an_ova_of else "QCOW2")
        assert content_of(cloud, disk["SnapshotId"], tmp_path) == CONTENT
        assert len(list((cloud.folder / "pool").glob(".tmp-*"))) == 0

    def test_and_leaves_one_snapshot_for_each_disk(self, cloud):
        an_object(cloud)
        an_object(cloud, "data.raw", "raw")

        image_id = cloud.call("ImportImage", mapping() | mapping(2, "data.raw"), Platform="Ubuntu")["ImageId"]
        cloud.settle()

        system, data = disks_shown(cloud, image_id)
        assert (data["Type"], data["Device"], data["Format"]) == ("data", "/dev/xvdb", "RAW")
        found = {s["SnapshotId"]: s for s in cloud.call("DescribeSnapshots")["Snapshots"]["Snapshot"]}
        assert set(found) == {system["SnapshotId"], data["SnapshotId"]}
        assert found[system["SnapshotId"]]["SnapshotName"] == f"SnapshotForImage-{image_id}-xvda"
        assert {one["Usage"] for one in found.values()} == {"image"}
        assert {one["Status"] for one in found.values()} == {"accomplished"}
        with cloud.ports.database.read() as tx:
            assert {(v.kind, v.state, v.task) for v in volumes.all(tx)} == {("layer", "ready", None)}
            taken = {(s.source_disk_type, s.system.platform) for s in snapshots.all(tx)}
        assert taken == {("system", "Ubuntu"), ("data", "")}

    @pytest.mark.parametrize(("form", "stated"), [("raw", "RAW"), ("qcow2", "qcow2"), ("vpc", "VHD"), ("vmdk", "VMDK")])
    def test_every_format_stated_or_not(self, cloud, tmp_path, form, stated):
        an_object(cloud, "disk", form, "4M")

        ids = [cloud.call("ImportImage", mapping(name="disk", Format=f))["ImageId"] for f in (stated, None)]
        cloud.settle()

        for image_id in ids:
            (disk,) = disks_shown(cloud, image_id)
            assert disk["Format"] == stated.upper()
            assert content_of(cloud, disk["SnapshotId"], tmp_path) == CONTENT

    def test_a_disk_as_large_as_the_file_says_or_larger(self, cloud):
        an_object(cloud, size="3G")

        given = [{}, {"DiskImageSize": 5}, {"DiskImSize": 2}, {"DiskImageSize": 0}]
        ids = [cloud.call("ImportImage", mapping(**one))["ImageId"] for one in given]
        cloud.settle()

        assert [shown(cloud, image_id)["Size"] for image_id in ids] == [3, 5, 3, 3]
        assert [disks_shown(cloud, image_id)[0]["Size"] for image_id in ids] == ["3", "5", "3", "3"]
        with cloud.ports.database.read() as tx:
            assert {s.size_bytes for s in snapshots.all(tx)} == {3 * GiB}
            assert sorted(s.source_disk_size_gib for s in snapshots.all(tx)) == [3, 3, 3, 5]

    def test_what_the_caller_says_of_the_image(self, cloud):
        an_object(cloud)
        given = {"Features.ImdsSupport": "v2", "Features.NvmeSupport": "supported", "Tag.1.Key": "k"}

        image_id = cloud.call(
            "ImportImage", mapping() | given, ImageName="web", Description="A web server.", Architecture="arm64",
            Platform="Debian", LicenseType="BYOL", ResourceGroupId="rg-tests", DetectionStrategy="Standard",
            RoleName="AnyRole",
        )["ImageId"]  # fmt: skip

        image = shown(cloud, image_id)
        assert (image["ImageName"], image["Description"], image["Platform"]) == ("web", "A web server.", "Debian")
        assert (image["Architecture"], image["BootMode"], image["OSType"]) == ("arm64", "UEFI", "linux")
        assert (image["LicenseType"], image["ResourceGroupId"]) == ("BYOL", "rg-tests")
        assert (image["Features"]["ImdsSupport"], image["Features"]["NvmeSupport"]) == ("v2", "supported")
        assert image["Tags"] == {"Tag": [{"TagKey": "k", "TagValue": ""}]}
        cloud.settle()
        assert shown(cloud, image_id)["DetectionOptions"] == {"Items": {"Item": []}, "Status": ""}

    def test_what_is_usual_where_the_caller_says_nothing(self, cloud):
        an_object(cloud)

        image = shown(cloud, cloud.call("ImportImage", mapping())["ImageId"])

        assert (image["Architecture"], image["BootMode"], image["OSType"]) == ("x86_64", "BIOS", "linux")
        assert (image["Platform"], image["ImageName"], image["LicenseType"]) == ("Others Linux", "", "Auto")
        assert image["Features"]["ImdsSupport"] == "v1"

    @pytest.mark.parametrize("platform", ["Windows Server 2022", "Other Windows"])
    def test_windows_when_the_platform_says_so(self, cloud, platform):
        an_object(cloud)

        image_id = cloud.call("ImportImage", mapping(), Platform=platform)["ImageId"]

        assert shown(cloud, image_id)["OSType"] == "windows"

    def test_seventeen_disks_and_no_more(self, cloud):
        an_object(cloud)
        given = {k: v for n in range(1, 20) for k, v in mapping(n).items()}

        image_id = cloud.call("ImportImage", given)["ImageId"]

        assert [disk["Device"][-1] for disk in disks_shown(cloud, image_id)] == list("abcdefghijklmnopq")

    def test_once_for_one_client_token(self, cloud):
        an_object(cloud)
        given = {**mapping(), "ClientToken": "once"}

        first = cloud.call("ImportImage", given)
        again = cloud.call("ImportImage", given)

        assert again == first
        cloud.refuses("ImportImage", "IdempotentParameterMismatch", 400, given, ImageName="another")


class TestBytesThatAreRefused:
    def import_and_settle(self, cloud, **more):
        answer = cloud.call("ImportImage", mapping(**more))
        cloud.settle()
        return answer

    def check_failed(self, cloud, answer, code):
        image = shown(cloud, answer["ImageId"])
        assert (image["Status"], image["Usable"]) == ("CreateFailed", False)
        task = attribute(cloud, answer["TaskId"])
        (progress,) = task["OperationProgressSet"]["OperationProgress"]
        assert (task["TaskStatus"], progress["OperationStatus"], progress["ErrorCode"]) == ("Failed", "Failed", code)
        assert is_nothing_left(cloud)
        return progress["ErrorMsg"]

    def test_of_another_format_than_stated(self, cloud):
        an_object(cloud)

        answer = self.import_and_settle(cloud, Format="VMDK")

        assert "QCOW2" in self.check_failed(cloud, answer, "InvalidImageFormat.Malformed").upper()

    def test_that_name_another_file(self, cloud):
        secret = an_object(cloud, "secret.raw", "raw")
        path = an_object(cloud)
        subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", secret, path], check=True)

        answer = self.import_and_settle(cloud)

        self.check_failed(cloud, answer, "InvalidImageFormat.Malformed")

    @pytest.mark.parametrize("point", ["intake.inspected", ".bring_in.before_copy"])
    @pytest.mark.parametrize("exchange", ["replaced by a qcow2 file", "replaced by a link", "overwritten"])
    def test_never_those_of_a_file_named_after_the_inspection(self, cloud, tmp_path, exchange, point):
        """The object becomes one that names a secret, as a whole file, as a link or within itself."""
        secret, path = tmp_path / "secret", an_object(cloud, size="64K")
        secret.write_bytes(b"\x7e" * 65536)
        evil = a_bucket(cloud) / "evil"
        options = f"data_file={secret},data_file_raw=on,preallocation=metadata"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, evil, "64K"], check=True)
        secret.write_bytes(b"\x7e" * 65536)
        answer = cloud.call("ImportImage", mapping())

        def strike(at):
            if not at.endswith(point):
                return
            killpoints.listen(None)
            if exchange == "overwritten":
                path.write_bytes(evil.read_bytes())
                return
            if exchange == "replaced by a link":
                evil.unlink()
                evil.symlink_to(secret)
            evil.replace(path)

        killpoints.listen(strike)
        cloud.settle()

        if exchange == "overwritten":
            assert "changed" in self.check_failed(cloud, answer, "InvalidImageFormat.Malformed")
        else:
            (disk,) = disks_shown(cloud, answer["ImageId"])
            assert content_of(cloud, disk["SnapshotId"], tmp_path) == CONTENT

    def test_of_a_file_that_is_touched_again_and_again(self, cloud):
        path = an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        killpoints.listen(lambda at: at.endswith(".bring_in.copied") and path.chmod(path.stat().st_mode ^ 0o100))

        cloud.settle()

        assert "rights or names" in self.check_failed(cloud, answer, "InvalidImageFormat.Malformed")

    def test_that_are_larger_than_an_image_may_be(self, cloud):
        an_object(cloud, size="2049G")

        answer = self.import_and_settle(cloud)

        assert "2049 GiB" in self.check_failed(cloud, answer, "InvalidImageSize")

    def test_that_are_gone_when_their_turn_comes(self, cloud):
        path = an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        path.unlink()

        cloud.settle()

        self.check_failed(cloud, answer, "InvalidOSSObject.NotFound")

    def test_of_the_second_disk_take_the_first_with_them(self, cloud):
        an_object(cloud)
        (a_bucket(cloud) / "broken").write_bytes(b"QFI\xfb\0\0\0\3" + bytes(600))

        answer = cloud.call("ImportImage", mapping() | mapping(2, "broken"))
        cloud.settle()

        assert shown(cloud, answer["ImageId"])["Status"] == "CreateFailed"
        assert is_nothing_left(cloud)

    def test_leave_an_image_that_can_be_deleted(self, cloud):
        an_object(cloud)
        answer = self.import_and_settle(cloud, Format="VHD")

        cloud.call("DeleteImage", ImageId=answer["ImageId"])

        assert shown(cloud, answer["ImageId"]) is None

    def test_for_want_of_room(self, cloud):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        cloud.settle()

        self.check_failed(cloud, answer, "ImportImageFailed")


class FullPool:
    """A pool that has no room left for what is brought in."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def bring_in(self, *_):
        raise PoolFull("no space left")


class TestCancellation:
    def check_gone(self, cloud, answer):
        assert shown(cloud, answer["ImageId"]) is None
        assert attribute(cloud, answer["TaskId"])["TaskStatus"] == "Failed"
        with cloud.ports.database.read() as tx:
            assert images.image_disks.all(tx) == []
            assert tags.tags.all(tx) == []
        assert is_nothing_left(cloud)

    def test_before_it_has_begun_removes_the_image(self, cloud):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping() | {"Tag.1.Key": "k"})

        cloud.call("CancelTask", TaskId=answer["TaskId"])
        cloud.settle()

        self.check_gone(cloud, answer)
        (progress,) = attribute(cloud, answer["TaskId"])["OperationProgressSet"]["OperationProgress"]
        assert (progress["ErrorCode"], progress["OperationStatus"]) == ("TaskCancelled", "Failed")

    @pytest.mark.parametrize("point", ["intake.inspected", ".bring_in.copied", "intake.brought_in"])
    def test_at_any_time_removes_the_image(self, cloud, point):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        killpoints.listen(lambda at: at.endswith(point) and cloud.call("CancelTask", TaskId=answer["TaskId"]))

        cloud.settle()

        self.check_gone(cloud, answer)

    def test_of_the_service_leaves_it_off_and_it_begins_anew(self, cloud):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        stopped = cloud.worker
        killpoints.listen(lambda at: at == "intake.inspected" and stopped._stopping.set())

        stopped.attempt(stopped.claim(cloud.clock())[0])

        killpoints.listen(None)
        assert attribute(cloud, answer["TaskId"])["TaskStatus"] == "Processing"
        (reason,) = cloud.call("DescribeReasons", ResourceId=answer["TaskId"])["Reasons"]["Reason"]
        assert (reason["State"], reason["Attempts"]) == ("Waiting", 0)
        assert "ended meanwhile" in reason["Message"]
        stopped._stopping.clear()
        cloud.settle()
        assert shown(cloud, answer["ImageId"])["Status"] == "Available"

    def test_comes_too_late_once_the_image_is_there(self, cloud):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        cloud.settle()

        cloud.refuses("CancelTask", "InvalidTaskId.IncorrectTaskStatus", 403, TaskId=answer["TaskId"])
        assert shown(cloud, answer["ImageId"])["Status"] == "Available"


@pytest.mark.slow
class TestKills:
    def test_at_any_point_are_made_good_by_the_next_worker(self, cloud, tmp_path):
        """Each import is killed one point later than the one before, until one gets through."""
        an_object(cloud)
        for n in range(1000):
            answer = cloud.call("ImportImage", mapping())
            was_killed = settle_killing(cloud, after=n)

            cloud.clock.now += 120
            cloud.settle()

            (disk,) = disks_shown(cloud, answer["ImageId"])
            assert shown(cloud, answer["ImageId"])["Status"] == "Available"
            assert content_of(cloud, disk["SnapshotId"], tmp_path) == CONTENT
            if not was_killed:
                break
        assert n > 10
        sweep(cloud.ports)
        assert len(list(cloud.ports.pool.volumes())) == n + 1

    def test_at_any_point_of_giving_up_leave_nothing(self, cloud):
        an_object(cloud)
        for n in range(1000):
            answer = cloud.call("ImportImage", mapping(Format="VHD"))
            was_killed = settle_killing(cloud, after=n)

            cloud.clock.now += 120
            cloud.settle()

            assert shown(cloud, answer["ImageId"])["Status"] == "CreateFailed"
            assert attribute(cloud, answer["TaskId"])["TaskStatus"] == "Failed"
            if not was_killed:
                break
        assert n > 1
        assert is_nothing_left(cloud)


class TestRefuses:
    def test_no_mapping_at_all(self, cloud):
        cloud.refuses("ImportImage", "MissingParameter.DiskDeviceMapping", 403)

    @pytest.mark.parametrize("missing", ["OSSBucket", "OSSObject"])
    def test_a_mapping_without_bucket_or_object(self, cloud, missing):
        refused = cloud.refuses("ImportImage", "MissingParameter", 400, mapping(**{missing: ""}))

        assert f'An input parameter "DiskDeviceMapping.1.{missing}"' in str(refused)

    @pytest.mark.parametrize(
        ("code", "fields"),
        [
            ("InvalidOSSBucket.Malformed", {"OSSBucket": "No_Bucket"}),
            ("InvalidOSSBucket.NotFound", {"OSSBucket": "no-such-bucket"}),
            ("InvalidOSSObject.NotFound", {"OSSObject": "no-such-object"}),
            ("InvalidOSSObject.NotFound", {"OSSObject": "a" * 300}),
            ("InvalidOSSObject.NotFound", {"OSSObject": "empty/disk.qcow2"}),
            ("InvalidOSSObject.Malformed", {"OSSObject": "/etc/passwd"}),
            ("InvalidOSSObject.Malformed", {"OSSObject": "../testbucket/disk.qcow2"}),
            ("InvalidOSSObject.Size", {"OSSObject": "empty"}),
            ("InvalidImageFormat.Malformed", {"Format": "ISO"}),
            ("InvalidImageSize", {"DiskImageSize": 2049}),
            ("InvalidImageSize", {"DiskImageSize": -1}),
        ],
    )
    def test_what_can_not_be_fetched(self, cloud, code, fields):
        an_object(cloud)
        (a_bucket(cloud) / "empty").touch()

        cloud.refuses("ImportImage", code, 400, mapping(**fields))

    def test_data_disks_that_are_too_large(self, cloud):
        an_object(cloud)

        cloud.refuses("ImportImage", "InvalidDataDiskSize", 400, mapping() | mapping(2, DiskImageSize=2049))

    @pytest.mark.parametrize(
        ("code", "status", "given"),
        [
            ("InvalidImageName.Malformed", 400, {"ImageName": "1web"}),
            ("InvalidDescription.Malformed", 400, {"Description": "https://web"}),
            ("InvalidArchitecture.Malformed", 400, {"Architecture": "mips"}),
            ("InvalidPlatform.Malformed", 400, {"Platform": "BeOS"}),
            ("InvalidOSType.Malformed", 400, {"OSType": "beos"}),
            ("InvalidOSType.Malformed", 400, {"OSType": "linux", "Platform": "Windows 7"}),
            ("InvalidBootMode.Malformed", 400, {"BootMode": "PXE"}),
            ("InvalidBootMode.NotSupport", 400, {"BootMode": "BIOS", "Architecture": "arm64"}),
            ("InvalidLicenseType.NotSupported", 400, {"LicenseType": "GPL"}),
            ("InvalidParameter.DetectionStrategy", 400, {"DetectionStrategy": "Deep"}),
            ("InvalidParameter.FeaturesImdsSupport", 400, {"Features.ImdsSupport": "v3"}),
            ("ImageCheckUnsupported.WindowsImage", 403, {"DetectionStrategy": "Standard", "OSType": "windows"}),
            ("InvalidOperation.CloudBoxImageImportUnsupported", 403, {"StorageLocationArn": "arn:acs:cloudbox"}),
            ("InvalidResourceGroup.NotFound", 404, {"ResourceGroupId": "rg-unknown"}),
            ("TagKey.Duplication", 403, {"Tag.1.Key": "team", "Tag.2.Key": "Team"}),
            ("InvalidTagKey.Malformed", 400, {"Tag.1.Value": "web"}),
            ("InvalidClientToken.Malformed", 400, {"ClientToken": "x" * 65}),
            ("InvalidRegionId.NotFound", 400, {"RegionId": "cn-nowhere"}),
            ("MissingParameter", 400, {"RegionId": ""}),
        ],
    )
    def test_what_does_not_hold_together(self, cloud, code, status, given):
        an_object(cloud)

        cloud.refuses("ImportImage", code, status, mapping() | given)

    def test_a_name_that_is_taken(self, cloud):
        an_object(cloud)
        an_image(cloud, name="web")

        refused = cloud.refuses("ImportImage", "InvalidImageName.Duplicated", 400, mapping(), ImageName="web")

        assert str(refused) == "The destination image is exist."

    def test_one_image_too_many(self, tmp_path, database):
        cloud = make_cloud(tmp_path, database, deployment=Deployment(quotas=Quotas(images=1)))
        an_object(cloud)
        an_image(cloud)

        cloud.refuses("ImportImage", "QuotaExceed.Image", 403, mapping())


def test_rehearses_when_asked(cloud):
    an_object(cloud)

    cloud.refuses("ImportImage", "DRYRUN.SUCCESS", 400, mapping(), DryRun=True)


def test_is_nobody_elses_business(cloud):
    an_object(cloud)
    answer = cloud.call("ImportImage", mapping())

    assert shown(cloud, answer["ImageId"], account=OTHER) is None
    cloud.refuses("CancelTask", "InvalidTaskId.NotFound", 400, TaskId=answer["TaskId"], account=OTHER)


def test_waits_for_its_turn_and_says_its_place(cloud):
    an_object(cloud)
    asked = [cloud.call("ImportImage", mapping())["TaskId"] for _ in range(5)]
    assert len(cloud.worker.claim(cloud.clock())) == 2

    shown = {task["TaskId"]: task["TaskStatus"] for task in cloud.call("DescribeTasks")["TaskSet"]["Task"]}
    assert [shown[task] for task in asked] == ["Processing"] * 2 + ["Waiting"] * 3
    for place, task in enumerate(asked[2:], 1):
        waiting = attribute(cloud, task)
        (progress,) = waiting["OperationProgressSet"]["OperationProgress"]
        assert (waiting["TaskStatus"], progress["OperationStatus"]) == ("Waiting", "Waiting")
        said = {item["Name"]: item["Value"] for item in progress["RelatedItemSet"]["RelatedItem"]}
        assert said == {"OSSObject": "disk.qcow2", "QueuePosition": str(place)}
    cloud.call("CancelTask", TaskId=asked[4])


class TestBuckets:
    """A bucket is the first account's that uses it."""

    def test_of_another_account_are_refused(self, cloud):
        an_object(cloud)
        cloud.call("ImportImage", mapping())

        cloud.refuses("ImportImage", "InvalidOSS.NotAuthorized", 403, mapping(), account=OTHER)
        cloud.call("ImportImage", mapping())

    def test_are_not_claimed_by_a_call_that_fails(self, cloud):
        an_object(cloud)
        cloud.refuses("ImportImage", "InvalidOSSObject.NotFound", 400, mapping(name="none"), account=OTHER)

        cloud.call("ImportImage", mapping())

    def test_that_are_shared_may_be_read_by_all(self, cloud):
        an_object(cloud)
        cloud.call("ImportImage", mapping())
        cloud.ports.database.write(lambda tx: buckets.share(tx, BUCKET, 0.0, is_shared=True))

        answer = cloud.call("ImportImage", mapping(), account=OTHER)
        cloud.settle()

        assert shown(cloud, answer["ImageId"], account=OTHER)["Status"] == "Available"

    def test_of_a_second_disk_are_looked_at_too(self, cloud):
        an_object(cloud)
        (cloud.folder / "buckets" / "others").mkdir()
        (cloud.folder / "buckets" / "others" / "disk.qcow2").write_bytes(b"x")
        cloud.ports.database.write(lambda tx: buckets.claim(tx, "others", OTHER, 0.0))

        given = mapping() | mapping(2, OSSBucket="others")
        cloud.refuses("ImportImage", "InvalidOSS.NotAuthorized", 403, given)


class TestWhatLasts:
    """What a wait would not mend is told with the first try."""

    def told(self, cloud, answer, code):
        cloud.settle()
        (progress,) = attribute(cloud, answer["TaskId"])["OperationProgressSet"]["OperationProgress"]
        assert progress["ErrorCode"] == code
        assert shown(cloud, answer["ImageId"])["Status"] == "CreateFailed"
        return progress["ErrorMsg"]

    def test_an_object_that_may_not_be_read(self, cloud):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        cloud.refit(buckets=ClosedBuckets(cloud.ports.buckets))

        cloud.refuses("ImportImage", "InvalidOSS.NotAuthorized", 403, mapping())
        self.told(cloud, answer, "InvalidOSS.NotAuthorized")

    def test_a_pool_that_may_not_be_written(self, cloud):
        an_object(cloud)
        answer = cloud.call("ImportImage", mapping())
        mounted = ["mount", "--bind", "-o", "ro", cloud.folder / "pool", cloud.folder / "pool"]
        if subprocess.run(mounted, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount")
        try:
            assert "can't be written" in self.told(cloud, answer, "ImportImageFailed")
        finally:
            subprocess.run(["umount", cloud.folder / "pool"], check=True)


class ClosedBuckets:
    """Buckets whose folders were closed to the service."""

    def __init__(self, buckets):
        self._buckets = buckets

    def __getattr__(self, name):
        return getattr(self._buckets, name)

    def fetched(self, bucket, name):
        raise BucketClosed(f"{bucket}/{name}: Permission denied")

    size = fetched
