"""The image that an instance or a new system disk is made of: which one, and whether it can be."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.deployment import InstanceType
from kiln.declare.states import USABLE, ImageStatus
from kiln.declare.system import System
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.errors.launches import (
    InvalidImageFamilyMissingAvailableImage,
    MissingParameterImage,
    OperationDeniedImageNotValid,
    UnexpectedImageFamilyImageIdSupplied,
)
from kiln.operations.steps import platforms
from kiln.operations.steps.usable_images import find_usable
from kiln.store.images import NEWEST, Image, ImageDisk, disks_of, images
from kiln.store.snapshots import snapshots

ERRORS = (
    MissingParameterImage,
    UnexpectedImageFamilyImageIdSupplied,
    InvalidImageFamilyMissingAvailableImage,
    InvalidImageIdNotFound,
    OperationDeniedImageNotValid,
)


@dataclass(frozen=True, kw_only=True)
class BootImage:
    """An image that boots, with what its disks are made of."""

    image: Image
    system: ImageDisk
    data: tuple[ImageDisk, ...]
    layers: dict[str, str]  #: The layer of each snapshot that the disks name.
    is_own: bool  #: Whether it is the caller's, and not one that another shares.

    def layer_of(self, disk: ImageDisk) -> str | None:
        """What a new head for *disk* stands on; None for a blank disk."""
        return self.layers[disk.snapshot] if disk.snapshot else None

    def told_snapshot(self, disk: ImageDisk) -> str:
        """The snapshot that a disk made of *disk* is said to be made of; of another's image that is not told."""
        return disk.snapshot if self.is_own else ""


def choose(call: Call, region: str, image_id: str | None, family: str | None) -> BootImage:
    """The image of that ID, or the newest Available one of the family. Raises what ERRORS lists."""
    if image_id is not None and family is not None:
        raise UnexpectedImageFamilyImageIdSupplied
    if image_id is not None:
        return find(call, region, image_id)
    if family is None:
        raise MissingParameterImage
    of_family = (images.c.family == family, images.c.status == ImageStatus.AVAILABLE)
    newest = images.page(call.tx, *of_family, order=NEWEST, limit=1, account=call.account, region=region)
    if not newest:
        raise InvalidImageFamilyMissingAvailableImage(family=family)
    return _open(call, newest[0])


def find(call: Call, region: str, image_id: str) -> BootImage:
    """The image of that ID, own or shared. Raises InvalidImageIdNotFound, OperationDeniedImageNotValid."""
    image = find_usable(call, image_id, region, InvalidImageIdNotFound)
    if image.status not in USABLE:
        raise OperationDeniedImageNotValid(image_id=image_id, status=image.status)
    return _open(call, image)


def can_run(kind: InstanceType, system: System) -> bool:
    """Whether an instance of that type has the CPU that the system runs on."""
    return system.architecture in platforms.RUNS[kind.architecture]


def _open(call: Call, image: Image) -> BootImage:
    disks = disks_of(call.tx, [image.id])[image.id]
    named = snapshots.among(call.tx, "id", [disk.snapshot for disk in disks if disk.snapshot])
    layers = {snapshot.id: snapshot.volume for snapshot in named if snapshot.volume is not None}
    if not disks or not disks[0].snapshot or any(disk.snapshot and disk.snapshot not in layers for disk in disks):
        raise OperationDeniedImageNotValid(image_id=image.id)
    is_own = image.account == call.account
    return BootImage(image=image, system=disks[0], data=tuple(disks[1:]), layers=layers, is_own=is_own)
