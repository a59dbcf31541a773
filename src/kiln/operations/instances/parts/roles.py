"""What AttachInstanceRamRole and DetachInstanceRamRole share: the instances that are named, and what became of each.

Each is changed or refused by itself. A request of which none can be done is
refused with the error of the first, since clients look at that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Count, Doc, Example, JsonList, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import InstanceLockedForSecurity, InvalidInstanceIdNotFound
from kiln.operations.params import InstanceId
from kiln.operations.steps.locks import check_unlocked
from kiln.store.instances import Instance, instances

MOST = 100


class InvalidInstanceIdsMalformed(ApiError):
    """InstanceIds is no list of instances, or an empty one, or of more than 100."""

    code = "InvalidInstanceIds.Malformed"
    message = "The specified instanceIds are not valid."


ERRORS: tuple[type[ApiError], ...] = (
    InvalidInstanceIdsMalformed,
    InvalidInstanceIdNotFound,
    InstanceLockedForSecurity,
)

InstanceIds = Annotated[
    tuple[InstanceId, ...],
    JsonList(InvalidInstanceIdsMalformed),
    Unordered(),
    Count(MOST, InvalidInstanceIdsMalformed),
    Example('["i-bp1g6zv0ce8oghu7k2d3"]'),
    Doc("The instances, 1 to 100. One that is named twice counts once."),
]


@shape
class RoleOutput:
    """An instance and its role."""

    instance_id: InstanceId
    ram_role_name: Annotated[str, Doc("The role, or empty.")]


@shape
class RolesOutput:
    """Instances and their roles."""

    instance_ram_role_set: Annotated[tuple[RoleOutput, ...], Doc("Each with its role.")]


@shape
class ResultOutput:
    """What became of one instance."""

    instance_id: InstanceId
    success: Annotated[bool, Doc("Whether it was done.")]
    code: Annotated[str, Doc("200, or the code of the error with which it was refused.")]
    message: Annotated[str, Doc("success, or the text of the error.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    found: dict[str, Instance | ApiError]  #: By the IDs of the request, in its order.

    @property
    def allowed(self) -> list[Instance]:
        """Those that can be done."""
        return [one for one in self.found.values() if isinstance(one, Instance)]

    @property
    def failed(self) -> int:
        """How many cannot."""
        return len(self.found) - len(self.allowed)


def judge(call: Call, region: str, ids: Sequence[str], require: Callable[[Instance], None]) -> Plan:
    """What can be done of each, where *require* has nothing against it. Raises the error of the first when none can."""
    if not ids:
        raise InvalidInstanceIdsMalformed
    found = {one: _judge(call, region, one, require) for one in ids}
    errors = [one for one in found.values() if isinstance(one, ApiError)]
    if len(errors) == len(found):
        raise errors[0]
    return Plan(found=found)


def _judge(call: Call, region: str, instance_id: str, require: Callable[[Instance], None]) -> Instance | ApiError:
    try:
        instance = call.the(instances, instance_id, region, InvalidInstanceIdNotFound)
        check_unlocked(instance)
        require(instance)
    except ApiError as error:
        return error
    return instance


def tell(instance_id: str, one: Instance | ApiError) -> ResultOutput:
    """What is said of one instance."""
    if isinstance(one, ApiError):
        return ResultOutput(instance_id=instance_id, success=False, code=one.code, message=str(one))
    return ResultOutput(instance_id=instance_id, success=True, code="200", message="success")
