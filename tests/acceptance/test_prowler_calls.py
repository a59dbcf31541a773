"""What Prowler 5.46 asks for its checks of ECS and VPC, by the SDK that it asks with, and what it reads of the answers.

Itself it brings the SDKs of sixteen other clouds: docs/howto/python.md says how it was tried.
"""

from __future__ import annotations

import pytest
from alibabacloud_ecs20140526 import models

pytestmark = pytest.mark.sdk


@pytest.fixture
def rows(kiln, kiln_ecs):
    """Rows of a list as it reads them: pages of 50, until all that the total tells have come."""

    def read(action, kind, container, one, **more):
        found, number = [], 1
        while True:
            asked = getattr(models, kind)(region_id=kiln.region, page_number=number, page_size=50, **more)
            body = getattr(kiln_ecs, action)(asked).body
            found += getattr(getattr(body, container), one)
            if number * 50 >= body.total_count:
                return found
            number += 1

    return read


def test_instances_have_their_network_and_disks_their_encryption(kiln, instance, rows):
    read = rows("describe_instances", "DescribeInstancesRequest", "instances", "instance")
    (found,) = [one for one in read if one.instance_id == instance]
    assert (found.status, found.instance_type, found.instance_network_type) == ("Stopped", "ecs.t5-lc1m1.small", "vpc")
    assert found.vpc_attributes.vpc_id
    assert found.creation_time

    disks = rows("describe_disks", "DescribeDisksRequest", "disks", "disk")
    attached = [one for one in disks if one.instance_id == instance]
    assert [(one.status, one.encrypted, one.kmskey_id) for one in attached] == [("In_use", False, "")] * 2
    assert sorted(one.size for one in attached) == [1, 20]


def test_groups_have_their_rules_by_direction(kiln, kiln_ecs, instance, rows):
    read = rows("describe_instances", "DescribeInstancesRequest", "instances", "instance")
    (of_instance,) = [one for one in read if one.instance_id == instance]
    made = kiln_ecs.create_security_group(
        models.CreateSecurityGroupRequest(region_id=kiln.region, vpc_id=of_instance.vpc_attributes.vpc_id)
    ).body.security_group_id
    opened = models.AuthorizeSecurityGroupRequest(
        region_id=kiln.region, security_group_id=made, ip_protocol="tcp", port_range="22/22", source_cidr_ip="0.0.0.0/0"
    )
    kiln_ecs.authorize_security_group(opened)

    def rules(direction):
        asked = models.DescribeSecurityGroupAttributeRequest(
            region_id=kiln.region, security_group_id=made, direction=direction
        )
        return kiln_ecs.describe_security_group_attribute(asked).body.permissions.permission

    groups = rows("describe_security_groups", "DescribeSecurityGroupsRequest", "security_groups", "security_group")
    (found,) = [one for one in groups if one.security_group_id == made]
    assert found.vpc_id == of_instance.vpc_attributes.vpc_id
    assert [(one.port_range, one.source_cidr_ip, one.ip_protocol, one.policy) for one in rules("ingress")] == [
        ("22/22", "0.0.0.0/0", "TCP", "Accept")
    ]
    assert rules("egress") == []


def test_vpcs_are_listed(kiln, kiln_ecs, instance):
    """Their region is said by the endpoint alone: tests/acceptance/test_by_proxy.py."""
    vpcs = kiln_ecs.describe_vpcs(models.DescribeVpcsRequest(region_id=kiln.region)).body.vpcs.vpc

    assert [(one.status, one.vpc_name) for one in vpcs if one.is_default] == [("Available", "")]
