"""Rules of security groups, as callers ask for them and see them."""

from __future__ import annotations

from typing import Any

from kiln.store.security_groups import SecurityGroup
from kiln.store.vpcs import vpcs
from tests.clouds import Cloud
from tests.reading import the

WAYS = {
    "ingress": ("AuthorizeSecurityGroup", "RevokeSecurityGroup", "SourceCidrIp", "SourceGroupId"),
    "egress": ("AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress", "DestCidrIp", "DestGroupId"),
}


def a_rule(way: str, **changes: Any) -> dict[str, Any]:
    """What is sent for a rule; *changes* may leave something out with None."""
    given = {"IpProtocol": "tcp", "PortRange": "80/80", WAYS[way][2]: "10.0.0.0/8", **changes}
    return {name: value for name, value in given.items() if value is not None}


def told(cloud: Cloud, group: SecurityGroup, **more: Any) -> list[dict[str, Any]]:
    """The rules that a group has, as its callers see them."""
    answer = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=group.id, **more)
    return answer["Permissions"]["Permission"]


def revision(cloud: Cloud, group: SecurityGroup) -> int:
    """The revision of the group's VPC."""
    return the(cloud, vpcs, id=group.vpc).revision
