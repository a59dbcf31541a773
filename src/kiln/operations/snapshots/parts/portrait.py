"""A snapshot as answers show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import SnapshotStatus
from kiln.ground.clock import to_seconds_text
from kiln.operations.params import RegionId, SnapshotId, TagsOutput, draw_tags
from kiln.store.snapshots import Snapshot
from kiln.store.tags import Tag


@shape
class SnapshotOutput:
    """One snapshot."""

    snapshot_id: SnapshotId
    snapshot_name: Annotated[str, Doc("The name.")]
    description: Annotated[str, Doc("The description.")]
    status: Annotated[str, Doc("progressing, accomplished or failed.")]
    progress: Annotated[str, Example("100%"), Doc("How much is done.")]
    available: Annotated[bool, Doc("Whether it can be used: it is accomplished.")]
    remain_time: Annotated[int, Doc("Seconds that are left; always 0.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("The instant that it captured.")]
    last_modified_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was changed last.")]
    region_id: RegionId
    source_disk_id: Annotated[str, Doc("The disk that it was taken of. The disk may be gone.")]
    source_disk_type: Annotated[str, Doc("system or data.")]
    source_disk_size: Annotated[str, Example("40"), Doc("GiB of that disk at the time.")]
    source_storage_type: Annotated[str, Doc("Always disk.")]
    source_snapshot_id: Annotated[
        str, Doc("The snapshot that it is a copy of, or empty. Of another account's image it is not told.")
    ]
    source_region_id: Annotated[str, Doc("The region that it was copied from, or empty.")]
    snapshot_link_id: Annotated[str, Doc("The chain that it is part of: all snapshots of one disk. Empty of a copy.")]
    snapshot_group_id: Annotated[str, Doc("The snapshot group that it was taken with, or empty.")]
    snapshot_type: Annotated[str, Doc("auto where a policy has taken it, else user.")]
    snapshot_sn: Annotated[str, Wire("SnapshotSN"), Doc("The serial number; always empty.")]
    category: Annotated[str, Doc("Always standard.")]
    usage: Annotated[str, Doc("What was made of it and is still there: image, disk, image_disk or none.")]
    full_snapshot_size_in_bytes: Annotated[int, Doc("Bytes that it reads as.")]
    retention_days: Annotated[int, Doc("Days after which it is deleted by itself; 0 when it is kept for good.")]
    encrypted: Annotated[bool, Doc("Whether it is encrypted.")]
    kms_key_id: Annotated[str, Wire("KMSKeyId"), Doc("The key that it is encrypted with, or empty.")]
    instant_access: Annotated[bool, Doc("Always false: it is accomplished at once anyway.")]
    instant_access_retention_days: Annotated[int, Doc("Always 0.")]
    product_code: Annotated[str, Doc("Always empty.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    tags: Annotated[TagsOutput, Doc("Its tags.")]


@shape
class SnapshotsOutput:
    """Snapshots."""

    snapshot: Annotated[tuple[SnapshotOutput, ...], Doc("The snapshots.")]


def link_of(disk: str) -> str:
    """The chain of a disk's snapshots; none of a copy, which is of no disk."""
    return f"sl-{disk.removeprefix('d-')}" if disk else ""


def draw(snapshot: Snapshot, used: Mapping[str, tuple[bool, bool]], tagged: Sequence[Tag]) -> SnapshotOutput:
    """One snapshot with its tags; *used* says of it whether images, and whether disks were made of it."""
    made_of_it = [noun for noun, is_so in zip(("image", "disk"), used[snapshot.id], strict=True) if is_so]
    created = to_seconds_text(snapshot.created_at)
    return SnapshotOutput(
        snapshot_id=snapshot.id,
        snapshot_name=snapshot.name,
        description=snapshot.description,
        status=snapshot.status,
        progress=f"{snapshot.progress}%",
        available=snapshot.status == SnapshotStatus.ACCOMPLISHED,
        remain_time=0,
        creation_time=created,
        last_modified_time=created if snapshot.modified_at is None else to_seconds_text(snapshot.modified_at),
        region_id=snapshot.region,
        source_disk_id=snapshot.source_disk,
        source_disk_type=snapshot.source_disk_type,
        source_disk_size=str(snapshot.source_disk_size_gib),
        source_storage_type="disk",
        source_snapshot_id=snapshot.source_snapshot,
        source_region_id=snapshot.source_region,
        snapshot_link_id=link_of(snapshot.source_disk),
        snapshot_group_id=snapshot.snapshot_group,
        snapshot_type="auto" if snapshot.snapshot_policy else "user",
        snapshot_sn="",
        category="standard",
        usage="_".join(made_of_it) or "none",
        full_snapshot_size_in_bytes=snapshot.size_bytes,
        retention_days=snapshot.retention_days,
        encrypted=bool(snapshot.kms_key),
        kms_key_id=snapshot.kms_key,
        instant_access=False,
        instant_access_retention_days=0,
        product_code="",
        resource_group_id=snapshot.resource_group,
        tags=draw_tags(tagged),
    )
