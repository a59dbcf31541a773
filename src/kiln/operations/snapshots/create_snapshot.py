"""Create a snapshot of a disk.

The snapshot ID is answered at once. The snapshot is progressing until its
instant is captured, which takes milliseconds, whatever the disk's size; then it
is accomplished. No bytes are copied, and the disk is used on meanwhile.

The disk is In_use by a Running or Stopped instance, or is Available and was
attached before. Where a running guest's agent answers, its file systems are
held still at the instant.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Between, Count, Doc, Example, Name, Text, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import IncorrectInstanceStatus
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import DiskId, OwnRegionId, ResourceGroupId, SnapshotId, TagInput, to_pairs
from kiln.operations.snapshots.parts import taking
from kiln.operations.snapshots.parts.errors import (
    IncorrectDiskStatusNeverAttached,
    InstanceLockedForSecurityOfSnapshot,
    InvalidDescriptionMalformedOfSnapshot,
    InvalidDiskIdNotFoundOfSnapshot,
    InvalidRetentionDaysMalformed,
    InvalidSnapshotNameMalformed,
)
from kiln.operations.snapshots.parts.taking import (
    InstantAccess,
    InstantAccessRetentionDays,
    SnapshotCategory,
    StorageLocationArn,
)
from kiln.operations.steps import capture, resource_groups
from kiln.operations.steps.capture import Capture, CaptureFacts
from kiln.operations.steps.locks import check_unlocked
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.disks import Disk, disks
from kiln.store.instances import instances


@shape
class Input:
    region_id: OwnRegionId = None
    disk_id: DiskId
    snapshot_name: Annotated[
        str | None,
        Name(2, 128, InvalidSnapshotNameMalformed, ("http://", "https://", "auto"), any_script=True),
        Example("testSnapshotName"),
        Doc("The name of the snapshot. Names that start with auto are the automatic snapshots'."),
    ] = None
    description: Annotated[
        str | None,
        Text(2, 256, InvalidDescriptionMalformedOfSnapshot, not_starting=("http://", "https://")),
        Example("testDescription"),
        Doc("A description."),
    ] = None
    retention_days: Annotated[
        int | None,
        Between(1, 65536, InvalidRetentionDaysMalformed),
        Example("30"),
        Doc("Days after which the snapshot is deleted by itself. Without it, it is kept for good."),
    ] = None
    resource_group_id: ResourceGroupId | None = None
    category: SnapshotCategory = None
    instant_access: InstantAccess = None
    instant_access_retention_days: InstantAccessRetentionDays = None
    storage_location_arn: StorageLocationArn = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the snapshot.")] = ()


@shape
class Output:
    snapshot_id: SnapshotId


@dataclass(frozen=True, kw_only=True)
class Plan:
    capture: Capture
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFoundOfSnapshot)
    resource_groups.check_there(call, p.resource_group_id)
    if disk.status == DiskStatus.AVAILABLE and not disk.ever_attached:
        raise IncorrectDiskStatusNeverAttached(disk_id=disk.id)
    _check_instance(call, disk)
    capture.check_capturable(call, disk.region, [disk])
    planned = capture.plan_capture(
        call,
        disk,
        name=p.snapshot_name or "",
        description=p.description or "",
        made_for="",
        resource_group=p.resource_group_id or "",
        retention_days=p.retention_days or 0,
    )
    return Plan(capture=planned, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    disk, snapshot = plan.capture.disk, plan.capture.snapshot
    task = new_id("task")
    facts = capture.record(call, task, [plan.capture])
    tags.put(call.tx, call.account, "snapshot", snapshot.id, plan.tags)
    call.enqueue(snapshot.id, facts, region=disk.region, lane=disk.lane, task_id=task)
    return Output(snapshot_id=snapshot.id)


def carry_out(job: Job[CaptureFacts]) -> None:
    taking.take(job)
    reach("create_snapshot.settled")


def give_up(job: Job[CaptureFacts], error: ApiError) -> None:
    taking.give_up(job, error, carry_out)


def _check_instance(call: Call, disk: Disk) -> None:
    if disk.instance is None:
        return
    instance = instances.find(call.tx, id=disk.instance)
    if instance is None or instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatus(instance_id=disk.instance)
    check_unlocked(instance, InstanceLockedForSecurityOfSnapshot)


create_snapshot = Operation(
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
        InvalidDiskIdNotFoundOfSnapshot,
        InvalidResourceGroupNotFound,
        IncorrectDiskStatusNeverAttached,
        InstanceLockedForSecurityOfSnapshot,
        IncorrectInstanceStatus,
        *capture.ERRORS,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
