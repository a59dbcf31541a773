"""From what a caller says of rules to rules: which are asked for, and which of them a group has.

Bounds are those of ``kiln.networks.values``, where the data plane has them from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, MissingParameter
from kiln.declare.shapes import fields_of
from kiln.ground.values import dataclass
from kiln.networks import values
from kiln.networks.errors import NetworkInvalid
from kiln.networks.values import Direction, Rule
from kiln.operations.errors.networks import InvalidSecurityGroupIdNotFound
from kiln.operations.security_groups.parts import errors
from kiln.operations.security_groups.parts.rule_input import Egress, Ingress
from kiln.store.security_groups import SecurityGroup, SecurityGroupRule, security_groups

_PORTLESS = frozenset(values.PROTOCOLS) - {"tcp", "udp"}


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one direction calls the other end of a connection, and how it refuses."""

    direction: Direction
    fields: type  #: The shape of a rule that stands beside Permissions.N.
    cidr: str
    group: str
    malformed: type[ApiError]
    missing: type[ApiError]
    unknown: type[ApiError]
    elsewhere: type[ApiError]
    wrong_card: type[ApiError]
    itself: type[ApiError]

    @property
    def errors(self) -> tuple[type[ApiError], ...]:
        """What reading rules of this direction may raise."""
        return (
            InvalidSecurityGroupIdNotFound,
            MissingParameter,
            errors.InvalidParamPermissions,
            errors.InvalidParamDuplicatePermissions,
            errors.InvalidIpProtocolValueNotSupported,
            errors.InvalidPortRangeMalformed,
            errors.InvalidParamPortRange,
            errors.OperationDeniedPorts,
            errors.InvalidPriorityValueNotSupported,
            *(self.malformed, self.missing, self.unknown, self.elsewhere, self.wrong_card, self.itself),
        )


INGRESS = Side(
    direction="ingress",
    fields=Ingress,
    cidr="source_cidr_ip",
    group="source_group_id",
    malformed=errors.InvalidSourceCidrIpMalformed,
    missing=errors.MissingParameterSource,
    unknown=errors.InvalidSourceGroupIdNotFound,
    elsewhere=errors.InvalidSourceGroupIdMismatch,
    wrong_card=errors.InvalidSourceGroupIdMismatchOfNicType,
    itself=errors.InvalidParamterConflict,
)
EGRESS = Side(
    direction="egress",
    fields=Egress,
    cidr="dest_cidr_ip",
    group="dest_group_id",
    malformed=errors.InvalidDestCidrIpMalformed,
    missing=errors.MissingParameterDest,
    unknown=errors.InvalidDestGroupIdNotFound,
    elsewhere=errors.InvalidDestGroupIdMismatch,
    wrong_card=errors.InvalidDestGroupIdMismatchOfNicType,
    itself=errors.InvalidSecurityGroupIsSame,
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A rule that is asked for, and what is only remembered of it."""

    rule: Rule
    nic_type: str
    description: str


def has_one_beside(p: Any, side: Side) -> bool:
    """Whether a rule, or a part of one, stands beside Permissions.N."""
    return any(getattr(p, field.name) is not None for field in fields_of(side.fields))


def read(call: Call, group: SecurityGroup, p: Any, side: Side) -> list[Asked]:
    """The rules that *p* asks for. Raises what *side* lists."""
    if not p.permissions:
        return [_read(call, group, p, side, "")]
    if has_one_beside(p, side):
        raise errors.InvalidParamPermissions
    found = [_read(call, group, one, side, f"Permissions.{n}.") for n, one in enumerate(p.permissions, 1)]
    if len({one.rule for one in found}) < len(found):
        raise errors.InvalidParamDuplicatePermissions
    return found


def rule_of(row: SecurityGroupRule) -> tuple[str, ...]:
    """What tells a rule from another."""
    return (row.direction, row.protocol, row.ports, row.peer, row.policy, str(row.priority))


def key_of(rule: Rule) -> tuple[str, ...]:
    """The same of a rule that is asked for."""
    return (rule.direction, rule.protocol, ports_text(rule), rule.peer, rule.policy, str(rule.priority))


def ports_text(rule: Rule) -> str:
    """``22/22``."""
    return f"{rule.ports[0]}/{rule.ports[1]}"


def names_groups(rows: Sequence[SecurityGroupRule]) -> int:
    """How many of the rules have a group for a peer."""
    return sum("/" not in row.peer for row in rows)


def _read(call: Call, group: SecurityGroup, given: Any, side: Side, under: str) -> Asked:
    if given.ip_protocol is None:
        raise MissingParameter(parameter=under + "IpProtocol")
    if given.port_range is None:
        raise errors.InvalidPortRangeMalformed
    protocol = given.ip_protocol.lower()
    try:
        rule = Rule(
            direction=side.direction,
            protocol=protocol,
            ports=values.ports_of(given.port_range),
            peer=_peer(call, group, given, side, under),
            policy="drop" if (given.policy or "accept").lower() == "drop" else "accept",
            priority=_priority(given.priority),
        )
    except NetworkInvalid as e:
        raise _refusal(e, protocol, side)(parameter=under + "PortRange", reason=e.reason) from e
    return Asked(rule=rule, nic_type=(given.nic_type or "intranet").lower(), description=given.description or "")


def _refusal(invalid: NetworkInvalid, protocol: str, side: Side) -> type[ApiError]:
    """The error that the API has for what no rule can have."""
    if invalid.field == "protocol":
        return errors.InvalidIpProtocolValueNotSupported
    if invalid.field == "ports":
        return errors.OperationDeniedPorts if protocol in _PORTLESS else errors.InvalidParamPortRange
    return errors.InvalidPriorityValueNotSupported if invalid.field == "priority" else side.malformed


def _priority(text: str | None) -> int:
    if text is None:
        return 1
    if not re.fullmatch("[0-9]{1,9}", text):
        raise errors.InvalidPriorityValueNotSupported
    return int(text)


def _peer(call: Call, group: SecurityGroup, given: Any, side: Side, under: str) -> str:
    """The other end: of both a block of addresses and a group the block counts, as documented."""
    cidr: str | None = getattr(given, side.cidr)
    other: str | None = getattr(given, side.group)
    if cidr is not None:
        return str(values.network_of("peer", cidr if "/" in cidr else f"{cidr}/32"))
    if other is None:
        raise side.missing(parameter=under.rstrip(".") or "the request")
    if (given.nic_type or "").lower() == "internet":
        raise side.wrong_card
    if other == group.id:
        raise side.itself
    found = call.the(security_groups, other, group.region, side.unknown)
    if found.vpc != group.vpc:
        raise side.elsewhere
    return other
