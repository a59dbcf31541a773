"""DescribeImages, as a caller meets it."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from kiln.declare.states import ImageStatus
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.operations.images.gallery import a_disk_of, an_image
from tests.stock import a_snapshot, an_instance


def listed(cloud, params=None, /, **more):
    """The IDs in the answer, in its order."""
    return [image["ImageId"] for image in cloud.call("DescribeImages", params, **more)["Images"]["Image"]]


class TestTheAnswer:
    def test_tells_all_of_an_image(self, cloud):
        snapshot = a_snapshot(cloud)
        image = an_image(
            cloud, disks=(a_disk_of(None, snapshot.id), a_disk_of(None, "", 1, size_gib=50)), tagged={"k": "v"},
            name="web", family="webs", version="1", description="A web server.", resource_group="rg-tests",
        )  # fmt: skip

        answer = cloud.call("DescribeImages")

        (one,) = answer.pop("Images")["Image"]
        assert answer == {"PageNumber": 1, "PageSize": 10, "RegionId": REGION, "TotalCount": 1}
        unset = {"Encrypted": False, "Format": "", "ImportOSSBucket": "", "ImportOSSObject": "", "Progress": ""}
        assert one == {
            "Architecture": "x86_64", "BootMode": "BIOS", "CreationTime": one["CreationTime"],
            "Description": "A web server.", "DetectionOptions": {"Items": {"Item": []}, "Status": ""},
            "DiskDeviceMappings": {"DiskDeviceMapping": [
                {"Device": "/dev/xvda", "Size": "20", "SnapshotId": snapshot.id, "Type": "system", "RemainTime": 0,
                 **unset},
                {"Device": "/dev/xvdb", "Size": "50", "SnapshotId": "", "Type": "data", "RemainTime": 0, **unset},
            ]},
            "Features": {
                "CpuOnlineDowngrade": "unsupported", "CpuOnlineUpgrade": "unsupported", "ImdsSupport": "v1",
                "MemoryOnlineDowngrade": "unsupported", "MemoryOnlineUpgrade": "unsupported",
                "NvmeSupport": "unsupported",
            },
            "ImageFamily": "webs", "ImageId": image.id, "ImageName": "web", "ImageOwnerAlias": "self",
            "ImageOwnerId": int(ACCOUNT), "ImageVersion": "1", "IsCopied": False, "IsPublic": False,
            "IsSelfShared": "", "IsSubscribed": False, "IsSupportCloudinit": True, "IsSupportIoOptimized": True,
            "LicenseType": "", "LoginAsNonRootSupported": False, "OSName": "Debian 64位",
            "OSNameEn": "Debian 64 bit", "OSType": "linux", "Platform": "Debian", "ProductCode": "",
            "Progress": "100%", "ResourceGroupId": "rg-tests", "SecureBootOptions": {"SecureBootSupport": ""},
            "Size": 20, "Status": "Available", "SupplierName": "",
            "Tags": {"Tag": [{"TagKey": "k", "TagValue": "v"}]}, "Usable": True, "Usage": "none",
        }  # fmt: skip
        assert one["CreationTime"].startswith("2026-11-")
        assert one["CreationTime"].endswith("Z")

    def test_is_empty_lists_when_there_is_nothing(self, cloud):
        answer = cloud.call("DescribeImages")

        assert answer["Images"] == {"Image": []}
        assert answer["TotalCount"] == 0

    def test_shows_the_progress_of_one_that_is_creating(self, cloud):
        an_image(cloud, status=ImageStatus.CREATING, progress=37)

        (one,) = cloud.call("DescribeImages", Status="Creating")["Images"]["Image"]

        assert (one["Status"], one["Progress"], one["Usable"]) == ("Creating", "37%", False)

    @pytest.mark.parametrize(
        ("status", "usable"), [("Available", True), ("Deprecated", True), ("Creating", False), ("CreateFailed", False)]
    )
    def test_is_usable_exactly_when_instances_can_be_made_of_it(self, cloud, status, usable):
        an_image(cloud, status=status)

        (one,) = cloud.call("DescribeImages", Status="ALL")["Images"]["Image"]

        assert one["Usable"] is usable

    def test_says_whether_instances_were_made_of_it(self, cloud):
        image = an_image(cloud)
        an_instance(cloud, image=image.id)
        an_instance(cloud, image=image.id)

        (one,) = cloud.call("DescribeImages")["Images"]["Image"]

        assert one["Usage"] == "instance"

    def test_shows_nothing_of_another_account(self, cloud):
        image = an_image(cloud)

        assert listed(cloud, ImageId=image.id, account=OTHER) == []
        assert cloud.call("DescribeImages", account=OTHER)["TotalCount"] == 0


class TestStatus:
    def test_lists_available_images_when_it_is_not_given(self, cloud):
        an_image(cloud, status="Creating")
        an_image(cloud, status="Deprecated")
        image = an_image(cloud)

        assert listed(cloud) == [image.id]

    def test_lists_every_image_for_all(self, cloud):
        images = [an_image(cloud, status=status).id for status in ("Creating", "CreateFailed", "Deprecated")]

        assert listed(cloud, Status="ALL") == images[::-1]

    def test_takes_several_separated_by_commas(self, cloud):
        creating, failed = an_image(cloud, status="Creating"), an_image(cloud, status="CreateFailed")
        an_image(cloud)

        found = listed(cloud, Status="Waiting,Creating,UnAvailable,CreateFailed")

        assert found == [failed.id, creating.id]

    @pytest.mark.parametrize("status", ["Ready", "ALL,Available", "Available,ready"])
    def test_refuses_others(self, cloud, status):
        cloud.refuses("DescribeImages", "InvalidParamter", 400, Status=status)

    def test_narrows_to_usable_ones(self, cloud):
        creating, image = an_image(cloud, status="Creating"), an_image(cloud)

        assert listed(cloud, Status="ALL", Usable=True) == [image.id]
        assert listed(cloud, Status="ALL", Usable=False) == [creating.id]

    def test_is_needed_with_usable(self, cloud):
        cloud.refuses("DescribeImages", "MissingParameter", 400, Usable=True)


class TestFilters:
    def test_takes_ids_separated_by_commas(self, cloud):
        one, _, three = an_image(cloud), an_image(cloud), an_image(cloud)

        assert listed(cloud, ImageId=f"{one.id},{three.id},m-unknown") == [three.id, one.id]
        assert listed(cloud, ImageId="m-unknown") == []

    def test_takes_a_name(self, cloud):
        image = an_image(cloud, name="web-1")
        an_image(cloud, name="web-10")

        assert listed(cloud, ImageName="web-1") == [image.id]
        assert listed(cloud, ImageName="web") == []

    def test_takes_a_pattern_of_names(self, cloud):
        one, two = an_image(cloud, name="Web_1"), an_image(cloud, name="my-web_10")
        an_image(cloud, name="web-1")

        assert listed(cloud, ImageName="*web_1*") == [two.id, one.id]
        assert listed(cloud, ImageName="web_*") == [one.id]
        assert listed(cloud, ImageName="%*") == []

    @pytest.mark.parametrize("letter", ["a", "é", "_"])
    def test_finds_nothing_by_a_pattern_that_is_longer_than_any_name(self, cloud, letter):
        """SQLite refuses a pattern of more than 50,000 bytes."""
        longest = an_image(cloud, name="a" * 128)

        assert listed(cloud, ImageName="*" + letter * 60_000) == []
        assert listed(cloud, ImageName="*" + "a" * 129) == []
        assert listed(cloud, ImageName="*" + "a" * 128) == [longest.id]
        assert listed(cloud, ImageName="*a" * 128 + "*" * 60_000) == [longest.id]

    def test_takes_letters_of_any_script_in_any_case(self, cloud):
        image = an_image(cloud, name="Ärzte-ПРИВЕТ-1")

        for pattern in ("ärzte-привет*", "*привет-1", "ÄRZTE*", "*-Привет-*"):
            assert listed(cloud, ImageName=pattern) == [image.id]
        assert listed(cloud, ImageName="*привет") == []

    def test_takes_a_family(self, cloud):
        image = an_image(cloud, family="webs")
        an_image(cloud, family="web")

        assert listed(cloud, ImageFamily="webs") == [image.id]

    def test_takes_a_snapshot(self, cloud):
        snapshot = a_snapshot(cloud)
        an_image(cloud)
        image = an_image(cloud, disks=(a_disk_of(None, a_snapshot(cloud).id), a_disk_of(None, snapshot.id, 1)))

        assert listed(cloud, SnapshotId=snapshot.id) == [image.id]

    def test_takes_a_resource_group(self, cloud):
        an_image(cloud)
        image = an_image(cloud, resource_group="rg-tests")

        assert listed(cloud, ResourceGroupId="rg-tests") == [image.id]
        assert listed(cloud, ResourceGroupId="rg-unknown") == []

    def test_takes_the_use(self, cloud):
        used, unused = an_image(cloud), an_image(cloud)
        an_instance(cloud, image=used.id)

        assert listed(cloud, Usage="instance") == [used.id]
        assert listed(cloud, Usage="none") == [unused.id]
        cloud.refuses("DescribeImages", "InvalidUsage", 404, Usage="disk")

    def test_takes_an_instance_type(self, cloud):
        x86, i386 = an_image(cloud), an_image(cloud, architecture="i386")
        arm = an_image(cloud, architecture="arm64")

        assert listed(cloud, InstanceType="ecs.g6.large", ActionType="CreateEcs") == [i386.id, x86.id]
        assert listed(cloud, InstanceType="ecs.g8y.small", ActionType="ChangeOS") == [arm.id]

    def test_refuses_an_unknown_instance_type(self, cloud):
        refused = cloud.refuses(
            "DescribeImages", "InvalidInstanceType.ValueNotSupported", 400, InstanceType="ecs.none.large"
        )

        assert "ecs.none.large" in str(refused)

    def test_takes_the_operating_system_and_the_architecture(self, cloud):
        windows = an_image(cloud, os_type="windows")
        arm = an_image(cloud, architecture="arm64")

        assert listed(cloud, OSType="windows") == [windows.id]
        assert listed(cloud, Architecture="arm64") == [arm.id]
        cloud.refuses("DescribeImages", "InvalidOSType", 404, OSType="beos")
        cloud.refuses("DescribeImages", "InvalidArchitecture", 404, Architecture="mips")

    def test_knows_that_all_images_support_cloud_init_and_optimised_io(self, cloud):
        image = an_image(cloud)

        assert listed(cloud, IsSupportCloudinit=True, IsSupportIoOptimized=True, ShowExpired=True) == [image.id]
        assert listed(cloud, IsSupportCloudinit=False) == []
        assert listed(cloud, IsSupportIoOptimized=False) == []

    def test_takes_tags_all_of_which_must_be_there(self, cloud):
        both = an_image(cloud, tagged={"team": "web", "stage": "test"})
        one = an_image(cloud, tagged={"team": "web", "stage": ""})

        assert listed(cloud, {"Tag.1.Key": "team", "Tag.2.Key": "stage", "Tag.2.Value": "test"}) == [both.id]
        assert listed(cloud, {"Tag.1.Key": "team"}) == [one.id, both.id]
        assert listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "db"}) == []

    def test_refuses_a_tag_without_a_key(self, cloud):
        cloud.refuses("DescribeImages", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "web"})

    def test_refuses_more_than_twenty_tags(self, cloud):
        cloud.refuses("DescribeImages", "InvalidTagCount", 400, {f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)})

    def test_takes_the_time_of_creation(self, cloud):
        old, new = an_image(cloud, created_at=1_794_000_000.0), an_image(cloud, created_at=1_796_000_000.0)

        def filtered(key):
            return listed(cloud, {"Filter.1.Key": key, "Filter.1.Value": "2026-11-23T06:07Z"})

        assert filtered("CreationStartTime") == [new.id]
        assert filtered("CreationEndTime") == [old.id]

    @pytest.mark.parametrize("key", ["CpuOnlineUpgrade", "MemoryOnlineDowngrade"])
    def test_takes_changes_at_run_time_which_no_image_supports(self, cloud, key):
        image = an_image(cloud)

        assert listed(cloud, {"Filter.1.Key": key, "Filter.1.Value": "unsupported"}) == [image.id]
        assert listed(cloud, {"Filter.1.Key": key, "Filter.1.Value": "supported"}) == []

    def test_takes_a_network_type(self, cloud):
        image = an_image(cloud)

        assert listed(cloud, {"Filter.1.Key": "NetworkType", "Filter.1.Value": "vpc"}) == [image.id]

    @pytest.mark.parametrize(
        ("code", "status", "key", "value"),
        [
            ("InvalidFilterKey.NotFound", 404, "Colour", "red"),
            ("InvalidFilterValue", 404, "CreationStartTime", "yesterday"),
            ("InvalidFilterValue", 404, "CpuOnlineUpgrade", "perhaps"),
            ("InvalidFilterValue.NetworkType", 400, "NetworkType", "token ring"),
        ],
    )
    def test_refuses_other_filters(self, cloud, code, status, key, value):
        cloud.refuses("DescribeImages", code, status, {"Filter.1.Key": key, "Filter.1.Value": value})

    def test_refuses_more_than_ten_filters(self, cloud):
        given = {f"Filter.{n}.Key": "NetworkType" for n in range(1, 12)}

        cloud.refuses("DescribeImages", "InvalidParamter", 400, given)


class TestWhoseImages:
    def test_lists_own_images_for_self(self, cloud):
        image = an_image(cloud)

        assert listed(cloud, ImageOwnerAlias="self") == [image.id]

    @pytest.mark.parametrize("alias", ["system", "others", "marketplace"])
    def test_lists_nothing_for_others(self, cloud, alias):
        image = an_image(cloud)

        answer = cloud.call("DescribeImages", ImageOwnerAlias=alias, ImageId=image.id)

        assert answer["Images"] == {"Image": []}
        assert answer["TotalCount"] == 0

    def test_refuses_other_aliases(self, cloud):
        cloud.refuses("DescribeImages", "InvalidImageOwnerAlias.ValueNotSupported", 400, ImageOwnerAlias="friends")

    def test_lists_nothing_public(self, cloud):
        an_image(cloud)

        assert listed(cloud, IsPublic=True, ImageOwnerAlias="others") == []

    def test_refuses_public_images_of_oneself(self, cloud):
        code = "InvalidImageOwnerAlias.PublicImageUnsupported"

        cloud.refuses("DescribeImages", code, 400, IsPublic=True, ImageOwnerAlias="self")

    def test_takes_an_owner(self, cloud):
        image = an_image(cloud)

        assert listed(cloud, ImageOwnerId=ACCOUNT) == [image.id]
        assert listed(cloud, ImageOwnerId=OTHER) == []

    def test_refuses_an_owner_of_own_images(self, cloud):
        code = "InvalidOperation.ImageOwnerIdUnsupported"

        cloud.refuses("DescribeImages", code, 400, ImageOwnerId=ACCOUNT, ImageOwnerAlias="self")


class TestPages:
    def test_come_newest_first_and_know_how_many_there_are(self, cloud):
        ids = [an_image(cloud, disks=()).id for _ in range(5)][::-1]

        pages = [cloud.call("DescribeImages", PageNumber=n, PageSize=2) for n in (1, 2, 3, 4)]

        assert [[i["ImageId"] for i in page["Images"]["Image"]] for page in pages] == [ids[:2], ids[2:4], ids[4:], []]
        assert [page["TotalCount"] for page in pages] == [5, 5, 5, 5]
        assert [page["PageNumber"] for page in pages] == [1, 2, 3, 4]

    @pytest.mark.parametrize("params", [{"PageSize": 101}, {"PageSize": 0}, {"PageNumber": 0}])
    def test_are_within_bounds(self, cloud, params):
        cloud.refuses("DescribeImages", "InvalidParameter", 400, params)

    def test_of_many_images_with_disks_and_tags_take_four_statements(self, cloud):
        for _ in range(7):
            an_image(cloud, tagged={"a": "1", "b": "2"})
        statements = []
        engine = cloud.ports.database.engine
        event.listen(engine, "before_cursor_execute", lambda _c, _r, text, *_: statements.append(text))

        cloud.call("DescribeImages", PageSize=5)

        assert len([text for text in statements if text.startswith("SELECT")]) <= 4


def test_rehearses_when_asked(cloud):
    cloud.refuses("DescribeImages", "DryRunOperation", 400, DryRun=True)


def test_refuses_an_unknown_region(cloud):
    cloud.refuses("DescribeImages", "InvalidRegionId.NotFound", 404, RegionId="cn-nowhere")
