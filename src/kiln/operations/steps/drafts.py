"""Rows as they are first written, by whichever operation: what is known at once, and nothing of what comes later.

An operation says with ``dataclasses.replace`` what else it knows. A column that
is new is filled here.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.ids import new_id
from kiln.declare.states import DiskStatus, SnapshotStatus
from kiln.declare.system import System
from kiln.store.disks import Disk, DiskAsked
from kiln.store.snapshots import Snapshot


def new_disk(
    call: Call,
    *,
    region: str,
    zone: str,
    name: str,
    description: str,
    type: str,  # noqa: A002 - the column's name.
    category: str,
    performance_level: str,
    size_gib: int,
    source_snapshot: str,
    resource_group: str,
    system: System,
    asked: DiskAsked,
    kms_key: str,
) -> Disk:
    """A disk that is being created, and is nobody's yet."""
    return Disk(
        id=new_id("disk"),
        account=call.account,
        region=region,
        zone=zone,
        name=name,
        description=description,
        status=DiskStatus.CREATING,
        type=type,
        category=category,
        size_gib=size_gib,
        volume=None,
        instance=None,
        device="",
        image="",
        source_snapshot=source_snapshot,
        delete_with_instance=False,
        portable=True,
        ever_attached=False,
        was_system=False,
        resource_group=resource_group,
        created_at=call.now,
        attached_at=None,
        detached_at=None,
        system=system,
        performance_level=performance_level,
        asked=asked,
        kms_key=kms_key,
    )


def new_snapshot(
    *,
    account: str,
    region: str,
    created_at: float,
    name: str,
    description: str,
    disk_type: str,
    disk_size_gib: int,
    category: str,
    device: str,
    resource_group: str,
    system: System,
    kms_key: str = "",
    made_for: str = "",
) -> Snapshot:
    """A snapshot that is Progressing, of a disk that is not a row: it may have come with an imported image."""
    return Snapshot(
        id=new_id("snapshot"),
        account=account,
        region=region,
        name=name,
        description=description,
        status=SnapshotStatus.PROGRESSING,
        progress=0,
        created_at=created_at,
        volume=None,
        source_disk="",
        source_disk_type=disk_type,
        source_disk_size_gib=disk_size_gib,
        category=category,
        device=device,
        instance="",
        size_bytes=0,
        resource_group=resource_group,
        retention_days=0,
        consistency="",
        from_released_system=False,
        made_for=made_for,
        system=system,
        kms_key=kms_key,
    )
