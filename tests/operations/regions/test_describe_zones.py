"""DescribeZones, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import DISK_CATEGORIES, Deployment
from tests.clouds import REGION, make_cloud


def zones(cloud, **params):
    return cloud.call("DescribeZones", **params)["Zones"]["Zone"]


def test_tells_what_is_to_be_had_in_a_zone(cloud):
    types = [one.id for one in cloud.ports.deployment.instance_types]

    (zone,) = zones(cloud)

    assert (zone["ZoneId"], zone["LocalName"], zone["ZoneType"]) == (REGION + "-a", REGION + "-a", "AvailabilityZone")
    assert zone["AvailableResourceCreation"]["ResourceTypes"] == ["VSwitch", "IoOptimized", "Instance", "Disk"]
    assert zone["AvailableInstanceTypes"]["InstanceTypes"] == types
    assert zone["AvailableDiskCategories"]["DiskCategories"] == list(DISK_CATEGORIES)
    assert zone["AvailableVolumeCategories"] == {"VolumeCategories": []}
    assert zone["AvailableDedicatedHostTypes"] == {"DedicatedHostType": []}
    assert zone["DedicatedHostGenerations"] == {"DedicatedHostGeneration": []}
    (info,) = zone["AvailableResources"]["ResourcesInfo"]
    assert info["IoOptimized"] is True
    assert info["InstanceTypes"] == {"supportedInstanceType": types}
    assert "ecs.t5" in info["InstanceTypeFamilies"]["supportedInstanceTypeFamily"]
    assert info["InstanceGenerations"]["supportedInstanceGeneration"][0] == "ecs-1"
    assert info["SystemDiskCategories"] == {"supportedSystemDiskCategory": list(DISK_CATEGORIES)}
    assert info["DataDiskCategories"] == {"supportedDataDiskCategory": list(DISK_CATEGORIES)}
    assert info["NetworkTypes"] == {"supportedNetworkCategory": ["vpc"]}


def test_tells_the_zones_alone_when_not_verbose(cloud):
    assert zones(cloud, Verbose=False) == [
        {"ZoneId": REGION + "-a", "LocalName": REGION + "-a", "ZoneType": "AvailabilityZone"}
    ]


@pytest.mark.parametrize(
    ("region", "language", "zone", "name"),
    [
        ("cn-hangzhou", None, "cn-hangzhou-h", "杭州 可用区H"),
        ("cn-hangzhou", "en-US", "cn-hangzhou-h", "Hangzhou Zone H"),
        ("cn-hangzhou", "ja", "cn-hangzhou-h", "杭州 ゾーンH"),
        ("us-east-1", "en-US", "us-east-1b", "Virginia Zone B"),
        ("ap-southeast-1", "en-US", "ap-southeast-1a", "Singapore Zone A"),
        ("cn-nanjing", "en-US", "cn-nanjing-a", "Nanjing Zone A"),
    ],
)
def test_has_the_zones_of_ecs(tmp_path, sqlite, *, region, language, zone, name):
    cloud = make_cloud(tmp_path, sqlite, deployment=Deployment(regions=(region,)))

    found = zones(cloud, RegionId=region, AcceptLanguage=language, Verbose=False)

    assert {"ZoneId": zone, "LocalName": name, "ZoneType": "AvailabilityZone"} in found


def test_tells_the_same_whatever_is_asked_for(cloud):
    assert zones(cloud, InstanceChargeType="PrePaid", SpotStrategy="NoSpot", AcceptLanguage="ja") == zones(cloud)


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"RegionId": None}, "MissingParameter", 400),
        ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
        ({"InstanceChargeType": "Free"}, "InvalidInstanceChargeType.NotFound", 404),
        ({"SpotStrategy": "Snipe"}, "InvalidSpotStrategy", 400),
        ({"AcceptLanguage": "tlh"}, "InvalidAcceptLanguage.NotFound", 404),
    ],
)
def test_refuses_what_it_does_not_know(cloud, params, code, status):
    cloud.refuses("DescribeZones", code, status, params)
