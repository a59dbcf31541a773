"""Snapshots: names of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Executable, Index, bindparam, exists, literal_column, select

from kiln.declare.states import SnapshotStatus
from kiln.declare.system import System
from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.store.changes import Told
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.images import image_disks
from kiln.store.order import Key, Order, first_where, newest_first
from kiln.store.rows import Recorded, Rows, among
from kiln.store.witnesses import Reference, testify


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
    system: System
    source_snapshot: str = ""  #: Of a copy: what it was copied from, where that was the account's own.
    source_region: str = ""  #: Of a copy: where that was.
    modified_at: float | None = None  #: When its caller changed it last; None: never.
    snapshot_group: str = ""  #: The group that it was taken with.
    snapshot_policy: str = ""  #: The policy by which it was taken, of an automatic one; the policy may be gone.
    kms_key: str = ""  #: The ID of the key that it is encrypted with, or "".


snapshots: Rows[Snapshot] = Rows(
    "snapshots",
    Snapshot,
    recorded=Recorded("snapshot"),
    told=Told("snapshot", frozenset({"progress"})),
    indexes=[
        Index("snapshots_list", "account", "region", "created_at", "id"),
        Index("snapshots_volume", "volume"),
        Index("snapshots_source", "source_disk"),
        Index("snapshots_group", "snapshot_group"),
    ],
)

#: The newest first; of those of one moment, those of an instance together: the system disk's, and then by device.
NEWEST: Order = newest_first(
    snapshots.c,
    Key(snapshots.c.instance, lambda row: row.instance),
    Key(
        first_where(snapshots.c.source_disk_type, "'system'"),
        lambda row: 0 if row.source_disk_type == "system" else 1,
        int,
    ),
    Key(snapshots.c.device, lambda row: row.device),
)

#: Whether an image has a disk that is made of the snapshot.
made_images: ColumnElement[bool] = exists(
    select(image_disks.c.image).where(image_disks.c.snapshot == snapshots.c.id).correlate(snapshots.table)
)

#: Whether a disk was made of the snapshot. One that came with an image was made of the image: clients delete an
#: image's snapshots right after it, without Force, while instances that were made of it go on (ecs-api.md 14).
made_disks: ColumnElement[bool] = exists(
    select(disks.c.id)
    .where(disks.c.source_snapshot == snapshots.c.id, disks.c.image == literal_column("''"))
    .correlate(snapshots.table)
)

_OF_IMAGES = Reference("image_disks", "snapshot", "image_disks_snapshot")


def made(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[bool, bool]]:
    """Of each snapshot: whether images, and whether disks were made of it."""
    if not ids:
        return {}
    asked = among(ids)
    found = snapshots.kept(tx, f"made {len(asked)}", partial(_asking_what_was_made, asked), asked)
    return {snapshot: (bool(images), bool(disks)) for snapshot, images, disks in found.fetchall()}


def _asking_what_was_made(asked: Iterable[str]) -> Executable:
    """*asked* are the parameters with the IDs."""
    return select(snapshots.c.id, made_images, made_disks).where(snapshots.c.id.in_(map(bindparam, asked)))


def stood_on(tx: Transaction, ids: Sequence[str]) -> frozenset[str]:
    """Those of the snapshots that an image has a disk of; asked before they are removed, so of table and index."""
    return testify(tx, _OF_IMAGES, ids).by_either


def retired(tx: Transaction, now: float) -> list[str]:
    """Snapshots whose retention is over and that no image stands on."""
    end = snapshots.c.created_at + snapshots.c.retention_days * DAY_S
    statement = select(snapshots.c.id).where(
        snapshots.c.retention_days > 0, snapshots.c.status == SnapshotStatus.ACCOMPLISHED, end < now, ~made_images
    )
    found = [row.id for row in tx.execute(statement)]
    kept = stood_on(tx, found)
    return [snapshot for snapshot in found if snapshot not in kept]
