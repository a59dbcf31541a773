"""Security groups, and their rules."""

from __future__ import annotations

from kiln.console.nouns import detail, family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import Page, Shown, Visit

_RULE = ("IpProtocol", "PortRange", "SourceCidrIp", "SourceGroupId", "Policy", "Priority", "Description")
_RULE_OUT = ("IpProtocol", "PortRange", "DestCidrIp", "DestGroupId", "Policy", "Priority", "Description")

SECURITY_GROUPS = Noun(
    name="security-groups",
    action="DescribeSecurityGroups",
    id="SecurityGroupId",
    asks="SecurityGroupIds",
    called="SecurityGroupName",
    columns=("SecurityGroupId", "SecurityGroupName", "VpcId", "SecurityGroupType", "EcsCount", "CreationTime"),
    filters=("SecurityGroupName", "SecurityGroupIds", "VpcId"),
    makes=(Does(action="CreateSecurityGroup", first=("SecurityGroupName", "VpcId", "Description")),),
    does=(
        Does(action="AuthorizeSecurityGroup", asked=_RULE, first=_RULE),
        Does(action="AuthorizeSecurityGroupEgress", asked=_RULE_OUT, first=_RULE_OUT),
        Does(action="RevokeSecurityGroup", asked=("SecurityGroupRuleId",), is_grave=True),
        Does(action="RevokeSecurityGroupEgress", asked=("SecurityGroupRuleId",), is_grave=True),
        Does(action="ModifySecurityGroupAttribute", asked=("SecurityGroupName", "Description")),
        Does(action="ModifySecurityGroupPolicy", asked=("InnerAccessPolicy",)),
        Does(action="DeleteSecurityGroup", is_grave=True, leaves=True),
    ),
)

_RULE_TITLES = (
    "SecurityGroupRuleId",
    "Direction",
    "Policy",
    "Priority",
    "IpProtocol",
    "PortRange",
    "SourceCidrIp",
    "SourceGroupId",
    "DestCidrIp",
    "DestGroupId",
    "Description",
)


def show(noun: Noun, visit: Visit) -> Shown:
    """A group and its rules."""
    shown = detail.show(noun, visit)
    told = visit.call("DescribeSecurityGroupAttribute", SecurityGroupId=shown["id"])
    return {**shown, "rules": told["Permissions"]["Permission"], "rule_titles": _RULE_TITLES}


PAGES: tuple[Page, ...] = tuple(family.pages(SECURITY_GROUPS, show=show, one="security_group.html"))
