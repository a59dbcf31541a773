"""Create snapshots of several disks of an instance, all at one instant.

The group's ID is answered at once. Its snapshots are progressing until the
instant is captured, which takes milliseconds; then they are accomplished, each a
snapshot like any other. No bytes are copied, and the disks are used on meanwhile.
Where a running guest's agent answers, its file systems are held still at the
instant.

All disks of the instance are captured, or those of DiskId.N, or all but those of
ExcludeDiskId.N. Without InstanceId the disks say which instance it is: disks of
several instances have no instant in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, More, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import IncorrectInstanceStatus, InvalidInstanceIdNotFound
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import (
    DiskId,
    InstanceId,
    RegionId,
    ResourceGroupId,
    SnapshotGroupId,
    TagInput,
    to_pairs,
)
from kiln.operations.snapshots.parts import taking
from kiln.operations.snapshots.parts.errors import (
    InstanceLockedForSecurityOfSnapshot,
    InvalidDiskIdNotFoundOfSnapshot,
)
from kiln.operations.snapshots.parts.group_words import GroupDescription, GroupName
from kiln.operations.snapshots.parts.taking import InstantAccess, InstantAccessRetentionDays, StorageLocationArn
from kiln.operations.steps import capture, resource_groups
from kiln.operations.steps.capture import Capture, CaptureFacts
from kiln.operations.steps.locks import check_unlocked
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.disks import OF_INSTANCE, Disk, disks
from kiln.store.instances import Instance, instances
from kiln.store.snapshot_groups import SnapshotGroup, snapshot_groups

_MOST = 128


class MissingParamterInstanceId(ApiError):
    """Neither an instance nor disks were named."""

    code = "MissingParamter.InstanceId"
    message = "The specified InstanceId should not be null."


class InvalidParamExcludeDiskIdsAndDiskIdsConflict(ApiError):
    """Both disks to be captured and disks not to be were named."""

    code = "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict"
    message = "The use of parameter 'ExcludeDiskIds' and 'DiskIds' at the same time is not supported."


class NumberExceedTooManyDisks(ApiError):
    """More than 128 disks."""

    code = "NumberExceed.TooManyDisks"
    status = 403
    message = "The number of all disks in the request exceeds."


class DiskIdValueNotSupported(ApiError):
    """A disk is not one of the instance's, or disks are not all of one instance."""

    code = "DiskId.ValueNotSupported"
    status = 403
    message = "The specified parameter diskid is not supported."


class InvalidInstanceNoDisk(ApiError):
    """No disk is left to be captured."""

    code = "InvalidInstance.NoDisk"
    status = 403
    message = "There is no disk mounted on the instance."


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[InstanceId | None, Doc("The instance. The disks tell it when it is not given.")] = None
    disk_id: Annotated[
        tuple[DiskId, ...] | None,
        Unordered(),
        Count(_MOST, NumberExceedTooManyDisks),
        Doc("Only these of its disks; all when not given."),
    ] = None
    exclude_disk_id: Annotated[
        tuple[DiskId, ...] | None,
        Unordered(),
        Count(_MOST, NumberExceedTooManyDisks),
        Doc("All of its disks but these; not together with DiskId."),
    ] = None
    name: Annotated[GroupName | None, More("Its snapshots have it, too.")] = None
    description: Annotated[GroupDescription | None, More("Its snapshots have it, too.")] = None
    resource_group_id: ResourceGroupId | None = None
    instant_access: InstantAccess = None
    instant_access_retention_days: InstantAccessRetentionDays = None
    storage_location_arn: StorageLocationArn = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the group.")] = ()


@shape
class Output:
    snapshot_group_id: SnapshotGroupId


@dataclass(frozen=True, kw_only=True)
class Plan:
    group: SnapshotGroup
    captures: tuple[Capture, ...]
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    if p.disk_id is not None and p.exclude_disk_id is not None:
        raise InvalidParamExcludeDiskIdsAndDiskIdsConflict
    resource_groups.check_there(call, p.resource_group_id)
    named = [call.the(disks, one, p.region_id, InvalidDiskIdNotFoundOfSnapshot) for one in _named(p)]
    instance = _instance(call, p, named)
    if any(disk.instance != instance.id for disk in named):
        raise DiskIdValueNotSupported(instance_id=instance.id)
    chosen = _choose(call, p, instance)
    if not chosen:
        raise InvalidInstanceNoDisk(instance_id=instance.id)
    capture.check_capturable(call, p.region_id, chosen)
    group = SnapshotGroup(
        id=new_id("snapshot_group"),
        account=call.account,
        region=p.region_id,
        name=p.name or "",
        description=p.description or "",
        instance=instance.id,
        resource_group=p.resource_group_id or "",
        created_at=call.now,
    )
    return Plan(group=group, captures=tuple(_plan(call, disk, group) for disk in chosen), tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    group = plan.group
    task = new_id("task")
    snapshot_groups.insert(call.tx, group)
    facts = capture.record(call, task, plan.captures)
    tags.add(call.tx, call.account, "snapshotgroup", group.id, plan.tags)
    call.enqueue(group.id, facts, region=group.region, lane=group.instance, task_id=task)
    return Output(snapshot_group_id=group.id)


def carry_out(job: Job[CaptureFacts]) -> None:
    taking.take(job)
    reach("create_snapshot_group.settled")


def give_up(job: Job[CaptureFacts], error: ApiError) -> None:
    taking.give_up(job, error, carry_out)


def _named(p: Input) -> list[str]:
    return list(dict.fromkeys([*(p.disk_id or ()), *(p.exclude_disk_id or ())]))


def _instance(call: Call, p: Input, named: Sequence[Disk]) -> Instance:
    """Whose disks are captured: of a running or stopped machine, and not locked."""
    if p.instance_id is not None:
        instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    elif not p.disk_id:
        raise MissingParamterInstanceId
    else:
        held = [disk.instance for disk in named if disk.status == DiskStatus.IN_USE and disk.instance is not None]
        if len(held) < len(named) or len(set(held)) > 1:
            raise DiskIdValueNotSupported(disk_ids=[disk.id for disk in named])
        instance = call.the(instances, held[0], p.region_id, InvalidInstanceIdNotFound)
    if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    check_unlocked(instance, InstanceLockedForSecurityOfSnapshot)
    return instance


def _choose(call: Call, p: Input, instance: Instance) -> list[Disk]:
    attached = disks.page(call.tx, order=OF_INSTANCE, limit=_MOST + 1, instance=instance.id)
    if p.disk_id is not None:
        return [disk for disk in attached if disk.id in p.disk_id]
    chosen = [disk for disk in attached if disk.id not in (p.exclude_disk_id or ())]
    if len(chosen) > _MOST:
        raise NumberExceedTooManyDisks(limit=_MOST)
    return chosen


def _plan(call: Call, disk: Disk, group: SnapshotGroup) -> Capture:
    return capture.plan_capture(
        call,
        disk,
        name=group.name,
        description=group.description,
        made_for="",
        resource_group=group.resource_group,
        snapshot_group=group.id,
    )


create_snapshot_group = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=CaptureFacts,
    give_up=give_up,
    idempotent=taking.IDEMPOTENCE,
    leads_to=("progressing", "accomplished"),
    errors=(
        MissingParamterInstanceId,
        InvalidParamExcludeDiskIdsAndDiskIdsConflict,
        InvalidInstanceIdNotFound,
        InvalidDiskIdNotFoundOfSnapshot,
        DiskIdValueNotSupported,
        InvalidInstanceNoDisk,
        IncorrectInstanceStatus,
        InstanceLockedForSecurityOfSnapshot,
        InvalidResourceGroupNotFound,
        *capture.ERRORS,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
