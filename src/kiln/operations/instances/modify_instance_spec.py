"""Change the type of a Stopped instance, or the public bandwidth of one.

The new type has to run what is on the system disk; the next start is with its
CPUs and memory. The bandwidth is remembered and shown, of an instance that is
Running or Stopped; nothing is limited by it. One of the two at a time.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Idempotence, Operation
from kiln.declare.rules import Accepted, Between, Doc, Example, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.errors.instances import InstanceLockedForSecurity, InvalidInstanceIdNotFound
from kiln.operations.errors.launches import InvalidClientTokenValueNotSupported
from kiln.operations.instances.parts import boot_image, power
from kiln.operations.params import InstanceId, NothingMore, OwnRegionId
from kiln.store.instances import Instance, instances

_BANDWIDTH = Accepted("Nothing limits the bandwidth.")


class InvalidInstanceTypeValueNotSupportedOfSpec(ApiError):
    """The deployment has no such instance type."""

    code = "InvalidInstanceType.ValueNotSupported"
    message = "The specified InstanceType does not exist or beyond the permitted range."
    hint = "`kiln region types` lists the types."


class InvalidInstanceStatusNotStopped(ApiError):
    """The type is to change, and the instance is not Stopped."""

    code = "InvalidInstanceStatus.NotStopped"
    message = "The specified Instance status is not stopped."


class InvalidStatusValueNotSupported(ApiError):
    """The bandwidth is to change, and the instance is neither Running nor Stopped."""

    code = "InvalidStatus.ValueNotSupported"
    status = 403
    message = "The current status of the resource does not support this operation."


class InvalidParameterMismatchOfSpec(ApiError):
    """The type and the bandwidth are to change at once."""

    code = "InvalidParameter.Mismatch"
    message = "Too many parameters in one request."


class ImageNotSupportInstanceType(ApiError):
    """What is on the system disk does not run on the type's CPU."""

    code = "ImageNotSupportInstanceType"
    status = 403
    message = "The specified image do not support the InstanceType instance."


class MissingParameterSpec(ApiError):
    """Nothing is to change."""

    code = "MissingParameter"
    message = (
        "The input parameter InstanceType or InternetMaxBandwidthOut or InternetMaxBandwidthIn that is mandatory for "
        "processing this request is not supplied."
    )


class IdempotenceParamNotMatchOfSpec(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "IdempotenceParamNotMatch"
    message = "There is a idempotence signature mismatch between this and last request."


@shape
class TemporaryInput:
    """More bandwidth for some time."""

    internet_max_bandwidth_out: Annotated[int | None, _BANDWIDTH, Doc("Mbit/s.")] = None
    start_time: Annotated[str | None, _BANDWIDTH, Doc("From when on.")] = None
    end_time: Annotated[str | None, _BANDWIDTH, Doc("Until when.")] = None


@shape
class SystemDiskInput:
    """The system disk."""

    category: Annotated[str | None, accepted.CATEGORIES, Doc("Its new category.")] = None


@shape
class DiskInput:
    """A disk."""

    disk_id: Annotated[str | None, accepted.CATEGORIES, Doc("The disk.")] = None
    category: Annotated[str | None, accepted.CATEGORIES, Doc("Its new category.")] = None
    performance_level: Annotated[str | None, accepted.CATEGORIES, Doc("Its new performance level.")] = None


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    instance_type: Annotated[
        str | None, Example("ecs.g6.large"), Doc("The new type. DescribeInstanceTypes lists them.")
    ] = None
    internet_max_bandwidth_out: Annotated[int | None, Between(0, 100), Doc("Mbit/s, 0 to 100. Remembered.")] = None
    internet_max_bandwidth_in: Annotated[int | None, Between(0, 1_000_000), Doc("Mbit/s. Remembered.")] = None
    temporary: Annotated[TemporaryInput | None, Doc("More bandwidth for some time.")] = None
    system_disk: Annotated[SystemDiskInput | None, Doc("The system disk.")] = None
    disk: Annotated[tuple[DiskInput, ...], Unordered(), accepted.CATEGORIES, Doc("Disks.")] = ()
    allow_migrate_across_zone: Annotated[bool | None, accepted.HOSTS, Doc("Whether it may move for that.")] = None
    modify_mode: Annotated[str | None, Accepted("There is one way."), Doc("How it is done.")] = None
    async_: Annotated[bool | None, Accepted("It is done at once."), Doc("Whether not to wait for it.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance_id: str
    changes: dict[str, Any]


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    wanted = {"bandwidth_out": p.internet_max_bandwidth_out, "bandwidth_in": p.internet_max_bandwidth_in}
    changes: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if p.instance_type is None:
        if not changes:
            raise MissingParameterSpec
        if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
            raise InvalidStatusValueNotSupported(instance_id=instance.id, status=instance.status)
        return Plan(instance_id=instance.id, changes=changes)
    if changes:
        raise InvalidParameterMismatchOfSpec
    _check_type(call, instance, p.instance_type)
    return Plan(instance_id=instance.id, changes={"instance_type": p.instance_type})


def commit(call: Call, plan: Plan) -> NothingMore:
    instances.update(call.tx, plan.changes, id=plan.instance_id)
    return NothingMore()


def _check_type(call: Call, instance: Instance, wanted: str) -> None:
    kind = call.deployment.instance_type(wanted)
    if kind is None:
        raise InvalidInstanceTypeValueNotSupportedOfSpec(instance_type=wanted)
    if instance.status != InstanceStatus.STOPPED:
        raise InvalidInstanceStatusNotStopped(instance_id=instance.id, status=instance.status)
    if not boot_image.can_run(kind, instance.system):
        raise ImageNotSupportInstanceType(instance_type=wanted, architecture=instance.system.architecture)


modify_instance_spec = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    idempotent=Idempotence(mismatch=IdempotenceParamNotMatchOfSpec, malformed=InvalidClientTokenValueNotSupported),
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        MissingParameterSpec,
        InvalidParameterMismatchOfSpec,
        InvalidInstanceTypeValueNotSupportedOfSpec,
        InvalidInstanceStatusNotStopped,
        InvalidStatusValueNotSupported,
        ImageNotSupportInstanceType,
    ),
)
