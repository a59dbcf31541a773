"""Where the disks of a new image come from: the three sources of CreateImage and their rules.

Sources of the rules: create-image.seed.txt (DiskDeviceMapping.N.*, SnapshotId)
and ecs-api.md 5.2 to 5.5. Which one wins is CreateImage's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.deployment import DEFAULT_CATEGORY, DISK_CATEGORIES, DiskCategory
from kiln.declare.devices import DATA_DEVICES, DEVICES, HINT, SYSTEM_DEVICE, find_device
from kiln.declare.errors import ApiError
from kiln.declare.rules import Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.disks import InvalidDiskTypeValueNotSupported
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound
from kiln.operations.params import SnapshotId, given
from kiln.operations.steps import source_snapshots
from kiln.store.snapshots import Snapshot

#: The seed knows two ranges of sizes, and names the second for everything but ordinary cloud disks.
_CLOUD = DISK_CATEGORIES["cloud"]
_OTHER = DISK_CATEGORIES[DEFAULT_CATEGORY]


def _in_words(limits: DiskCategory) -> str:
    return f"{limits.least_gib} to {limits.most_gib}, {limits.default_gib} when not given"


class InvalidSnapshotIdNotReadyOfImage(ApiError):
    """The snapshot is not accomplished."""

    code = "InvalidSnapshotId.NotReady"
    status = 403
    message = "The current status of the DiskDeviceMapping.n.SnapshotId or SnapshotId does not support this operation."


class InvalidDeviceMalformed(ApiError):
    """A device name that is no such name, or not one for that type of disk."""

    code = "InvalidDevice.Malformed"
    message = "The specified parameter DiskDeviceMapping.n.Device is not valid."
    hint = HINT


class InvalidDeviceInUse(ApiError):
    """Two disks of the image with one device name."""

    code = "InvalidDevice.InUse"
    message = "The specified parameter DiskDeviceMapping.n.Device has been occupied."


class InvalidSizeValueNotSupported(ApiError):
    """A size outside the range of the disk's category, or smaller than the snapshot."""

    code = "InvalidSize.ValueNotSupported"
    message = "The specified parameter DiskDeviceMapping.n.Size beyond the permitted range."


class OperationDeniedNoSystemDisk(ApiError):
    """None of the mappings is a system disk with a snapshot."""

    code = "OperationDenied"
    message = "The specified parameter DiskDeviceMapping.n.SnapshotId does not contain system disk snapshot."


class OperationDeniedTwoSystemDisks(ApiError):
    """Two or more of the mappings are system disks."""

    code = "OperationDenied"
    message = "The specified parameter DiskDeviceMapping.n.SnapshotId contains two or more system disk snapshots."


class OperationDeniedNotSystemSnapshot(ApiError):
    """SnapshotId names a snapshot of a data disk; those are given through DiskDeviceMapping."""

    code = "OperationDenied"
    status = 403
    message = "The specified snapshot is not from system disk."


class OperationDeniedSnapshotNotAllowed(ApiError):
    """The snapshot is of a system disk that was kept when its instance was released."""

    code = "OperationDenied"
    status = 403
    message = "The specified snapshot is not allowed to create image."


class InvalidParameterDiskType(ApiError):
    """An encrypted snapshot of a data disk is to be the image's system disk."""

    code = "InvalidParameter.DiskType"
    message = "The specified disk type which has kms key can't convert to system disk."


class InvalidSnapshotTooOld(ApiError):
    """The snapshot was created on or before 2013-07-15."""

    code = "InvalidSnapshot.TooOld"
    status = 403
    message = (
        "This operation is denied because the specified snapshot by DiskDeviceMapping.n.SnapshotId or SnapshotId is "
        "created before 2013-07-15."
    )


ERRORS: tuple[type[ApiError], ...] = (
    InvalidSnapshotIdNotFound,
    InvalidSnapshotIdNotReadyOfImage,
    InvalidSnapshotTooOld,
    InvalidDeviceMalformed,
    InvalidDeviceInUse,
    InvalidSizeValueNotSupported,
    InvalidParameterDiskType,
    OperationDeniedNoSystemDisk,
    OperationDeniedTwoSystemDisks,
    OperationDeniedNotSystemSnapshot,
    OperationDeniedSnapshotNotAllowed,
)


@shape
class DiskDeviceMapping:
    """One disk of the new image."""

    device: Annotated[
        str | None,
        Example("/dev/vdb"),
        Doc(
            "The device name in the image: /dev/vda to /dev/vdz, or /dev/xvda to /dev/xvdz. The system disk has the "
            "first, data disks have the others. For a blank disk the spelling tells the category: /dev/xvdX is an "
            "ordinary cloud disk, /dev/vdX any other. Assigned in ascending order when it is not given. Answers "
            "always say /dev/xvdX."
        ),
    ] = None
    snapshot_id: Annotated[
        SnapshotId | None,
        Doc("The snapshot that the disk is made of. Without one, the disk is a blank data disk."),
    ] = None
    size: Annotated[
        int | None,
        Example("2000"),
        Doc(
            f"GiB. Of a blank ordinary cloud disk {_in_words(_CLOUD)}; of any other blank disk {_in_words(_OTHER)}. "
            "With a snapshot: at least the snapshot's size, which is the default."
        ),
    ] = None
    disk_type: Annotated[
        str | None,
        OneOf(("system", "data"), InvalidDiskTypeValueNotSupported),
        Example("system"),
        Doc(
            "system or data. The type of the disk that the snapshot was taken of when not given; system makes a data "
            "disk's snapshot the image's system disk."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SourceDisk:
    """One disk of a new image, decided."""

    type: str
    device: str  #: ``/dev/xvdX``, or empty until all are known.
    size_gib: int
    category: str
    snapshot: Snapshot | None  #: None for a blank disk, and for one whose snapshot is yet to be taken.


def from_snapshot(call: Call, region: str, snapshot_id: str) -> list[SourceDisk]:
    """One system disk, of one system disk's snapshot."""
    snapshot = usable_snapshot(call, region, snapshot_id)
    if snapshot.source_disk_type != "system":
        raise OperationDeniedNotSystemSnapshot(snapshot_id=snapshot_id)
    return [
        SourceDisk(
            type="system",
            device=SYSTEM_DEVICE,
            size_gib=snapshot.source_disk_size_gib,
            category=snapshot.category,
            snapshot=snapshot,
        )
    ]


def from_mappings(call: Call, region: str, mappings: Sequence[DiskDeviceMapping]) -> list[SourceDisk]:
    """One system disk and any number of data disks, the system disk first."""
    disks = [_from_mapping(call, region, mapping) for mapping in mappings]
    systems = [disk for disk in disks if disk.type == "system"]
    if len(systems) > 1:
        raise OperationDeniedTwoSystemDisks
    if not systems or systems[0].snapshot is None:
        raise OperationDeniedNoSystemDisk
    ordered = systems + [disk for disk in disks if disk.type == "data"]
    return sorted(_with_devices(ordered), key=lambda disk: disk.device)


def usable_snapshot(call: Call, region: str, snapshot_id: str) -> Snapshot:
    """The snapshot, if an image can be made of it."""
    snapshot = source_snapshots.find_accomplished(call, region, snapshot_id, unready=InvalidSnapshotIdNotReadyOfImage)
    if source_snapshots.is_too_old(snapshot):
        raise InvalidSnapshotTooOld(snapshot_id=snapshot_id)
    if snapshot.from_released_system:
        raise OperationDeniedSnapshotNotAllowed(snapshot_id=snapshot_id)
    return snapshot


def _from_mapping(call: Call, region: str, mapping: DiskDeviceMapping) -> SourceDisk:
    snapshot = None if mapping.snapshot_id is None else usable_snapshot(call, region, mapping.snapshot_id)
    kind = mapping.disk_type or ("data" if snapshot is None else snapshot.source_disk_type)
    if snapshot is not None and snapshot.kms_key and (kind, snapshot.source_disk_type) == ("system", "data"):
        raise InvalidParameterDiskType(snapshot_id=snapshot.id)
    # Of a blank disk the spelling of the name tells the category.
    blank = _CLOUD.id if mapping.device in DEVICES else DEFAULT_CATEGORY
    category = blank if snapshot is None else snapshot.category
    return SourceDisk(
        type=kind,
        device=_read_device(mapping.device, kind),
        size_gib=_size(given(mapping.size), category, snapshot),
        category=category,
        snapshot=snapshot,
    )


def _read_device(name: str | None, kind: str) -> str:
    """The device as answers spell it, or empty for a data disk that may be anywhere. Raises InvalidDeviceMalformed."""
    if name is None:
        return SYSTEM_DEVICE if kind == "system" else ""
    device = find_device(name)
    if device is None or (device == SYSTEM_DEVICE) != (kind == "system"):
        raise InvalidDeviceMalformed(device=name)
    return device


def _size(size_gib: int | None, category: str, snapshot: Snapshot | None) -> int:
    limits = _CLOUD if category == _CLOUD.id else _OTHER
    if not size_gib:
        return limits.default_gib if snapshot is None else snapshot.source_disk_size_gib
    least, most = limits.least_gib, limits.most_gib
    if snapshot is not None:
        least = snapshot.source_disk_size_gib
        most = max(most, least)
    if not least <= size_gib <= most:
        raise InvalidSizeValueNotSupported(size=size_gib, least=least, most=most)
    return size_gib


def _with_devices(disks: Sequence[SourceDisk]) -> list[SourceDisk]:
    """Give every disk without a device name the next free one. Raises InvalidDeviceInUse."""
    taken = [disk.device for disk in disks if disk.device]
    if len(set(taken)) < len(taken):
        raise InvalidDeviceInUse
    free = (device for device in DATA_DEVICES if device not in taken)
    return [disk if disk.device else replace(disk, device=next(free)) for disk in disks]
