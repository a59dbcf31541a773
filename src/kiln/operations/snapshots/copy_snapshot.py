"""Copy a snapshot to another region, or within its own.

The copy has an ID of its own in the destination region and is listed there
alone. No bytes are copied: both snapshots are names of the same layer, which
never changes, and each may be deleted while the other is used. With Encrypted, and
of an encrypted snapshot in another region, they are written anew, encrypted with
the key that the caller has there, which takes its time. A copy cannot be what a
disk is reset to, since it is of no disk.

Else within a region the copy is accomplished with the answer; in another it is
progressing until it is there. DeleteSnapshot cancels it. The source may be
deleted as soon as this answers.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.calls.errors import ServiceUnavailablePoolDamaged
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Between, Doc, Example, Name, Text, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import SnapshotStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.errors.copies import (
    DestinationRegionNotFound,
    InvalidParameterEncryptedIllegal,
    InvalidSnapshotTooOldOfCopy,
    SourceRegionNotFound,
)
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound, InvalidSnapshotIdNotReady
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed
from kiln.operations.params import ArnInput, RegionId, SnapshotId, to_pairs
from kiln.operations.snapshots.parts.errors import (
    InvalidDescriptionMalformedOfSnapshot,
    InvalidRetentionDaysMalformed,
    InvalidSnapshotNameMalformed,
)
from kiln.operations.steps import capture, copying, encryption, resource_groups, source_snapshots
from kiln.operations.steps.capture import QuotaExceedSnapshot
from kiln.operations.steps.copying import (
    Ciphers,
    Copy,
    CopyFacts,
    Encrypted,
    GroupOfCopy,
    OperationDeinedEncryptedSnapshot,
    TagsOfCopy,
)
from kiln.operations.steps.encryption import KmsKeyId
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.operations.steps.whole_layers import check_whole
from kiln.store import tags
from kiln.store.snapshots import snapshots


@shape
class Input:
    region_id: Annotated[RegionId, Doc("The region of the source.")]
    snapshot_id: Annotated[SnapshotId, Doc("The source: an accomplished snapshot of the caller's.")]
    destination_region_id: Annotated[
        str | None, Example("cn-shanghai"), Doc("The region of the copy; that of the source when it is not given.")
    ] = None
    destination_snapshot_name: Annotated[
        str | None,
        Name(2, 128, InvalidSnapshotNameMalformed, ("http://", "https://", "auto"), any_script=True),
        Example("CopySnapshotDemo"),
        Doc("The name of the copy. Without it, it has none."),
    ] = None
    destination_snapshot_description: Annotated[
        str | None,
        Text(2, 256, InvalidDescriptionMalformedOfSnapshot, not_starting=("http://", "https://")),
        Example("CopySnapshotDemo"),
        Doc("The description of the copy. Without it, it has none."),
    ] = None
    retention_days: Annotated[
        int | None,
        Between(1, 65536, InvalidRetentionDaysMalformed),
        Example("60"),
        Doc("Days after which the copy is deleted by itself. Without it, it is kept for good."),
    ] = None
    encrypted: Encrypted = None
    kms_key_id: KmsKeyId = None
    destination_storage_location_arn: Annotated[
        str | None, Accepted("Snapshots lie in the same pool as the disks."), Doc("Where the copy is kept.")
    ] = None
    arn: Annotated[tuple[ArnInput, ...], Unordered(), Doc("Roles to be assumed.")] = ()
    resource_group_id: GroupOfCopy = None
    tag: TagsOfCopy = ()


@shape
class Output:
    snapshot_id: Annotated[SnapshotId, Doc("The ID of the copy.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    copy: Copy
    tags: dict[str, str]
    is_made_later: bool  #: Whether a task finishes it.


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    if p.kms_key_id and not p.encrypted:
        raise InvalidParameterEncryptedIllegal(parameter="KMSKeyId")
    region = p.destination_region_id or p.region_id
    if region not in call.deployment.regions:
        raise DestinationRegionNotFound(region_id=region)
    resource_groups.check_there(call, p.resource_group_id)
    source = call.the(snapshots, p.snapshot_id, p.region_id, InvalidSnapshotIdNotFound)
    if source.status != SnapshotStatus.ACCOMPLISHED:
        raise InvalidSnapshotIdNotReady(snapshot_id=source.id, status=source.status)
    if source_snapshots.is_too_old(source):
        raise InvalidSnapshotTooOldOfCopy(snapshot_id=source.id)
    capture.check_quota(call, region, 1)
    ciphers = Ciphers(call, region, encrypted=p.encrypted, key=p.kms_key_id, algorithm=None)
    copy = copying.draft(
        call,
        source,
        kms_key=ciphers.of(source.kms_key),
        region=region,
        name=p.destination_snapshot_name or "",
        description=p.destination_snapshot_description or "",
        made_for="",
        resource_group=p.resource_group_id or "",
        retention_days=p.retention_days or 0,
    )
    if region == source.region:
        check_whole(call, [copy.told])
    return Plan(copy=copy, tags=pairs, is_made_later=region != source.region or copy.is_rewritten)


def commit(call: Call, plan: Plan) -> Output:
    copy = plan.copy.snapshot
    tags.put(call.tx, call.account, "snapshot", copy.id, plan.tags)
    if plan.is_made_later:
        task = new_id("task")
        lane = copying.pick_lane(call, copy.region, [plan.copy])
        remembered = copying.record(call, task, [plan.copy])
        call.enqueue(copy.id, remembered, region=copy.region, lane=lane, task_id=task)
    else:
        copying.record_finished(call, [plan.copy])
    return Output(snapshot_id=copy.id)


def carry_out(job: Job[CopyFacts]) -> None:
    copying.carry(job, lambda _tx, _percent: None)
    job.write(job.finish)
    reach("copy_snapshot.finished")


def give_up(job: Job[CopyFacts], error: ApiError) -> None:
    job.write(lambda tx: copying.abandon(tx, job, error))


copy_snapshot = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=CopyFacts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    unknown_region=SourceRegionNotFound,
    leads_to=("progressing", "accomplished"),
    errors=(
        InvalidParameterEncryptedIllegal,
        OperationDeinedEncryptedSnapshot,
        *encryption.ERRORS,
        DestinationRegionNotFound,
        InvalidResourceGroupNotFound,
        InvalidSnapshotIdNotFound,
        InvalidSnapshotIdNotReady,
        InvalidSnapshotTooOldOfCopy,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
        QuotaExceedSnapshot,
        ServiceUnavailablePoolDamaged,
    ),
)
