"""Change the name and the description of a VSwitch. What is not sent stays as it is."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Clearable, Composed, Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.errors.networks import (
    InvalidVSwitchDiscriptionMalformed,
    InvalidVSwitchIdNotFound,
    InvalidVSwitchNameMalformed,
)
from kiln.operations.network_words import VSwitchId, network_description, network_name
from kiln.operations.params import NothingMore, OwnRegionId
from kiln.store.vswitches import vswitches


@shape
class Input:
    region_id: OwnRegionId = None
    v_switch_id: VSwitchId
    v_switch_name: Annotated[
        str | None, network_name(InvalidVSwitchNameMalformed), Composed(), Example("build-a"), Doc("The name.")
    ] = None
    description: Annotated[
        str | None,
        Clearable(),
        network_description(InvalidVSwitchDiscriptionMalformed),
        Doc("The description. Empty: it has none any more."),
    ] = None
    enable_ipv6: Annotated[bool | None, Wire("EnableIPv6"), accepted.IPV6, Doc("Whether it has IPv6.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    vswitch: str
    changes: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    row = call.the(vswitches, p.v_switch_id, p.region_id, InvalidVSwitchIdNotFound)
    wanted = {"name": p.v_switch_name, "description": p.description}
    return Plan(vswitch=row.id, changes={name: value for name, value in wanted.items() if value is not None})


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        vswitches.update(call.tx, plan.changes, id=plan.vswitch)
    return NothingMore()


modify_v_switch_attribute = Operation(
    input=Input, output=NothingMore, check=check, commit=commit, also_in=(ECS,), errors=(InvalidVSwitchIdNotFound,)
)
