"""Delete a VPC in which nothing is.

VSwitches and security groups have to be deleted before. The security group that
Kiln made in it for who named none goes with it, when no instance is left.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Accepted, Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.networks import InvalidVpcIdNotFound
from kiln.operations.network_words import VpcId
from kiln.operations.params import NothingMore, OwnRegionId
from kiln.store import tags
from kiln.store.security_groups import remove, security_groups
from kiln.store.vpcs import Vpc, vpcs
from kiln.store.vswitches import vswitches


class DependencyViolationVSwitch(ApiError):
    """The VPC has a VSwitch."""

    code = "DependencyViolation.VSwitch"
    message = "Specified object has dependent resources."
    hint = "Delete its VSwitches first: `kiln vswitch list --vpc VPC` tells them."


class DependencyViolationSecurityGroup(ApiError):
    """The VPC has a security group that somebody made."""

    code = "DependencyViolation.SecurityGroup"
    message = "Specified object has dependent resources SecurityGroup."
    hint = "Delete its security groups first: `kiln security-group list --vpc VPC` tells them."


@shape
class Input:
    region_id: OwnRegionId = None
    vpc_id: VpcId
    force_delete: Annotated[
        bool | None, Accepted("There are no gateways that it would delete."), Doc("Whether gateways go with it.")
    ] = None


def check(call: Call, p: Input) -> Vpc:
    row = call.the(vpcs, p.vpc_id, p.region_id, InvalidVpcIdNotFound)
    if vswitches.count(call.tx, vpc=row.id):
        raise DependencyViolationVSwitch(vpc_id=row.id)
    if security_groups.count(call.tx, vpc=row.id, is_default=False):
        raise DependencyViolationSecurityGroup(vpc_id=row.id)
    return row


def commit(call: Call, row: Vpc) -> NothingMore:
    for group in security_groups.all(call.tx, vpc=row.id):
        tags.drop(call.tx, "securitygroup", group.id)
        remove(call.tx, group.id)
    vpcs.delete(call.tx, id=row.id)
    return NothingMore()


delete_vpc = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    also_in=(ECS,),
    errors=(InvalidVpcIdNotFound, DependencyViolationVSwitch, DependencyViolationSecurityGroup),
)
