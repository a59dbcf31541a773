"""JoinSecurityGroup, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.networks.values import MOST_GROUPS
from kiln.store.interfaces import interface_id, memberships
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, the_default_vpc
from tests.operations.security_groups.rules import revision
from tests.reading import every
from tests.stock import an_instance


@pytest.fixture
def group(cloud):
    return a_group(cloud, the_default_vpc(cloud))


def join(cloud, group, **more):
    return cloud.call("JoinSecurityGroup", SecurityGroupId=group.id, **more)


@pytest.mark.parametrize("status", ["Running", "Stopped"])
@pytest.mark.parametrize("named", ["InstanceId", "NetworkInterfaceId"])
def test_puts_an_instance_into_a_group_beside_its_others(cloud, group, named, status):
    instance = an_instance(cloud, status=status, system_disk=False).id
    before = revision(cloud, group)

    assert join(cloud, group, **{named: instance if named == "InstanceId" else interface_id(instance)}) == {}

    present = {one.security_group for one in every(cloud, memberships, instance=instance)}
    assert len(present) == 2
    assert group.id in present
    assert revision(cloud, group) == before + 1


def test_finds_both_in_any_region_when_none_is_named(cloud, group):
    assert join(cloud, group, InstanceId=an_instance(cloud, system_disk=False).id, RegionId="") == {}


def test_refuses_what_is_not_right(cloud, group):
    instance = an_instance(cloud, system_disk=False).id
    join(cloud, group, InstanceId=instance)
    theirs = an_instance(cloud, account=OTHER, system_disk=False).id
    locked = an_instance(cloud, lock_reason="security", system_disk=False).id
    pending = an_instance(cloud, status="Pending", system_disk=False).id
    elsewhere = a_group(cloud, a_vpc(cloud))

    for given, code, status in (
        ({}, "MissingParameter", 400),
        ({"InstanceId": instance, "NetworkInterfaceId": "eni-1"}, "InvalidParam.EniIdAndInstanceId.Conflict", 403),
        ({"InstanceId": "i-unknown"}, "InvalidInstanceId.NotFound", 404),
        ({"InstanceId": theirs}, "InvalidInstanceId.NotFound", 404),
        ({"NetworkInterfaceId": "eni-unknown"}, "InvalidEniId.NotFound", 404),
        ({"NetworkInterfaceId": interface_id(theirs)}, "InvalidEniId.NotFound", 404),
        ({"InstanceId": locked}, "InstanceLockedForSecurity", 403),
        ({"InstanceId": pending}, "IncorrectInstanceStatus", 403),
        ({"InstanceId": instance}, "InvalidInstanceId.AlreadyExists", 403),
        ({"InstanceId": instance, "SecurityGroupId": "sg-unknown"}, "InvalidSecurityGroupId.NotFound", 404),
        ({"InstanceId": instance, "SecurityGroupId": elsewhere.id}, "InvalidInstanceId.Mismatch", 400),
    ):
        cloud.refuses("JoinSecurityGroup", code, status, {"SecurityGroupId": group.id, **given})


def test_refuses_more_groups_than_an_instance_may_be_in(cloud, group):
    instance, vpc = an_instance(cloud, system_disk=False).id, the_default_vpc(cloud)
    for _ in range(MOST_GROUPS - 1):
        join(cloud, a_group(cloud, vpc), InstanceId=instance)

    given = {"SecurityGroupId": group.id, "InstanceId": instance}
    cloud.refuses("JoinSecurityGroup", "InstanceSecurityGroupLimitExceeded", 400, given)
