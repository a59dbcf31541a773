"""The trash: what was dropped waits there for its grace, and goes sooner, oldest first, when the pool is short.

Twice two witnesses are asked: before a volume is moved aside, and again before
it is unlinked. The one is the database (nothing names it, by its tables and by
their indexes), the other the pool (its records name nobody who has it, nothing
stands on it there, and nobody has it open). Where they differ the volume stays where it is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence

from kiln.calls.call import Ports
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.pools.errors import PoolError, VolumeBusy
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseFull
from kiln.store.trash import (
    Discard,
    count_on,
    discards,
    forget_tombstones,
    is_anything_waiting,
    oldest,
    served_seconds,
    tombstones,
)
from kiln.store.volumes import Volume, Witness, objections, volumes
from kiln.upkeep.recorder import naming

#: The pool is short when less than a twentieth of its disk is free, or less than this where a twentieth is more.
_SHORT_BYTES = 20 * GiB
_SHORT_PART = 20

_BATCH = 64
_FEW = 8  #: Are removed between two looks at what is free.

log = Journal("kiln.upkeep")

_LAG_S = 10.0  #: By then the pool's records have been written anew, unless something is wrong.

_seen: dict[str, float] = {}  #: Since when volumes are kept, by the monotonic clock.
_told: set[str] = set()  #: Reasons that the log has already: a trash that cannot be used stays so for a while.


def let_go(ports: Ports, batch: Sequence[Volume]) -> list[str]:
    """Move doomed volumes to the trash, or with no grace drop them; returns those that are out of the pool.

    An heir that no disk ever stood on goes at once: what it stands on is a head,
    is written on, and would make another thing of it.
    """
    reach("sweep.doomed")
    kept = [] if not ports.grace.seconds else [volume for volume in batch if not _stands_on_a_head(ports, volume)]
    aside = _set_aside(ports, kept)
    # The trash itself may want for room. On a full disk what is deleted has to give its space back all the same.
    has_no_room = len(aside) < len(kept) and is_short(ports)
    gone = [
        volume.id
        for volume in batch
        if volume.id not in aside
        and (has_no_room or volume not in kept or not ports.pool.exists(volume.id))
        and _drop(ports, volume)
    ]
    reach("sweep.dropped")
    ports.database.write(lambda tx: _record(tx, ports, batch, set(aside), gone), gives_back=True)
    return [*aside, *gone]


def empty(ports: Ports) -> list[str]:
    """Give back what has waited for its grace, and what the pool needs now; returns the volumes."""
    with ports.database.read() as tx:
        if not is_anything_waiting(tx):
            # What is deleted next has waited for nothing yet, however long nothing was.
            ports.grace.restart()
            return []
    gone: list[str] = []
    passed = ports.grace.passed()
    if passed:
        with contextlib.suppress(DatabaseFull):  # What is not counted makes things wait longer.
            ports.database.write(lambda tx: count_on(tx, passed, ports.grace.seconds))
    with ports.database.read() as tx:
        before = _end_of_grace(tx, ports)
        due = oldest(tx, _BATCH, before)
    while due:
        gone += (batch := give_back(ports, [discard.id for discard in due]))
        with ports.database.read() as tx:
            due = oldest(tx, _BATCH, before) if batch else []
    return gone + relieve(ports)


def forget(ports: Ports) -> None:
    """Forget tombstones whose grace is over. Not before what they were of was looked at: they agree to its end."""
    with ports.database.read() as tx:
        before = _end_of_grace(tx, ports)
        if not tombstones.count(tx, tombstones.c.served < before):
            return
    ports.database.write(lambda tx: forget_tombstones(tx, tombstones.c.served < before), gives_back=True)


def second_witness(tx: Transaction, ports: Ports) -> Witness:
    """What the pool's records say against the end of volumes, in words, by volume.

    Where a tombstone says that the resource which they name was deleted, they
    only are not written anew yet, which on a full disk they cannot be.
    """

    def ask(ids: Sequence[str]) -> dict[str, str]:
        named = {volume: _named(ports, volume) for volume in ids}
        deleted = _deleted(tx, {name for names in named.values() for _, name in names})
        return {
            volume: f"the pool's records say that {kind} {name} names it, and the database does not"
            for volume, names in named.items()
            for kind, name in names
            if name not in deleted
        }

    return ask


def _named(ports: Ports, volume: str) -> list[tuple[str, str]]:
    try:
        return naming(ports.pool, volume)
    except (PoolError, OSError) as error:
        tell({"records": f"the pool's records cannot be read: {error}"})
        return [("no", "record")]


def _deleted(tx: Transaction, names: set[str]) -> set[str]:
    return {row.id for row in tombstones.all(tx, tombstones.c.id.in_(names))} if names else set()


def relieve(ports: Ports, missing_bytes: int | None = None) -> list[str]:
    """Give back the oldest until the pool is not short any more, or has so many bytes more; returns the volumes.

    Where all of the trash would not be enough for *missing_bytes*, nothing is given back for them.
    """
    room = ports.pool.room()
    if room is None:
        return []
    target = _short_of(room.total_bytes) if missing_bytes is None else room.free_bytes + missing_bytes
    if room.free_bytes >= target:
        return []
    if missing_bytes is not None and sum(one.allocated_bytes for one in ports.pool.discarded()) < missing_bytes:
        return []
    with ports.database.read() as tx:
        left = [discard.id for discard in oldest(tx, 1_000_000)]
    gone: list[str] = []
    has_changed = True
    while left and has_changed and not _has_free(ports, target):
        has_changed = False
        for start in range(0, len(left), _FEW):
            given = give_back(ports, left[start : start + _FEW])
            has_changed |= bool(given)
            gone += given
            if _has_free(ports, target):
                break
        left = [volume for volume in left if volume not in gone]
    if gone:
        log.warning("trash_given_back_early", volumes=len(gone), reason="the pool is short of room")
    return gone


def give_back(ports: Ports, ids: Sequence[str]) -> list[str]:
    """Remove volumes in the trash for good, as far as both witnesses agree; returns those that are gone."""
    with ports.grace.giving_back:
        leaving = ports.database.write(lambda tx: _mark(tx, ports, ids), gives_back=True)
        reach("trash.marked")
        gone = ports.pool.purge(leaving)
        reach("trash.purged")

        def record(tx: Transaction) -> None:
            discards.delete(tx, discards.c.id.in_(gone))
            discards.update(tx, {"is_leaving": False}, discards.c.id.in_(set(leaving) - set(gone)))

        ports.database.write(record, gives_back=True)
    return gone


def is_short(ports: Ports) -> bool:
    """Whether the pool has less free than it should."""
    room = ports.pool.room()
    return room is not None and room.free_bytes < _short_of(room.total_bytes)


def _has_free(ports: Ports, target: int) -> bool:
    room = ports.pool.room()
    return room is not None and room.free_bytes >= target


def _short_of(total_bytes: int) -> int:
    return min(total_bytes // _SHORT_PART, _SHORT_BYTES)


def _end_of_grace(tx: Transaction, ports: Ports) -> float:
    """What was deleted before so many served seconds has waited long enough."""
    # With no grace at all nothing waits, whatever was put there under another setting.
    return served_seconds(tx) - ports.grace.seconds if ports.grace.seconds else float("inf")


def _mark(tx: Transaction, ports: Ports, ids: Sequence[str]) -> list[str]:
    """Those of the volumes that may go, of which it is recorded now that they do: nobody can restore them any more."""
    there = {discard.id for discard in discards.all(tx, discards.c.id.in_(ids))}
    known = {volume.id for volume in volumes.all(tx, volumes.c.id.in_(ids))}
    kept = {**second_witness(tx, ports)(list(there)), **objections(tx, list(there))}
    tell(kept)
    leaving = [volume for volume in ids if volume in there and volume not in known and volume not in kept]
    discards.update(tx, {"is_leaving": True}, discards.c.id.in_(leaving))
    return leaving


def tell(kept: Mapping[str, str]) -> None:
    """Log, once of each, the volumes that are kept and why; what is only not written down yet passes by itself."""
    now = time.monotonic()
    for volume in kept.keys() - _told:
        if now - _seen.setdefault(volume, now) > _LAG_S:
            _told.add(volume)
            log.error("volume_kept", volume=volume, reason=kept[volume])
    for volume in _seen.keys() - kept.keys():
        if now - _seen[volume] > _LAG_S:
            del _seen[volume]


def _stands_on_a_head(ports: Ports, volume: Volume) -> bool:
    with ports.database.read() as tx:
        return volume.parent is not None and volumes.find(tx, id=volume.parent, kind="head") is not None


def _set_aside(ports: Ports, batch: Sequence[Volume]) -> list[str]:
    try:
        return ports.pool.discard([volume.id for volume in batch]) if batch else []
    except PoolError:
        # One of them may be the reason, which is no reason for the others to stay.
        return [volume.id for volume in batch if _is_set_aside(ports, volume.id)]


def _is_set_aside(ports: Ports, volume: str) -> bool:
    try:
        return bool(ports.pool.discard([volume]))
    except PoolError as error:
        if str(error) not in _told:
            _told.add(str(error))
            log.warning("trash_unusable", volume=volume, reason=str(error))
        return False


def _drop(ports: Ports, volume: Volume) -> bool:
    try:
        ports.pool.drop(volume.id)
    except VolumeBusy:
        # A guest or a tool has it open.
        return False
    return True


def _record(tx: Transaction, ports: Ports, batch: Iterable[Volume], aside: set[str], gone: Iterable[str]) -> None:
    now, served = ports.clock(), served_seconds(tx)
    volumes.delete(tx, volumes.c.id.in_([*aside, *gone]))
    discards.delete(tx, discards.c.id.in_(aside))
    rows = (
        Discard(
            id=volume.id,
            parent=volume.parent,
            kind=volume.kind,
            size_bytes=volume.size_bytes,
            file_bytes=volume.file_bytes,
            discarded_at=now,
            served=served,
        )
        for volume in batch
        if volume.id in aside
    )
    discards.insert(tx, *rows)
