"""Create a data disk, blank or of a snapshot.

The disk ID is answered at once. The disk is Creating until its volume is there,
which takes milliseconds, whatever the size: no bytes are copied. Then it is
Available, or In_use where InstanceId was given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.deployment import DISK_CATEGORIES, PERFORMANCE_LEVELS, level_of
from kiln.declare.errors import ApiError, MissingParameter
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, Name, OneOf, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.declare.system import NO_SYSTEM
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.disks.parts.errors import InstanceLockedForSecurityOfDisk, InvalidParameterMultiAttach
from kiln.operations.errors.encryption import (
    InvalidEncryptedNotMatchEncryptAlgorithm,
    InvalidEncryptedNotMatchKmsKeyId,
    InvalidEncryptedNotMatchSnapshot,
)
from kiln.operations.errors.instances import IncorrectInstanceStatus, InvalidInstanceIdNotFound
from kiln.operations.errors.regions import InvalidRegionIdNotFoundSpecified
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound, InvalidSnapshotIdNotReady
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import (
    ArnInput,
    Description,
    DiskId,
    InstanceId,
    ProvisionedIops,
    RegionId,
    ResourceGroupId,
    SnapshotId,
    TagInput,
    given,
    to_pairs,
)
from kiln.operations.steps import drafts, drives, encryption, heads, resource_groups, source_snapshots
from kiln.operations.steps.encryption import EncryptAlgorithm, KmsKeyId
from kiln.operations.steps.heads import Head
from kiln.operations.steps.locks import check_unlocked
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.database import Transaction
from kiln.store.disks import Disk, DiskAsked, disks
from kiln.store.instances import Instance, instances
from kiln.store.snapshots import Snapshot


def _limits_in_words() -> str:
    """The limits of each category, and of each performance level: ``cloud 5 to 2000; ...``."""
    least = {one.id: str(one.least_gib) for one in DISK_CATEGORIES.values()}
    least["cloud_essd"] = ", ".join(f"{gib} ({level})" for level, gib in PERFORMANCE_LEVELS.items())
    return "; ".join(f"{one.id} {least[one.id]} to {one.most_gib}" for one in DISK_CATEGORIES.values())


class InvalidZoneIdNotFoundOfDisk(ApiError):
    """The ZoneId is none of the region's."""

    code = "InvalidZoneId.NotFound"
    status = 404
    message = "The specified zone does not exist."


class InvalidParamZoneIdAndInstanceIdConflict(ApiError):
    """Both ZoneId and InstanceId were sent; the instance's zone is the disk's."""

    code = "InvalidParam.ZoneIdAndInstanceId.Conflict"
    status = 403
    message = "The specified parameter 'ZoneId' and 'InstanceId' are not blank at the same time."


class MissingParameterSize(ApiError):
    """Neither Size nor SnapshotId was sent."""

    code = "MissingParameter"
    message = 'The input parameter either "SnapshotId" or "Size" should be specified.'


class InvalidSizeValueNotSupportedOfDisk(ApiError):
    """The size is not within the category's limits."""

    code = "InvalidSize.ValueNotSupported"
    message = "The specified parameter Size is not valid."


class InvalidDiskCategoryValueNotSupported(ApiError):
    """The category is none that this deployment has."""

    code = "InvalidDiskCategory.ValueNotSupported"
    message = 'The specified parameter "DiskCategory" is not valid.'


class InvalidDiskNameMalformedOfDisk(ApiError):
    """The disk's name breaks the rule for names."""

    code = "InvalidDiskName.Malformed"
    message = "The specified disk name is wrongly formed."


class InvalidSnapshotIdNotDataDiskSnapshot(ApiError):
    """The snapshot is of a system disk."""

    code = "InvalidSnapshotId.NotDataDiskSnapshot"
    status = 403
    message = "The specified snapshot is system disk snapshot."
    hint = (
        "`kiln image create --snapshot SNAPSHOT` makes an image of it, and `kiln instance run --image IMAGE "
        "--data-disk snapshot=SNAPSHOT` a data disk."
    )


@shape
class Input:
    region_id: RegionId
    zone_id: Annotated[
        str | None, Example("cn-qingdao-env17-d01-a"), Doc("The zone; InstanceId can say it instead.")
    ] = None
    instance_id: Annotated[
        InstanceId | None, Doc("Attach the disk to this instance, in whose zone it is, as soon as it is there.")
    ] = None
    snapshot_id: Annotated[
        SnapshotId | None, Doc("The data disk's snapshot that the disk is made of. Without one, the disk is blank.")
    ] = None
    size: Annotated[
        int | None,
        Example("20"),
        Doc(
            f"GiB, within the category's limits: {_limits_in_words()}. With a snapshot, at least the snapshot's size, "
            "to which less is raised and which is the default."
        ),
    ] = None
    disk_category: Annotated[
        str,
        OneOf(tuple(DISK_CATEGORIES), InvalidDiskCategoryValueNotSupported),
        Doc("The category. It sets the limits of the size; all categories are the same bytes here."),
    ] = "cloud"
    performance_level: Annotated[
        str | None,
        OneOf(tuple(PERFORMANCE_LEVELS)),
        Doc("Of a cloud_essd disk: PL0 to PL3, PL1 when not given. It sets the least size."),
    ] = None
    disk_name: Annotated[
        str | None,
        Name(2, 128, InvalidDiskNameMalformedOfDisk, any_script=True),
        Example("testDiskName"),
        Doc("The name of the disk."),
    ] = None
    description: Description | None = None
    resource_group_id: ResourceGroupId | None = None
    encrypted: Annotated[
        bool | None,
        Doc("Whether the disk is encrypted. One of a snapshot is as the snapshot is, which nothing here changes."),
    ] = None
    kms_key_id: KmsKeyId = None
    encrypt_algorithm: EncryptAlgorithm = None
    arn: Annotated[tuple[ArnInput, ...], Unordered(), Doc("Roles to be assumed.")] = ()
    advanced_features: Annotated[str | None, accepted.CATEGORIES, Doc("Advanced features.")] = None
    bursting_enabled: Annotated[
        bool | None, accepted.CATEGORIES, Doc("Whether it may burst. DescribeDisks shows it.")
    ] = None
    provisioned_iops: ProvisionedIops | None = None
    multi_attach: Annotated[
        str | None,
        OneOf(("Disabled",), InvalidParameterMultiAttach),
        Doc("Whether several instances may have it at a time: Disabled, since here none may."),
    ] = None
    storage_cluster_id: Annotated[str | None, accepted.CATEGORIES, Doc("A dedicated block storage cluster.")] = None
    storage_set_id: Annotated[str | None, accepted.CATEGORIES, Doc("The storage set.")] = None
    storage_set_partition_number: Annotated[int | None, accepted.CATEGORIES, Doc("Its partitions.")] = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the disk.")] = ()


@shape
class Output:
    disk_id: DiskId
    order_id: Annotated[str, Doc("Always empty: nothing is billed.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    disk: Disk
    layer: str | None
    tags: dict[str, str]


@facts()
class Facts:
    volume: str
    layer: str | None
    size_bytes: int
    key: str = ""  #: That it is encrypted with.

    @property
    def head(self) -> Head:
        """The head to be made."""
        return Head(self.volume, self.layer, self.size_bytes, self.key)


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    resource_groups.check_there(call, p.resource_group_id)
    zone, device = _place(call, p)
    snapshot = None if p.snapshot_id is None else _usable(call, p.region_id, p.snapshot_id)
    disk = replace(_describe(call, p, snapshot), zone=zone, instance=p.instance_id, device=device)
    return Plan(disk=disk, layer=snapshot.volume if snapshot else None, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    disk = plan.disk
    task = new_id("task")
    head = Head(volume=new_id("volume"), layer=plan.layer, size_bytes=disk.size_gib * GiB, key=disk.kms_key)
    heads.record(call, task, [head])
    disks.insert(call.tx, disk)
    tags.put(call.tx, call.account, "disk", disk.id, plan.tags)
    remembered = Facts(volume=head.volume, layer=head.layer, size_bytes=head.size_bytes, key=head.key)
    call.enqueue(disk.id, remembered, region=disk.region, lane=disk.lane, task_id=task)
    return Output(disk_id=disk.id, order_id="")


def carry_out(job: Job[Facts]) -> None:
    head = job.facts.head
    heads.make(job, [head])
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource)
    if disk is not None and disk.instance is not None:
        drives.plug_in(job.ports, disk, head.volume)

    def settle(tx: Transaction) -> None:
        heads.settle(tx, [head], job.ports.clock())
        attached = disk is not None and disk.instance is not None
        after = DiskStatus.IN_USE if attached else DiskStatus.AVAILABLE
        changes: dict[str, object] = {"volume": head.volume}
        if attached:
            changes |= {"ever_attached": True, "attached_at": job.ports.clock()}
        disks.move(tx, DiskStatus.CREATING, after, changes, id=job.task.resource)
        job.finish(tx)

    job.write(settle)
    reach("create_disk.settled")


def give_up(job: Job[Facts], error: ApiError) -> None:
    head = job.facts.head
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource, status=DiskStatus.CREATING)
    if disk is not None and disk.instance is not None and job.ports.pool.exists(head.volume):
        drives.pull_out(job.ports, disk, head.volume)

    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        heads.doom(tx, [head.volume])
        disks.delete(tx, id=job.task.resource, status=DiskStatus.CREATING)
        tags.drop(tx, "disk", job.task.resource)

    job.write(fail)


def _place(call: Call, p: Input) -> tuple[str, str]:
    """The zone, and the device name when the disk is to be attached at once."""
    if p.instance_id is None:
        if p.zone_id is None:
            raise MissingParameter(parameter="ZoneId")
        if p.zone_id not in call.deployment.zones(p.region_id):
            raise InvalidZoneIdNotFoundOfDisk(zone_id=p.zone_id)
        return p.zone_id, ""
    if p.zone_id is not None:
        raise InvalidParamZoneIdAndInstanceIdConflict
    instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    _check_instance(instance)
    return instance.zone, drives.place_for(call, instance.id)


def _check_instance(instance: Instance) -> None:
    check_unlocked(instance, InstanceLockedForSecurityOfDisk)
    if instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)


def _usable(call: Call, region: str, snapshot_id: str) -> Snapshot:
    """The snapshot, if a disk can be made of it."""
    snapshot = source_snapshots.find_accomplished(call, region, snapshot_id)
    if snapshot.source_disk_type == "system":
        raise InvalidSnapshotIdNotDataDiskSnapshot(snapshot_id=snapshot_id)
    return snapshot


def _size(p: Input, level: str, snapshot: Snapshot | None) -> int:
    """GiB, within the category's limits, or the documented error."""
    limits = DISK_CATEGORIES[p.disk_category]
    least = PERFORMANCE_LEVELS[level] if level else limits.least_gib
    if snapshot is None:
        if (size_gib := given(p.size)) is None:
            raise MissingParameterSize
    else:
        size_gib = max(given(p.size) or least, snapshot.source_disk_size_gib)
    if not least <= size_gib <= limits.most_gib:
        raise InvalidSizeValueNotSupportedOfDisk(size=size_gib, least=least, most=limits.most_gib)
    return size_gib


def _key(call: Call, p: Input, snapshot: Snapshot | None) -> str:
    """With which key it is encrypted; "" where it is not."""
    wish = encryption.EncryptionWish(encrypted=bool(p.encrypted), key=p.kms_key_id, algorithm=p.encrypt_algorithm)
    if snapshot is None:
        return encryption.key_for(call, p.region_id, wish, None)
    mismatch = InvalidEncryptedNotMatchSnapshot(snapshot_id=snapshot.id)
    key = encryption.key_for(call, p.region_id, wish, snapshot.kms_key, mismatch)
    if key and p.encrypted is False:
        raise mismatch
    return key


def _describe(call: Call, p: Input, snapshot: Snapshot | None) -> Disk:
    """The disk's row, but for its place."""
    level = level_of(p.disk_category, p.performance_level)
    return drafts.new_disk(
        call,
        region=p.region_id,
        zone="",
        name=p.disk_name or "",
        description=p.description or "",
        type="data",
        category=p.disk_category,
        performance_level=level,
        size_gib=_size(p, level, snapshot),
        source_snapshot=snapshot.id if snapshot else "",
        resource_group=p.resource_group_id or "",
        system=snapshot.system if snapshot else NO_SYSTEM,
        asked=DiskAsked(
            bursting_enabled=bool(p.bursting_enabled),
            provisioned_iops=p.provisioned_iops or 0,
            storage_cluster_id=p.storage_cluster_id or "",
            storage_set_id=p.storage_set_id or "",
            storage_set_partition_number=p.storage_set_partition_number or 0,
        ),
        kms_key=_key(call, p, snapshot),
    )


create_disk = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    unknown_region=InvalidRegionIdNotFoundSpecified,
    leads_to=("Creating", "Available", "In_use"),
    errors=(
        MissingParameter,
        InvalidResourceGroupNotFound,
        InvalidZoneIdNotFoundOfDisk,
        InvalidParamZoneIdAndInstanceIdConflict,
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurityOfDisk,
        IncorrectInstanceStatus,
        drives.InstanceDiskLimitExceeded,
        InvalidSnapshotIdNotFound,
        InvalidSnapshotIdNotReady,
        InvalidSnapshotIdNotDataDiskSnapshot,
        MissingParameterSize,
        InvalidSizeValueNotSupportedOfDisk,
        InvalidEncryptedNotMatchKmsKeyId,
        InvalidEncryptedNotMatchEncryptAlgorithm,
        InvalidEncryptedNotMatchSnapshot,
        *encryption.ERRORS,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
