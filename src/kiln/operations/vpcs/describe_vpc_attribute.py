"""Tell all that is known of one VPC."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.networks import InvalidVpcIdNotFound
from kiln.operations.network_words import VpcId
from kiln.operations.params import OwnRegionId
from kiln.operations.vpcs.parts.portrait import VpcOutput, draw
from kiln.store.vpcs import vpcs


@shape
class Input:
    region_id: OwnRegionId = None
    vpc_id: VpcId
    is_default: Annotated[bool | None, Doc("Whether it has to be the default VPC, or has not to be.")] = None


@shape
class Output(VpcOutput):
    classic_link_enabled: Annotated[bool, Doc("Always false: no instance is outside of a VPC.")] = False


def check(call: Call, p: Input) -> Output:
    row = call.the(vpcs, p.vpc_id, p.region_id, InvalidVpcIdNotFound)
    if p.is_default not in (None, row.is_default):
        raise InvalidVpcIdNotFound(vpc_id=row.id)
    (drawn,) = draw(call.tx, [row])
    return Output(**vars(drawn))


describe_vpc_attribute = Operation(
    input=Input, output=Output, check=check, dry_run=DryRunOperation, errors=(InvalidVpcIdNotFound,)
)
