"""Give a Stopped instance a new system disk, made of an image.

The ID of the new disk is answered at once. Until it is in place, DescribeInstances
shows a lock in OperationLocks; then the old disk is gone with all that was on
it, and so are its tags. Its snapshots and the data disks stay. StartInstance
may follow at once and boots the new disk. When the new disk cannot be made, the
old one stays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from kiln.calls.call import Call, Job
from kiln.declare.deployment import DISK_CATEGORIES
from kiln.declare.errors import ApiError
from kiln.declare.facts import Raw, facts
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Composed, Doc, Example, More, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.errors.disks import DiskCreatingSnapshot, IncorrectDiskStatus
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceLockedForSecurity,
    InvalidInstanceIdNotFound,
)
from kiln.operations.errors.key_pairs import (
    DependencyViolationWindowsInstance,
    InvalidKeyPairNameNotFoundOfReplace,
)
from kiln.operations.errors.launches import (
    IDEMPOTENT,
    InvalidSystemDiskSizeLessThanImageSize,
    OperationDeniedImageNotValid,
)
from kiln.operations.instances.parts import boot_image, power
from kiln.operations.instances.parts.boot_image import BootImage
from kiln.operations.params import ArnInput, DiskId, ImageId, InstanceId, OwnRegionId
from kiln.operations.steps import deleting, encryption, heads, key_pairs, tombs
from kiln.operations.steps.capture import is_capturing
from kiln.operations.steps.encryption import EncryptAlgorithm, Encrypted, EncryptionWish, KmsKeyId
from kiln.operations.steps.guest_input import (
    TOLD,
    InvalidPasswordMalformed,
    InvalidPasswordParamMismatch,
    Password,
    PasswordInherit,
    check_password,
    of_new_system,
)
from kiln.operations.steps.heads import Head
from kiln.store import tags
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, instances


class InvalidInstanceNotFoundSystemDiskOfReplace(ApiError):
    """The instance has no system disk."""

    code = "InvalidInstance.NotFoundSystemDisk"
    message = "The specified instance has no system disk."


class OperationDeniedInstanceCreating(ApiError):
    """The instance is still being made."""

    code = "OperationDenied.InstanceCreating"
    status = 403
    message = "The specified instance is creating."


class OperationDeniedDataDiskSnapshot(ApiError):
    """The image has data disks made of snapshots."""

    code = "OperationDenied"
    message = "The specified image contains the snapshot of the data disk,does not support this operation."


class InvalidInstanceTypeNotSupported(ApiError):
    """The instance type's CPU is not one that the image runs on."""

    code = "InvalidInstanceType.NotSupported"
    message = "The specified instanceType is not supported by the image architecture."


class InvalidSystemDiskSizeLessThanMinSize(ApiError):
    """The new disk would be smaller than the old one."""

    code = "InvalidSystemDiskSize.LessThanMinSize"
    status = 404
    message = "The specified parameter SystemDisk.Size is less than the min size."


class InvalidSystemDiskSizeMoreThanMaxSizeOfReplace(ApiError):
    """The new disk would be bigger than its category allows."""

    code = "InvalidSystemDiskSize.MoreThanMaxSize"
    status = 404
    message = "The specified SystemDisk.Size parameter exceeds the maximum size."


@shape
class SystemDiskInput:
    """The new system disk."""

    size: Annotated[
        int | None,
        Example("40"),
        Doc("GiB, at least the image's size and the old disk's. The bigger of these when not given."),
    ] = None


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId
    image_id: ImageId
    system_disk: Annotated[SystemDiskInput | None, Doc("The new system disk.")] = None
    password: Annotated[Password | None, More("The one that the instance had when not given.")] = None
    password_inherit: PasswordInherit | None = None
    key_pair_name: Annotated[str | None, Composed(), Doc("The SSH key pair. Stays as it was when not given."), TOLD] = (
        None
    )
    encrypted: Encrypted = None
    kms_key_id: KmsKeyId = None
    encrypt_algorithm: EncryptAlgorithm = None
    platform: Annotated[str | None, Accepted("The image says it."), Doc("Deprecated.")] = None
    architecture: Annotated[str | None, Accepted("The image says it."), Doc("Deprecated.")] = None
    disk_id: Annotated[str | None, Accepted("The disk is made of the image."), Doc("Deprecated.")] = None
    use_additional_service: Annotated[bool | None, accepted.SERVICES, Doc("Whether to have them.")] = None
    security_enhancement_strategy: Annotated[str | None, accepted.SECURITY_AGENT, Doc("Active or Deactive.")] = None
    arn: Annotated[tuple[ArnInput, ...], Unordered(), accepted.ROLES, Doc("Roles to be assumed.")] = ()


@shape
class Output:
    disk_id: Annotated[DiskId, Doc("The new system disk.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance: Instance
    old: Disk
    new: Disk
    head: Head
    secrets: dict[str, str]  #: What changes besides the disk: password and key pair.


def _named(raw: Raw) -> Raw:
    """Version 1 held the three of the head in a row, and later, with no other version, by their names."""
    head = raw["head"]
    names = ("volume", "layer", "size_bytes")
    return raw | {"head": dict(zip(names, head, strict=True)) if isinstance(head, list) else head}


@facts(version=2, older={1: _named})
class Facts:
    old: str
    new: str
    head: Head
    secrets: dict[str, str]  #: As the plan's.


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    if instance.status == InstanceStatus.PENDING:
        raise OperationDeniedInstanceCreating(instance_id=instance.id)
    if instance.status != InstanceStatus.STOPPED:
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)
    old = _system_disk(call, instance)
    boot = boot_image.find(call, instance.region, p.image_id)
    if any(disk.snapshot for disk in boot.data):
        raise OperationDeniedDataDiskSnapshot(image_id=p.image_id)
    kind = call.deployment.instance_type(instance.instance_type)
    if kind is None or not boot_image.can_run(kind, boot.image.system):
        raise InvalidInstanceTypeNotSupported(instance_type=instance.instance_type)
    check_password(p.password, p.password_inherit, boot.image.system.os_type)
    key_pairs.check_usable(
        call, instance.region, p.key_pair_name, boot.image.system.os_type, InvalidKeyPairNameNotFoundOfReplace
    )
    size_gib = _size(p.system_disk.size if p.system_disk else None, old, boot)
    wish = EncryptionWish(encrypted=bool(p.encrypted), key=p.kms_key_id, algorithm=p.encrypt_algorithm)
    encryption.key_for(call, instance.region, wish, boot.system.kms_key)
    secrets = {} if p.key_pair_name is None else {"key_pair": p.key_pair_name}
    if p.password or p.password_inherit:
        secrets["password"] = call.ports.seal(p.password) if p.password else ""
    head = Head(new_id("volume"), boot.layer_of(boot.system), size_gib * GiB)
    return Plan(
        instance=instance,
        old=old,
        new=_draft(call, old, boot, size_gib),
        head=head,
        secrets=secrets,
    )


def commit(call: Call, plan: Plan) -> Output:
    instance, old, new, head = plan.instance, plan.old, plan.new, plan.head
    task = new_id("task")
    # While the old disk is ReIniting nobody captures, resizes or detaches it, but the instance has it still.
    disks.move(call.tx, DiskStatus.IN_USE, DiskStatus.REINITING, {}, id=old.id)
    disks.insert(call.tx, new)
    heads.record(call, task, [head])
    remembered = Facts(old=old.id, new=new.id, head=head, secrets=plan.secrets)
    call.enqueue(instance.id, remembered, region=instance.region, lane=instance.id, task_id=task)
    return Output(disk_id=new.id)


def carry_out(job: Job[Facts]) -> None:
    heads.make(job, [job.facts.head])
    job.write(lambda tx: _swap(tx, job))
    reach("replace_system_disk.swapped")


def give_up(job: Job[Facts], error: ApiError) -> None:
    def keep(tx: Transaction) -> None:
        job.fail(tx, error)
        if disks.delete(tx, id=job.facts.new, status=DiskStatus.CREATING):
            heads.doom(tx, [job.facts.head.volume])
            disks.move(tx, DiskStatus.REINITING, DiskStatus.IN_USE, {}, id=job.facts.old)

    job.write(keep)


def _system_disk(call: Call, instance: Instance) -> Disk:
    old = disks.find(call.tx, instance=instance.id, type="system")
    if old is None:
        raise InvalidInstanceNotFoundSystemDiskOfReplace(instance_id=instance.id)
    if old.status != DiskStatus.IN_USE:
        raise IncorrectDiskStatus(disk_id=old.id, status=old.status)
    if is_capturing(call.tx, [old]):
        raise DiskCreatingSnapshot(disk_id=old.id)
    return old


def _size(wanted: int | None, old: Disk, boot: BootImage) -> int:
    if not wanted:
        return max(old.size_gib, boot.system.size_gib)
    if wanted < boot.system.size_gib:
        raise InvalidSystemDiskSizeLessThanImageSize(size=wanted, least=boot.system.size_gib)
    if wanted < old.size_gib:
        raise InvalidSystemDiskSizeLessThanMinSize(size=wanted, least=old.size_gib)
    if wanted > DISK_CATEGORIES[old.category].most_gib:
        raise InvalidSystemDiskSizeMoreThanMaxSizeOfReplace(size=wanted)
    return wanted


def _draft(call: Call, old: Disk, boot: BootImage, size_gib: int) -> Disk:
    """The new disk's row: what was said of the old one, and what is known of the image."""
    image = boot.image
    return replace(
        old,
        id=new_id("disk"),
        status=DiskStatus.CREATING,
        size_gib=size_gib,
        volume=None,
        instance=None,
        image=image.id,
        source_snapshot=boot.told_snapshot(boot.system),
        was_system=False,
        created_at=call.now,
        attached_at=None,
        detached_at=None,
        system=image.system,
        snapshot_policy="",  # As documented: a new system disk is given its policy anew.
        drops_auto_snapshots=False,
        ignores_policy=False,
        kms_key=boot.system.kms_key,
    )


def _swap(tx: Transaction, job: Job[Facts]) -> None:
    """Put the new disk in the old one's place, all at once, and record that the task is done."""
    old, new = disks.find(tx, id=job.facts.old), disks.find(tx, id=job.facts.new)
    if old is None or new is None or new.status != DiskStatus.CREATING:
        return
    volume = job.facts.head.volume
    heads.settle(tx, [job.facts.head], job.ports.clock())
    if old.volume is not None:
        heads.doom(tx, [old.volume])
    tombs.keep_disk(tx, job.ports, old)
    deleting.delete_automatic(tx, job.ports, old)
    tags.drop(tx, "disk", old.id)
    disks.delete(tx, id=old.id)
    changes = {"volume": volume, "instance": old.instance, "attached_at": job.ports.clock()}
    disks.move(tx, DiskStatus.CREATING, DiskStatus.IN_USE, changes, id=new.id)
    system = {"image": new.image, "system": new.system}
    instances.update(tx, system | _as_new(tx, old.instance, job.facts.secrets), id=old.instance)
    job.finish(tx)


def _as_new(tx: Transaction, instance_id: str | None, secrets: dict[str, str]) -> dict[str, Any]:
    """What changes of the instance besides its disk. A password that is said to be empty is the image's."""
    instance = instances.find(tx, id=instance_id)
    if instance is None:
        return {}
    inherit = secrets.get("password") == ""
    password = secrets.get("password", instance.password)
    return {"ever_started": False, **secrets, **of_new_system(password, instance.user_data, inherit=inherit)}


replace_system_disk = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        OperationDeniedInstanceCreating,
        IncorrectInstanceStatus,
        InvalidInstanceNotFoundSystemDiskOfReplace,
        IncorrectDiskStatus,
        DiskCreatingSnapshot,
        InvalidImageIdNotFound,
        OperationDeniedImageNotValid,
        OperationDeniedDataDiskSnapshot,
        InvalidInstanceTypeNotSupported,
        InvalidPasswordMalformed,
        InvalidPasswordParamMismatch,
        InvalidKeyPairNameNotFoundOfReplace,
        DependencyViolationWindowsInstance,
        InvalidSystemDiskSizeLessThanImageSize,
        InvalidSystemDiskSizeLessThanMinSize,
        InvalidSystemDiskSizeMoreThanMaxSizeOfReplace,
        *encryption.ERRORS_OF_DISKS,
    ),
)
