"""A security group's whole life, by the current SDK."""

from __future__ import annotations

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException

pytestmark = pytest.mark.sdk


def test_is_made_opened_joined_left_closed_and_deleted(kiln, kiln_ecs, instance, name):
    client, region = kiln_ecs, {"region_id": kiln.region}
    made = client.create_security_group(models.CreateSecurityGroupRequest(**region, security_group_name=name)).body
    of = {**region, "security_group_id": made.security_group_id}

    everything = {"ip_protocol": "all", "port_range": "-1/-1", "nic_type": "internet"}
    outward = models.AuthorizeSecurityGroupEgressRequest(**of, **everything, dest_cidr_ip="0.0.0.0/0")
    client.authorize_security_group_egress(outward)
    client.authorize_security_group(
        models.AuthorizeSecurityGroupRequest(**of, **everything, source_cidr_ip="0.0.0.0/0")
    )
    port = {"ip_protocol": "tcp", "port_range": "443/443", "policy": "drop", "priority": "2"}
    permission = models.AuthorizeSecurityGroupRequestPermissions(**port, source_cidr_ip="10.0.0.0/8")
    client.authorize_security_group(models.AuthorizeSecurityGroupRequest(**of, permissions=[permission]))

    shown = client.describe_security_group_attribute(models.DescribeSecurityGroupAttributeRequest(**of)).body
    rules = {(one.direction, one.ip_protocol, one.policy, one.priority): one for one in shown.permissions.permission}
    assert set(rules) == {
        ("egress", "ALL", "Accept", "1"),
        ("ingress", "ALL", "Accept", "1"),
        ("ingress", "TCP", "Drop", "2"),
    }
    assert rules["ingress", "TCP", "Drop", "2"].source_cidr_ip == "10.0.0.0/8"

    member = {"security_group_id": made.security_group_id, "instance_id": instance}
    client.join_security_group(models.JoinSecurityGroupRequest(**member))
    (listed,) = client.describe_security_groups(
        models.DescribeSecurityGroupsRequest(**of)
    ).body.security_groups.security_group
    assert (listed.security_group_name, listed.rule_count, listed.ecs_count) == (name, 3, 1)
    with pytest.raises(ClientException) as refused:
        client.delete_security_group(models.DeleteSecurityGroupRequest(**of))
    assert refused.value.code == "DependencyViolation"
    client.leave_security_group(models.LeaveSecurityGroupRequest(**member))

    client.modify_security_group_policy(models.ModifySecurityGroupPolicyRequest(**of, inner_access_policy="Drop"))
    by_id = rules["ingress", "TCP", "Drop", "2"].security_group_rule_id
    client.revoke_security_group(models.RevokeSecurityGroupRequest(**of, security_group_rule_id=[by_id]))
    client.revoke_security_group(models.RevokeSecurityGroupRequest(**of, **everything, source_cidr_ip="0.0.0.0/0"))
    backward = models.RevokeSecurityGroupEgressRequest(**of, **everything, dest_cidr_ip="0.0.0.0/0")
    client.revoke_security_group_egress(backward)
    after = client.describe_security_group_attribute(models.DescribeSecurityGroupAttributeRequest(**of)).body
    assert (after.inner_access_policy, after.permissions.permission) == ("Drop", [])
    client.delete_security_group(models.DeleteSecurityGroupRequest(**of))
    assert client.describe_security_groups(models.DescribeSecurityGroupsRequest(**of)).body.total_count == 0
