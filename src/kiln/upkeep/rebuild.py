"""Writing the rows again: from the pool's records, and where these are a moment old from the headers of its volumes.

All rows are one transaction, so a kill leaves the database as it was or whole.
What the records say wins only over a database that is older than they are. What
they cannot tell, because it was not written down when everything ended, is found
as a crash's leftovers are: a task is there again and goes on, and the head that
a capture had made by then is the one that the disk stands on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from kiln.calls.call import Ports
from kiln.declare.states import TaskStatus
from kiln.ground.units import counted
from kiln.ground.values import dataclass
from kiln.pools.errors import PoolError
from kiln.pools.port import Records
from kiln.store import documents
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import is_at_work, planned, reinstated, volumes
from kiln.upkeep.abandoned import abandoned
from kiln.upkeep.findings import Finding
from kiln.upkeep.lost_networks import lost_networks
from kiln.upkeep.lost_owners import lost_owners

#: One, several, and what comes with them, by kind.
WORDS = {
    "account": ("account", "accounts", ", with users and resource groups"),
    "bucket": ("bucket's owner", "buckets' owners", ""),
    "webhook": ("webhook", "webhooks", ""),
    "keypair": ("key pair", "key pairs", ""),
    "task": ("task", "tasks", ", half way"),
    "volume": ("volume", "volumes", ""),
    "snapshotgroup": ("snapshot group", "snapshot groups", ""),
    "snapshotpolicy": ("snapshot policy", "snapshot policies", ""),
    "snapshot": ("snapshot", "snapshots", ""),
    "image": ("image", "images", ", with disks and tags"),
    "vpc": ("VPC", "VPCs", ""),
    "vswitch": ("VSwitch", "VSwitches", ""),
    "securitygroup": ("security group", "security groups", ", with rules"),
    "instance": ("instance", "instances", ", with interfaces"),
    "eip": ("elastic address", "elastic addresses", ""),
    "launchtemplate": ("launch template", "launch templates", ", with versions"),
    "disk": ("disk", "disks", ""),
    "command": ("command", "commands", ""),
    "invocation": ("invocation", "invocations", ", with results"),
}


@dataclass
class Rebuilt:
    """What was written again, by kind, and what is to be said of the rest."""

    written: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def told(self) -> Iterator[str]:
        """What was written again, in words."""
        for kind, count in self.written.items():
            if count:
                one, several, more = WORDS[kind]
                yield counted(count, one, several) + more


def rebuild(tx: Transaction, ports: Ports, *, is_database_older: bool) -> Rebuilt:
    """Write in *tx* what can be written again. Raises PoolError, OSError where the records cannot be read.

    With *is_database_older* the records' word counts, else the database's.
    """
    done = Rebuilt()
    headers = _headers(ports)
    if is_database_older:
        _restore(tx, ports.pool.records, headers.keys(), done)
    _agree_with_headers(tx, headers)
    _move_to_heirs(tx, ports, headers, done)
    if is_database_older and ports.pool.records.damaged:
        _forget_what_nobody_names(tx, headers)
    done.findings += lost_owners(tx, ports, repair=True)
    done.findings += abandoned(tx, ports.clock(), repair=True)
    done.findings += lost_networks(tx, ports.clock(), repair=True)
    done.findings += _doubtful(tx, ports.pool.records, {one.subject for one in done.findings})
    return done


def _doubtful(tx: Transaction, records: Records, told: set[str]) -> Iterator[Finding]:
    """What damaged records were about, but for what was *told* already: what nothing else names nobody would miss."""
    for kind, name in records.doubtful:
        if kind not in documents.KINDS or name in told:
            continue
        what = WORDS[kind][0]
        if documents.document(tx, kind, name) is None:
            if kind == "task":
                continue  # Most have ended; of the others what they are about is told.
            yield Finding("broken", name, f"its newest record cannot be read, and the {what} is not there")
        else:
            yield Finding("broken", name, f"its newest record cannot be read: the {what} is as it was before that")


def _headers(ports: Ports) -> dict[str, str | None]:
    """The parent of every volume whose header can be read."""
    found = {}
    for volume in ports.pool.volumes():
        try:
            found[volume] = ports.pool.parent(volume)
        except PoolError:
            continue
    return found


def _restore(tx: Transaction, records: Records, present: Iterable[str], done: Rebuilt) -> None:
    damaged = records.damaged
    if damaged:
        text = "records cannot be read: what they held may be older than it was, or missing"
        done.findings.append(Finding("broken", "records", f"{damaged} {text}"))
    kept = set(present)
    for kind in documents.KINDS:
        known = records.names(kind)
        if not damaged and records.batch:
            # What was removed since the database's copy was made; a volume that is there has its row for a reason.
            gone = set(documents.names(tx, kind)) - set(known)
            for name in gone - kept if kind == "volume" else gone:
                documents.remove(tx, kind, name)
        done.written[kind] = 0
        # Of two that cannot both be, as where nothing says any more that the older one is gone, the newer one is.
        told = sorted(((name, records.get(kind, name)) for name in known), key=_made_at, reverse=True)
        for name, said in told:
            try:
                if said is not None and documents.document(tx, kind, name) != said:
                    documents.restore(tx, kind, name, said)
                    done.written[kind] += 1
            except ValueError as error:
                done.findings.append(Finding("broken", name, f"its record is not understood: {error}"))


def _made_at(told: tuple[str, Mapping[str, Any] | None]) -> float:
    made = (told[1] or {}).get("created_at")
    return made if isinstance(made, int | float) else 0.0


def _agree_with_headers(tx: Transaction, headers: dict[str, str | None]) -> None:
    """A merge that was done and not written down leaves a volume on what its parent stood on."""
    for row in volumes.all(tx, state="ready"):
        if row.id in headers and headers[row.id] != row.parent and not is_at_work(tx, row):
            volumes.update(tx, {"parent": headers[row.id], "file_bytes": None}, id=row.id)


def _move_to_heirs(tx: Transaction, ports: Ports, headers: dict[str, str | None], done: Rebuilt) -> None:
    """A disk whose head something stands on was captured since; the one that is new there is its head now."""
    children = defaultdict(list)
    for volume, parent in headers.items():
        if parent is not None:
            children[parent].append(volume)
    named = {disk.volume for disk in disks.all(tx)} | {snapshot.volume for snapshot in snapshots.all(tx)}
    known = {row.id: row for row in volumes.all(tx)}
    open_tasks = tasks.all(tx, status=TaskStatus.PROCESSING)
    at_work = {row.id for row in known.values() if is_at_work(tx, row)}
    for disk in disks.all(tx):
        above = children.get(disk.volume or "", [])
        if disk.volume is None or not above:
            continue
        # Or the task that made them is there too, and goes on; what of theirs has lost its row is planned again.
        makers = {one: task for one in above for task in open_tasks if one not in known and one in task.payload}
        for one, task in makers.items():
            size_bytes = ports.pool.size(one)
            volumes.insert(tx, planned(one, "head", disk.volume, size_bytes, task=task.id, now=ports.clock()))
        if makers or not at_work.isdisjoint(above):
            continue
        heirs = [one for one in above if one not in named and one not in children and one not in known]
        if len(heirs) != 1 or len(above) != 1:
            text = (
                f"stands on {disk.volume}, above which are {', '.join(sorted(above))}: which is its head is not known"
            )
            done.findings.append(Finding("broken", disk.id, text))
            continue
        row = reinstated(heirs[0], "head", disk.volume, ports.pool.size(heirs[0]), now=ports.clock())
        volumes.insert(tx, row)
        volumes.update(tx, {"kind": "layer", "state": "ready"}, id=disk.volume)
        disks.update(tx, {"volume": row.id}, id=disk.id)
        text = f"was captured when everything ended; it goes on at {row.id}"
        done.findings.append(Finding("repaired", disk.id, text))


def _forget_what_nobody_names(tx: Transaction, headers: dict[str, str | None]) -> None:
    """Leave volumes to fsck, which sets them aside: who named them may be in a record that cannot be read any more.

    With a row, and without a name, the sweeper would take them for what was deleted.
    """
    kept = {disk.volume for disk in disks.all(tx)} | {snapshot.volume for snapshot in snapshots.all(tx)}
    said = " ".join(task.payload for task in tasks.all(tx, status=TaskStatus.PROCESSING))
    rows = volumes.all(tx)
    kept |= {row.id for row in rows if row.state != "ready" or row.id in said}
    below = list(kept)
    while below:
        parent = headers.get(below.pop() or "")
        if parent is not None and parent not in kept:
            kept.add(parent)
            below.append(parent)
    for row in rows:
        if row.id not in kept:
            volumes.delete(tx, id=row.id)
