"""DescribeRegions, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment
from tests.clouds import REGION, make_cloud


def test_tells_all_of_a_region(cloud):
    answer = cloud.call("DescribeRegions", RegionId=None)

    assert answer == {
        "Regions": {
            "Region": [
                {
                    "RegionId": REGION,
                    "LocalName": REGION,
                    "RegionEndpoint": cloud.ports.deployment.endpoint,
                    "Status": "available",
                }
            ]
        }
    }


def test_lists_every_region_whatever_region_asks(tmp_path, sqlite):
    regions = ("cn-qingdao-env17-d01", "cn-hangzhou")
    cloud = make_cloud(tmp_path, sqlite, deployment=Deployment(regions=regions))

    answer = cloud.call("DescribeRegions", RegionId="cn-shanghai")

    assert tuple(one["RegionId"] for one in answer["Regions"]["Region"]) == regions


@pytest.mark.parametrize(
    ("language", "names"),
    [
        (None, ["华东1（杭州）", "美国（弗吉尼亚）", "mine"]),
        ("zh-CN", ["华东1（杭州）", "美国（弗吉尼亚）", "mine"]),
        ("en-US", ["China (Hangzhou)", "US (Virginia)", "mine"]),
        ("ja", ["中国 (杭州)", "米国 (バージニア)", "mine"]),
    ],
)
def test_names_a_region_in_the_language_that_is_asked_for(tmp_path, sqlite, language, names):
    cloud = make_cloud(tmp_path, sqlite, deployment=Deployment(regions=("cn-hangzhou", "us-east-1", "mine")))

    answer = cloud.call("DescribeRegions", RegionId=None, AcceptLanguage=language)

    assert [one["LocalName"] for one in answer["Regions"]["Region"]] == names


def test_lists_the_same_whatever_is_asked_for(cloud):
    answer = cloud.call("DescribeRegions", InstanceChargeType="PrePaid", ResourceType="scu", AcceptLanguage="en-US")

    assert answer == cloud.call("DescribeRegions")


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"InstanceChargeType": "Free"}, "Invalid.InstanceChargeType", 403),
        ({"ResourceType": "people"}, "InvalidResourceType.NotFound", 404),
        ({"AcceptLanguage": "tlh"}, "InvalidAcceptLanguage.NotFound", 404),
    ],
)
def test_refuses_what_it_does_not_know(cloud, params, code, status):
    cloud.refuses("DescribeRegions", code, status, params)
