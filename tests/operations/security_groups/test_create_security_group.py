"""CreateSecurityGroup, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.security_groups import security_group_rules, security_groups
from kiln.store.vpcs import vpcs
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, the_default_vpc
from tests.operations.security_groups.rules import revision
from tests.reading import every, the


def create(cloud, params=None, /, **more):
    made = cloud.call("CreateSecurityGroup", params or {}, **more)["SecurityGroupId"]
    return the(cloud, security_groups, id=made)


class TestMakes:
    def test_one_without_rules_in_the_vpc_that_is_named(self, cloud):
        vpc = a_vpc(cloud)

        group = create(cloud, VpcId=vpc.id, SecurityGroupName="web", Description="Web servers")

        assert (group.vpc, group.name, group.description) == (vpc.id, "web", "Web servers")
        assert (group.type, group.inner_access_policy, group.is_default) == ("normal", "Accept", False)
        assert every(cloud, security_group_rules) == []
        assert revision(cloud, group) == 2

    def test_one_in_the_default_vpc_which_is_made_once(self, cloud):
        first, second = create(cloud), create(cloud)

        (vpc,) = every(cloud, vpcs)
        assert (first.vpc, second.vpc, vpc.is_default) == (vpc.id, vpc.id, True)

    def test_it_with_a_group_and_tags(self, cloud):
        group = create(cloud, {"Tag.1.Key": "a", "Tag.1.Value": "b"}, ResourceGroupId="rg-tests")

        (shown,) = cloud.call("DescribeSecurityGroups")["SecurityGroups"]["SecurityGroup"]
        assert group.resource_group == shown["ResourceGroupId"] == "rg-tests"
        assert shown["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "b"}]

    def test_one_for_one_token(self, cloud):
        first = create(cloud, ClientToken="t-1")

        assert create(cloud, ClientToken="t-1").id == first.id
        cloud.refuses(
            "CreateSecurityGroup", "IdempotentParameterMismatch", 400, ClientToken="t-1", SecurityGroupName="web"
        )

    def test_no_default_vpc_where_it_is_refused(self, cloud):
        cloud.refuses("CreateSecurityGroup", "DryRunOperation", 400, DryRun=True)

        assert every(cloud, vpcs) == []


class TestRefuses:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"VpcId": "vpc-unknown"}, "InvalidVpcId.NotFound", 404),
            ({"SecurityGroupName": "1"}, "InvalidSecurityGroupName.Malformed", 400),
            ({"Description": "https://x"}, "InvalidSecurityGroupDiscription.Malformed", 400),
            ({"SecurityGroupType": "enterprise"}, "InvalidParams.GroupType", 400),
            ({"ResourceGroupId": "rg-unknown"}, "InvalidResourceGroup.NotFound", 404),
            ({"Tag.1.Value": "lonely"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("CreateSecurityGroup", code, status, params)

    def test_another_accounts_vpc(self, cloud):
        theirs = the_default_vpc(cloud, OTHER)

        cloud.refuses("CreateSecurityGroup", "InvalidVpcId.NotFound", 404, VpcId=theirs.id)

    def test_more_than_there_may_be(self, cloud):
        object.__setattr__(cloud.ports.deployment.quotas, "security_groups", 1)
        a_group(cloud, a_vpc(cloud))

        cloud.refuses("CreateSecurityGroup", "QuotaExceed.SecurityGroup", 403)
