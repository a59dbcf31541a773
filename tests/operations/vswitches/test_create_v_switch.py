"""CreateVSwitch, as a caller meets it."""

from __future__ import annotations

import unicodedata

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from tests.clouds import OTHER, REGION
from tests.nets import a_vpc, a_vswitch
from tests.reading import every, the

ZONE = REGION + "-a"


def test_is_available_at_once(cloud):
    vpc = a_vpc(cloud)

    made = cloud.call(
        "CreateVSwitch", VpcId=vpc.id, ZoneId=ZONE, CidrBlock="10.0.1.0/24", VSwitchName="a", Description="First"
    )

    row = the(cloud, vswitches, id=made["VSwitchId"])
    assert (row.vpc, row.zone, row.cidr, row.status) == (vpc.id, ZONE, "10.0.1.0/24", "Available")
    assert (row.name, row.description, row.is_default) == ("a", "First", False)


def test_changes_its_vpc(cloud):
    vpc = a_vpc(cloud)

    cloud.call("CreateVSwitch", VpcId=vpc.id, ZoneId=ZONE, CidrBlock="10.0.1.0/24")

    assert the(cloud, vpcs, id=vpc.id).revision > vpc.revision


def test_may_have_all_of_the_vpc(cloud):
    vpc = a_vpc(cloud)

    cloud.call("CreateVSwitch", VpcId=vpc.id, ZoneId=ZONE, CidrBlock=vpc.cidr)

    cloud.refuses(
        "CreateVSwitch", "InvalidCidrBlock.Overlapped", 400, VpcId=vpc.id, ZoneId=ZONE, CidrBlock="10.0.9.0/24"
    )


def test_two_vpcs_may_have_the_same_addresses(cloud):
    for vpc in (a_vpc(cloud), a_vpc(cloud)):
        cloud.call("CreateVSwitch", VpcId=vpc.id, ZoneId=ZONE, CidrBlock="10.0.1.0/24")


def test_a_token_makes_one(cloud):
    given = {"VpcId": a_vpc(cloud).id, "ZoneId": ZONE, "CidrBlock": "10.0.1.0/24", "ClientToken": "t-1"}

    assert cloud.call("CreateVSwitch", given) == cloud.call("CreateVSwitch", given)
    cloud.refuses("CreateVSwitch", "IdempotentParameterMismatch", 400, given | {"VSwitchName": "other"})
    assert len(every(cloud, vswitches)) == 1


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("InvalidVpcId.NotFound", 404, {"VpcId": "vpc-none"}),
        ("InvalidVpcId.NotFound", 404, {"VpcId": "THEIRS"}),
        ("InvalidZoneId.NotFound", 404, {"ZoneId": "cn-nowhere-a"}),
        ("InvalidCidrBlock.Malformed", 400, {"CidrBlock": "10.0.1.1/24"}),
        ("InvalidCidrBlock.Malformed", 400, {"CidrBlock": "10.0.1.0/30"}),
        ("InvalidCidrBlock.Malformed", 400, {"CidrBlock": "10.0.0.0/15"}),
        ("InvalidCidrBlock.Malformed", 400, {"CidrBlock": "10.0.1.0"}),
        ("InvalidParameter", 400, {"CidrBlock": "10.1.0.0/24"}),
        ("InvalidCidrBlock.Overlapped", 400, {"CidrBlock": "10.0.0.0/24"}),
        ("InvalidCidrBlock.Overlapped", 400, {"CidrBlock": "10.0.0.0/29"}),
        ("InvalidVSwitchName.Malformed", 400, {"VSwitchName": "http://x"}),
        ("InvalidVSwitchDiscription.Malformed", 400, {"Description": "http://x"}),
        ("InvalidParameter", 400, {"Tag.1.Key": "a"}),
    ],
)
def test_refuses(cloud, code, status, params):
    vpc, theirs = a_vpc(cloud), a_vpc(cloud, account=OTHER)
    a_vswitch(cloud, vpc)
    given = {"VpcId": vpc.id, "ZoneId": ZONE, "CidrBlock": "10.0.1.0/24"}

    given |= {name: theirs.id if value == "THEIRS" else value for name, value in params.items()}
    cloud.refuses("CreateVSwitch", code, status, given)


def test_one_too_many_in_a_vpc(cloud):
    cloud.refit(deployment=Deployment(quotas=Quotas(vswitches_per_vpc=1)))
    full, other = a_vpc(cloud), a_vpc(cloud)
    cloud.call("CreateVSwitch", VpcId=full.id, ZoneId=ZONE, CidrBlock="10.0.1.0/24")

    cloud.refuses("CreateVSwitch", "QuotaExceeded.VSwitch", 400, VpcId=full.id, ZoneId=ZONE, CidrBlock="10.0.2.0/24")
    cloud.call("CreateVSwitch", VpcId=other.id, ZoneId=ZONE, CidrBlock="10.0.2.0/24")


def test_is_found_by_its_name_however_its_letters_are_composed(cloud):
    vpc, name = a_vpc(cloud), unicodedata.normalize("NFD", "Bücher")
    made = cloud.call("CreateVSwitch", VpcId=vpc.id, ZoneId=ZONE, CidrBlock="10.0.1.0/24", VSwitchName=name)

    found = cloud.call("DescribeVSwitches", VSwitchName=name)["VSwitches"]["VSwitch"]
    assert [one["VSwitchId"] for one in found] == [made["VSwitchId"]]
