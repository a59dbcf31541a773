"""Making the copy of a database fit the volumes that are held: what the backup has is then one moment of a whole Kiln.

The copy is of a later moment than some of the volumes, and of an earlier one
than others: a moment of a running instance was kept before, and merges went on
meanwhile. No byte that anybody reads differs by a merge, so the rows follow the
headers, as they do after a power cut; and a disk whose moment was kept stands on
what was its head at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.service.backups.holding import Held, Holder
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, instances
from kiln.store.trash import discards, tombstones
from kiln.store.volumes import Volume, is_named, reinstated, volumes
from kiln.upkeep.moment import MomentFacts

_AT_REST = (InstanceStatus.STOPPED, InstanceStatus.PENDING)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known from before the copy was made."""

    moments: Mapping[str, MomentFacts]  #: By instance.
    stamps: Mapping[str, tuple[int, ...]]  #: Of heads at rest.
    silent: set[str]  #: Instances that the rows call running and that have no machine.


@dataclass
class Fit:
    """What came of it. Only with nothing in ``again`` and ``unsettled`` the copy is of use."""

    again: set[str] = field(default_factory=set)  #: Instances of which another moment has to be kept.
    unsettled: list[str] = field(default_factory=list)  #: What changed meanwhile, in words.
    heads: set[str] = field(default_factory=set)  #: Volumes that somebody may come to write before they are copied.
    kept: dict[str, str] = field(default_factory=dict)  #: By volume, ``head`` or ``layer``: what is to be copied.


def is_at_rest(instance: Instance) -> bool:
    """Whether nobody writes to its disks, as far as its row says."""
    return instance.status in _AT_REST


def heads_at_rest(tx: Transaction, silent: set[str]) -> list[str]:
    """The heads that nobody writes: of free disks and of instances that do not run, or are among *silent*."""
    running = {one.id for one in instances.all(tx) if not is_at_rest(one)} - silent
    return [disk.volume for disk in disks.all(tx) if disk.volume is not None and disk.instance not in running]


def fit(tx: Transaction, holder: Holder, seen: Seen) -> Fit:
    """Change the copy in *tx* so that it fits what is held, which grows by what the copy needs.

    Raises as ``Holder.take`` does.
    """
    done = Fit()
    moved = _move_back(tx, holder, seen.moments, done)
    _hold_heads(tx, holder, moved, seen, done)
    if done.again or done.unsettled:
        return done
    discards.delete(tx)
    tombstones.delete(tx)
    _hold_all(tx, holder, done)
    _follow_headers(tx, holder, done)
    return done


def _move_back(tx: Transaction, holder: Holder, moments: Mapping[str, MomentFacts], done: Fit) -> set[str]:
    """Put the disks of which a moment was kept on what they stood on then; returns those disks."""
    moved = set()
    for instance, facts in moments.items():
        for one in facts.disks:
            disk = disks.find(tx, id=one.disk)
            if disk is None:
                continue
            held = holder.get(one.head)
            if disk.volume != one.heir or held is None or volumes.count(tx, parent=one.heir):
                done.again.add(instance)  # It was captured once more by somebody else, or put on something else.
                continue
            volumes.delete(tx, id=one.heir)
            _be_there(tx, held, "head", disk.created_at)
            disks.update(tx, {"volume": one.head}, id=one.disk)
            moved.add(one.disk)
    return moved


def _hold_heads(tx: Transaction, holder: Holder, moved: set[str], seen: Seen, done: Fit) -> None:
    """Hold the heads of all other disks, which are at rest, or have to be captured."""
    running = {one.id for one in instances.all(tx) if not is_at_rest(one)} - seen.silent
    for disk, row in _standing(tx, moved):
        if disk.instance in running:
            done.again.add(disk.instance)
        elif not holder.take(row.id) or _stamp(holder, row.id) != seen.stamps.get(row.id, ()):
            done.unsettled.append(f"{disk.id} was written")
        else:
            done.heads.add(row.id)


def _standing(tx: Transaction, moved: set[str]) -> Iterator[tuple[Disk, Volume]]:
    """Disks with a head that is there; of one that is still being made nothing is kept but the row."""
    for disk in disks.all(tx):
        row = volumes.find(tx, id=disk.volume) if disk.volume is not None and disk.id not in moved else None
        if row is not None and row.state != "planned":
            yield disk, row


def _stamp(holder: Holder, volume: str) -> tuple[int, ...]:
    held = holder.get(volume)
    return () if held is None else held.source


def _hold_all(tx: Transaction, holder: Holder, done: Fit) -> None:
    """Hold every volume that has a row, and forget those that nobody needs and that are gone by now."""
    for row in volumes.all(tx):
        if row.state == "planned":
            continue
        is_needed = row.state == "ready" and holder.take(row.id)
        if not is_needed and (holder.get(row.id) is not None or is_named(tx, row.id)):
            is_needed = holder.take(row.id)
            if not is_needed:
                done.unsettled.append(f"{row.id} is not there")
        if is_needed:
            done.kept[row.id] = row.kind
        else:
            volumes.delete(tx, id=row.id)


def _follow_headers(tx: Transaction, holder: Holder, done: Fit) -> None:
    """Have each row name the parent that the held file has, and each of these have a row."""
    waiting = list(done.kept)
    while waiting:
        held = holder.get(waiting.pop())
        assert held is not None  # What is kept is held.
        row = volumes.find(tx, id=held.volume)
        if row is None or row.state != "ready":
            _be_there(tx, held, "layer", 0.0 if row is None else row.created_at)
        elif row.parent != held.parent or row.file_bytes not in (None, held.source[1]):
            volumes.update(tx, {"parent": held.parent, "file_bytes": None}, id=held.volume)
        if held.parent is not None and held.parent not in done.kept:
            done.kept[held.parent] = "layer"
            waiting.append(held.parent)


def _be_there(tx: Transaction, held: Held, kind: str, created_at: float) -> None:
    volumes.delete(tx, id=held.volume)
    volumes.insert(tx, reinstated(held.volume, kind, held.parent, held.size_bytes, now=created_at))
