"""Give up to 100 instances a role, each of which has none.

Every role of the account exists and may do what the account may. Programs in the
guest find keys of it at the metadata service, at once, and need none of their
own; they end with the role, and with the instance.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Declined, Doc
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.instances.parts import roles
from kiln.operations.instances.parts.roles import InstanceIds, ResultOutput
from kiln.operations.params import RegionId
from kiln.operations.steps.guest_input import OF_ROLE, RamRoleName
from kiln.store.instances import Instance, instances


class OperationDeniedRamRole(ApiError):
    """The instance has another role."""

    code = "OperationDenied"
    status = 403
    message = "The specified instance has another instance RAM role."
    hint = "`kiln call DetachInstanceRamRole` takes that away."


@shape
class Input:
    region_id: RegionId
    instance_ids: InstanceIds
    ram_role_name: Annotated[RamRoleName, Doc("The role: any of the account's."), OF_ROLE]
    policy: Annotated[
        str | None,
        Declined("Kiln has no policies, and a key that is believed to be limited is worse than none"),
        Doc("What the role may do, of what it may."),
    ] = None


@shape
class ResultsOutput:
    """What became of each instance."""

    attach_instance_ram_role_result: Annotated[
        tuple[ResultOutput, ...], Doc("One for each, in the order of the request.")
    ]


@shape
class Output:
    ram_role_name: Annotated[str, Doc("The role.")]
    total_count: Annotated[int, Doc("How many instances were named.")]
    fail_count: Annotated[int, Doc("How many of them were refused.")]
    attach_instance_ram_role_results: Annotated[ResultsOutput, Doc("What became of each instance.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    role: str
    judged: roles.Plan


def check(call: Call, p: Input) -> Plan:
    def require(instance: Instance) -> None:
        if instance.ram_role not in ("", p.ram_role_name):
            raise OperationDeniedRamRole(instance_id=instance.id)

    return Plan(role=p.ram_role_name, judged=roles.judge(call, p.region_id, p.instance_ids, require))


def commit(call: Call, plan: Plan) -> Output:
    judged = plan.judged
    for instance in judged.allowed:
        instances.update(call.tx, {"ram_role": plan.role}, id=instance.id)
    told = (roles.tell(name, one) for name, one in judged.found.items())
    return Output(
        ram_role_name=plan.role,
        total_count=len(judged.found),
        fail_count=judged.failed,
        attach_instance_ram_role_results=ResultsOutput(attach_instance_ram_role_result=tuple(told)),
    )


attach_instance_ram_role = Operation(
    input=Input, output=Output, check=check, commit=commit, errors=(*roles.ERRORS, OperationDeniedRamRole)
)
