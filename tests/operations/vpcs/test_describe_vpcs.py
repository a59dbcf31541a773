"""DescribeVpcs, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import ACCOUNT, OTHER, REGION
from tests.nets import a_vpc, a_vswitch, the_default_vpc


def found(cloud, params=None, /, **more):
    return [one["VpcName"] for one in cloud.call("DescribeVpcs", params, **more)["Vpcs"]["Vpc"]]


def test_tells_all_that_is_known(cloud):
    vpc = a_vpc(cloud, name="build", description="For builds", created_at=1_795_000_000.0)
    switch = a_vswitch(cloud, vpc)

    (one,) = cloud.call("DescribeVpcs", VpcId=vpc.id)["Vpcs"]["Vpc"]

    assert one == {
        "VpcId": vpc.id,
        "RegionId": REGION,
        "VpcName": "build",
        "Description": "For builds",
        "CidrBlock": "10.0.0.0/16",
        "Status": "Available",
        "IsDefault": False,
        "CreationTime": "2026-11-18T11:06:40Z",
        "VRouterId": vpc.id.replace("vpc-", "vrt-"),
        "VSwitchIds": {"VSwitchId": [switch.id]},
        "UserCidrs": {"UserCidr": []},
        "ResourceGroupId": "",
        "OwnerId": int(ACCOUNT),
        "EnabledIpv6": False,
    }


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["b", "a", ""]),
        ({"VpcName": "a"}, ["a"]),
        ({"IsDefault": "true"}, [""]),
        ({"IsDefault": "false"}, ["b", "a"]),
        ({"ResourceGroupId": "rg-tests"}, ["b"]),
        ({"EnableIpv6": "true"}, []),
        ({"EnableIpv6": "false"}, ["b", "a", ""]),
        ({"VpcId": "vpc-none"}, []),
        ({"PageSize": "1", "PageNumber": "2"}, ["a"]),
    ],
)
def test_narrows_the_list(cloud, params, names):
    the_default_vpc(cloud)
    a_vpc(cloud, name="a")
    a_vpc(cloud, name="b", resource_group="rg-tests")
    a_vpc(cloud, name="theirs", account=OTHER)
    a_vpc(cloud, name="far", region="cn-hangzhou")

    assert found(cloud, params) == names


def test_takes_several_ids(cloud):
    one, two, _ = a_vpc(cloud, name="one"), a_vpc(cloud, name="two"), a_vpc(cloud, name="three")

    assert found(cloud, VpcId=f"{one.id},{two.id},vpc-none") == ["two", "one"]


def test_rehearses_when_asked(cloud):
    cloud.refuses("DescribeVpcs", "DryRunOperation", 400, {}, DryRun=True)
