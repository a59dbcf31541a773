"""DescribeSecurityGroupAttribute, as a caller meets it. How rules look is tested where they are made."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER, REGION
from tests.nets import a_group, a_vpc
from tests.operations.security_groups.rules import WAYS, a_rule, told


@pytest.fixture
def group(cloud):
    """A group with a rule for each direction."""
    group = a_group(cloud, a_vpc(cloud), name="web", description="Web")
    for way, (authorize, *_) in WAYS.items():
        cloud.call(authorize, {"SecurityGroupId": group.id, **a_rule(way)})
    return group


def test_shows_the_group_itself(cloud, group):
    answer = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=group.id)

    del answer["Permissions"]
    assert answer == {
        "SecurityGroupId": group.id, "SecurityGroupName": "web", "Description": "Web", "RegionId": REGION,
        "VpcId": group.vpc, "InnerAccessPolicy": "Accept", "SnapshotPolicyIds": {"SnapshotPolicyId": []},
        "NextToken": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("params", "ways"),
    [
        ({}, ["egress", "ingress"]),
        ({"Direction": "all", "NicType": "internet"}, ["egress", "ingress"]),
        ({"Direction": "Ingress"}, ["ingress"]),
        ({"Direction": "egress", "NicType": "intranet"}, ["egress"]),
    ],
)
def test_shows_rules_of_a_direction(cloud, group, params, ways):
    assert [rule["Direction"] for rule in told(cloud, group, **params)] == ways


def test_pages_by_token(cloud, group):
    for port in range(1, 12):
        cloud.call(
            "AuthorizeSecurityGroup", {"SecurityGroupId": group.id, **a_rule("ingress", PortRange=f"{port}/{port}")}
        )

    first = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=group.id, MaxResults=10)
    asked = {"SecurityGroupId": group.id, "NextToken": first["NextToken"]}
    second = cloud.call("DescribeSecurityGroupAttribute", asked, MaxResults=10)

    pages = [one["Permissions"]["Permission"] for one in (first, second)]
    assert [len(page) for page in pages] == [10, 3]
    assert len({rule["SecurityGroupRuleId"] for page in pages for rule in page}) == 13
    assert second["NextToken"] == ""


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"SecurityGroupId": "sg-unknown"}, "InvalidSecurityGroupId.NotFound", 404),
        ({"Direction": "odd"}, "InvalidParameter", 400),
        ({"NicType": "odd"}, "InvalidNicType.ValueNotSupported", 400),
        ({"Attribute": "odd"}, "InvalidParameter", 400),
        ({"NextToken": "nonsense"}, "InvalidParameter", 400),
    ],
)
def test_refuses_what_is_not_right(cloud, group, params, code, status):
    cloud.refuses("DescribeSecurityGroupAttribute", code, status, {"SecurityGroupId": group.id, **params})


def test_refuses_another_accounts_group(cloud, group):
    code = "InvalidSecurityGroupId.NotFound"
    cloud.refuses("DescribeSecurityGroupAttribute", code, 404, SecurityGroupId=group.id, account=OTHER)
