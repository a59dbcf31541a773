"""fsck: compares what the database says with what the pool holds, explains what differs, and mends what can be mended.

It runs with the server stopped. Four sorts of finding: **repaired** (what a
crash may leave, taken away or put right), **repairable** (the same, where
nothing may be changed), **pending** (work that was cut short and goes on at the
next start) and **broken** (bytes that are missing or damaged; nothing can be
done here but say what is lost).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from kiln.calls.call import Ports
from kiln.declare.states import USABLE, DiskStatus, SnapshotStatus, TaskStatus
from kiln.ground.units import counted
from kiln.operations.disks.resize_disk import least_sizes
from kiln.pools.errors import PoolError
from kiln.store import images
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import Volume, is_named, volumes
from kiln.upkeep.abandoned import abandoned
from kiln.upkeep.aside import disagreements, trash_findings, trash_total
from kiln.upkeep.findings import Finding, mended
from kiln.upkeep.lost_networks import lost_networks
from kiln.upkeep.lost_owners import lost_owners
from kiln.upkeep.lost_variables import lost_variables
from kiln.upkeep.strays import strays, take_stock

Say = Callable[[str], None]
Count = Callable[[int, int], None]


class Look(Protocol):
    """Looks for one kind of fault in the rows, and with *repair* mends it."""

    def __call__(self, tx: Transaction, now: float, /, *, repair: bool) -> list[Finding]: ...


def fsck(ports: Ports, *, repair: bool, say: Say, count: Count = lambda _done, _total: None) -> list[Finding]:
    """Compare, and with *repair* mend. Without *repair* nothing changes.

    *say* is told what is being looked at, and *count* of how many volumes that was done, and how many there are.
    """
    say("leftovers in the pool")
    findings = list(_leftovers(ports, repair))
    with ports.database.read() as tx:
        at_work = {task.id for task in tasks.all(tx, status=TaskStatus.PROCESSING)}
        least = least_sizes(tx)
        findings += [
            Finding("pending", task.resource, f"{task.action} was cut short and goes on at the next start")
            for task in tasks.all(tx, status=TaskStatus.PROCESSING)
        ]
    stock = take_stock(ports)
    say(counted(len(stock.rows), "volume"))
    findings += trash_findings(ports, stock, repair=repair)
    findings += strays(ports, stock, repair=repair)
    for done, row in enumerate(list(stock.rows.values())):
        count(done, len(stock.rows))
        if row.task in at_work:
            continue
        if row.state == "planned":
            findings += _unmade(ports, row, repair)
        elif row.state == "doomed" and not (needed := _needed(ports, row)):
            findings.append(Finding("pending", row.id, "is being given back; the sweeper finishes that"))
        elif row.id not in stock.present:
            findings.append(Finding("broken", row.id, "is missing from the pool"))
        else:
            if row.state == "doomed":
                findings.append(_reprieved(ports, row, needed, repair))
            findings += _volume(ports, row, stock.parents[row.id], least.get(row.id, row.size_bytes), repair=repair)
    count(len(stock.rows), len(stock.rows))
    findings += disagreements(ports)
    say(trash_total(ports))
    say("what names them")
    findings += _names(ports, stock.present)
    findings += _mended(ports, lambda tx, _, *, repair: lost_owners(tx, ports, repair=repair), repair=repair)
    findings += _mended(ports, abandoned, repair=repair)
    findings += _mended(ports, lost_networks, repair=repair)
    findings += _mended(ports, lost_variables, repair=repair)
    return findings


def row_findings(ports: Ports) -> list[Finding]:
    """What rows say of each other that cannot be; the pool is not looked at, and nothing is changed."""
    with ports.database.read() as tx:
        there = {volume.id for volume in volumes.all(tx)}
        return [
            *(*_disks(tx, there), *_snapshots(tx, there), *_images(tx)),
            *lost_owners(tx, ports, repair=False),
            *abandoned(tx, ports.clock(), repair=False),
            *lost_networks(tx, ports.clock(), repair=False),
            *lost_variables(tx, ports.clock(), repair=False),
        ]


def _leftovers(ports: Ports, repair: bool) -> Iterator[Finding]:
    for name in ports.pool.sweep() if repair else ports.pool.leftovers():
        fault = "half made when Kiln was stopped"
        yield mended(name, fault, done="removed", would="would be removed", repair=repair)


def _volume(ports: Ports, row: Volume, parent: str | None, least_bytes: int, *, repair: bool) -> Iterator[Finding]:
    """A finished volume that is there and that nobody works on, but to have it grow from *least_bytes*.

    *parent* is what its header says.
    """
    if parent != row.parent:
        yield from _another_parent(ports, row, parent, repair)
    try:
        size_bytes = ports.pool.size(row.id)
        if not least_bytes <= size_bytes <= row.size_bytes:
            yield Finding("broken", row.id, f"has {size_bytes} bytes, not {row.size_bytes}")
        length = ports.pool.length(row.id)
        if row.file_bytes not in (None, length):
            yield Finding("broken", row.id, f"its file has {length} bytes, not {row.file_bytes}")
        for complaint in ports.pool.verify(row.id):
            yield Finding("broken", row.id, complaint)
    except PoolError as e:
        yield Finding("broken", row.id, str(e))


def _needed(ports: Ports, row: Volume) -> str:
    """Who needs a volume that is to be given back, in words; "" when nobody does, or only while it lasts."""
    with ports.database.read() as tx:
        if is_named(tx, row.id):
            return "a disk or a snapshot names it"
        above = volumes.all(tx, parent=row.id, state="ready")
    return f"{above[0].id} stands on it" if above else ""


def _reprieved(ports: Ports, row: Volume, needed: str, repair: bool) -> Finding:
    """What was to be given back, and lives on: nothing merges with it, and a restart would not help it."""
    if repair:
        with ports.database.read() as tx:
            is_head = disks.find(tx, volume=row.id) is not None
        changes = {"state": "ready", "task": None, "kind": "head" if is_head else "layer"}
        ports.database.write(lambda tx: volumes.update(tx, changes, id=row.id))
    fault = f"was to be given back, but {needed}"
    return mended(row.id, fault, done="it is kept", would="it would be kept", repair=repair)


def _unmade(ports: Ports, row: Volume, repair: bool) -> Iterator[Finding]:
    """What was planned, and nobody makes any more."""
    fault = "was planned, and nobody makes it any more"
    with ports.database.read() as tx:
        if is_named(tx, row.id):
            # The sweeper drops what is doomed whoever names it.
            yield Finding("broken", row.id, f"{fault}, but a disk or a snapshot names it; left alone")
            return
    if repair:
        ports.database.write(lambda tx: volumes.update(tx, {"state": "doomed", "task": None}, id=row.id))
    done, would = "the sweeper takes it away", "the sweeper would be told to take it away"
    yield mended(row.id, fault, done=done, would=would, repair=repair)


def _another_parent(ports: Ports, row: Volume, parent: str | None, repair: bool) -> Iterator[Finding]:
    """A merge that was not recorded leaves the volume on its grandparent; anything else is damage."""
    with ports.database.read() as tx:
        said = volumes.find(tx, id=row.parent)
    if said is not None and said.parent == parent:
        if repair:
            changes = {"parent": parent, "file_bytes": None}
            ports.database.write(lambda tx: volumes.update(tx, changes, id=row.id))
        fault = f"was merged with {row.parent}, which was not recorded"
        yield mended(row.id, fault, done="recorded now", would="would be recorded", repair=repair)
    else:
        yield Finding("broken", row.id, f"stands on {parent}, not on {row.parent}")


def _names(ports: Ports, present: set[str]) -> list[Finding]:
    with ports.database.read() as tx:
        return [*_disks(tx, present), *_snapshots(tx, present), *_images(tx)]


def _disks(tx: Transaction, present: set[str]) -> Iterator[Finding]:
    for disk in disks.all(tx):
        if disk.status in (DiskStatus.AVAILABLE, DiskStatus.IN_USE) and disk.volume not in present:
            yield Finding("broken", disk.id, f"{disk.status}, but its volume {disk.volume} is missing")


def _snapshots(tx: Transaction, present: set[str]) -> Iterator[Finding]:
    for snapshot in snapshots.all(tx, status=SnapshotStatus.ACCOMPLISHED):
        if snapshot.volume not in present:
            yield Finding("broken", snapshot.id, f"accomplished, but its volume {snapshot.volume} is missing")


def _images(tx: Transaction) -> Iterator[Finding]:
    done = {snapshot.id for snapshot in snapshots.all(tx, status=SnapshotStatus.ACCOMPLISHED)}
    for image in images.images.all(tx):
        if image.status in USABLE:
            for disk in images.image_disks.all(tx, image=image.id):
                if disk.snapshot and disk.snapshot not in done:
                    yield Finding("broken", image.id, f"{image.status}, but its snapshot {disk.snapshot} is not there")


def _mended(ports: Ports, look: Look, *, repair: bool) -> list[Finding]:
    """What *look* finds, and with *repair* has mended, in one transaction."""
    with ports.database.read() as tx:
        found = look(tx, ports.clock(), repair=False)
    if found and repair:
        return ports.database.write(lambda tx: look(tx, ports.clock(), repair=True))
    return found
