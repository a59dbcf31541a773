"""Grow a disk.

DescribeDisks tells the new size at once; the bytes grow shortly after, in
milliseconds. A running guest sees the bigger disk without a restart, whether
Type is online or offline; online insists on a running instance. The partitions
and file systems on the disk are the guest's to grow.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.deployment import DISK_CATEGORIES, PERFORMANCE_LEVELS
from kiln.declare.errors import ApiError
from kiln.declare.facts import UnreadableFacts, facts, read
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.declare.states import DiskStatus, InstanceStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.operations.disks.parts.errors import InstanceLockedForSecurityOfDisk, InvalidDiskIdNotFound
from kiln.operations.errors.disks import DiskCreatingSnapshot, IncorrectDiskStatus
from kiln.operations.errors.instances import IncorrectInstanceStatus
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.params import DiskId, OwnRegionId
from kiln.operations.steps import capture
from kiln.operations.steps.locks import check_unlocked
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import instances
from kiln.store.tasks import Task, tasks
from kiln.store.volumes import volumes


class InvalidParamType(ApiError):
    """The type is neither offline nor online."""

    code = "InvalidParam.Type"
    message = "The specified type is not supported."


class InvalidDiskSizeTooSmallOfResize(ApiError):
    """The new size is less than the present one."""

    code = "InvalidDiskSize.TooSmall"
    status = 403
    message = "Specified new disk size is less than the original disk size."


class InvalidDiskSize(ApiError):
    """The new size is the present one."""

    code = "InvalidDiskSize"
    status = 403
    message = "Specified new disk size is less than or equal the original disk size."


class InvalidDiskSizeTooLarge(ApiError):
    """The new size is more than the disk's category allows."""

    code = "InvalidDiskSize.TooLarge"
    status = 403
    message = "Specified new disk size is beyond the permitted range."


class InvalidDataDiskSizeValueNotSupportedOfResize(ApiError):
    """The new size of a data disk is less than its category, or its performance level, begins with."""

    code = "InvalidDataDiskSize.ValueNotSupported"
    status = 403
    message = (
        "The specified DataDisk.n.Size beyond the permitted range, or the capacity of snapshot exceeds the size limit "
        "of the specified disk category. A disk of this category has {least} to {most} GiB."
    )


class InvalidInstanceStatusNotRunning(ApiError):
    """Online, of a disk that no running instance has."""

    code = "InvalidInstanceStatus.NotRunning"
    status = 403
    message = "The status of instance to which the disk attachs must be running when resizing online."


@shape
class Input:
    region_id: OwnRegionId = None
    disk_id: DiskId
    new_size: Annotated[int, Example("100"), Doc("GiB; more than now, and within what the category allows.")]
    type: Annotated[
        str, OneOf(("offline", "online"), InvalidParamType), Doc("online: only while the disk's instance is running.")
    ] = "offline"


@shape
class Output:
    order_id: Annotated[str, Doc("Always empty: nothing is billed.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    disk: Disk
    size_gib: int


@facts()
class Facts:
    before_gib: int
    after_gib: int


def check(call: Call, p: Input) -> Plan:
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFound)
    if disk.status not in (DiskStatus.IN_USE, DiskStatus.AVAILABLE):
        raise IncorrectDiskStatus(disk_id=disk.id, status=disk.status)
    _check_instance(call, disk, p.type)
    if capture.is_capturing(call.tx, [disk]):
        raise DiskCreatingSnapshot(disk_id=disk.id)
    if p.new_size < disk.size_gib:
        raise InvalidDiskSizeTooSmallOfResize(new=p.new_size, present=disk.size_gib)
    if p.new_size == disk.size_gib:
        raise InvalidDiskSize(present=disk.size_gib)
    _check_range(disk, p.new_size)
    return Plan(disk=disk, size_gib=p.new_size)


def _check_range(disk: Disk, size_gib: int) -> None:
    limits = DISK_CATEGORIES.get(disk.category)
    if limits is None:
        return
    if size_gib > limits.most_gib:
        raise InvalidDiskSizeTooLarge(new=size_gib, most=limits.most_gib)
    # A system disk may be as small as its image, and so may grow to any size that is more.
    least = PERFORMANCE_LEVELS.get(disk.performance_level, limits.least_gib)
    if disk.type == "data" and size_gib < least:
        raise InvalidDataDiskSizeValueNotSupportedOfResize(least=least, most=limits.most_gib)


def commit(call: Call, plan: Plan) -> Output:
    disk = plan.disk
    _record(call.tx, disk.id, disk.size_gib, plan.size_gib)
    remembered = Facts(before_gib=disk.size_gib, after_gib=plan.size_gib)
    call.enqueue(disk.id, remembered, region=disk.region, lane=disk.lane)
    return Output(order_id="")


def carry_out(job: Job[Facts]) -> None:
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource)
    if disk is None or disk.volume is None:
        return
    size_bytes = job.facts.after_gib * GiB
    reach("resize_disk.begun")
    guest = job.ports.machines.guest(disk.instance) if disk.instance else None
    job.ports.pool.resize(disk.volume, size_bytes, guest)
    reach("resize_disk.grown")


def give_up(job: Job[Facts], error: ApiError) -> None:
    with job.ports.database.read() as tx:
        disk = disks.find(tx, id=job.task.resource)
    before, after = job.facts.before_gib, job.facts.after_gib
    if disk is None or disk.volume is None or job.ports.pool.size(disk.volume) >= after * GiB:
        return  # A disk does not shrink: the bytes are as big as the row says already.

    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        _record(tx, disk.id, after, before)

    job.write(fail)


def least_sizes(tx: Transaction) -> dict[str, int]:
    """The volumes whose rows tell a size that they are still to grow to, and the bytes that they have at least."""
    least: dict[str, int] = {}
    for task in tasks.all(tx, action=resize_disk.name, status=TaskStatus.PROCESSING):
        disk = disks.find(tx, id=task.resource)
        if disk is not None and disk.volume is not None:
            # Of several, one behind the other, the oldest knows the smallest.
            least.setdefault(disk.volume, _before_gib(task) * GiB)
    return least


def _check_instance(call: Call, disk: Disk, how: str) -> None:
    instance = None if disk.instance is None else instances.find(call.tx, id=disk.instance)
    check_unlocked(instance, InstanceLockedForSecurityOfDisk)
    if how == "online" and (instance is None or instance.status != InstanceStatus.RUNNING):
        raise InvalidInstanceStatusNotRunning(disk_id=disk.id)
    if instance is not None and instance.status not in (InstanceStatus.RUNNING, InstanceStatus.STOPPED):
        raise IncorrectInstanceStatus(instance_id=instance.id, status=instance.status)


def _before_gib(task: Task) -> int:
    """From what the task grows a disk; 0 where nobody can tell any more."""
    try:
        return read(Facts, task.payload)[0].before_gib
    except UnreadableFacts:
        return 0


def _record(tx: Transaction, disk_id: str, before_gib: int, after_gib: int) -> None:
    """Write the size down, unless somebody else has written another one since."""
    disk = disks.find(tx, id=disk_id, size_gib=before_gib)
    if disk is not None:
        disks.update(tx, {"size_gib": after_gib}, id=disk_id)
        # Also the volume's: a snapshot that is asked for next waits until the bytes have grown, and copies this.
        volumes.update(tx, {"size_bytes": after_gib * GiB}, id=disk.volume)


resize_disk = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    errors=(
        InvalidDiskIdNotFound,
        IncorrectDiskStatus,
        InstanceLockedForSecurityOfDisk,
        InvalidInstanceStatusNotRunning,
        IncorrectInstanceStatus,
        DiskCreatingSnapshot,
        InvalidDiskSizeTooSmallOfResize,
        InvalidDiskSize,
        InvalidDiskSizeTooLarge,
        InvalidDataDiskSizeValueNotSupportedOfResize,
    ),
)
