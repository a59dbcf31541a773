"""DeleteSecurityGroup, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.security_groups import security_group_rules, security_groups
from kiln.store.tags import tags
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, the_default_vpc
from tests.operations.security_groups.rules import a_rule, revision
from tests.reading import every
from tests.stock import an_instance


@pytest.fixture
def group(cloud):
    return a_group(cloud, the_default_vpc(cloud))


def test_takes_its_rules_and_tags_with_it(cloud):
    group = a_group(cloud, a_vpc(cloud))
    cloud.call("AuthorizeSecurityGroup", {"SecurityGroupId": group.id, **a_rule("ingress")})
    cloud.call("TagResources", {"ResourceId.1": group.id, "Tag.1.Key": "a"}, ResourceType="securitygroup")
    before = revision(cloud, group)

    assert cloud.call("DeleteSecurityGroup", SecurityGroupId=group.id) == {}

    assert [every(cloud, rows) for rows in (security_groups, security_group_rules, tags)] == [[], [], []]
    assert revision(cloud, group) == before + 1


def test_refuses_one_that_is_used_until_it_is_not(cloud, group):
    instance, given = an_instance(cloud).id, {"SecurityGroupId": group.id}
    cloud.call("JoinSecurityGroup", given, InstanceId=instance)

    cloud.refuses("DeleteSecurityGroup", "DependencyViolation", 403, given)
    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()
    cloud.call("DeleteSecurityGroup", given)


def test_refuses_one_that_anothers_rule_names_until_it_does_not(cloud, group):
    other, given = a_group(cloud, the_default_vpc(cloud)), {"SecurityGroupId": group.id}
    rule = {"SecurityGroupId": other.id, **a_rule("ingress", SourceCidrIp=None, SourceGroupId=group.id)}
    cloud.call("AuthorizeSecurityGroup", rule)

    refused = cloud.refuses("DeleteSecurityGroup", "DependencyViolation", 403, given)
    assert "another one" in str(refused)
    cloud.call("RevokeSecurityGroup", rule)
    cloud.call("DeleteSecurityGroup", given)


def test_refuses_one_that_is_not_there(cloud, group):
    code = "InvalidSecurityGroupId.NotFound"
    cloud.refuses("DeleteSecurityGroup", code, 404, SecurityGroupId="sg-unknown")
    cloud.refuses("DeleteSecurityGroup", code, 404, SecurityGroupId=group.id, account=OTHER)
