"""That a layer is whole, before an image or a snapshot that is ready at once comes to stand on it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kiln.calls.call import Call
from kiln.calls.errors import ServiceUnavailablePoolDamaged
from kiln.ground.journal import Journal
from kiln.pools.errors import PoolError, VolumeMissing
from kiln.store.snapshots import Snapshot
from kiln.store.volumes import lineage, lineage_in

log = Journal("kiln.operations")


def check_whole(call: Call, named: Iterable[Snapshot | None]) -> None:
    """Raise ServiceUnavailablePoolDamaged where a file that one of the snapshots reads is gone, or was cut."""
    is_as_before, length = call.ports.length_watch.is_as_before, call.ports.pool.length
    for snapshot in named:
        layer = None if snapshot is None else snapshot.volume
        if snapshot is None or layer is None or is_as_before(layer, length):
            continue
        try:
            _require_files(call, layer)
        except PoolError as error:
            reason = f"there is no volume {error} any more" if isinstance(error, VolumeMissing) else str(error)
            log.warning("snapshot_damaged", snapshot=snapshot.id, volume=layer, reason=reason)
            raise ServiceUnavailablePoolDamaged(reason=reason) from error


def _require_files(call: Call, layer: str) -> None:
    watch, length = call.ports.length_watch, call.ports.pool.length
    try:
        watch.require_files(layer, partial(lineage, call.tx), length)
    except PoolError:
        # PostgreSQL shows this transaction nothing of a merge that began since, and has replaced a file by now.
        watch.require_files(layer, lineage_in(call.ports.database), length)
