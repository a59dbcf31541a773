"""LeaveSecurityGroup, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.interfaces import interface_id, memberships
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, the_default_vpc
from tests.operations.security_groups.rules import revision
from tests.reading import every
from tests.stock import an_instance


@pytest.fixture
def group(cloud):
    return a_group(cloud, the_default_vpc(cloud))


@pytest.mark.parametrize("named", ["InstanceId", "NetworkInterfaceId"])
def test_takes_an_instance_out_of_a_group(cloud, group, named):
    instance = an_instance(cloud, system_disk=False).id
    cloud.call("JoinSecurityGroup", SecurityGroupId=group.id, InstanceId=instance)
    before = revision(cloud, group)

    given = {named: instance if named == "InstanceId" else interface_id(instance)}
    assert cloud.call("LeaveSecurityGroup", given, SecurityGroupId=group.id) == {}

    assert group.id not in {one.security_group for one in every(cloud, memberships, instance=instance)}
    assert revision(cloud, group) == before + 1


def test_refuses_the_last_group(cloud, group):
    instance = an_instance(cloud, system_disk=False).id
    (last,) = every(cloud, memberships, instance=instance)

    given = {"InstanceId": instance, "SecurityGroupId": last.security_group}
    cloud.refuses("LeaveSecurityGroup", "InstanceLastSecurityGroup", 403, given)


def test_refuses_what_is_not_right(cloud, group):
    instance = an_instance(cloud, system_disk=False).id
    theirs = an_instance(cloud, account=OTHER, system_disk=False).id
    locked = an_instance(cloud, lock_reason="security", system_disk=False).id
    starting = an_instance(cloud, status="Starting", system_disk=False).id
    elsewhere = a_group(cloud, a_vpc(cloud))

    for given, code, status in (
        ({}, "MissingParameter", 400),
        ({"InstanceId": instance, "NetworkInterfaceId": "eni-1"}, "InvalidParam.EniIdAndInstanceId.Conflict", 403),
        ({"InstanceId": theirs}, "InvalidInstanceId.NotFound", 404),
        ({"NetworkInterfaceId": "eni-unknown"}, "InvalidEniId.NotFound", 404),
        ({"InstanceId": locked}, "InstanceLockedForSecurity", 403),
        ({"InstanceId": starting}, "IncorrectInstanceStatus", 403),
        ({"InstanceId": instance}, "InstanceNotInSecurityGroup", 403),
        ({"InstanceId": instance, "SecurityGroupId": "sg-unknown"}, "InvalidSecurityGroupId.NotFound", 404),
        ({"InstanceId": instance, "SecurityGroupId": elsewhere.id}, "InvalidInstanceId.Mismatch", 400),
    ):
        cloud.refuses("LeaveSecurityGroup", code, status, {"SecurityGroupId": group.id, **given})
