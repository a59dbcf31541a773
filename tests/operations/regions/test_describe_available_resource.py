"""DescribeAvailableResource, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import DISK_CATEGORIES


def available(cloud, destination, **more):
    """The values that are to be had in each zone."""
    zones = cloud.call("DescribeAvailableResource", DestinationResource=destination, **more)
    return {
        zone["ZoneId"]: [
            one["Value"]
            for sort in zone["AvailableResources"]["AvailableResource"]
            for one in sort["SupportedResources"]["SupportedResource"]
        ]
        for zone in zones["AvailableZones"]["AvailableZone"]
    }


@pytest.mark.parametrize(
    ("destination", "more", "values"),
    [
        ("InstanceType", {"InstanceType": "ecs.g6.large"}, ["ecs.g6.large"]),
        ("InstanceType", {"Cores": 4, "Memory": 16.0}, ["ecs.g6.xlarge"]),
        ("InstanceType", {"Cores": 1, "Memory": 0.5}, ["ecs.t5-lc2m1.nano"]),
        ("SystemDisk", {"InstanceType": "ecs.g6.large"}, list(DISK_CATEGORIES)),
        ("SystemDisk", {"SystemDiskCategory": "cloud_essd"}, ["cloud_essd"]),
        ("DataDisk", {"ResourceType": "disk", "DataDiskCategory": "cloud"}, ["cloud"]),
        ("Network", {"NetworkCategory": "vpc"}, ["vpc"]),
        ("IoOptimized", {"IoOptimized": "optimized"}, ["optimized"]),
        ("Zone", {}, []),
    ],
)
def test_tells_what_is_there_in_every_zone(cloud, destination, more, values):
    zones = [zone["ZoneId"] for zone in cloud.call("DescribeZones")["Zones"]["Zone"]]

    assert available(cloud, destination, **more) == dict.fromkeys(zones, values)


def test_tells_all_types(cloud):
    (*_, types) = available(cloud, "InstanceType").values()

    assert types == [one.id for one in cloud.ports.deployment.instance_types]


def test_tells_the_sizes_of_disks(cloud):
    answer = cloud.call("DescribeAvailableResource", DestinationResource="DataDisk", DataDiskCategory="cloud_ssd")

    zone, *_ = answer["AvailableZones"]["AvailableZone"]
    (sort,) = zone["AvailableResources"]["AvailableResource"]
    (disk,) = sort["SupportedResources"]["SupportedResource"]
    assert sort["Type"] == "DataDisk"
    assert (disk["Min"], disk["Max"], disk["Unit"]) == (20, 32768, "GiB")
    assert (
        (disk["Status"], disk["StatusCategory"])
        == (zone["Status"], zone["StatusCategory"])
        == (
            "Available",
            "WithStock",
        )
    )


@pytest.mark.parametrize(
    ("destination", "more"),
    [
        ("InstanceType", {"InstanceType": "ecs.no.such"}),
        ("InstanceType", {"Cores": 1000}),
        ("InstanceType", {"IoOptimized": "none"}),
        ("InstanceType", {"NetworkCategory": "classic"}),
        ("InstanceType", {"SystemDiskCategory": "ephemeral_ssd"}),
        ("InstanceType", {"ZoneId": "nowhere"}),
        ("DataDisk", {"DataDiskCategory": "ephemeral_ssd"}),
        ("ddh", {}),
        ("Zone", {"ResourceType": "reservedinstance"}),
    ],
)
def test_leaves_out_zones_in_which_nothing_fits(cloud, destination, more):
    assert available(cloud, destination, **more) == {}


def test_tells_of_one_zone(cloud):
    zone = cloud.call("DescribeZones")["Zones"]["Zone"][-1]["ZoneId"]

    assert available(cloud, "Network", ZoneId=zone) == {zone: ["vpc"]}


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("Invalid.Param", 400, {}),
        ("Invalid.DestinationResource", 404, {"DestinationResource": "Wishes"}),
        ("Invalid.ResourceType", 404, {"DestinationResource": "Zone", "ResourceType": "wish"}),
        ("Invalid.IoOptimized", 404, {"DestinationResource": "Zone", "IoOptimized": "yes"}),
        ("Invalid.NetworkCategory", 404, {"DestinationResource": "Zone", "NetworkCategory": "own"}),
        ("Invalid.InstanceChargeType", 400, {"DestinationResource": "Zone", "InstanceChargeType": "Free"}),
        ("Invalid.SpotStrategy", 404, {"DestinationResource": "Zone", "SpotStrategy": "Luck"}),
        ("InvalidParam.Cores", 403, {"DestinationResource": "Zone", "Cores": 1}),
        ("InvalidParam.Memory", 403, {"DestinationResource": "Zone", "Memory": 1}),
        (
            "InvalidParam.TypeAndCpuMem.Conflict",
            403,
            {"DestinationResource": "InstanceType", "InstanceType": "ecs.g6.large", "Cores": 1},
        ),
    ],
)
def test_refuses(cloud, code, status, params):
    cloud.refuses("DescribeAvailableResource", code, status, params)
