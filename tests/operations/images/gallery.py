"""Images to test with, and objects in buckets."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from kiln.declare.deployment import Deployment
from kiln.declare.ids import new_id
from kiln.declare.states import ImageStatus
from kiln.store import images, tags
from kiln.store.images import Image, ImageDisk
from tests.clouds import ACCOUNT, OTHER, REGION, Cloud
from tests.stock import DEBIAN, a_snapshot, altered

BUCKET = "testbucket"

#: Disk images as QEMU's tools made them, by form, size and byte: hundreds of tests want the same few.
_MADE: dict[tuple[str, str, int], bytes] = {}


def an_image(cloud: Cloud, disks: tuple[ImageDisk, ...] | None = None, tagged: Any = None, **changes: Any) -> Image:
    """An Available image whose one disk is made of a snapshot."""
    row = Image(
        id=new_id("image"),
        account=ACCOUNT,
        region=REGION,
        name="",
        family="",
        version="",
        description="",
        status=ImageStatus.AVAILABLE,
        progress=100,
        created_at=cloud.clock(),
        system=DEBIAN,
        size_gib=20,
        resource_group="",
        consistency="",
        source="",
        task=new_id("task"),
        error_code="",
        error_message="",
    )
    row = altered(row, changes)
    if disks is None:
        disks = (a_disk_of(row, a_snapshot(cloud, account=row.account).id),)

    def insert(tx: Any) -> None:
        images.images.insert(tx, row)
        images.image_disks.insert(tx, *(replace(disk, image=row.id) for disk in disks))
        tags.add(tx, row.account, "image", row.id, tagged or {})

    cloud.ports.database.write(insert)
    return row


def a_disk_of(image: Image | None, snapshot: str, position: int = 0, **changes: Any) -> ImageDisk:
    """A disk of an image: the system disk at position 0, data disks at others."""
    row = ImageDisk(
        image=image.id if image else "",
        position=position,
        type="data" if position else "system",
        device="/dev/xvd" + "abcdefgh"[position],
        size_gib=20,
        category="cloud_efficiency",
        snapshot=snapshot,
        format="",
        bucket="",
        object="",
    )
    return replace(row, **changes)


FAR = "cn-hangzhou"  #: Another region, of a Kiln that ``with_two_regions`` was asked for.


def with_two_regions(cloud: Cloud, **more: Any) -> Cloud:
    """The Kiln, serving FAR as well; *more* is said of its deployment."""
    cloud.refit(deployment=Deployment(regions=(REGION, FAR), **more))
    return cloud


def copied(cloud: Cloud, image_id: str, region: str | None = FAR, **more: Any) -> str:
    """The ID of a copy of the image, as far as it is."""
    answer = cloud.call("CopyImage", ImageId=image_id, DestinationRegionId=region, **more)
    return str(answer["ImageId"])


def share(cloud: Cloud, image_id: str, account: str = OTHER, **more: Any) -> None:
    """Share the image with another account."""
    cloud.call("ModifyImageSharePermission", {"AddAccount.1": account}, ImageId=image_id, **more)


def unshare(cloud: Cloud, image_id: str, account: str = OTHER, **more: Any) -> None:
    """Take that back."""
    cloud.call("ModifyImageSharePermission", {"RemoveAccount.1": account}, ImageId=image_id, **more)


def a_bucket(cloud: Cloud) -> Path:
    """The folder of a bucket."""
    folder = cloud.folder / "buckets" / BUCKET
    folder.mkdir(exist_ok=True)
    return folder


def an_object(cloud: Cloud, name: str = "disk.qcow2", form: str = "qcow2", size: str = "1M", byte: int = 0x5A) -> Path:
    """A disk image in the bucket, whose first 64 KiB are *byte*."""
    path, kind = a_bucket(cloud) / name, (form, size, byte)
    if kind not in _MADE:
        fill = ["qemu-io", "-f", form, "-c", f"write -P {byte} 0 64k", path]
        subprocess.run(["qemu-img", "create", "-q", "-f", form, path, size], check=True)
        subprocess.run(fill, check=True, stdout=subprocess.DEVNULL)
        _MADE[kind] = path.read_bytes()
    path.write_bytes(_MADE[kind])
    return path


def bytes_of(path: Path, form: str) -> bytes:
    """What a disk image reads as."""
    raw = path.with_name(path.name + ".raw-to-compare")
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", path, raw], check=True)
    content = raw.read_bytes()
    raw.unlink()
    return content


def shown(cloud: Cloud, image_id: str, **more: Any) -> dict[str, Any] | None:
    """The image in DescribeImages, whatever its status; None when it is not there."""
    found = cloud.call("DescribeImages", ImageId=image_id, Status="ALL", **more)["Images"]["Image"]
    return found[0] if found else None
