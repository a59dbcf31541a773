"""Disks: names of heads."""

from __future__ import annotations

from sqlalchemy import Index, func, literal_column

from kiln.declare.system import System
from kiln.ground.values import dataclass
from kiln.store.changes import Told
from kiln.store.order import Key, Order, first_where, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class DiskAsked:
    """What was asked for, changes nothing here, and is shown as it was said."""

    bursting_enabled: bool = False
    provisioned_iops: int = 0
    storage_cluster_id: str = ""
    storage_set_id: str = ""
    storage_set_partition_number: int = 0


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One disk. Empty text means: not given."""

    id: str
    account: str
    region: str
    zone: str
    name: str
    description: str
    status: str
    type: str  #: ``system`` or ``data``.
    category: str
    size_gib: int
    volume: str | None  #: The head; None until it is made.
    instance: str | None
    device: str
    image: str
    source_snapshot: str
    delete_with_instance: bool
    portable: bool
    ever_attached: bool
    was_system: bool  #: A system disk that outlived its instance: its snapshots make no images.
    resource_group: str
    created_at: float
    attached_at: float | None
    detached_at: float | None
    system: System
    performance_level: str = ""  #: ``PL0`` to ``PL3`` of a ``cloud_essd`` disk, as asked for; it changes nothing here.
    awaits_restart: bool = False  #: Attached to a Stopped instance that had run before, which has not run since.
    home: str = ""  #: The instance that it was detached from as a system disk: to it alone it goes back as one.
    asked: DiskAsked = DiskAsked()
    snapshot_policy: str = ""  #: The policy by which automatic snapshots are taken of it.
    #: The full hour up to which automatic snapshots were taken of it, or it was given its policy.
    snapshots_until: float = 0.0
    ignores_policy: bool = False  #: Whether no automatic snapshots are taken of it, whatever its policy says.
    drops_auto_snapshots: bool = False  #: Whether its automatic snapshots go with it.
    kms_key: str = ""  #: The ID of the key that it is encrypted with, or "".

    @property
    def lane(self) -> str:
        """Where what is done to it waits its turn: its instance's lane, or its own while it is free."""
        return self.instance or self.id


disks: Rows[Disk] = Rows(
    "disks",
    Disk,
    recorded=Recorded("disk"),
    told=Told("disk"),
    indexes=[
        Index("disks_list", "account", "region", "created_at", "id"),
        Index("disks_instance", "instance"),
        Index("disks_volume", "volume"),
        Index("disks_snapshot", "source_snapshot"),
        Index("disks_snapshot_policy", "snapshot_policy"),
    ],
)

_SYSTEM_FIRST = Key(first_where(disks.c.type, "'system'"), lambda disk: 0 if disk.type == "system" else 1, int)
_BY_DEVICE = Key(disks.c.device, lambda disk: disk.device)

#: Of one instance: the system disk, and then by device.
OF_INSTANCE: Order = (_SYSTEM_FIRST, _BY_DEVICE, Key(disks.c.id, lambda disk: disk.id))

#: The newest first; of those made in one moment, the disks of an instance stay together, in their order.
NEWEST: Order = newest_first(
    disks.c,
    Key(func.coalesce(disks.c.instance, literal_column("''")), lambda disk: disk.instance or ""),
    _SYSTEM_FIRST,
    _BY_DEVICE,
)
