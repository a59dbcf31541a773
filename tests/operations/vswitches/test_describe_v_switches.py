"""DescribeVSwitches, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import ACCOUNT, OTHER, REGION
from tests.nets import a_vpc, a_vswitch, the_default_vpc
from tests.stock import an_instance


def test_tells_all_that_is_known(cloud):
    vpc = a_vpc(cloud)
    switch = a_vswitch(cloud, vpc, name="a", description="First", created_at=1_795_000_000.0)
    an_instance(cloud, card={"vpc": vpc.id, "vswitch": switch.id, "private_ip": "10.0.0.1"})

    (one,) = cloud.call("DescribeVSwitches", VpcId=vpc.id, VSwitchId=switch.id)["VSwitches"]["VSwitch"]

    assert one == {
        "VSwitchId": switch.id,
        "VpcId": vpc.id,
        "ZoneId": REGION + "-a",
        "VSwitchName": "a",
        "Description": "First",
        "CidrBlock": "10.0.0.0/29",
        "AvailableIpAddressCount": 3,
        "Status": "Available",
        "IsDefault": False,
        "CreationTime": "2026-11-18T11:06:40Z",
        "ResourceGroupId": "",
        "OwnerId": int(ACCOUNT),
    }


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["b", "a", ""]),
        ({"VpcId": "VPC"}, ["b", "a"]),
        ({"VpcId": "vpc-none"}, []),
        ({"VSwitchId": "B"}, ["b"]),
        ({"VSwitchId": "B,vsw-none"}, ["b"]),
        ({"ZoneId": REGION + "-b"}, ["b"]),
        ({"VSwitchName": "a"}, ["a"]),
        ({"IsDefault": "true"}, [""]),
        ({"IsDefault": "false"}, ["b", "a"]),
        ({"ResourceGroupId": "rg-tests"}, ["b"]),
        ({"EnableIpv6": "true"}, []),
        ({"PageSize": "1", "PageNumber": "2"}, ["a"]),
    ],
)
def test_narrows_the_list(cloud, params, names):
    the_default_vpc(cloud)
    vpc = a_vpc(cloud)
    a_vswitch(cloud, vpc, name="a")
    b = a_vswitch(cloud, vpc, name="b", zone=REGION + "-b", cidr="10.0.1.0/24", resource_group="rg-tests")
    a_vswitch(cloud, a_vpc(cloud, account=OTHER), name="theirs")
    known = {"VPC": vpc.id, "B": b.id, "B,vsw-none": f"{b.id},vsw-none"}

    answer = cloud.call("DescribeVSwitches", {name: known.get(value, value) for name, value in params.items()})

    assert [one["VSwitchName"] for one in answer["VSwitches"]["VSwitch"]] == names


def test_rehearses_when_asked(cloud):
    cloud.refuses("DescribeVSwitches", "DryRunOperation", 400, {}, DryRun=True)
