"""Making the copy of a database fit the volumes that are held: what the backup has is then one moment of a whole Kiln.

The copy is of a later moment than some of the volumes, and of an earlier one
than others: a moment of a running instance was kept before, and merges went on
meanwhile. No byte that anybody reads differs by a merge, so the rows follow the
headers, as they do after a power cut; and a disk whose moment was kept stands on
what was its head at that moment.

Where others have captured the disk since, so that their snapshots stand on that,
its present head is kept as a fresh one above it: what QEMU writes is not read,
and what the rows say of the head, of snapshots and of captures that are under way
stays as it is. So one moment of an instance is enough, whatever its owner does.

What cannot be caught in time is *missed*: its heads are fresh ones, too, above
what each stood on, as if it had not been written since its last capture. So is what
has a header that cannot be read: its owner's machine may have written it. A layer
like that is copied as it lies, for the rows name it, and is told as *broken*.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace

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
    missed: Collection[str] = ()  #: Instances that are not waited for.
    is_last: bool = False  #: There is no time for another look: what has changed meanwhile is missed.


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """A head that is not copied: one is made that reads as what it stands on."""

    base: str | None
    size_bytes: int
    key: str  #: The ID of that with which it is encrypted; empty: it is not.


@dataclass
class Fit:
    """What came of it. Only with nothing in ``again`` and ``unsettled`` the copy is of use."""

    again: set[str] = field(default_factory=set)  #: Instances of which another moment has to be kept.
    unsettled: list[str] = field(default_factory=list)  #: What changed meanwhile, in words.
    stirred: set[str] = field(default_factory=set)  #: Instances at rest whose disks were written.
    heads: dict[str, Disk] = field(default_factory=dict)  #: What somebody may come to write before it is copied.
    kept: dict[str, str] = field(default_factory=dict)  #: By volume, ``head`` or ``layer``: what is to be copied.
    fresh: dict[str, Fresh] = field(default_factory=dict)  #: By volume.
    missed: dict[str, str] = field(
        default_factory=dict
    )  #: Instances, and disks of none, of which the last writes are not kept, and why.
    broken: dict[str, str] = field(default_factory=dict)  #: Volumes that are copied though their headers tell nothing.


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
            row = volumes.find(tx, id=disk.volume) if disk is not None and disk.volume is not None else None
            if disk is None or row is None or row.state == "planned" or disk.instance not in (instance, None):
                continue
            held = holder.get(one.head)
            if held is None:
                done.again.add(instance)
                continue
            moved.add(one.disk)
            is_as_it_was = disk.volume == one.heir and row.size_bytes == held.size_bytes
            if is_as_it_was and not volumes.count(tx, parent=one.heir):
                volumes.delete(tx, id=one.heir)
                _be_there(tx, held, "head", disk.created_at)
                disks.update(tx, {"volume": one.head}, id=one.disk)
            else:  # It was captured once more by somebody else, or has grown, or been put on something else.
                size_bytes = max(row.size_bytes, held.size_bytes)
                _freshen(tx, row, Fresh(base=one.head, size_bytes=size_bytes, key=disk.kms_key), done)
    return moved


def _hold_heads(tx: Transaction, holder: Holder, moved: set[str], seen: Seen, done: Fit) -> None:
    """Hold the heads of all other disks, which are at rest, have to be captured, or are missed."""
    running = {one.id for one in instances.all(tx) if not is_at_rest(one)} - seen.silent
    for disk, row in _standing(tx, moved):
        if disk.instance in running:
            if seen.is_last or disk.instance in seen.missed:
                _miss(tx, holder, disk, row, done)
            else:
                done.again.add(disk.instance)
        elif holder.take(row.id) and (fault := _fault(holder, row.id)):
            _miss(tx, holder, disk, row, done, why=f"its disk {disk.id} cannot be read: {fault}")
        elif holder.take(row.id) and _stamp(holder, row.id) == seen.stamps.get(row.id, ()):
            done.heads[row.id] = disk
        elif seen.is_last:
            _miss(tx, holder, disk, row, done)
        else:
            done.unsettled.append(f"{disk.id} was written")
            done.stirred |= {disk.instance} if disk.instance is not None else set()


def _miss(
    tx: Transaction, holder: Holder, disk: Disk, row: Volume, done: Fit, *, why: str = "it was written all the time"
) -> None:
    """Keep what the head of a disk stands on, and nothing of what was written into it."""
    if row.parent is not None and not holder.take(row.parent):
        done.unsettled.append(f"{disk.id} was merged")
        return
    _freshen(tx, row, Fresh(base=row.parent, size_bytes=row.size_bytes, key=disk.kms_key), done)
    done.missed[disk.instance or disk.id] = why


def _freshen(tx: Transaction, row: Volume, how: Fresh, done: Fit) -> None:
    """Have a head be a fresh one."""
    volumes.update(tx, {"parent": how.base, "size_bytes": how.size_bytes, "file_bytes": None}, id=row.id)
    done.fresh[row.id] = how


def _standing(tx: Transaction, moved: set[str]) -> Iterator[tuple[Disk, Volume]]:
    """Disks with a head that is there; of one that is still being made nothing is kept but the row."""
    for disk in disks.all(tx):
        row = volumes.find(tx, id=disk.volume) if disk.volume is not None and disk.id not in moved else None
        if row is not None and row.state != "planned":
            yield disk, row


def _fault(holder: Holder, volume: str) -> str:
    held = holder.get(volume)
    return "" if held is None else held.fault


def _stamp(holder: Holder, volume: str) -> tuple[int, ...]:
    held = holder.get(volume)
    return () if held is None else held.source


def _hold_all(tx: Transaction, holder: Holder, done: Fit) -> None:
    """Hold every volume that has a row, and forget those that nobody needs and that are gone by now."""
    for row in volumes.all(tx):
        if row.state == "planned" or row.id in done.fresh:
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
    # One that was merged away meanwhile has no row, and is given it back.
    done.kept |= {one.base: "layer" for one in done.fresh.values() if one.base is not None}


def _follow_headers(tx: Transaction, holder: Holder, done: Fit) -> None:
    """Have each row name the parent that the held file has, and each of these have a row.

    Of one with a header that tells nothing the row stays as it is.
    """
    waiting = list(done.kept)
    while waiting:
        held = holder.get(waiting.pop())
        assert held is not None  # What is kept is held.
        row = volumes.find(tx, id=held.volume)
        if held.fault:
            done.broken[held.volume] = held.fault
            held = replace(held, parent=row.parent if row else None, size_bytes=row.size_bytes if row else 0)
            if held.parent is not None and not holder.take(held.parent):
                done.unsettled.append(f"{held.parent} is not there")
                return
        if row is None or row.state != "ready":
            _be_there(tx, held, "layer", 0.0 if row is None else row.created_at)
        elif not held.fault and (row.parent != held.parent or row.file_bytes not in (None, held.source[1])):
            volumes.update(tx, {"parent": held.parent, "file_bytes": None}, id=held.volume)
        if held.parent is not None and held.parent not in done.kept:
            done.kept[held.parent] = "layer"
            waiting.append(held.parent)


def _be_there(tx: Transaction, held: Held, kind: str, created_at: float) -> None:
    volumes.delete(tx, id=held.volume)
    volumes.insert(tx, reinstated(held.volume, kind, held.parent, held.size_bytes, now=created_at))
