"""Snapshots that images and disks are made of: what all who take one ask of it.

Knows nothing of what is made. A snapshot of which something can be made is
accomplished; how old it may be only some operations ask.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.states import SnapshotStatus
from kiln.ground.clock import from_text
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound, InvalidSnapshotIdNotReady
from kiln.store.snapshots import Snapshot, snapshots

_TOO_OLD = from_text("2013-07-16T00:00:00Z") or 0.0


def find_accomplished(
    call: Call,
    region: str,
    snapshot_id: str,
    *,
    unknown: type[ApiError] = InvalidSnapshotIdNotFound,
    unready: type[ApiError] = InvalidSnapshotIdNotReady,
) -> Snapshot:
    """The account's snapshot of that ID. Raises *unknown*, and *unready* until it is accomplished."""
    snapshot = call.the(snapshots, snapshot_id, region, unknown)
    if snapshot.status != SnapshotStatus.ACCOMPLISHED:
        raise unready(snapshot_id=snapshot_id)
    return snapshot


def is_too_old(snapshot: Snapshot) -> bool:
    """Whether it was created on or before 2013-07-15. Source: ecs-api.md 5.5."""
    return snapshot.created_at < _TOO_OLD
