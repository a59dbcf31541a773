"""DescribeSecurityGroups, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, the_default_vpc
from tests.operations.security_groups.rules import a_rule
from tests.stock import an_instance

MINUTE = 1_795_414_020.0  #: 2026-11-23T06:07Z


def shown(cloud, params=None, /, **more):
    return cloud.call("DescribeSecurityGroups", params or {}, **more)["SecurityGroups"]["SecurityGroup"]


class TestShows:
    def test_all_that_is_known(self, cloud):
        vpc = the_default_vpc(cloud)
        group = a_group(cloud, vpc, name="web", description="Web", created_at=MINUTE)
        other = a_group(cloud, vpc)
        instance = an_instance(cloud, system_disk=False)
        cloud.call("JoinSecurityGroup", SecurityGroupId=group.id, InstanceId=instance.id)
        cloud.call("AuthorizeSecurityGroup", {"SecurityGroupId": group.id, **a_rule("ingress")})
        named = a_rule("egress", DestCidrIp=None, DestGroupId=other.id)
        cloud.call("AuthorizeSecurityGroupEgress", {"SecurityGroupId": group.id, **named})

        (one,) = shown(cloud, SecurityGroupId=group.id)

        assert one == {
            "SecurityGroupId": group.id, "SecurityGroupName": "web", "Description": "Web",
            "SecurityGroupType": "normal", "VpcId": vpc.id, "CreationTime": "2026-11-23T06:07:00Z",
            "EcsCount": 1, "AvailableInstanceAmount": 1023, "RuleCount": 2, "GroupToGroupRuleCount": 1,
            "ResourceGroupId": "", "ServiceManaged": False, "ServiceID": 0, "Tags": {"Tag": []},
        }  # fmt: skip

    def test_nothing_of_others(self, cloud):
        a_group(cloud, a_vpc(cloud, account=OTHER))

        assert shown(cloud) == []


class TestFinds:
    @pytest.mark.parametrize(
        ("params", "found"),
        [
            ({"SecurityGroupName": "web"}, ["web"]),
            ({"SecurityGroupName": "we"}, []),
            ({"SecurityGroupName": "e", "FuzzyQuery": True}, ["web", "other"]),
            ({"SecurityGroupName": "%", "FuzzyQuery": True}, []),
            ({"SecurityGroupIds": '["sg-1", "sg-unknown"]'}, ["other"]),
            ({"SecurityGroupId": "sg-1"}, ["other"]),
            ({"VpcId": "vpc-1"}, ["other"]),
            ({"ResourceGroupId": "rg-tests"}, ["web"]),
            ({"Tag.1.Key": "a"}, ["web"]),
            ({"SecurityGroupType": "Normal"}, ["web", "other"]),
            ({"SecurityGroupType": "enterprise"}, []),
            ({"NetworkType": "vpc"}, ["web", "other"]),
            ({"NetworkType": "classic"}, []),
            ({"ServiceManaged": True}, []),
            ({"ServiceManaged": False}, ["web", "other"]),
        ],
    )
    def test_what_all_filters_let_through(self, cloud, params, found):
        a_group(cloud, a_vpc(cloud, id="vpc-1"), id="sg-1", name="other")
        group = a_group(cloud, a_vpc(cloud), name="web", resource_group="rg-tests")
        cloud.call("TagResources", {"ResourceId.1": group.id, "Tag.1.Key": "a"}, ResourceType="securitygroup")

        assert [one["SecurityGroupName"] for one in shown(cloud, params)] == found


class TestRefuses:
    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"SecurityGroupIds": json.dumps([f"sg-{n}" for n in range(101)])}, "InvalidParameter"),
            ({"SecurityGroupType": "odd"}, "InvalidParameter"),
            ({"NextToken": "nonsense"}, "InvalidParameter"),
            ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch"),
            ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "InvalidTagCount"),
            ({"DryRun": True}, "DryRunOperation"),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code):
        cloud.refuses("DescribeSecurityGroups", code, 400, params)
