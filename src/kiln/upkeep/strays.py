"""What lies in the pool without a row that explains it.

Three things can become of it, and none of them loses a byte. A volume that
something still names gets its row back, where its header says all that a row
says; where it does not, the volume is left alone and called broken. What nothing
names is moved out of the pool, to where the operator may look at it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import field

from kiln.calls.call import Ports
from kiln.declare.facts import UnreadableFacts, parse
from kiln.declare.states import SnapshotStatus, TaskStatus
from kiln.ground.values import dataclass
from kiln.pools.errors import PoolError
from kiln.pools.port import Stranger
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import Task, tasks
from kiln.store.volumes import Volume, reinstated, volumes
from kiln.upkeep.findings import Finding, mended

_SAID_MOST = 3


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What is known and what is there: ``rows`` by volume, ``present`` in the pool, and the ``parents`` of those.

    It changes as strays are mended. A header that cannot be read names no parent.
    """

    rows: dict[str, Volume]
    present: set[str]
    parents: dict[str, str | None]


@dataclass
class _Claims:
    """What names a volume, in words, and what that says of it."""

    said: set[str] = field(default_factory=set)
    is_head: bool = False
    is_layer: bool = False
    size_bytes: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        """All of it while it is short: thousands of disks may stand on one image."""
        first, more = sorted(self.said)[:_SAID_MOST], len(self.said) - _SAID_MOST
        return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def take_stock(ports: Ports) -> Stock:
    """Read all rows and all headers."""
    with ports.database.read() as tx:
        rows = {row.id: row for row in volumes.all(tx)}
    present = set(ports.pool.volumes())
    return Stock(rows=rows, present=present, parents={volume: _parent(ports, volume) for volume in present})


def strays(ports: Ports, stock: Stock, *, repair: bool) -> Iterator[Finding]:
    """Explain every stray, and with *repair* put it in order; *stock* is told of it."""
    with ports.database.read() as tx:
        claims = _claims(tx, stock)
    left = stock.present - stock.rows.keys()
    known = set(stock.rows)
    for volume in sorted(left, key=lambda v: (_depth(stock, v), v)):
        if volume in claims:
            yield _reinstate(ports, stock, volume, claims[volume], known, repair=repair)
    recorded = {volume for volume in left - claims.keys() if _is_recorded(ports, volume)}
    for volume in sorted(recorded):
        text = (
            "has no row, but the pool's records know it: the database is older. `kiln fsck --rebuild` writes it again"
        )
        yield Finding("broken", volume, text)
    for volume in sorted(left - claims.keys() - recorded, key=lambda v: (-_depth(stock, v), v)):
        yield _set_aside(ports, volume, volume, "is known to nobody", repair=repair)
        if repair:
            stock.present.discard(volume)
    for stranger in ports.pool.strangers():
        if stranger.volume in stock.rows or stranger.volume in claims:
            yield Finding("broken", stranger.name, "lies where a volume should, and is no file; left alone")
        else:
            yield _set_aside(ports, stranger.name, stranger, "is no volume", repair=repair)


def _is_recorded(ports: Ports, volume: str) -> bool:
    records = ports.pool.records
    return records.get("volume", volume) is not None or bool(records.naming(volume))


def _set_aside(ports: Ports, subject: str, what: str | Stranger, fault: str, *, repair: bool) -> Finding:
    done = ""
    try:
        if repair:
            done = f"moved to {ports.pool.set_aside(what)}"
    except PoolError as error:
        return Finding("broken", subject, f"{fault}, and cannot be moved out of the pool: {error}")
    return mended(subject, fault, done=done, would="would be moved out of the pool", repair=repair)


def _reinstate(ports: Ports, stock: Stock, volume: str, claims: _Claims, known: set[str], *, repair: bool) -> Finding:
    """Write the row of a volume that is named by others, if nothing speaks against it."""
    fault = f"has no row, but {claims}"
    try:
        parent, size_bytes = ports.pool.parent(volume), ports.pool.size(volume)
    except PoolError as error:
        return Finding("broken", volume, f"{fault}; left alone, since its header cannot be read: {error}")
    against = _objection(claims, parent, size_bytes, known)
    if against:
        return Finding("broken", volume, f"{fault}; left alone, since {against}")
    kind = "head" if claims.is_head and not claims.is_layer else "layer"
    row = reinstated(volume, kind, parent, size_bytes, now=ports.clock())
    known.add(volume)
    if repair:
        ports.database.write(lambda tx: volumes.insert(tx, row))
        stock.rows[volume] = row
    done, would = "the row was written again", "the row would be written again"
    return mended(volume, fault, done=done, would=would, repair=repair)


def _objection(claims: _Claims, parent: str | None, size_bytes: int, known: set[str]) -> str:
    """Why the volume is not what names it takes it for, or nothing."""
    if parent is not None and parent not in known:
        return f"it stands on {parent}, which is not known either"
    if claims.size_bytes - {size_bytes}:
        return f"it has {size_bytes} bytes, not {', '.join(map(str, sorted(claims.size_bytes)))}"
    if not (claims.is_head or claims.is_layer):
        # A task that was to make it would find it made, but what it was to become nobody can say.
        return "a task does not say what it is"
    return ""


def _claims(tx: Transaction, stock: Stock) -> dict[str, _Claims]:
    """The strays that something names: rows, the open tasks' facts, and the headers of volumes that are to stay."""
    found: dict[str, _Claims] = defaultdict(_Claims)
    for disk in disks.all(tx):
        if disk.volume is not None:
            found[disk.volume].said.add(f"disk {disk.id} has it")
            found[disk.volume].is_head = True
    for snapshot in snapshots.all(tx):
        if snapshot.volume is not None:
            found[snapshot.volume].said.add(f"snapshot {snapshot.id} is it")
            found[snapshot.volume].is_layer = True
            if snapshot.status == SnapshotStatus.ACCOMPLISHED:
                found[snapshot.volume].size_bytes.add(snapshot.size_bytes)
    for row in stock.rows.values():
        if row.parent is not None and row.parent not in stock.rows:
            found[row.parent].said.add(f"volume {row.id} stands on it")
            found[row.parent].is_layer = True
    for task in tasks.all(tx, status=TaskStatus.PROCESSING):
        for name in {task.resource, *_remembered(task)}:
            found[name].said.add(f"task {task.id} names it")
    _claim_by_headers(stock, found)
    return {volume: claims for volume, claims in found.items() if volume not in stock.rows}


def _claim_by_headers(stock: Stock, found: dict[str, _Claims]) -> None:
    """Add what the headers say: of known volumes, of strays that are named, and so on downwards."""
    staying = [volume for volume in stock.present if volume in stock.rows or volume in found]
    seen = set(staying)
    while staying:
        volume = staying.pop()
        parent = stock.parents[volume]
        if parent is None or parent in stock.rows:
            continue
        found[parent].said.add(f"volume {volume} stands on it")
        found[parent].is_layer = True
        if parent in stock.present and parent not in seen:
            seen.add(parent)
            staying.append(parent)


def _remembered(task: Task) -> set[str]:
    """Every text in a task's facts, whatever their version; of what cannot be read, all that looks like an ID."""
    try:
        return set(_texts(parse(task.payload)))
    except UnreadableFacts:
        return set(re.findall(r"[\w-]+", task.payload))


def _texts(value: object) -> Iterator[str]:
    """Every text in a task's facts, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _depth(stock: Stock, volume: str) -> int:
    """How many volumes it stands on. Damage may have made a ring of them, which ends where it began."""
    below: set[str] = set()
    parent = stock.parents.get(volume)
    while parent is not None and parent not in below:
        below.add(parent)
        parent = stock.parents.get(parent)
    return len(below)


def _parent(ports: Ports, volume: str) -> str | None:
    try:
        return ports.pool.parent(volume)
    except PoolError:
        return None
