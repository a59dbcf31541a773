"""``kiln security-group``: make, look at, open, close, join, leave and delete security groups."""

from __future__ import annotations

from kiln.cli import output
from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Columns, Json, Quiet, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column, View
from kiln.cli.session import open_client
from kiln.cli.showing import showing_rows

app = group()

COLUMNS = (
    Column("GROUP", "SecurityGroupId"),
    Column("NAME", "SecurityGroupName", is_prose=True),
    Column("VPC", "VpcId"),
    Column("RULES", "RuleCount"),
    Column("MEMBERS", "EcsCount"),
    Column("CREATED", "CreationTime"),
    Column("DESCRIPTION", "Description", is_prose=True),
)
_PEERS = ("SourceCidrIp", "SourceGroupId", "DestCidrIp", "DestGroupId")
RULES = (
    Column("RULE", "SecurityGroupRuleId"),
    Column("DIRECTION", "Direction"),
    Column("POLICY", "Policy"),
    Column("PRIORITY", "Priority"),
    Column("PROTOCOL", "IpProtocol"),
    Column("PORTS", "PortRange"),
    Column("PEER", lambda row: "".join(row[name] for name in _PEERS)),
    Column("DESCRIPTION", "Description", is_prose=True),
)

_RULE = {
    "SecurityGroupId": "group",
    "IpProtocol": "protocol",
    "PortRange": "ports",
    "SourceCidrIp": "source",
    "DestCidrIp": "dest",
}
_LESS = {
    "Permissions": "one rule is said by options of its own",
    "NicType": "in a VPC there is one card",
    "SourcePortRange": "rules look at the ports of who is called alone",
    "Ipv6SourceCidrIp": "there is no IPv6",
    "Ipv6DestCidrIp": "there is no IPv6",
    "SourcePrefixListId": "there are no prefix lists",
}
_OUT = {name: reason for name, reason in _LESS.items() if name != "SourcePrefixListId"} | {
    "DestPrefixListId": "there are no prefix lists",
    "SourceCidrIp": "a rule is for all members of the group",
}
_IN = _LESS | {"DestCidrIp": "a rule is for all members of the group"}


def _takes(action: str, outward: bool) -> Takes:
    left_out = _OUT if outward else _IN
    names = {name: said for name, said in _RULE.items() if name.startswith("Dest" if outward else "Source")}
    names |= {name: said for name, said in _RULE.items() if not name.startswith(("Dest", "Source"))}
    names = {name: said for name, said in names.items() if name not in left_out}
    if action.startswith("Revoke"):
        names["SecurityGroupRuleId"] = "rule"
    return Takes(action, arguments=("SecurityGroupId",), names=names, left_out=left_out)


CREATE = Takes("CreateSecurityGroup", names={"SecurityGroupName": "name", "SecurityGroupType": "type"})
SHOW = Takes(
    "DescribeSecurityGroupAttribute",
    arguments=("SecurityGroupId",),
    names={"SecurityGroupId": "group"},
    left_out={"NicType": "in a VPC there is one card", "Attribute": "there are no snapshot policies"},
)
MODIFY = Takes(
    "ModifySecurityGroupAttribute",
    arguments=("SecurityGroupId",),
    names={"SecurityGroupId": "group", "SecurityGroupName": "name"},
)
POLICY = Takes(
    "ModifySecurityGroupPolicy",
    arguments=("SecurityGroupId", "InnerAccessPolicy"),
    names={"SecurityGroupId": "group", "InnerAccessPolicy": "policy"},
)
_MEMBER = {"SecurityGroupId": "group", "NetworkInterfaceId": "interface"}
JOIN = Takes("JoinSecurityGroup", arguments=("SecurityGroupId",), names=_MEMBER)
LEAVE = Takes("LeaveSecurityGroup", arguments=("SecurityGroupId",), names=_MEMBER)
DELETE = Takes(
    "DeleteSecurityGroup", arguments=("SecurityGroupId",), names={"SecurityGroupId": "group"}, is_of_several=True
)


@declared(app, "create", CREATE, example("kiln security-group create --name web"))
def create_security_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Make a security group without rules, in the default VPC or another, and print its ID."""
    call(given, region, "SecurityGroupId", as_json=as_json)


listing(
    app,
    Takes(
        "DescribeSecurityGroups",
        names={
            "SecurityGroupId": "group",
            "SecurityGroupIds": "groups",
            "SecurityGroupName": "name",
            "SecurityGroupType": "type",
            "FuzzyQuery": "part-of-name",
        },
    ),
    COLUMNS,
    "List security groups, the newest first.",
    "kiln security-group list --name web",
)


showing_rows(app, "security_group", "Show a security group; `rules` lists its rules.", "kiln security-group show web")


@declared(app, "rules", SHOW, example("kiln security-group rules web"))
def list_rules(
    given: Given, *, quiet: Quiet = False, wanted: Columns = None, region: Region = None, as_json: Json = False
) -> None:
    """List the rules of a security group, the newest first."""
    with open_client(region) as client:
        params, rows, token = given.resolved(client), [], ""
        while True:
            answer = client.call("DescribeSecurityGroupAttribute", {**params, "NextToken": token, "MaxResults": 1000})
            rows += answer["Permissions"]["Permission"]
            token = answer["NextToken"]
            if not token:
                break
    output.show_rows(rows, RULES, View(as_json=as_json, ids_only=quiet, columns=wanted))


@declared(
    app,
    "open",
    _takes("AuthorizeSecurityGroup", outward=False),
    example("kiln security-group open web --protocol tcp --ports 80/80 \\", "  --source 0.0.0.0/0"),
)
def open_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give a security group a rule for what comes in: --policy drop closes instead."""
    call(given, region, as_json=as_json)


@declared(
    app,
    "open-egress",
    _takes("AuthorizeSecurityGroupEgress", outward=True),
    example("kiln security-group open-egress web --protocol tcp --ports 25/25 \\", "  --dest 0.0.0.0/0 --policy drop"),
)
def open_group_egress(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give a security group a rule for what goes out."""
    call(given, region, as_json=as_json)


@declared(
    app,
    "close",
    _takes("RevokeSecurityGroup", outward=False),
    example("kiln security-group close web --rule sgr-bp12kewq32dfwrdi8j2q"),
)
def close_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Take a rule for what comes in from a security group, by its ID or by what it says."""
    call(given, region, as_json=as_json)


@declared(
    app,
    "close-egress",
    _takes("RevokeSecurityGroupEgress", outward=True),
    example("kiln security-group close-egress web --rule sgr-bp12kewq32dfwrdi8j2q"),
)
def close_group_egress(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Take a rule for what goes out from a security group, by its ID or by what it says."""
    call(given, region, as_json=as_json)


@declared(app, "modify", MODIFY, example("kiln security-group modify web --name web"))
def modify_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Change the name or description of a security group."""
    call(given, region, as_json=as_json)


@declared(app, "policy", POLICY, example("kiln security-group policy web Drop"))
def modify_policy(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Say whether the members of a security group reach each other: Accept or Drop."""
    call(given, region, as_json=as_json)


@declared(app, "join", JOIN, example("kiln security-group join web --instance web-1"))
def join_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Put an instance into a security group."""
    call(given, region, as_json=as_json)


@declared(app, "leave", LEAVE, example("kiln security-group leave web --instance web-1"))
def leave_group(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Take an instance out of a security group; it stays in one at least."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln security-group delete web"))
def delete_groups(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete security groups in which nobody is."""
    call_each(given, region, as_json=as_json)
