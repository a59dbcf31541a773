"""What a caller says of rules: each in Permissions.N, or one beside it, as older clients do.

What rules here cannot do is refused, not dropped: IPv6, lists of prefixes and
ports, and rules that look at both ends of a connection.
"""

from __future__ import annotations

from typing import Annotated

from kiln.declare.rules import Accepted, Declined, Doc, Example, OneOf, Text
from kiln.declare.shapes import shape
from kiln.operations.security_groups.parts.errors import (
    InvalidDestCidrIpMalformed,
    InvalidNicTypeValueNotSupported,
    InvalidParameterIpv6CidrIp,
    InvalidPolicyMalformed,
    InvalidPortRangeListIdNotFound,
    InvalidPrefixListIdNotFound,
    InvalidSecurityGroupDiscriptionMalformed,
    InvalidSourceCidrIpMalformed,
    InvalidSourcePortRangeMalformed,
)

OWN = Accepted("A group that is named is of the same VPC, and so of the same account.")
_IPV6 = Declined("networks here have no IPv6", InvalidParameterIpv6CidrIp)
_LISTS = Declined("there are no prefix lists", InvalidPrefixListIdNotFound)
_PORTS = "The {}'s ports, such as 80/80 or 1024/65535; -1/-1 for all, and of a protocol that has none."
ANY_PORTS = "-1/-1"

_IpProtocol = Annotated[str | None, Example("tcp"), Doc("tcp, udp, icmp, gre or all, in any case of the letters.")]
_Policy = Annotated[
    str | None,
    OneOf(("accept", "drop"), InvalidPolicyMalformed, any_case=True),
    Doc("accept, which it is when not given, or drop."),
]
_Priority = Annotated[
    str | None, Example("1"), Doc("1 to 100, 1 when not given: the lowest number is asked first, and of those drop.")
]
_NicType = Annotated[
    str | None,
    OneOf(("internet", "intranet"), InvalidNicTypeValueNotSupported, any_case=True),
    Doc("internet or intranet; in a VPC both are the one card, and intranet is what is shown."),
]
_Description = Annotated[
    str | None, Text(1, 512, InvalidSecurityGroupDiscriptionMalformed), Example("web"), Doc("A description.")
]
_SourcePorts = Annotated[
    str | None,
    OneOf((ANY_PORTS,), InvalidSourcePortRangeMalformed),
    Doc("The ports of who begins a connection: all, as nothing here looks at them."),
]
_PortList = Annotated[
    str | None, Declined("there are no port lists", InvalidPortRangeListIdNotFound), Doc("A port list.")
]


@shape
class Ingress:
    """A rule for what comes in."""

    ip_protocol: _IpProtocol = None
    port_range: Annotated[str | None, Example("80/80"), Doc(_PORTS.format("guest"))] = None
    source_cidr_ip: Annotated[
        str | None, Example("10.0.0.0/8"), Doc("From where: a CIDR block, or one address. Before SourceGroupId.")
    ] = None
    source_group_id: Annotated[
        str | None, Example("sg-bp67acfmxa123bk2j8qz"), Doc("From members of another group of the VPC.")
    ] = None
    policy: _Policy = None
    priority: _Priority = None
    nic_type: _NicType = None
    description: _Description = None
    dest_cidr_ip: Annotated[
        str | None,
        Declined("a rule is for all addresses of its group's members", InvalidDestCidrIpMalformed),
        Doc("To where."),
    ] = None
    source_port_range: _SourcePorts = None
    ipv6_source_cidr_ip: Annotated[str | None, _IPV6, Doc("From where, of IPv6.")] = None
    ipv6_dest_cidr_ip: Annotated[str | None, _IPV6, Doc("To where, of IPv6.")] = None
    source_prefix_list_id: Annotated[str | None, _LISTS, Doc("From where, as a prefix list.")] = None
    source_group_owner_account: Annotated[str | None, OWN, Doc("Whose the source group is.")] = None
    source_group_owner_id: Annotated[int | None, OWN, Doc("Whose the source group is.")] = None


@shape
class IngressPermission(Ingress):
    """A rule for what comes in."""

    port_range_list_id: _PortList = None


@shape
class Egress:
    """A rule for what goes out."""

    ip_protocol: _IpProtocol = None
    port_range: Annotated[str | None, Example("80/80"), Doc(_PORTS.format("peer"))] = None
    dest_cidr_ip: Annotated[
        str | None, Example("10.0.0.0/8"), Doc("Where to: a CIDR block, or one address. Before DestGroupId.")
    ] = None
    dest_group_id: Annotated[
        str | None, Example("sg-bp67acfmxa123bk2j8qz"), Doc("To members of another group of the VPC.")
    ] = None
    policy: _Policy = None
    priority: _Priority = None
    nic_type: _NicType = None
    description: _Description = None
    source_cidr_ip: Annotated[
        str | None,
        Declined("a rule is for all addresses of its group's members", InvalidSourceCidrIpMalformed),
        Doc("From where."),
    ] = None
    source_port_range: _SourcePorts = None
    ipv6_dest_cidr_ip: Annotated[str | None, _IPV6, Doc("Where to, of IPv6.")] = None
    ipv6_source_cidr_ip: Annotated[str | None, _IPV6, Doc("From where, of IPv6.")] = None
    dest_prefix_list_id: Annotated[str | None, _LISTS, Doc("Where to, as a prefix list.")] = None
    dest_group_owner_account: Annotated[str | None, OWN, Doc("Whose the destination group is.")] = None
    dest_group_owner_id: Annotated[int | None, OWN, Doc("Whose the destination group is.")] = None


@shape
class EgressPermission(Egress):
    """A rule for what goes out."""

    port_range_list_id: _PortList = None
