"""The disks of a new instance: the image's, and those that the caller adds or puts in their place.

Source of the rules: ecs-api.md 11 (SystemDisk.*, DataDisk.N.*) and the official
SDK's descriptions of them. Decides; makes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kiln.calls.call import Call
from kiln.declare.deployment import DEFAULT_CATEGORY, DISK_CATEGORIES, level_of
from kiln.declare.devices import DATA_DEVICES, SYSTEM_DEVICE, find_device
from kiln.declare.errors import ApiError
from kiln.ground.values import dataclass
from kiln.operations.errors.launches import (
    InvalidDataDeviceMalformed,
    InvalidDataDiskSizeValueNotSupported,
    InvalidDataDiskSnapshotIdNotFound,
    InvalidDiskSizeTooSmall,
    InvalidSnapshotIdBasedSnapshotTooOld,
    InvalidSystemDiskSizeLessThanImageSize,
    InvalidSystemDiskSizeMoreThanMaxSize,
)
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotReady, ParameterInvalidSnapshotPolicy
from kiln.operations.instances.parts.boot_image import BootImage
from kiln.operations.params import given
from kiln.operations.steps import encryption, source_snapshots
from kiln.operations.steps.drives import InstanceDiskLimitExceeded, InvalidDeviceInUseOfDisk, choose_device
from kiln.operations.steps.launch_input import DataDisk, SystemDisk
from kiln.store.disks import DiskAsked
from kiln.store.images import ImageDisk
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import Snapshot

ERRORS: tuple[type[ApiError], ...] = (
    InvalidSystemDiskSizeLessThanImageSize,
    InvalidSystemDiskSizeMoreThanMaxSize,
    InvalidDataDeviceMalformed,
    InvalidDeviceInUseOfDisk,
    InvalidDataDiskSizeValueNotSupported,
    InvalidDiskSizeTooSmall,
    InvalidDataDiskSnapshotIdNotFound,
    InvalidSnapshotIdNotReady,
    InvalidSnapshotIdBasedSnapshotTooOld,
    InstanceDiskLimitExceeded,
    *encryption.ERRORS_OF_DISKS,
)


@dataclass(frozen=True, kw_only=True)
class DiskSpec:
    """One disk, decided."""

    type: str
    device: str
    size_gib: int
    category: str
    layer: str | None  #: None for a blank disk.
    snapshot: str  #: What the layer was found by, or "".
    name: str
    description: str
    delete_with_instance: bool
    performance_level: str
    asked: DiskAsked
    policy: str  #: For automatic snapshots, or "".
    kms_key: str = ""  #: That it is encrypted with.


def decide(
    call: Call, boot: BootImage, system: SystemDisk, size_gib: int | None, data: Sequence[DataDisk]
) -> list[DiskSpec]:
    """The disks of each new instance, the system disk first. Raises what ERRORS lists."""
    named, loose = _by_device(data)
    specs = [_system(call, boot, system, size_gib)]
    specs += [_of_image(call, boot, disk, named.pop(disk.device, None)) for disk in boot.data]
    specs += [_added(call, boot.image.region, wish, device) for device, wish in named.items()]
    for wish in loose:
        specs.append(_added(call, boot.image.region, wish, choose_device([spec.device for spec in specs])))
    for policy in {spec.policy for spec in specs if spec.policy}:
        call.the(snapshot_policies, policy, boot.image.region, ParameterInvalidSnapshotPolicy)
    limit = call.deployment.quotas.disks_per_instance
    if len(specs) > limit:
        raise InstanceDiskLimitExceeded(limit=limit)
    return sorted(specs, key=lambda spec: spec.device)


def _by_device(data: Sequence[DataDisk]) -> tuple[dict[str, DataDisk], list[DataDisk]]:
    """The disks that say where they want to be, by device as answers spell it, and the others."""
    named: dict[str, DataDisk] = {}
    loose = []
    for wish in data:
        if wish.device is None:
            loose.append(wish)
            continue
        device = find_device(wish.device)
        if device is None or device not in DATA_DEVICES:
            raise InvalidDataDeviceMalformed(device=wish.device)
        if device in named:
            raise InvalidDeviceInUseOfDisk(device=wish.device)
        named[device] = wish
    return named, loose


def _system(call: Call, boot: BootImage, wish: SystemDisk, size_gib: int | None) -> DiskSpec:
    category = wish.category or _known(boot.system.category)
    least, most = boot.system.size_gib, DISK_CATEGORIES[category].most_gib
    size_gib = given(size_gib) or least
    if size_gib < least:
        raise InvalidSystemDiskSizeLessThanImageSize(size=size_gib, least=least)
    if size_gib > most:
        raise InvalidSystemDiskSizeMoreThanMaxSize(size=size_gib, most=most)
    return DiskSpec(
        type="system",
        device=SYSTEM_DEVICE,
        size_gib=size_gib,
        category=category,
        layer=boot.layer_of(boot.system),
        snapshot=boot.told_snapshot(boot.system),
        name=wish.disk_name or "",
        description=wish.description or "",
        delete_with_instance=wish.goes,
        performance_level=level_of(category, wish.performance_level),
        asked=wish.asked,
        policy=wish.snapshot_policy,
        kms_key=encryption.key_for(call, boot.image.region, wish.encryption, boot.system.kms_key),
    )


def _of_image(call: Call, boot: BootImage, disk: ImageDisk, wish: DataDisk | None) -> DiskSpec:
    """A data disk of the image, as it is or as the caller changes it."""
    if wish is not None and wish.snapshot_id is not None:
        return _added(call, boot.image.region, wish, disk.device)
    wish = wish or DataDisk()
    category = wish.category or _known(disk.category)
    size_gib = wish.size or disk.size_gib
    if size_gib < disk.size_gib:
        raise InvalidDiskSizeTooSmall(size=size_gib, least=disk.size_gib)
    if size_gib > DISK_CATEGORIES[category].most_gib:
        raise InvalidDataDiskSizeValueNotSupported(size=size_gib)
    spec = _data(wish, disk.device, size_gib, category, (boot.layer_of(disk), boot.told_snapshot(disk)))
    source_key = disk.kms_key if disk.snapshot else (disk.kms_key or None)
    return replace(spec, kms_key=encryption.key_for(call, boot.image.region, wish.encryption, source_key))


def _added(call: Call, region: str, wish: DataDisk, device: str) -> DiskSpec:
    """A disk that is not the image's."""
    category = wish.category or DEFAULT_CATEGORY
    limits = DISK_CATEGORIES[category]
    if wish.snapshot_id is None:
        if wish.size is None or not limits.least_gib <= wish.size <= limits.most_gib:
            raise InvalidDataDiskSizeValueNotSupported(size=wish.size)
        key = encryption.key_for(call, region, wish.encryption, None)
        return replace(_data(wish, device, wish.size, category, (None, "")), kms_key=key)
    snapshot = _usable(call, region, wish.snapshot_id)
    if snapshot.source_disk_size_gib > limits.most_gib:
        raise InvalidDataDiskSizeValueNotSupported(size=snapshot.source_disk_size_gib)
    spec = _data(wish, device, snapshot.source_disk_size_gib, category, (snapshot.volume, snapshot.id))
    return replace(spec, kms_key=encryption.key_for(call, region, wish.encryption, snapshot.kms_key))


def _data(wish: DataDisk, device: str, size_gib: int, category: str, origin: tuple[str | None, str]) -> DiskSpec:
    layer, snapshot = origin
    return DiskSpec(
        type="data",
        device=device,
        size_gib=size_gib,
        category=category,
        layer=layer,
        snapshot=snapshot,
        name=wish.disk_name or "",
        description=wish.description or "",
        delete_with_instance=wish.delete_with_instance,
        performance_level=level_of(category, wish.performance_level),
        asked=wish.asked,
        policy=wish.snapshot_policy,
    )


def _usable(call: Call, region: str, snapshot_id: str) -> Snapshot:
    snapshot = source_snapshots.find_accomplished(call, region, snapshot_id, unknown=InvalidDataDiskSnapshotIdNotFound)
    if source_snapshots.is_too_old(snapshot):
        raise InvalidSnapshotIdBasedSnapshotTooOld(snapshot_id=snapshot_id)
    return snapshot


def _known(category: str) -> str:
    """The image's category, if disks can still have it."""
    return category if category in DISK_CATEGORIES else DEFAULT_CATEGORY
