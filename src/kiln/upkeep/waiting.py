"""What waits in the trash, as an operator reads it."""

from __future__ import annotations

from collections.abc import Sequence

from kiln.calls.call import Ports
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.snapshots import snapshots
from kiln.store.trash import Tombstone, UnknownTombstone, discards, grace_seconds, served_seconds, tombstones
from kiln.store.volumes import volumes
from kiln.upkeep.restore import volumes_of


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that was deleted, or a volume that none of them names. Times are of the day."""

    id: str
    noun: str
    name: str
    account: str
    deleted_at: float
    until: float
    allocated_bytes: int  #: Of an image those of its snapshots that were deleted too, which are listed as well.
    state: str  #: ``restorable``, or why it is not.

    @property
    def is_restorable(self) -> bool:
        """Whether its bytes are still there."""
        return self.state == "restorable"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """All that waits, the newest first, and how much it takes."""

    entries: Sequence[Entry]
    volumes: int
    allocated_bytes: int


def list_waiting(tx: Transaction, ports: Ports) -> Waiting:
    """What waits in the trash."""
    sizes = {one.volume: one.allocated_bytes for one in ports.pool.discarded() if one.volume is not None}
    now, served, grace = ports.clock(), served_seconds(tx), grace_seconds(tx, ports.grace.seconds)
    aside = {discard.id: discard for discard in discards.all(tx)}
    stones = {stone.id: stone for stone in tombstones.all(tx)}
    entries, named = [], set()
    for stone in stones.values():
        own = _volumes(stones, stone)
        named |= set(own)
        entry = Entry(
            id=stone.id,
            noun=stone.noun,
            name=stone.name,
            account=stone.account,
            deleted_at=stone.deleted_at,
            until=now + max(0.0, grace - (served - stone.served)),
            allocated_bytes=sum(sizes.get(volume, 0) for volume in own),
            state=_state(tx, stones, stone, own, aside.keys() & sizes.keys()),
        )
        entries.append(entry)
    for discard in aside.values():
        if discard.id not in named:
            entry = Entry(
                id=discard.id,
                noun="volume",
                name="",
                account="",
                deleted_at=discard.discarded_at,
                until=now + max(0.0, grace - (served - discard.served)),
                allocated_bytes=sizes.get(discard.id, 0),
                state="part of others",
            )
            entries.append(entry)
    entries.sort(key=lambda entry: (-entry.deleted_at, entry.id))
    return Waiting(entries=entries, volumes=len(sizes), allocated_bytes=sum(sizes.values()))


def _volumes(stones: dict[str, Tombstone], stone: Tombstone) -> list[str]:
    """Its own volumes, and those of the deleted snapshots that it was made of."""
    try:
        below = [stones[disk["snapshot"]] for disk in stone.of("image_disks") if disk["snapshot"] in stones]
        return [volume for one in (stone, *below) for volume in volumes_of(one)]
    except UnknownTombstone:
        return []


def _state(tx: Transaction, stones: dict[str, Tombstone], stone: Tombstone, own: Sequence[str], aside: set[str]) -> str:
    try:
        for disk in stone.of("image_disks"):
            snapshot = disk["snapshot"]
            if snapshot and snapshot not in stones and snapshots.find(tx, id=snapshot) is None:
                return "its snapshot is gone"
    except UnknownTombstone:
        return "of a newer Kiln"
    if all(volume in aside or volumes.find(tx, id=volume) is not None for volume in own):
        return "restorable"
    return "its bytes are gone"
