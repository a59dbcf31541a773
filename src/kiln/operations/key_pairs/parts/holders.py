"""What AttachKeyPair and DetachKeyPair share: the instances that are named, and what became of each.

Each is changed or refused by itself. A request of which none can be done is
refused with the error of the first, since clients look at that alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Count, Doc, Example, JsonList, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import InstanceLockedForSecurity
from kiln.operations.errors.key_pairs import DependencyViolationWindowsInstance
from kiln.operations.params import InstanceId
from kiln.operations.steps.locks import check_unlocked
from kiln.store.instances import Instance, instances


class InvalidKeyPairNameNotFoundOfInstances(ApiError):
    """The account has no key pair of that name in the region."""

    code = "InvalidKeyPairName.NotFound"
    message = "The specified KeyPairName does not exist in our records."


class InvalidInstanceIdsValueNotSupported(ApiError):
    """InstanceIds is no list of instances, or one of them is none of the account's in the region."""

    code = "InvalidInstanceIds.ValueNotSupported"
    message = "The specified parameter InstanceIds is not valid."


class InstanceKeyPairLimitExceeded(ApiError):
    """More than 50 instances."""

    code = "InstanceKeyPairLimitExceeded"
    status = 403
    message = "The specified instances are beyond the permitted range."


ERRORS: tuple[type[ApiError], ...] = (
    InvalidKeyPairNameNotFoundOfInstances,
    InvalidInstanceIdsValueNotSupported,
    InstanceLockedForSecurity,
)

InstanceIds = Annotated[
    tuple[InstanceId, ...],
    JsonList(InvalidInstanceIdsValueNotSupported),
    Unordered(),
    Count(50, InstanceKeyPairLimitExceeded),
    Example('["i-bp1g6zv0ce8oghu7k2d3"]'),
    Doc("The instances, up to 50. One that is named twice counts once."),
]


@shape
class ResultOutput:
    """What became of one instance."""

    instance_id: InstanceId
    success: Annotated[str, Doc("true or false.")]
    code: Annotated[str, Doc("200, or the code of the error with which it was refused.")]
    message: Annotated[str, Doc("successful, or the text of the error.")]


@shape
class ResultsOutput:
    """What became of each instance."""

    result: Annotated[tuple[ResultOutput, ...], Doc("One for each, in the order of the request.")]


@shape
class Output:
    key_pair_name: Annotated[str, Doc("The name of the key pair.")]
    total_count: Annotated[str, Doc("How many instances were named.")]
    fail_count: Annotated[str, Doc("How many of them were refused.")]
    results: Annotated[ResultsOutput, Doc("What became of each instance.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    key_pair: str
    found: dict[str, Instance | ApiError]  #: By the IDs of the request, in its order.

    @property
    def allowed(self) -> list[Instance]:
        """Those that can be done."""
        return [one for one in self.found.values() if isinstance(one, Instance)]


def judge(call: Call, region: str, ids: Sequence[str], key_pair: str, *, takes_windows: bool) -> Plan:
    """What can be done of each. Raises the error of the first when nothing can be."""
    found = {one: _judge(call, region, one, takes_windows=takes_windows) for one in ids}
    errors = [one for one in found.values() if isinstance(one, ApiError)]
    if len(errors) == len(found):
        raise errors[0] if errors else InvalidInstanceIdsValueNotSupported()
    return Plan(key_pair=key_pair, found=found)


def _judge(call: Call, region: str, instance_id: str, *, takes_windows: bool) -> Instance | ApiError:
    try:
        instance = call.the(instances, instance_id, region, InvalidInstanceIdsValueNotSupported)
        check_unlocked(instance)
    except ApiError as error:
        return error
    if instance.system.os_type == "windows" and not takes_windows:
        return DependencyViolationWindowsInstance()
    return instance


def tell(plan: Plan) -> Output:
    """The answer."""
    results = tuple(_tell(name, one) for name, one in plan.found.items())
    return Output(
        key_pair_name=plan.key_pair,
        total_count=str(len(results)),
        fail_count=str(sum(one.success == "false" for one in results)),
        results=ResultsOutput(result=results),
    )


def _tell(instance_id: str, one: Instance | ApiError) -> ResultOutput:
    if isinstance(one, ApiError):
        return ResultOutput(instance_id=instance_id, success="false", code=one.code, message=str(one))
    return ResultOutput(instance_id=instance_id, success="true", code="200", message="successful")
