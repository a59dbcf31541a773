"""ModifySecurityGroupPolicy, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.security_groups import security_groups
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc
from tests.operations.security_groups.rules import revision
from tests.reading import the


@pytest.fixture
def group(cloud):
    return a_group(cloud, a_vpc(cloud))


def test_parts_and_joins_members_and_gives_the_vpc_a_revision_each_time(cloud, group):
    seen = []
    for word in ("drop", "Drop", "ACCEPT"):
        assert cloud.call("ModifySecurityGroupPolicy", SecurityGroupId=group.id, InnerAccessPolicy=word) == {}
        seen.append((the(cloud, security_groups, id=group.id).inner_access_policy, revision(cloud, group)))

    assert seen == [("Drop", 2), ("Drop", 2), ("Accept", 3)]


def test_answers_a_token_again(cloud, group):
    given = {"SecurityGroupId": group.id, "ClientToken": "t-1"}
    for _ in range(2):
        cloud.call("ModifySecurityGroupPolicy", given, InnerAccessPolicy="Drop")

    code = "IdempotentParameterMismatch"
    cloud.refuses("ModifySecurityGroupPolicy", code, 400, given, InnerAccessPolicy="Accept")


def test_refuses_what_is_not_right(cloud, group):
    cloud.refuses(
        "ModifySecurityGroupPolicy", "InvalidPolicy.Malformed", 400, SecurityGroupId=group.id, InnerAccessPolicy="x"
    )
    given = {"SecurityGroupId": group.id, "InnerAccessPolicy": "Drop"}
    cloud.refuses("ModifySecurityGroupPolicy", "InvalidSecurityGroupId.NotFound", 404, given, account=OTHER)
