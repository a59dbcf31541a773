"""CreateVpc, as a caller meets it."""

from __future__ import annotations

import unicodedata

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.store.vpcs import vpcs
from tests.reading import every, the


def test_is_available_at_once(cloud):
    made = cloud.call("CreateVpc", CidrBlock="10.0.0.0/8", VpcName="build", Description="For builds")

    row = the(cloud, vpcs, id=made["VpcId"])
    assert (row.cidr, row.name, row.description, row.status) == ("10.0.0.0/8", "build", "For builds", "Available")
    assert (row.is_default, row.revision) == (False, 1)
    assert made["VRouterId"].startswith("vrt-")
    assert made["RouteTableId"].startswith("vtb-")


def test_has_the_widest_private_network_where_none_is_named(cloud):
    assert the(cloud, vpcs, id=cloud.call("CreateVpc")["VpcId"]).cidr == "172.16.0.0/12"


def test_several_may_have_one_network_and_one_name(cloud):
    for _ in range(2):
        cloud.call("CreateVpc", CidrBlock="10.0.0.0/16", VpcName="build")

    assert len(every(cloud, vpcs)) == 2


def test_a_token_makes_one(cloud):
    first = cloud.call("CreateVpc", ClientToken="t-1")

    assert cloud.call("CreateVpc", ClientToken="t-1") == first
    cloud.refuses("CreateVpc", "IdempotentParameterMismatch", 400, ClientToken="t-1", VpcName="other")
    assert len(every(cloud, vpcs)) == 1


@pytest.mark.parametrize(
    "cidr",
    [
        *("10.0.0.1/8", "10.0.0.0", "10.0.0.0/7", "10.0.0.0/29", "10.0.0.0/33", "::/64", "10.0/16", "010.0.0.0/8"),
        *("100.64.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/8", "96.0.0.0/8", "0.0.0.0/8"),
    ],
)
def test_refuses_what_no_vpc_may_have(cloud, cidr):
    if cidr == "96.0.0.0/8":
        cloud.call("CreateVpc", CidrBlock=cidr)  # Beside 100.64.0.0/10, and public: nobody is kept from it.
    else:
        cloud.refuses("CreateVpc", "InvalidCidrBlock.Malformed", 400, CidrBlock=cidr)


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("InvalidVpcName.Malformed", 400, {"VpcName": "http://x"}),
        ("InvalidVpcName.Malformed", 400, {"VpcName": "x" * 129}),
        ("InvalidVpcDiscription.Malformed", 400, {"Description": "https://x"}),
        ("InvalidResourceGroup.NotFound", 404, {"ResourceGroupId": "rg-none"}),
        ("InvalidParameter", 400, {"EnableIpv6": "true"}),
        ("InvalidParameter", 400, {"UserCidr": "192.168.0.0/16"}),
        ("InvalidParameter", 400, {"Tag.1.Key": "a"}),
        ("InvalidRegionId.NotFound", 404, {"RegionId": "cn-nowhere"}),
    ],
)
def test_refuses(cloud, code, status, params):
    cloud.refuses("CreateVpc", code, status, params)


def test_one_too_many(cloud):
    cloud.refit(deployment=Deployment(quotas=Quotas(vpcs=1)))
    cloud.call("CreateVpc")

    cloud.refuses("CreateVpc", "QuotaExceeded.Vpc", 400)


def test_is_found_by_its_name_however_its_letters_are_composed(cloud):
    made = cloud.call("CreateVpc", VpcName=unicodedata.normalize("NFD", "Bücher"))["VpcId"]

    for form in ("NFC", "NFD"):
        found = cloud.call("DescribeVpcs", VpcName=unicodedata.normalize(form, "Bücher"))["Vpcs"]["Vpc"]
        assert [one["VpcId"] for one in found] == [made]
