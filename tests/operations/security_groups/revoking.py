"""What is the same of RevokeSecurityGroup and RevokeSecurityGroupEgress."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.nets import a_group, a_vpc
from tests.operations.security_groups.rules import WAYS, a_rule, revision, told


class Revoking:
    """Tests of one of both: *way* is its direction."""

    way: str

    @property
    def action(self):
        return WAYS[self.way][1]

    def revoke(self, cloud, group, params=None, /, **more):
        return cloud.call(self.action, {"SecurityGroupId": group.id, **(params or {})}, **more)

    def refuses(self, cloud, group, code, status, params=None, /, **more):
        return cloud.refuses(self.action, code, status, {"SecurityGroupId": group.id, **(params or {})}, **more)

    @pytest.fixture
    def group(self, cloud):
        """A group with two rules for what comes in, and two for what goes out."""
        group = a_group(cloud, a_vpc(cloud))
        for way, (authorize, *_) in WAYS.items():
            for port in ("80/80", "443/443"):
                cloud.call(authorize, {"SecurityGroupId": group.id, **a_rule(way, PortRange=port)})
        return group

    def left(self, cloud, group):
        return sorted((rule["Direction"], rule["PortRange"]) for rule in told(cloud, group))

    def after(self, *ports):
        other = "egress" if self.way == "ingress" else "ingress"
        return sorted([(self.way, port) for port in ports] + [(other, "443/443"), (other, "80/80")])

    @pytest.mark.parametrize("again", [{}, {"IpProtocol": "TCP", "Policy": "Accept", "Priority": "1"}])
    def test_takes_a_rule_by_what_it_says(self, cloud, group, again):
        before = revision(cloud, group)

        assert self.revoke(cloud, group, a_rule(self.way, **again)) == {}

        assert self.left(cloud, group) == self.after("443/443")
        assert revision(cloud, group) == before + 1

    def test_takes_rules_in_permissions(self, cloud, group):
        given = {f"Permissions.{n}.{name}": value for n in (1, 2) for name, value in a_rule(self.way).items()}

        self.revoke(cloud, group, given | {"Permissions.2.PortRange": "443/443"})

        assert self.left(cloud, group) == self.after()

    def test_takes_rules_by_their_ids(self, cloud, group):
        ids = [rule["SecurityGroupRuleId"] for rule in told(cloud, group, Direction=self.way)]

        self.revoke(cloud, group, {f"SecurityGroupRuleId.{n}": one for n, one in enumerate(ids, 1)})

        assert self.left(cloud, group) == self.after()

    @pytest.mark.parametrize("other", [{"PortRange": "1/1"}, {"Policy": "drop"}, {"Priority": "2"}])
    def test_passes_over_a_rule_that_the_group_has_not(self, cloud, group, other):
        before = cloud.contents()

        self.revoke(cloud, group, a_rule(self.way, **other))

        assert cloud.contents() == before

    def test_refuses_ids_that_are_none_of_its_rules(self, cloud, group):
        other = "egress" if self.way == "ingress" else "ingress"
        (one, *_), (foreign, *_) = told(cloud, group, Direction=self.way), told(cloud, group, Direction=other)
        mine = {"SecurityGroupRuleId.1": one["SecurityGroupRuleId"]}

        for given, code, status in (
            ({"SecurityGroupRuleId.1": "sgr-unknown"}, "InvalidSecurityGroupRuleId.NotFound", 404),
            ({"SecurityGroupRuleId.1": foreign["SecurityGroupRuleId"]}, "InvalidSecurityGroupRuleId.NotFound", 404),
            (mine | {"SecurityGroupRuleId.2": "sgr-unknown"}, "InvalidSecurityGroupRuleId.NotFound", 404),
            (
                mine | {"SecurityGroupRuleId.2": one["SecurityGroupRuleId"]},
                "InvalidParam.SecurityGroupRuleIdRepeated",
                400,
            ),
            (mine | a_rule(self.way), "InvalidParam.SecurityGroupRuleId", 400),
            (mine | {"Permissions.1.IpProtocol": "tcp"}, "InvalidParam.SecurityGroupRuleId", 400),
        ):
            self.refuses(cloud, group, code, status, given)

    def test_refuses_what_says_no_rule(self, cloud, group):
        cidr, of_group = WAYS[self.way][2:]
        elsewhere, inside = a_group(cloud, a_vpc(cloud)), a_group(cloud, a_vpc(cloud, id=f"{group.vpc}x"))
        end, stem = of_group.removesuffix("GroupId"), f"Invalid{of_group}"
        itself = "InvalidParamter.Conflict" if self.way == "ingress" else "InvalidSecurityGroup.IsSame"
        first = {f"Permissions.1.{name}": value for name, value in a_rule(self.way).items()}
        second = {f"Permissions.2.{name}": value for name, value in a_rule(self.way).items()}

        for given, code, status in (
            ({}, "MissingParameter", 400),
            (a_rule(self.way, PortRange=None), "InvalidPortRange.Malformed", 400),
            (a_rule(self.way, PortRange="80"), "InvalidParam.PortRange", 400),
            (a_rule(self.way, IpProtocol="icmp"), "OperationDenied", 400),
            (a_rule(self.way, IpProtocol="sctp"), "InvalidIpProtocol.ValueNotSupported", 400),
            (a_rule(self.way, Priority="0"), "InvalidPriority.ValueNotSupported", 400),
            (a_rule(self.way, **{cidr: "ten"}), f"Invalid{cidr}.Malformed", 400),
            (a_rule(self.way, **{cidr: None}), f"MissingParameter.{end}", 400),
            (a_rule(self.way, **{cidr: None, of_group: "sg-unknown"}), f"{stem}.NotFound", 404),
            (a_rule(self.way, **{cidr: None, of_group: elsewhere.id}), f"{stem}.Mismatch", 400),
            (a_rule(self.way, NicType="internet", **{cidr: None, of_group: inside.id}), f"{stem}.Mismatch", 403),
            (a_rule(self.way, **{cidr: None, of_group: group.id}), itself, 403),
            (first | a_rule(self.way), "InvalidParam.Permissions", 400),
            (first | second, "InvalidParam.DuplicatePermissions", 400),
        ):
            self.refuses(cloud, group, code, status, given)

    def test_refuses_a_group_that_is_not_there(self, cloud):
        theirs = a_group(cloud, a_vpc(cloud, account=OTHER))

        self.refuses(cloud, theirs, "InvalidSecurityGroupId.NotFound", 404, a_rule(self.way))

    def test_answers_a_token_again(self, cloud, group):
        self.revoke(cloud, group, a_rule(self.way), ClientToken="t-1")

        self.revoke(cloud, group, a_rule(self.way), ClientToken="t-1")

        self.refuses(
            cloud, group, "IdempotentParameterMismatch", 400, a_rule(self.way, PortRange="1/1"), ClientToken="t-1"
        )
