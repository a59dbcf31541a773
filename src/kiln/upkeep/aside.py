"""fsck of the pool's trash: what lies there and what the database says of it.

Nothing is removed from there but by its grace. A volume that a row still means,
since an older copy of the database was put back, is taken back into the pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kiln.calls.call import Ports
from kiln.ground.units import counted
from kiln.pools.errors import PoolError, VolumeMissing
from kiln.store.database import Transaction
from kiln.store.trash import Discard, discards, served_seconds
from kiln.store.volumes import unwanted
from kiln.upkeep.findings import Finding, mended
from kiln.upkeep.strays import Stock
from kiln.upkeep.trash import second_witness


def trash_findings(ports: Ports, stock: Stock, *, repair: bool) -> Iterator[Finding]:
    """Explain what differs, and with *repair* put it in order; *stock* is told what came back or left the pool."""
    contents = list(ports.pool.discarded())
    there = {one.volume for one in contents if one.volume is not None}
    with ports.database.read() as tx:
        known = {row.id: row for row in discards.all(tx)}
    for one in contents:
        if one.volume is None:
            yield Finding("pending", one.name, "lies in the trash and is no volume; left alone")
    yield from _between(ports, stock, there, known.keys(), repair=repair)
    for volume in sorted(known.keys() - there - stock.rows.keys()):
        if repair:
            ports.database.write(lambda tx, volume=volume: discards.delete(tx, id=volume))  # type: ignore[misc]
        fault = "is not in the trash any more"
        yield mended(volume, fault, done="forgotten", would="would be forgotten", repair=repair)
    for volume in sorted(there - known.keys() - stock.rows.keys()):
        if repair:
            ports.database.write(lambda tx, volume=volume: _adopt(tx, ports, volume))  # type: ignore[misc]
        fault = "lies in the trash, and nothing says since when"
        yield mended(volume, fault, done="its grace begins now", would="its grace would begin", repair=repair)


def _between(ports: Ports, stock: Stock, there: set[str], known: Iterable[str], *, repair: bool) -> Iterator[Finding]:
    """What lies on the wrong side: in the pool though its row is gone, or in the trash though it has one."""
    for volume in sorted(set(known) & stock.present - stock.rows.keys() - there):
        if not repair or ports.pool.discard([volume]):
            fault = "was moved to the trash, which did not reach the disk"
            yield mended(volume, fault, done="moved again", would="would be moved again", repair=repair)
            there.add(volume)
            stock.present.discard(volume)
    meant = {row.id for row in stock.rows.values() if row.state == "ready"}
    for volume in sorted(meant & there - stock.present):
        yield from _take_back(ports, stock, volume, there, repair=repair)


def disagreements(ports: Ports) -> Iterator[Finding]:
    """Volumes that would go if the database alone were asked, and that another witness knows to be named."""
    with ports.database.read() as tx:
        _, kept = unwanted(tx, 1_000_000, second_witness(tx, ports))
    for volume, reason in sorted(kept.items()):
        yield Finding("broken", volume, f"{reason}; kept")


def trash_total(ports: Ports) -> str:
    """How much lies in the trash, in words."""
    sizes = [one.allocated_bytes for one in ports.pool.discarded() if one.volume is not None]
    return f"{counted(len(sizes), 'volume')} in the trash, {counted(sum(sizes), 'byte')}"


def _take_back(ports: Ports, stock: Stock, volume: str, there: set[str], *, repair: bool) -> Iterator[Finding]:
    fault = "is meant by its row, and lies in the trash"
    if repair:
        try:
            for name in _retrieve(ports, volume):
                there.discard(name)
                stock.present.add(name)
                stock.parents[name] = ports.pool.parent(name)
        except PoolError as error:
            yield Finding("broken", volume, f"{fault}, and cannot be taken back: {error}")
            return
    yield mended(volume, fault, done="taken back", would="would be taken back", repair=repair)


def _retrieve(ports: Ports, volume: str) -> list[str]:
    """Take a volume back, and first what it stands on; returns those that came back, the lowest first."""
    back: list[str] = []
    waiting = [volume]
    while waiting:
        try:
            ports.pool.retrieve(waiting[-1])
        except VolumeMissing as missing:
            if str(missing) in waiting:
                raise
            waiting.append(str(missing))
            continue
        back.append(waiting.pop())
        ports.database.write(lambda tx: discards.delete(tx, id=back[-1]))
    return back


def _adopt(tx: Transaction, ports: Ports, volume: str) -> None:
    row = Discard(
        id=volume,
        parent=None,
        kind="layer",
        size_bytes=0,
        file_bytes=None,
        discarded_at=ports.clock(),
        served=served_seconds(tx),
    )
    discards.insert(tx, row)
