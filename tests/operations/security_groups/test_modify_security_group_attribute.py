"""ModifySecurityGroupAttribute, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.security_groups import security_groups
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc
from tests.operations.security_groups.rules import revision
from tests.reading import the


@pytest.fixture
def group(cloud):
    return a_group(cloud, a_vpc(cloud), name="old", description="old one")


@pytest.mark.parametrize(
    ("params", "after"),
    [
        ({}, ("old", "old one")),
        ({"SecurityGroupName": "new"}, ("new", "old one")),
        ({"Description": "new one"}, ("old", "new one")),
        ({"Description": ""}, ("old", "")),
    ],
)
def test_changes_what_is_sent_and_nothing_that_guests_see(cloud, group, params, after):
    before = revision(cloud, group)

    assert cloud.call("ModifySecurityGroupAttribute", {"SecurityGroupId": group.id, **params}) == {}

    row = the(cloud, security_groups, id=group.id)
    assert (row.name, row.description) == after
    assert revision(cloud, group) == before


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"SecurityGroupId": "sg-unknown"}, "InvalidSecurityGroupId.NotFound", 404),
        ({"SecurityGroupName": "1"}, "InvalidSecurityGroupName.Malformed", 400),
        ({"Description": "x"}, "InvalidSecurityGroupDiscription.Malformed", 400),
    ],
)
def test_refuses_what_is_not_right(cloud, group, params, code, status):
    cloud.refuses("ModifySecurityGroupAttribute", code, status, {"SecurityGroupId": group.id, **params})


def test_refuses_another_accounts_group(cloud, group):
    given = {"SecurityGroupId": group.id, "SecurityGroupName": "new"}
    cloud.refuses("ModifySecurityGroupAttribute", "InvalidSecurityGroupId.NotFound", 404, given, account=OTHER)
