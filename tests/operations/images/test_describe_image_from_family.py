"""DescribeImageFromFamily, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER
from tests.operations.images.gallery import an_image


def test_shows_the_newest_available_image_of_the_family(cloud):
    an_image(cloud, family="webs")
    image = an_image(cloud, family="webs", tagged={"k": "v"})
    an_image(cloud, family="dbs")

    found = cloud.call("DescribeImageFromFamily", ImageFamily="webs")["Image"]

    assert found == cloud.call("DescribeImages", ImageId=image.id)["Images"]["Image"][0]


def test_passes_over_images_that_are_not_available(cloud):
    image = an_image(cloud, family="webs")
    for status in ("Creating", "Deprecated", "CreateFailed"):
        an_image(cloud, family="webs", status=status)

    found = cloud.call("DescribeImageFromFamily", ImageFamily="webs")["Image"]

    assert found["ImageId"] == image.id


def test_leaves_the_image_out_when_there_is_none(cloud):
    an_image(cloud, family="webs")

    assert cloud.call("DescribeImageFromFamily", ImageFamily="dbs") == {}
    assert cloud.call("DescribeImageFromFamily", ImageFamily="webs", account=OTHER) == {}


def test_refuses_no_family_and_an_unknown_region(cloud):
    cloud.refuses("DescribeImageFromFamily", "MissingParameter", 400)
    cloud.refuses("DescribeImageFromFamily", "InvalidRegionId.NotFound", 404, ImageFamily="webs", RegionId="cn-nowhere")
