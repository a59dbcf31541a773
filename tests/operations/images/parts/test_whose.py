"""Images that others share: what their receivers see of them, and what not."""

from __future__ import annotations

import pytest

from kiln.store.images import images
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.operations.images.gallery import a_disk_of, an_image, share, shown, unshare
from tests.stock import a_snapshot, an_instance

THIRD = "1000000000000003"


def seen(cloud, **more):
    answer = cloud.call("DescribeImages", {"Status": "ALL"} | more, account=OTHER)
    ids = [one["ImageId"] for one in answer["Images"]["Image"]]
    assert answer["TotalCount"] >= len(ids)
    return ids


@pytest.fixture
def shared(cloud):
    """An image that tells much, and is shared."""
    image = an_image(
        cloud,
        name="web",
        family="webs",
        description="of ours",
        resource_group="rg-tests",
        tagged={"secret": "plan"},
        error_message="of ours",
        disks=(a_disk_of(None, a_snapshot(cloud).id, format="RAW", bucket="vault", object="disk.raw"),),
    )
    share(cloud, image.id)
    return image


class TestShows:
    def test_what_is_needed_to_use_it_and_hides_what_is_its_owners(self, cloud, shared):
        own, received = shown(cloud, shared.id), shown(cloud, shared.id, account=OTHER)

        differ = {name for name in own if own[name] != received[name]}
        assert differ == {"ImageOwnerAlias", "IsSelfShared", "DiskDeviceMappings", "ResourceGroupId", "Tags"}
        assert (received["ImageOwnerAlias"], received["ImageOwnerId"]) == ("others", int(ACCOUNT))
        assert (received["IsSelfShared"], received["ResourceGroupId"], received["Tags"]) == ("", "", {"Tag": []})
        (disk,) = received["DiskDeviceMappings"]["DiskDeviceMapping"]
        assert (disk["SnapshotId"], disk["ImportOSSBucket"], disk["ImportOSSObject"]) == ("", "", "")
        assert (disk["Device"], disk["Size"], disk["Type"]) == ("/dev/xvda", "20", "system")

    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"ImageName": "web"},
            {"ImageName": "we*"},
            {"ImageFamily": "webs"},
            {"ImageOwnerAlias": "others"},
            {"ImageOwnerAlias": "others", "ImageOwnerId": ACCOUNT},
            {"ImageOwnerId": ACCOUNT},
            {"Usage": "none"},
            {"InstanceType": "ecs.g6.large"},
            {"OSType": "linux", "Usable": True},
        ],
    )
    def test_it_however_it_is_asked_for(self, cloud, shared, asked):
        own = an_image(cloud, account=OTHER, name="we-2", family="webs")

        wanted = [shared.id] if "ImageOwnerId" in asked or asked.get("ImageOwnerAlias") == "others" else None
        found = seen(cloud, **asked)

        if wanted is not None or asked.get("ImageName") == "web":
            assert found == [shared.id]
        else:
            assert found == [own.id, shared.id]
        assert seen(cloud, ImageId=f"{own.id},{shared.id},m-unknown", **asked) == found

    def test_it_among_own_images_in_pages(self, cloud, shared):
        ids = [shared.id, *(an_image(cloud, account=OTHER).id for _ in range(4))][::-1]

        pages = [cloud.call("DescribeImages", PageSize=2, PageNumber=number, account=OTHER) for number in (1, 2, 3)]

        assert [one["ImageId"] for page in pages for one in page["Images"]["Image"]] == ids
        assert {page["TotalCount"] for page in pages} == {5}

    @pytest.mark.parametrize(
        "asked",
        [
            {"ImageOwnerAlias": "self"},
            {"ImageOwnerAlias": "system"},
            {"ImageOwnerAlias": "marketplace"},
            {"ImageOwnerAlias": "others", "IsPublic": True},
            {"ImageOwnerAlias": "others", "ImageOwnerId": OTHER},
            {"ImageOwnerAlias": "others", "ImageOwnerId": THIRD},
            {"ImageOwnerId": OTHER},
            {"ImageOwnerId": THIRD},
        ],
    )
    def test_it_not_where_others_are_asked_for(self, cloud, shared, asked):
        assert shared.id not in seen(cloud, **asked)
        assert seen(cloud, ImageId=shared.id, **asked) == []

    def test_it_in_its_region_alone(self, cloud, shared):
        cloud.ports.database.write(lambda tx: images.update(tx, {"region": "cn-hangzhou"}, id=shared.id))

        assert seen(cloud) == []
        assert seen(cloud, ImageId=shared.id) == []

    def test_it_to_nobody_else(self, cloud, shared):
        assert shown(cloud, shared.id, account=THIRD) is None
        assert cloud.call("DescribeImages", account=THIRD)["TotalCount"] == 0

    def test_it_no_longer_when_that_is_taken_back(self, cloud, shared):
        assert seen(cloud) == [shared.id]

        unshare(cloud, shared.id)

        assert seen(cloud) == []
        assert seen(cloud, ImageId=shared.id) == []
        assert seen(cloud, ImageName="web") == []

    def test_it_not_as_the_newest_of_a_family(self, cloud, shared):
        assert cloud.call("DescribeImageFromFamily", ImageFamily="webs", account=OTHER) == {}


class TestTellsNothing:
    def test_by_filters_of_what_is_hidden(self, cloud, shared):
        (mapping,) = shown(cloud, shared.id)["DiskDeviceMappings"]["DiskDeviceMapping"]

        for asked in (
            {"SnapshotId": mapping["SnapshotId"]},
            {"Tag.1.Key": "secret"},
            {"Tag.1.Key": "secret", "Tag.1.Value": "plan"},
            {"ResourceGroupId": "rg-tests"},
        ):
            for beside in ({}, {"ImageId": shared.id}, {"ImageName": "web"}, {"ImageOwnerAlias": "others"}):
                assert seen(cloud, **asked, **beside) == [], (asked, beside)

    def test_whether_its_owner_uses_it(self, cloud, shared):
        an_instance(cloud, image=shared.id)

        assert shown(cloud, shared.id)["Usage"] == "instance"
        assert shown(cloud, shared.id, account=OTHER)["Usage"] == "none"
        assert seen(cloud, Usage="instance") == []
        assert seen(cloud, Usage="none") == [shared.id]

    def test_but_whether_the_receiver_does(self, cloud, shared):
        an_instance(cloud, image=shared.id, account=OTHER)

        assert shown(cloud, shared.id, account=OTHER)["Usage"] == "instance"
        assert seen(cloud, Usage="instance") == [shared.id]

    def test_by_the_lists_of_tags(self, cloud, shared):
        given = {"ResourceType": "image", "ResourceId.1": shared.id, "RegionId": REGION}

        assert cloud.call("ListTagResources", given, account=OTHER)["TagResources"] == {"TagResource": []}
