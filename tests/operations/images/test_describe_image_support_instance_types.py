"""DescribeImageSupportInstanceTypes, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import INSTANCE_TYPES
from tests.clouds import OTHER, REGION
from tests.operations.images.gallery import an_image, share


def types(cloud, image_id, **more):
    answer = cloud.call("DescribeImageSupportInstanceTypes", ImageId=image_id, **more)
    assert (answer["ImageId"], answer["RegionId"]) == (image_id, REGION)
    return answer["InstanceTypes"]["InstanceType"]


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
@pytest.mark.parametrize("action", [None, "CreateEcs", "ChangeOS"])
def test_lists_the_types_that_have_the_images_cpu(cloud, architecture, action):
    image = an_image(cloud, architecture=architecture, boot_mode="UEFI")

    found = types(cloud, image.id, ActionType=action)

    assert [one["InstanceTypeId"] for one in found] == [k.id for k in INSTANCE_TYPES if k.architecture == architecture]
    assert {"CpuCoreCount", "InstanceTypeFamily", "InstanceTypeId", "MemorySize"} == found[0].keys()


def test_an_image_of_i386_runs_where_x86_64_does(cloud):
    assert types(cloud, an_image(cloud, architecture="i386").id) == types(cloud, an_image(cloud).id)


def test_filters_have_no_effect(cloud):
    image = an_image(cloud)

    assert types(cloud, image.id, **{"Filter.1.Key": "imageId", "Filter.1.Value": "m-1"}) == types(cloud, image.id)


def test_tells_of_an_image_that_is_shared_and_of_a_deprecated_one(cloud):
    image = an_image(cloud, status="Deprecated")
    code = "InvalidImageId.NotFound"
    cloud.refuses("DescribeImageSupportInstanceTypes", code, 404, ImageId=image.id, account=OTHER)
    image = an_image(cloud)
    share(cloud, image.id)

    assert types(cloud, image.id, account=OTHER)


@pytest.mark.parametrize("status", ["Creating", "CreateFailed"])
def test_refuses_an_image_that_cannot_be_used(cloud, status):
    image = an_image(cloud, status=status)

    cloud.refuses("DescribeImageSupportInstanceTypes", "InvalidImageId.NotFound", 404, ImageId=image.id)


def test_refuses_what_it_does_not_understand(cloud):
    action = "DescribeImageSupportInstanceTypes"
    cloud.refuses(action, "MissingParameter", 400)
    cloud.refuses(action, "InvalidImageId.NotFound", 404, ImageId="m-unknown")
    cloud.refuses(action, "InvalidParamter", 400, ImageId="m-unknown", ActionType="Fly")
