"""DescribeVpcAttribute, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER
from tests.nets import a_vpc, a_vswitch, the_default_vpc


def test_tells_what_the_list_tells_and_more(cloud):
    vpc = a_vpc(cloud, name="build")
    a_vswitch(cloud, vpc)
    (listed,) = cloud.call("DescribeVpcs")["Vpcs"]["Vpc"]

    told = cloud.call("DescribeVpcAttribute", VpcId=vpc.id)

    assert told == listed | {"ClassicLinkEnabled": False}


def test_finds_the_default_vpc_alone_where_that_is_asked(cloud):
    vpc, default = a_vpc(cloud), the_default_vpc(cloud)

    assert cloud.call("DescribeVpcAttribute", VpcId=default.id, IsDefault=True)["VpcId"] == default.id
    cloud.refuses("DescribeVpcAttribute", "InvalidVpcId.NotFound", 404, VpcId=vpc.id, IsDefault=True)


def test_refuses_what_is_not_the_callers(cloud):
    theirs = a_vpc(cloud, account=OTHER)

    cloud.refuses("DescribeVpcAttribute", "InvalidVpcId.NotFound", 404, VpcId=theirs.id)
    cloud.refuses("DescribeVpcAttribute", "InvalidVpcId.NotFound", 404, VpcId="vpc-none")


def test_rehearses_when_asked(cloud):
    cloud.refuses("DescribeVpcAttribute", "DryRunOperation", 400, {"VpcId": a_vpc(cloud).id}, DryRun=True)
