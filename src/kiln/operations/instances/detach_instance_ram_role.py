"""Take the role from up to 100 instances.

One that does not have it stays as it is. Keys that programs in the guest have of
it let nobody in from then on, nor when the instance is given the same role again.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.instances.parts import roles
from kiln.operations.instances.parts.roles import InstanceIds, RoleOutput, RolesOutput
from kiln.operations.params import RegionId
from kiln.operations.steps.guest_input import RamRoleName
from kiln.store.instances import Instance, instances


@shape
class Input:
    region_id: RegionId
    instance_ids: InstanceIds
    ram_role_name: Annotated[RamRoleName | None, Doc("The role; whichever each has when it is not given.")] = None


@shape
class ResultOutput(roles.ResultOutput):
    """What became of one instance."""

    instance_ram_role_sets: Annotated[RolesOutput, Doc("The role that was taken from it.")]


@shape
class ResultsOutput:
    """What became of each instance."""

    detach_instance_ram_role_result: Annotated[
        tuple[ResultOutput, ...], Doc("One for each, in the order of the request.")
    ]


@shape
class Output:
    ram_role_name: Annotated[str, Doc("The role that was named, or empty.")]
    total_count: Annotated[int, Doc("How many instances were named.")]
    fail_count: Annotated[int, Doc("How many of them were refused.")]
    detach_instance_ram_role_results: Annotated[ResultsOutput, Doc("What became of each instance.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    role: str  #: Empty: whichever each has.
    judged: roles.Plan

    def taken_from(self, one: Instance | ApiError) -> str:
        """The role that is taken from an instance; empty where none is."""
        if isinstance(one, ApiError) or self.role not in ("", one.ram_role):
            return ""
        return one.ram_role


def check(call: Call, p: Input) -> Plan:
    judged = roles.judge(call, p.region_id, p.instance_ids, lambda _: None)
    return Plan(role=p.ram_role_name or "", judged=judged)


def commit(call: Call, plan: Plan) -> Output:
    judged = plan.judged
    for instance in judged.allowed:
        if plan.taken_from(instance):
            taken = {"ram_role": "", "ram_roles_taken": instance.ram_roles_taken + 1}
            instances.update(call.tx, taken, id=instance.id)
    told = (_tell(name, one, plan.taken_from(one)) for name, one in judged.found.items())
    return Output(
        ram_role_name=plan.role,
        total_count=len(judged.found),
        fail_count=judged.failed,
        detach_instance_ram_role_results=ResultsOutput(detach_instance_ram_role_result=tuple(told)),
    )


def _tell(instance_id: str, one: Instance | ApiError, role: str) -> ResultOutput:
    taken = (RoleOutput(instance_id=instance_id, ram_role_name=role),) if role else ()
    told = roles.tell(instance_id, one)
    return ResultOutput(
        instance_id=told.instance_id,
        success=told.success,
        code=told.code,
        message=told.message,
        instance_ram_role_sets=RolesOutput(instance_ram_role_set=taken),
    )


detach_instance_ram_role = Operation(input=Input, output=Output, check=check, commit=commit, errors=roles.ERRORS)
