"""Put a disk back to what it was made of: its image, its snapshot, or nothing.

The disk is ReIniting, then In_use again, with its ID, name, tags and size. All
that was written on it is gone; its snapshots stay, and no bytes are copied. Its
instance is Stopped meanwhile; with AutoStartInstance it is started afterwards.

A system disk goes back to the image that it was made of, which has to be there
still and be the caller's to use; a data disk to the snapshot that it was made of,
or else it is blank. One that came with an image which another account shares goes
back to that image.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import NO_FACTS, Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.operation import Idempotence, Operation
from kiln.declare.rules import Composed, Doc, More
from kiln.declare.shapes import shape
from kiln.declare.states import USABLE, DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.disks.parts import reiniting
from kiln.operations.disks.parts.errors import (
    InstanceLockedForSecurityOfDisk,
    InvalidDiskIdNotFound,
    InvalidRegionIdMalFormed,
)
from kiln.operations.disks.parts.reiniting import Fresh
from kiln.operations.errors.disks import DiskCreatingSnapshot, IncorrectDiskStatus
from kiln.operations.errors.instances import IncorrectInstanceStatus
from kiln.operations.errors.key_pairs import DependencyViolationWindowsInstance, InvalidKeyPairNameNotFoundOfReplace
from kiln.operations.errors.requests import IdempotentParameterMismatch, InvalidClientTokenMalformed
from kiln.operations.params import DiskId, NothingMore, OwnRegionId
from kiln.operations.steps import capture, heads, key_pairs
from kiln.operations.steps.guest_input import TOLD, InvalidPasswordMalformed, Password, check_password, of_new_system
from kiln.operations.steps.locks import check_unlocked
from kiln.operations.steps.usable_images import find_usable
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.images import ImageDisk, disks_of
from kiln.store.instances import Instance, instances
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.tasks import append, new_task
from kiln.store.volumes import volumes

_START = "StartInstance"  #: Whose carry_out starts the instance.


class OperationDeniedSourceImage(ApiError):
    """The image that the disk was made of is gone, or is not the caller's to use any more."""

    code = "OperationDenied"
    status = 403
    message = "The snapshot which is used to create the specified disk has been deleted."
    hint = "`kiln instance replace-system-disk INSTANCE --image IMAGE` gives the instance one of another image."


class InvalidSourceSnapshot(ApiError):
    """The snapshot that the disk was made of is gone."""

    code = "InvalidSourceSnapshot"
    status = 403
    message = "The snapshot which is used to create the specified disk has been deleted."


@shape
class Input:
    region_id: OwnRegionId = None
    disk_id: DiskId
    password: Annotated[
        Password | None, More("With a system disk. Stays as it was when not given; of no effect with a data disk.")
    ] = None
    key_pair_name: Annotated[
        str | None,
        Composed(),
        Doc("The SSH key pair, with a system disk. Stays as it was when not given; of no effect with a data disk."),
        TOLD,
    ] = None
    auto_start_instance: Annotated[bool, Doc("Start the instance when the disk is back.")] = False
    security_enhancement_strategy: Annotated[str | None, accepted.SECURITY_AGENT, Doc("Active or Deactive.")] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    disk: Disk
    origin: Snapshot | None  #: None: it is blank.
    secrets: dict[str, str]  #: What changes of the instance: password and key pair.
    starts: bool


@facts()
class Facts:
    fresh: Fresh
    instance: str
    is_system: bool
    secrets: dict[str, str]  #: As the plan's.
    starts: bool  #: Whether the instance is started afterwards.


def check(call: Call, p: Input) -> Plan:
    disk = call.the(disks, p.disk_id, p.region_id, InvalidDiskIdNotFound)
    if disk.status != DiskStatus.IN_USE:
        raise IncorrectDiskStatus(disk_id=disk.id, status=disk.status)
    instance = _instance(call, disk)
    if capture.is_capturing(call.tx, [disk]):
        raise DiskCreatingSnapshot(disk_id=disk.id)
    if p.auto_start_instance and disks.find(call.tx, instance=instance.id, type="system") is None:
        raise IncorrectInstanceStatus(instance_id=instance.id)
    secrets = _secrets(call, p, disk) if disk.type == "system" else {}
    return Plan(disk=disk, origin=_origin(call, disk, instance), secrets=secrets, starts=p.auto_start_instance)


def commit(call: Call, plan: Plan) -> NothingMore:
    disk, origin = plan.disk, plan.origin
    task = new_id("task")
    layer, layer_bytes = (None, 0) if origin is None else (origin.volume, origin.size_bytes)
    remembered = Facts(
        fresh=reiniting.begin(call, task, disk, layer, layer_bytes),
        instance=disk.instance or "",
        is_system=disk.type == "system",
        secrets=plan.secrets,
        starts=plan.starts,
    )
    call.enqueue(disk.id, remembered, region=disk.region, lane=disk.lane, task_id=task)
    return NothingMore()


def carry_out(job: Job[Facts]) -> None:
    heads.make(job, [job.facts.fresh.head])

    def settle(tx: Transaction) -> None:
        if reiniting.settle(tx, job, job.facts.fresh) and job.facts.is_system:
            _begin_anew(tx, job.facts)
        if job.facts.starts:
            _start(tx, job)
        job.finish(tx)

    job.write(settle)
    reach("re_init_disk.settled")


def give_up(job: Job[Facts], error: ApiError) -> None:
    def fail(tx: Transaction) -> None:
        job.fail(tx, error)
        reiniting.take_back(tx, job, job.facts.fresh)

    job.write(fail)


def _instance(call: Call, disk: Disk) -> Instance:
    instance = instances.find(call.tx, id=disk.instance)
    if instance is None or instance.status != InstanceStatus.STOPPED:
        raise IncorrectInstanceStatus(instance_id=disk.instance)
    check_unlocked(instance, InstanceLockedForSecurityOfDisk)
    return instance


def _secrets(call: Call, p: Input, disk: Disk) -> dict[str, str]:
    os_type = disk.system.os_type
    check_password(p.password, None, os_type)
    key_pairs.check_usable(call, disk.region, p.key_pair_name, os_type, InvalidKeyPairNameNotFoundOfReplace)
    secrets = {} if p.key_pair_name is None else {"key_pair": p.key_pair_name}
    return secrets | ({"password": call.ports.seal(p.password)} if p.password else {})


def _origin(call: Call, disk: Disk, instance: Instance) -> Snapshot | None:
    """The snapshot whose layer the disk was made of; None where it was blank."""
    if disk.image or disk.type == "system":
        system, *_ = _disks_of_image(call, disk.region, disk.image)
        return _snapshot_of(call, system)
    if disk.source_snapshot:
        snapshot = snapshots.find(call.tx, id=disk.source_snapshot)
        if snapshot is None or snapshot.volume is None:
            raise InvalidSourceSnapshot(snapshot_id=disk.source_snapshot)
        return snapshot
    return _of_anothers_image(call, disk, instance)


def _disks_of_image(call: Call, region: str, image_id: str) -> list[ImageDisk]:
    image = find_usable(call, image_id, region, OperationDeniedSourceImage)
    found = disks_of(call.tx, [image.id])[image.id]
    if image.status not in USABLE or not found:
        raise OperationDeniedSourceImage(image_id=image_id, status=image.status)
    return found


def _snapshot_of(call: Call, disk: ImageDisk) -> Snapshot:
    snapshot = snapshots.find(call.tx, id=disk.snapshot)
    if snapshot is None or snapshot.volume is None:
        raise OperationDeniedSourceImage(image_id=disk.image)
    return snapshot


def _of_anothers_image(call: Call, disk: Disk, instance: Instance) -> Snapshot | None:
    """Of which snapshot a disk is that came with an image of another account's: its row does not tell it.

    What the disk stands on does, wherever it is attached by now; one that was blank stands on no layer of the image.
    """
    try:
        made_of = _disks_of_image(call, disk.region, instance.image)
    except OperationDeniedSourceImage:
        return None
    named = snapshots.among(call.tx, "id", [one.snapshot for one in made_of if one.snapshot])
    by_layer = {snapshot.volume: snapshot for snapshot in named}
    below = disk.volume
    while below is not None and below not in by_layer:
        row = volumes.find(call.tx, id=below)
        below = None if row is None else row.parent
    return None if below is None else by_layer[below]


def _begin_anew(tx: Transaction, facts: Facts) -> None:
    """What starts from the disk next starts for the first time, with the password that is said, or else that it had."""
    instance = instances.find(tx, id=facts.instance)
    if instance is None:
        return
    is_said = "password" in facts.secrets
    password = facts.secrets["password"] if is_said else instance.password
    new = of_new_system(password, instance.user_data, inherit=instance.password_inherit and not is_said)
    instances.update(tx, {"ever_started": False, **facts.secrets, **new}, id=instance.id)


def _start(tx: Transaction, job: Job[Facts]) -> None:
    """Have the instance started, unless somebody has asked for it, or has released it, by now."""
    instance, disk = job.facts.instance, disks.find(tx, id=job.task.resource)
    if disk is None or not instances.move(tx, InstanceStatus.STOPPED, InstanceStatus.STARTING, {}, id=instance):
        return
    start = new_task(
        _START, instance, NO_FACTS, job.ports.clock(), account=disk.account, region=disk.region, lane=instance
    )
    append(tx, start)


re_init_disk = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    give_up=give_up,
    idempotent=Idempotence(mismatch=IdempotentParameterMismatch, malformed=InvalidClientTokenMalformed),
    leads_to=("ReIniting", "In_use"),
    unknown_region=InvalidRegionIdMalFormed,
    errors=(
        InvalidDiskIdNotFound,
        IncorrectDiskStatus,
        IncorrectInstanceStatus,
        InstanceLockedForSecurityOfDisk,
        DiskCreatingSnapshot,
        OperationDeniedSourceImage,
        InvalidSourceSnapshot,
        InvalidPasswordMalformed,
        InvalidKeyPairNameNotFoundOfReplace,
        DependencyViolationWindowsInstance,
    ),
)
