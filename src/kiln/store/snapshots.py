"""Snapshots: names of layers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Index

from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One snapshot of one disk. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    description: str
    status: str
    progress: int  #: Percent.
    created_at: float
    volume: str | None  #: The layer; None until the instant is captured.
    source_disk: str
    source_disk_type: str  #: ``system`` or ``data``.
    source_disk_size_gib: int
    category: str
    device: str
    instance: str  #: The instance that the disk was attached to at the time.
    size_bytes: int  #: Virtual size of the layer.
    resource_group: str
    retention_days: int  #: 0: kept for good.
    consistency: str
    from_released_system: bool  #: Of a system disk that outlived its instance: no image can be made of it.
    made_for: str  #: The image whose creation took it, or "".
    platform: str  #: What the system on it is, as far as it is known; empty for data disks.
    architecture: str
    os_type: str
    boot_mode: str
    imds_support: str


snapshots: Rows[Snapshot] = Rows(
    "snapshots",
    Snapshot,
    indexes=[
        Index("snapshots_list", "account", "region", "created_at", "id"),
        Index("snapshots_volume", "volume"),
        Index("snapshots_source", "source_disk"),
    ],
)
