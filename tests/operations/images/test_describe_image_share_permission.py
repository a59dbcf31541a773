"""DescribeImageSharePermission, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.ground.clock import to_seconds_text
from kiln.store.shares import ImageShare, image_shares
from tests.clouds import OTHER, REGION
from tests.operations.images.gallery import an_image, share


def test_lists_the_accounts_with_the_time(cloud):
    image = an_image(cloud)
    share(cloud, image.id)

    answer = cloud.call("DescribeImageSharePermission", ImageId=image.id)

    with cloud.ports.database.read() as tx:
        (row,) = image_shares.all(tx)
    account = {"AliyunId": OTHER, "SharedTime": to_seconds_text(row.shared_at)}
    assert answer == {
        "Accounts": {"Account": [account]},
        "ImageId": image.id,
        "PageNumber": 1,
        "PageSize": 10,
        "RegionId": REGION,
        "ShareGroups": {"ShareGroup": []},
        "TotalCount": 1,
    }


def test_is_empty_for_an_image_that_is_not_shared(cloud):
    share(cloud, an_image(cloud).id)

    answer = cloud.call("DescribeImageSharePermission", ImageId=an_image(cloud).id)

    assert (answer["Accounts"], answer["TotalCount"]) == ({"Account": []}, 0)


def test_pages_in_the_order_in_which_it_was_shared(cloud):
    image = an_image(cloud)
    ids = [f"200000000000000{n}" for n in (3, 1, 4, 2, 0)]
    rows = [ImageShare(image=image.id, account=one, shared_at=1000.0 + n) for n, one in enumerate(ids)]
    cloud.ports.database.write(lambda tx: image_shares.insert(tx, *rows))

    pages = [
        cloud.call("DescribeImageSharePermission", ImageId=image.id, PageSize=2, PageNumber=n) for n in (1, 2, 3, 4)
    ]

    told = [[one["AliyunId"] for one in page["Accounts"]["Account"]] for page in pages]
    assert told == [ids[:2], ids[2:4], ids[4:], []]
    assert {page["TotalCount"] for page in pages} == {5}


def test_refuses_an_image_that_is_not_the_callers(cloud):
    image = an_image(cloud)
    share(cloud, image.id)

    code = "InvalidImageId.NotFound"
    cloud.refuses("DescribeImageSharePermission", code, 404, ImageId="m-unknown")
    refused = cloud.refuses("DescribeImageSharePermission", code, 404, ImageId=image.id, account=OTHER)
    assert image.id in str(refused)


@pytest.mark.parametrize("missing", ["RegionId", "ImageId"])
def test_needs_region_and_image(cloud, missing):
    cloud.refuses("DescribeImageSharePermission", "MissingParameter", 400, {"ImageId": "m-1", missing: ""})
