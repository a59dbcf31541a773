"""What is the same of AuthorizeSecurityGroup and AuthorizeSecurityGroupEgress."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.nets import a_group, a_vpc
from tests.operations.security_groups.rules import WAYS, a_rule, revision, told


class Authorizing:
    """Tests of one of both: *way* is its direction."""

    way: str

    @property
    def action(self):
        return WAYS[self.way][0]

    def authorize(self, cloud, group, params=None, /, **more):
        return cloud.call(self.action, {"SecurityGroupId": group.id, **(params or {})}, **more)

    def refuses(self, cloud, group, code, status, params=None, /, **more):
        return cloud.refuses(self.action, code, status, {"SecurityGroupId": group.id, **(params or {})}, **more)

    def test_gives_a_group_a_rule_and_its_vpc_a_revision(self, cloud):
        group = a_group(cloud, a_vpc(cloud))
        before = revision(cloud, group)

        assert self.authorize(cloud, group, a_rule(self.way, Description="web", Policy="Drop", Priority="7")) == {}

        (rule,) = told(cloud, group)
        cidr = WAYS[self.way][2]
        assert {name: rule[name] for name in ("Direction", "IpProtocol", "PortRange", "Policy", "Priority", cidr)} == {
            "Direction": self.way, "IpProtocol": "TCP", "PortRange": "80/80", "Policy": "Drop", "Priority": "7",
            cidr: "10.0.0.0/8",
        }  # fmt: skip
        assert (rule["Description"], rule["NicType"]) == ("web", "intranet")
        assert revision(cloud, group) == before + 1

    def test_takes_what_packer_sends(self, cloud):
        group = a_group(cloud, a_vpc(cloud))
        given = {"IpProtocol": "all", "PortRange": "-1/-1", "NicType": "internet", WAYS[self.way][2]: "0.0.0.0/0"}

        self.authorize(cloud, group, given)

        (rule,) = told(cloud, group)
        assert (rule["IpProtocol"], rule["PortRange"], rule["NicType"]) == ("ALL", "-1/-1", "intranet")
        assert (rule["Policy"], rule["Priority"]) == ("Accept", "1")

    def test_takes_several_rules_in_permissions(self, cloud):
        group = a_group(cloud, a_vpc(cloud))
        given = {f"Permissions.{n}.{name}": value for n in (1, 2) for name, value in a_rule(self.way).items()}

        self.authorize(cloud, group, given | {"Permissions.2.PortRange": "443/443"})

        assert sorted(rule["PortRange"] for rule in told(cloud, group)) == ["443/443", "80/80"]

    @pytest.mark.parametrize(
        "again",
        [{}, {"IpProtocol": "TCP"}, {"Policy": "ACCEPT"}, {"Priority": "1"}, {"Priority": "001"},
         {"NicType": "internet"}, {"Description": "another"}],
    )  # fmt: skip
    def test_makes_one_rule_of_one_that_is_given_twice(self, cloud, again):
        group = a_group(cloud, a_vpc(cloud))
        self.authorize(cloud, group, a_rule(self.way))
        before = cloud.contents()

        self.authorize(cloud, group, a_rule(self.way, **again))

        assert cloud.contents() == before

    @pytest.mark.parametrize(
        "other", [{"IpProtocol": "udp"}, {"PortRange": "80/81"}, {"Policy": "drop"}, {"Priority": "2"}]
    )
    def test_makes_two_rules_of_two_that_differ(self, cloud, other):
        group = a_group(cloud, a_vpc(cloud))
        self.authorize(cloud, group, a_rule(self.way))

        self.authorize(cloud, group, a_rule(self.way, **other))

        assert len(told(cloud, group)) == 2

    def test_takes_one_address_for_a_block_and_a_group_of_the_vpc(self, cloud):
        vpc = a_vpc(cloud)
        group, other = a_group(cloud, vpc), a_group(cloud, vpc, name="other")
        cidr, of_group = WAYS[self.way][2:]
        self.authorize(cloud, group, a_rule(self.way, **{cidr: "10.1.2.3"}))
        self.authorize(cloud, group, a_rule(self.way, **{cidr: None, of_group: other.id}))
        self.authorize(cloud, group, a_rule(self.way, **{cidr: "10.9.0.0/16", of_group: other.id}))

        by_block, by_group, by_address = told(cloud, group)

        assert (by_address[cidr], by_group[cidr], by_block[cidr]) == ("10.1.2.3/32", "", "10.9.0.0/16")
        assert (by_group[of_group], by_block[of_group]) == (other.id, "")
        assert by_group[of_group.replace("Id", "Name")] == "other"

    @pytest.mark.parametrize(
        ("changes", "code", "status"),
        [
            ({"IpProtocol": None}, "MissingParameter", 400),
            ({"IpProtocol": "icmpv6", "PortRange": "-1/-1"}, "InvalidIpProtocol.ValueNotSupported", 400),
            ({"PortRange": None}, "InvalidPortRange.Malformed", 400),
            ({"PortRange": "80"}, "InvalidParam.PortRange", 400),
            ({"PortRange": "0/80"}, "InvalidParam.PortRange", 400),
            ({"PortRange": "81/80"}, "InvalidParam.PortRange", 400),
            ({"PortRange": "1/65536"}, "InvalidParam.PortRange", 400),
            ({"IpProtocol": "icmp"}, "OperationDenied", 400),
            ({"IpProtocol": "ALL"}, "OperationDenied", 400),
            ({"Priority": "0"}, "InvalidPriority.ValueNotSupported", 400),
            ({"Priority": "101"}, "InvalidPriority.ValueNotSupported", 400),
            ({"Priority": "first"}, "InvalidPriority.ValueNotSupported", 400),
            ({"Priority": "\u0661"}, "InvalidPriority.ValueNotSupported", 400),
            ({"Policy": "reject"}, "InvalidPolicy.Malformed", 400),
            ({"NicType": "both"}, "InvalidNicType.ValueNotSupported", 400),
            ({"SourcePortRange": "80/80"}, "InvalidSourcePortRange.Malformed", 400),
            ({"Ipv6SourceCidrIp": "::/0"}, "InvalidParameter.Ipv6CidrIp", 400),
            ({"Ipv6DestCidrIp": "::/0"}, "InvalidParameter.Ipv6CidrIp", 400),
            ({"Description": "x" * 513}, "InvalidSecurityGroupDiscription.Malformed", 400),
        ],
    )
    def test_refuses_what_no_rule_can_have(self, cloud, changes, code, status):
        self.refuses(cloud, a_group(cloud, a_vpc(cloud)), code, status, a_rule(self.way, **changes))

    @pytest.mark.parametrize("block", ["10.0.0.5/8", "10.0.0.0/33", "ten", "::/0", "10.0.0.0/8/8", "10.0.0"])
    def test_refuses_what_is_no_block_of_addresses(self, cloud, block):
        cidr = WAYS[self.way][2]
        code = f"Invalid{cidr}.Malformed"

        self.refuses(cloud, a_group(cloud, a_vpc(cloud)), code, 400, a_rule(self.way, **{cidr: block}))

    def test_refuses_blocks_for_its_own_end(self, cloud):
        other = "DestCidrIp" if self.way == "ingress" else "SourceCidrIp"
        group = a_group(cloud, a_vpc(cloud))

        self.refuses(cloud, group, f"Invalid{other}.Malformed", 400, a_rule(self.way, **{other: "10.0.0.0/8"}))

    def test_refuses_lists_of_which_there_are_none(self, cloud):
        group, prefixes = a_group(cloud, a_vpc(cloud)), WAYS[self.way][3].replace("Group", "PrefixList")
        permission = {f"Permissions.1.{name}": value for name, value in a_rule(self.way).items()}

        self.refuses(cloud, group, "InvalidPrefixListId.NotFound", 404, a_rule(self.way, **{prefixes: "pl-1"}))
        given = permission | {"Permissions.1.PortRangeListId": "prl-1"}
        self.refuses(cloud, group, "InvalidPortRangeListId.NotFound", 400, given)

    def test_refuses_a_peer_that_is_none(self, cloud):
        vpc = a_vpc(cloud)
        group = a_group(cloud, vpc)
        cidr, of_group = WAYS[self.way][2:]
        end, stem = of_group.removesuffix("GroupId"), f"Invalid{of_group}"
        theirs = a_group(cloud, a_vpc(cloud, account=OTHER))
        elsewhere, inside = a_group(cloud, a_vpc(cloud)), a_group(cloud, vpc)
        itself = "InvalidParamter.Conflict" if self.way == "ingress" else "InvalidSecurityGroup.IsSame"

        for peer, code, status, more in (
            (None, f"MissingParameter.{end}", 400, {}),
            ("sg-unknown", f"{stem}.NotFound", 404, {}),
            (theirs.id, f"{stem}.NotFound", 404, {}),
            (elsewhere.id, f"{stem}.Mismatch", 400, {}),
            (inside.id, f"{stem}.Mismatch", 403, {"NicType": "internet"}),
            (group.id, itself, 403, {}),
        ):
            self.refuses(cloud, group, code, status, a_rule(self.way, **{cidr: None, of_group: peer}), **more)

    def test_refuses_rules_in_two_places_and_one_twice(self, cloud):
        group = a_group(cloud, a_vpc(cloud))
        first = {f"Permissions.1.{name}": value for name, value in a_rule(self.way).items()}
        second = {f"Permissions.2.{name}": value for name, value in a_rule(self.way, Description="two").items()}

        self.refuses(cloud, group, "InvalidParam.Permissions", 400, first | a_rule(self.way))
        self.refuses(cloud, group, "InvalidParam.Permissions", 400, first, NicType="intranet")
        self.refuses(cloud, group, "InvalidParam.DuplicatePermissions", 400, first | second)

    def test_refuses_more_rules_than_a_group_may_have(self, cloud):
        group = a_group(cloud, a_vpc(cloud))
        for n in range(10):
            given = {
                f"Permissions.{k}.{name}": value for k in range(1, 101) for name, value in a_rule(self.way).items()
            }
            ports = {f"Permissions.{k}.PortRange": f"{100 * n + k}/{100 * n + k}" for k in range(1, 101)}
            self.authorize(cloud, group, given | ports)

        self.refuses(cloud, group, "AuthorizationLimitExceed", 403, a_rule(self.way, PortRange="2000/2000"))
        self.authorize(cloud, group, a_rule(self.way))

    def test_refuses_more_than_20_rules_that_name_groups(self, cloud):
        vpc = a_vpc(cloud)
        group, other = a_group(cloud, vpc), a_group(cloud, vpc)
        cidr, of_group = WAYS[self.way][2:]
        named = {cidr: None, of_group: other.id}
        for port in range(1, 21):
            self.authorize(cloud, group, a_rule(self.way, PortRange=f"{port}/{port}", **named))

        code = "AuthorizedGroupRule.LimitExceed"
        self.refuses(cloud, group, code, 400, a_rule(self.way, PortRange="21/21", **named))
        self.authorize(cloud, group, a_rule(self.way))

    def test_refuses_a_group_that_is_not_there(self, cloud):
        theirs = a_group(cloud, a_vpc(cloud, account=OTHER))

        self.refuses(cloud, theirs, "InvalidSecurityGroupId.NotFound", 404, a_rule(self.way))

    def test_answers_a_token_again(self, cloud):
        group = a_group(cloud, a_vpc(cloud))
        self.authorize(cloud, group, a_rule(self.way), ClientToken="t-1")

        self.authorize(cloud, group, a_rule(self.way), ClientToken="t-1")

        self.refuses(
            cloud, group, "IdempotentParameterMismatch", 400, a_rule(self.way, PortRange="1/1"), ClientToken="t-1"
        )
