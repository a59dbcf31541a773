"""Rows of images as they are first written: by CreateImage and by ImportImage."""

from __future__ import annotations

from typing import TypedDict

from kiln.calls.call import Call
from kiln.declare.devices import short_name
from kiln.declare.ids import new_id
from kiln.declare.states import ImageStatus
from kiln.declare.system import System
from kiln.store.images import Image, ImageDisk


class Labels(TypedDict):
    """What a snapshot says that came with an image."""

    name: str
    description: str
    made_for: str


def new_image(
    call: Call,
    image_id: str,
    *,
    region: str,
    name: str | None,
    description: str | None,
    resource_group: str | None,
    system: System,
    size_gib: int,
    source: str,
    family: str | None = None,
    version: str | None = None,
) -> Image:
    """An image that is Creating, with the ID of the task that is to make it."""
    return Image(
        id=image_id,
        account=call.account,
        region=region,
        name=name or "",
        family=family or "",
        version=version or "",
        description=description or "",
        status=ImageStatus.CREATING,
        progress=0,
        created_at=call.now,
        system=system,
        size_gib=size_gib,
        resource_group=resource_group or "",
        consistency="",
        source=source,
        task=new_id("task"),
        error_code="",
        error_message="",
    )


def new_image_disk(
    image: Image,
    position: int,
    *,
    type: str,  # noqa: A002 - the column's name.
    device: str,
    size_gib: int,
    category: str,
    snapshot: str = "",
    kms_key: str = "",
) -> ImageDisk:
    """One disk of an image, of a snapshot, or blank."""
    return ImageDisk(
        image=image.id,
        position=position,
        type=type,
        device=device,
        size_gib=size_gib,
        category=category,
        snapshot=snapshot,
        format="",
        bucket="",
        object="",
        kms_key=kms_key,
    )


def labels(image_id: str, device: str) -> Labels:
    """What the snapshot of one disk of an image is called."""
    return Labels(
        name=f"SnapshotForImage-{image_id}-{short_name(device)}",
        description=f"Made with image {image_id}.",
        made_for=image_id,
    )
