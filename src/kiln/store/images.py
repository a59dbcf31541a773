"""Images and their disks.

An image names snapshots, and blank disks that are made when an instance is; it
holds no bytes of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Index, func, select, text

from kiln.declare.states import ImageStatus
from kiln.store.database import Transaction
from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    family: str
    version: str
    description: str
    status: str
    progress: int  #: Percent.
    created_at: float
    platform: str
    architecture: str
    os_type: str
    boot_mode: str
    size_gib: int  #: Of the system disk.
    resource_group: str
    imds_support: str
    nvme_support: str
    secure_boot: str
    license_type: str
    detection: str  #: ``""``, ``Processing`` or ``Finished``.
    consistency: str  #: ``quiesced``, ``crash-consistent``, or ``""`` where no running guest was captured.
    source: str  #: The instance, snapshot or object that it was made from.
    task: str  #: The task that made it.
    error_code: str  #: Of a CreateFailed image.
    error_message: str


@dataclass(frozen=True, kw_only=True)
class ImageDisk:
    """One disk of an image; the system disk is at position 0."""

    image: str
    position: int
    type: str  #: ``system`` or ``data``.
    device: str
    size_gib: int
    category: str
    snapshot: str  #: Empty for a blank disk.
    format: str
    bucket: str
    object: str


images: Rows[Image] = Rows(
    "images",
    Image,
    indexes=[
        Index("images_list", "account", "region", "created_at", "id"),
        Index(
            "images_name",
            "account",
            "region",
            "name",
            unique=True,
            sqlite_where=text("name <> ''"),
            postgresql_where=text("name <> ''"),
        ),
        Index("images_family", "account", "region", "family"),
    ],
)

image_disks: Rows[ImageDisk] = Rows(
    "image_disks", ImageDisk, key=("image", "position"), indexes=[Index("image_disks_snapshot", "snapshot")]
)


def disks_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[ImageDisk]]:
    """The disks of each image, in order."""
    found: dict[str, list[ImageDisk]] = {image: [] for image in ids}
    for disk in image_disks.all(tx, image_disks.c.image.in_(ids)):
        found[disk.image].append(disk)
    return found


def publish(tx: Transaction, image: str) -> bool:
    """Make a Creating image Available; False when it is not Creating any more."""
    return images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {"progress": 100}, id=image)


def fail(tx: Transaction, image: str, code: str, message: str) -> bool:
    """Make a Creating image CreateFailed, with the reason."""
    changes = {"error_code": code, "error_message": message}
    return images.move(tx, ImageStatus.CREATING, ImageStatus.CREATE_FAILED, changes, id=image)


def count_families(tx: Transaction, account: str, region: str) -> int:
    """How many families the account's images in the region have."""
    statement = select(func.count(images.c.family.distinct())).where(
        images.c.account == account, images.c.region == region, images.c.family != ""
    )
    return int(tx.execute(statement).scalar_one())
